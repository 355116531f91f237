"""Lookups in a reverse zone: the PTR records of an address.

The address of a Service has one PTR record. The address of an endpoint has one for each Service that it belongs to,
endpoints with a hostname first, always in the same order. Every target is a name that the zone `primary` has. A name
above that of an address exists too, without records (RFC 8020 §2).
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.lookup import MIN_RUN, Dependencies, LookupResult, below
from clusterdns.cluster.index.schema import SERVICE_TREE
from clusterdns.cluster.index.service import ServiceEntry
from clusterdns.wire import codes, name, record
from clusterdns.wire.header import MAX_STREAM_BYTES
from clusterdns.wire.name import MAX_NAME_BYTES
from clusterdns.wire.record import Record
from clusterdns.wire.runs import RecordRun, joined

_PTR_BYTES = 14  # beside the labels of the target that differ: two pointers, and what precedes RDATA
_CHUNK = 4096  # endpoints that are read at once: as many names fill a message


class Pointers:
    """Looks names up below a reverse zone; the PTR records point into the zone `primary`."""

    def __init__(
        self,
        index: Index,
        primary: bytes,
        ttl_seconds: int,
        find_entry: Callable[[bytes, bytes], ServiceEntry | None],
        endpoint_start: Callable[[bytes], bytes],
        *,
        needs_ports: bool,
    ) -> None:
        """`find_entry` and `endpoint_start` are those of the zone `primary`: what exists in it, and how it is named.

        With `needs_ports` a Service without ports has no addresses of its own.
        """
        self._index = index
        self._primary = primary
        self._ttl = ttl_seconds
        self._find_entry = find_entry
        self._endpoint_start = endpoint_start
        self._needs_ports = needs_ports

    def find(self, qname: bytes, qtype: int) -> LookupResult:
        """Look up a reverse name."""
        address = name.to_address(qname)
        if address is None:
            return LookupResult((), self._index.reverse.is_ancestor(qname), reusable=False)
        targets, dependencies = self._targets(address)
        records: Sequence[Record] = ()
        if qtype == codes.PTR:
            several = [self._records(qname, *one) for one in targets]
            records = several[0] if len(several) == 1 else joined(*several)
        return LookupResult(dependencies, bool(targets), records)

    def _records(self, qname: bytes, starts: Sequence[bytes], end: bytes) -> Sequence[Record]:
        if len(starts) >= MIN_RUN:
            return RecordRun(qname, codes.PTR, self._ttl, starts, end)
        return tuple([record.ptr(qname, self._ttl, start + end) for start in starts])

    def _targets(self, address: bytes) -> tuple[list[tuple[Sequence[bytes], bytes]], Dependencies]:
        """Return the names of an address, no more than fill a message, and what they depend on.

        Names that end alike are one item: how they begin, and the end.
        """
        index = self._index
        dependencies: dict[Hashable, None] = {address: None}
        for namespace, service in index.reverse.services(address):
            dependencies[namespace,] = dependencies[namespace, service] = None
            target = below(self._primary, service, namespace, SERVICE_TREE)
            entry = self._entry(namespace, service) if target else None
            if entry is not None and entry.service is not None and (entry.service.ports or not self._needs_ports):
                return [((b"",), target)], tuple(dependencies)
        targets: dict[bytes, dict[bytes, None]] = {}
        spare_bytes = MAX_STREAM_BYTES
        for namespace, service, labels in self._labels(address):
            dependencies[namespace,] = dependencies[namespace, service] = None
            service_name = below(self._primary, service, namespace, SERVICE_TREE)
            if not service_name or self._entry(namespace, service) is None:
                continue
            starts = targets.setdefault(service_name, {})
            for start in map(self._endpoint_start, labels):
                if start not in starts and len(start) + len(service_name) <= MAX_NAME_BYTES:
                    starts[start] = None
                    spare_bytes -= _PTR_BYTES + len(start)
            if spare_bytes < 0:
                break
        return [(list(starts), end) for end, starts in targets.items() if starts], tuple(dependencies)

    def _labels(self, address: bytes) -> Iterator[tuple[bytes, bytes, Iterable[bytes]]]:
        """Yield the labels of the endpoints with an address, many at once where they belong to one Service."""
        endpoints = self._index.reverse.endpoints(address)
        if len(endpoints) < MIN_RUN:
            for one in endpoints:
                yield one.namespace, one.service, (one.label,)
            return
        for key, several in self._index.reverse.endpoints_by_service(address):
            for first in range(0, len(several), _CHUNK):
                yield *key, dict.fromkeys([one.label for one in several[first : first + _CHUNK]])

    def _entry(self, namespace: bytes, service: bytes) -> ServiceEntry | None:
        """Look up a Service with addresses of its own or of its endpoints; an ExternalName has neither."""
        entry = self._find_entry(namespace, service)
        is_absent = entry is None or entry.service is None or entry.service.type == "ExternalName"
        return None if is_absent else entry
