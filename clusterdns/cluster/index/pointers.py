"""Reverse names: an address → the PTR records of what has it.

A Service's clusterIP has one name, the Service's. An endpoint's address has one for each Service that it is behind, the
pod's own hostname first, always in the same order. Names above an address that exists are there too, without records
(RFC 8020 §2).
"""

from collections.abc import Hashable

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.found import Dependencies, Found, below
from clusterdns.cluster.index.schema import SERVICE_TREE
from clusterdns.wire import codes, name, record


class Pointers:
    """Answers below a reverse zone; `primary` is the zone that the targets are in."""

    def __init__(self, index: Index, primary: bytes, ttl_seconds: int) -> None:
        self._index = index
        self._primary = primary
        self._ttl = ttl_seconds

    def find(self, qname: bytes, qtype: int) -> Found:
        """Look a reverse name up."""
        address = name.to_address(qname)
        if address is None:
            return self._at_ancestor(qname)
        targets, dependencies = self._targets(address)
        records = tuple(record.ptr(qname, self._ttl, target) for target in targets) if qtype == codes.PTR else ()
        return Found(dependencies, bool(targets), records)

    def _at_ancestor(self, qname: bytes) -> Found:
        v6 = name.is_under(qname, name.IP6_ARPA)
        tree = name.IP6_ARPA if v6 else name.IN_ADDR_ARPA
        labels = name.labels(qname[: len(qname) - len(tree)] + name.ROOT)
        return Found((), self._index.reverse.is_ancestor(labels, v6=v6), reusable=False)

    def _targets(self, address: bytes) -> tuple[tuple[bytes, ...], Dependencies]:
        index = self._index
        dependencies: dict[Hashable, None] = {address: None}
        for namespace, service in sorted(index.reverse.services(address)):
            dependencies[namespace,] = None
            target = below(self._primary, service, namespace, SERVICE_TREE)
            if target and index.exposes(namespace):
                return (target,), tuple(dependencies)
        targets: dict[bytes, None] = {}
        for member in index.reverse.members(address):
            dependencies[member.namespace,] = None
            target = below(self._primary, member.label, member.service, member.namespace, SERVICE_TREE)
            if target and index.exposes(member.namespace):
                targets[target] = None
        return tuple(targets), tuple(dependencies)
