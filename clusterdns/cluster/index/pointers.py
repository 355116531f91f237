"""Lookups in a reverse zone: the PTR records of an address.

The address of a Service has one PTR record. The address of an endpoint has one for each Service that it belongs to,
endpoints with a hostname first, always in the same order. Every target is a name that the zone `primary` has. A name
above that of an address exists too, without records (RFC 8020 §2).
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.lookup import LookupResult, below, pointer_records, wire_label
from clusterdns.cluster.index.schema import SERVICE_TREE
from clusterdns.cluster.index.service import ServiceEntry
from clusterdns.cluster.index.slices import EndpointAddress
from clusterdns.wire import codes, name, record
from clusterdns.wire.header import MAX_STREAM_BYTES
from clusterdns.wire.name import MAX_NAME_BYTES
from clusterdns.wire.record import Record
from clusterdns.wire.runs import MIN_RUN, joined

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
        dependencies: dict[Hashable, None] = {address: None}
        service_name = self._service_name(address, dependencies)
        endpoints = self._index.reverse.endpoints(address)
        records: Sequence[Record] = ()
        if not service_name and len(endpoints) >= MIN_RUN:
            runs = self._runs(qname, address, dependencies)
            return LookupResult(tuple(dependencies), bool(runs), joined(*runs) if qtype == codes.PTR else ())
        names = (service_name,) if service_name else self._names(endpoints, dependencies)
        if qtype == codes.PTR:
            records = tuple([record.ptr(qname, self._ttl, target) for target in names])
        return LookupResult(tuple(dependencies), bool(names), records)

    def _service_name(self, address: bytes, dependencies: dict[Hashable, None]) -> bytes:
        """Return the name of the Service with this address of its own; empty without one."""
        for namespace, service in self._index.reverse.services(address):
            dependencies[namespace,] = dependencies[namespace, service] = None
            target = below(self._primary, service, namespace, SERVICE_TREE)
            entry = self._entry(namespace, service) if target else None
            if entry is not None and entry.service is not None and (entry.service.ports or not self._needs_ports):
                return target
        return b""

    def _names(self, endpoints: Iterable[EndpointAddress], dependencies: dict[Hashable, None]) -> Collection[bytes]:
        """Return the names of a few endpoints, each once."""
        names: dict[bytes, None] = {}
        for endpoint in endpoints:
            namespace, service = key = endpoint.namespace, endpoint.service
            dependencies[namespace,] = dependencies[key] = None
            service_name = below(self._primary, service, namespace, SERVICE_TREE)
            target = self._endpoint_start(endpoint.label) + service_name
            if service_name and len(target) <= MAX_NAME_BYTES and self._entry(namespace, service) is not None:
                names[target] = None
        return names

    def _runs(self, qname: bytes, address: bytes, dependencies: dict[Hashable, None]) -> list[Sequence[Record]]:
        """Return the records of an address that many endpoints have, no more than fill a message.

        Names that end alike are one run: those of a Service, or those of a namespace whose Services have one each.
        """
        targets: dict[bytes, dict[bytes, None]] = {}
        spare_bytes = MAX_STREAM_BYTES
        last: bytes | None = None
        for key, several in self._index.reverse.endpoints_by_service(address):
            namespace, service = key
            dependencies[key] = None
            if namespace != last:
                last = namespace
                dependencies[namespace,] = None
                namespace_name = below(self._primary, namespace, SERVICE_TREE)
                alone = targets.setdefault(namespace_name, {})
            if not namespace_name or self._entry(namespace, service) is None:
                continue
            label = wire_label(service)
            spare_bytes -= len(label)
            if len(several) == 1:
                start = self._endpoint_start(several[0].label) + label
                if start not in alone and len(start) + len(namespace_name) <= MAX_NAME_BYTES:
                    alone[start] = None
                    spare_bytes -= _PTR_BYTES + len(start) - len(label)
            else:
                starts = targets.setdefault(label + namespace_name, {})
                spare_bytes = self._add_starts(starts, several, label + namespace_name, spare_bytes)
                for one in [one for one in starts if one + label in alone]:
                    del starts[one]
            if spare_bytes < 0:
                break
        return [pointer_records(qname, self._ttl, list(starts), end) for end, starts in targets.items() if starts]

    def _add_starts(
        self, starts: dict[bytes, None], endpoints: Sequence[EndpointAddress], service_name: bytes, spare_bytes: int
    ) -> int:
        """Add how the names of a Service's endpoints begin, no more than fill a message; return the space left."""
        for first in range(0, len(endpoints), _CHUNK):
            labels = dict.fromkeys([one.label for one in endpoints[first : first + _CHUNK]])
            for start in map(self._endpoint_start, labels):
                if start not in starts and len(start) + len(service_name) <= MAX_NAME_BYTES:
                    starts[start] = None
                    spare_bytes -= _PTR_BYTES + len(start)
            if spare_bytes < 0:
                break
        return spare_bytes

    def _entry(self, namespace: bytes, service: bytes) -> ServiceEntry | None:
        """Look up a Service with addresses of its own or of its endpoints; an ExternalName has neither."""
        entry = self._find_entry(namespace, service)
        is_absent = entry is None or entry.service is None or entry.service.type == "ExternalName"
        return None if is_absent else entry
