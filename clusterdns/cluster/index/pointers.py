"""Lookups in a reverse zone: the PTR records of an address.

The address of a Service has one PTR record. The address of an endpoint has one for each Service that it belongs to,
endpoints with a hostname first, always in the same order. A name above that of an address exists too, without records
(RFC 8020 §2).
"""

from collections.abc import Hashable

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.lookup import Dependencies, LookupResult, below
from clusterdns.cluster.index.schema import SERVICE_TREE
from clusterdns.wire import codes, name, record


class Pointers:
    """Looks names up below a reverse zone; the PTR records point into the zone `primary`."""

    def __init__(self, index: Index, primary: bytes, ttl_seconds: int) -> None:
        self._index = index
        self._primary = primary
        self._ttl = ttl_seconds

    def find(self, qname: bytes, qtype: int) -> LookupResult:
        """Look up a reverse name."""
        address = name.to_address(qname)
        if address is None:
            return LookupResult((), self._index.reverse.is_ancestor(qname), reusable=False)
        targets, dependencies = self._targets(address)
        records = tuple(record.ptr(qname, self._ttl, target) for target in targets) if qtype == codes.PTR else ()
        return LookupResult(dependencies, bool(targets), records)

    def _targets(self, address: bytes) -> tuple[tuple[bytes, ...], Dependencies]:
        index = self._index
        dependencies: dict[Hashable, None] = {address: None}
        for namespace, service in sorted(index.reverse.services(address)):
            dependencies[namespace,] = None
            target = below(self._primary, service, namespace, SERVICE_TREE)
            if target and index.exposes(namespace):
                return (target,), tuple(dependencies)
        targets: dict[bytes, None] = {}
        for endpoint in index.reverse.endpoints(address):
            dependencies[endpoint.namespace,] = None
            target = below(self._primary, endpoint.label, endpoint.service, endpoint.namespace, SERVICE_TREE)
            if target and index.exposes(endpoint.namespace):
                targets[target] = None
        return tuple(targets), tuple(dependencies)
