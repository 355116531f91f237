"""The namespaces that exist, and the `namespaces` option, which limits those that are served.

The index of the cluster and the index of its ServiceImports share one `Namespaces`. `Index.apply` writes it.
"""

from collections.abc import Iterable, Iterator

from clusterdns.cluster.objects import label_of


class Namespaces:
    """The existing namespaces, as lower-case labels."""

    def __init__(self, served: Iterable[str] = ()) -> None:
        """`served` are the names in the `namespaces` option; without any, all namespaces are served."""
        self._existing: set[bytes] = set()
        self.changes = 0  # so far
        self._served = frozenset(map(label_of, served))

    def exposes(self, namespace: bytes) -> bool:
        """Return whether the namespace exists and is served."""
        return namespace in self._existing and (not self._served or namespace in self._served)

    def serves(self, namespace: bytes) -> bool:
        """Return whether the namespace would be served if it existed."""
        return not self._served or namespace in self._served

    def names(self) -> Iterator[bytes]:
        """Yield the names of the namespaces that exist and are served, in no order."""
        return (name for name in self._existing if self.serves(name))

    def clear(self) -> None:
        """Remove every namespace."""
        self.changes += 1
        self._existing.clear()

    def set(self, namespace: bytes, *, exists: bool) -> None:
        """Add or remove a namespace."""
        self.changes += 1
        if exists:
            self._existing.add(namespace)
        else:
            self._existing.discard(namespace)
