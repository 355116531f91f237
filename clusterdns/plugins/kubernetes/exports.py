"""What a `kubernetes` directive has for other plugins of its block: the cluster's state, and search lists of its pods.

`autopath` and `k8s_external` ask for it in their `wrap`; `kubernetes` makes it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.found import below
from clusterdns.cluster.index.schema import SERVICE_TREE
from clusterdns.wire.name import labels, longest_suffix


class Asker(NamedTuple):
    """The namespace whose pods ask for a name because of their search list, and the list; its first domain has it."""

    namespace: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True)
class ClusterExports:
    """The index of a block, its zones and the addresses that this server is reached at."""

    index: Index
    zones: frozenset[bytes]
    knows_pods: bool
    local_addresses: Callable[[], Iterable[bytes]]

    def asker(self, qname: bytes) -> Asker | None:
        """Whose search list makes this name; None for names that are not of the form PREFIX.NAMESPACE.svc.ZONE."""
        zone = longest_suffix(qname, self.zones)
        if zone is None:
            return None
        left = labels(qname[: len(qname) - len(zone)] + b"\0")
        if len(left) < 3 or left[-1] != SERVICE_TREE:
            return None
        return Asker(left[-2], (below(zone, left[-2], SERVICE_TREE), below(zone, SERVICE_TREE), zone))

    def has_pod(self, namespace: bytes, client: IPv4Address | IPv6Address) -> bool:
        """Return whether a pod of the namespace has this address."""
        return self.knows_pods and self.index.has_pod(namespace, client.packed)
