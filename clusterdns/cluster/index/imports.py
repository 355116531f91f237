"""A zone of Services that several clusters share: ServiceImports, and the endpoints of every cluster.

It is a `ClusterZone` over an index of its own, which holds imports in place of Services (see `Index`, `beside`), and
in which an endpoint is ENDPOINT.CLUSTER.SERVICE. Only the option `multicluster` makes such zones and such an index.
"""

from typing import ClassVar

from clusterdns.cluster.index.schema import locate_imported
from clusterdns.cluster.index.service import ServiceNode
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import Port
from clusterdns.wire import name


def _below(zone: bytes, *labels: bytes) -> bytes:
    """The name of an endpoint, whose labels have their lengths with them; empty where it is too long."""
    full = b"".join(labels) + zone
    return full if len(full) <= name.MAX_NAME_BYTES else b""


class ImportZone(ClusterZone):
    """A forward zone such as clusterset.local."""

    _locate = staticmethod(locate_imported)
    _below_service = staticmethod(_below)
    _ports_of_none: ClassVar[tuple[Port, ...]] = ()  # an import's addresses are those of its ports

    def labels_of(self, endpoint: bytes) -> list[bytes]:
        """Its own label and its cluster's."""
        return name.labels(endpoint + name.ROOT)

    def _is_above(self, node: ServiceNode, label: bytes) -> bool:
        """Endpoints hang below their cluster's label (RFC 8020: then it exists)."""
        left = self.labels_of(label)
        if len(left) > 1:
            return False
        clusters = node.view("clusters", lambda: frozenset(one[1 + one[0] :] for one in node.labels()))
        return label in clusters or self._is_protocol(node, left[0])
