"""A zone of the option `multicluster`, such as clusterset.local.: ServiceImports, with the endpoints of every cluster.

It is a `ClusterZone` over an index of its own, which has ServiceImports in place of Services and shares namespaces and
pods with the cluster's index. An endpoint is named ENDPOINT.CLUSTER.SERVICE.
"""

from typing import ClassVar

from clusterdns.cluster.index.schema import parse_imported_name
from clusterdns.cluster.index.service import ServiceEntry
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import Port
from clusterdns.wire import name


def _in_wire_format(label: bytes) -> bytes:
    return label


class ImportZone(ClusterZone):
    """A forward zone such as clusterset.local."""

    _parse = staticmethod(parse_imported_name)
    _endpoint_start = staticmethod(_in_wire_format)
    _is_imported: ClassVar = True
    _default_ports: ClassVar[tuple[Port, ...]] = ()  # without ports a ServiceImport has no addresses

    def endpoint_labels(self, endpoint: bytes) -> list[bytes]:
        """Return the label of an endpoint, and that of its cluster."""
        return name.labels(endpoint + name.ROOT)

    def _exists_above(self, entry: ServiceEntry, label: bytes) -> bool:
        """Return whether the label is that of a cluster with endpoints, or of a protocol (RFC 8020: it exists)."""
        left = self.endpoint_labels(label)
        if len(left) > 1:
            return False
        clusters = entry.cached("clusters", lambda: frozenset(one[1 + one[0] :] for one in entry.labels()))
        return label in clusters or self._is_protocol(entry, left[0])
