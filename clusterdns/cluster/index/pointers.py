"""Lookups in a reverse zone: the PTR records of an address.

The address of a Service has one PTR record. The address of an endpoint has one for each Service that it belongs to,
endpoints with a hostname first, always in the same order. Every target is a name that the zone `primary` has. A name
above that of an address exists too, without records (RFC 8020 §2).
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from operator import add

from clusterdns.cluster.dependents import ANY_SERVICE
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.lookup import LookupResult, below, pointer_records, wire_label
from clusterdns.cluster.index.reverse import in_chunks
from clusterdns.cluster.index.schema import SERVICE_TREE
from clusterdns.cluster.index.service import ServiceEntry
from clusterdns.cluster.index.slices import EndpointAddress
from clusterdns.wire import codes, name, record
from clusterdns.wire.header import MAX_STREAM_BYTES
from clusterdns.wire.name import MAX_NAME_BYTES
from clusterdns.wire.record import Record
from clusterdns.wire.runs import MIN_RUN, joined

_PTR_BYTES = 14  # beside the labels of the target that differ: two pointers, and what precedes RDATA
_CHUNK = 64  # endpoints that are read at once


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
        self._last_state: tuple[bytes, int, int, int] | None = None  # of the index, with the question
        self._last = LookupResult(())  # of an address that many endpoints have

    def addresses(self) -> set[bytes]:
        """Return every address that may have PTR records."""
        return self._index.reverse.addresses()

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
            state = (qname, qtype, self._index.changes(), self._index.namespaces.changes)
            if state != self._last_state:  # the last result holds for queries in any case and of any size
                dependencies[ANY_SERVICE] = None
                runs = self._runs(qname, endpoints, MAX_STREAM_BYTES if qtype == codes.PTR else 0)
                records = joined(*runs) if qtype == codes.PTR else ()
                self._last_state, self._last = state, LookupResult(tuple(dependencies), bool(runs), records)
            return self._last
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

    def _runs(self, qname: bytes, endpoints: Sequence[EndpointAddress], spare_bytes: int) -> Sequence[Sequence[Record]]:
        """Return the records of an address that many endpoints have, no more than fill the space and a chunk.

        Names that end alike are one run: a chunk of endpoints that are all of one Service or namespace is added to the
        run of that Service or namespace, another chunk to the run of all namespaces.
        """
        runs: dict[bytes, list[bytes]] = {}
        known: set[bytes] = set()
        above = below(self._primary, SERVICE_TREE)
        for several in in_chunks(endpoints, _CHUNK):
            chunk = self._named(several)
            if not chunk:
                continue
            end, starts = self._starts(chunk)
            names = dict.fromkeys([start + end for start in starts])
            if len(names) < len(starts) or not known.isdisjoint(names) or _is_too_long(max(names, key=len) + above):
                kept = [one for one in names if one not in known and not _is_too_long(one + above)]
                starts = [one[: len(one) - len(end)] for one in kept]
            known.update(names)
            runs.setdefault(end, []).extend(starts)
            spare_bytes -= _PTR_BYTES * len(starts) + len(b"".join(starts))
            if spare_bytes < 0:
                break
        return [pointer_records(qname, self._ttl, starts, end + above) for end, starts in runs.items() if starts]

    def _named(self, endpoints: Sequence[EndpointAddress]) -> Sequence[EndpointAddress]:
        """Return those of the endpoints whose Services have names."""
        hidden = {one for one in _namespaces(endpoints) if not self._index.exposes(one)}
        nameless = self._index.nameless
        if not hidden and not nameless:  # as nearly always
            return endpoints
        return [
            one for one in endpoints if one.namespace not in hidden and (one.namespace, one.service) not in nameless
        ]

    def _starts(self, endpoints: Sequence[EndpointAddress]) -> tuple[bytes, Sequence[bytes]]:
        """Return how the names of endpoints end alike below the tree of Services, and how each begins."""
        starts = map(self._endpoint_start, [one.label for one in endpoints])
        first, last = endpoints[0], endpoints[-1]
        if len(_namespaces(endpoints)) > 1:
            services = [wire_label(one.service) + wire_label(one.namespace) for one in endpoints]
            return b"", list(map(add, starts, services))
        namespace = wire_label(first.namespace)
        if first.service != last.service or first.has_hostname != last.has_hostname:
            return namespace, list(map(add, starts, map(wire_label, [one.service for one in endpoints])))
        return wire_label(first.service) + namespace, list(starts)

    def _entry(self, namespace: bytes, service: bytes) -> ServiceEntry | None:
        """Look up a Service with addresses of its own or of its endpoints; an ExternalName has neither."""
        entry = self._find_entry(namespace, service)
        is_absent = entry is None or entry.service is None or entry.service.type == "ExternalName"
        return None if is_absent else entry


class SetPointers:
    """Looks reverse names up among the cluster's own addresses, then among those of its clusterset.

    An address that the cluster itself has a name for keeps that name alone (KEP-1645 DNS §2.3.3).
    """

    def __init__(self, own: "Pointers | SetPointers", imported: "Pointers | SetPointers") -> None:
        self._own = own
        self._imported = imported

    def addresses(self) -> set[bytes]:
        """Return every address that may have PTR records."""
        return self._own.addresses() | self._imported.addresses()

    def find(self, qname: bytes, qtype: int) -> LookupResult:
        """Look up a reverse name."""
        found = self._own.find(qname, qtype)
        if found.exists and found.dependencies:  # a network has none: addresses of both may be below it
            return found
        other = self._imported.find(qname, qtype)
        return LookupResult(
            (*found.dependencies, *other.dependencies), found.exists or other.exists, other.records,
            reusable=found.reusable and other.reusable,
        )  # fmt: skip


def _namespaces(endpoints: Sequence[EndpointAddress]) -> Collection[bytes]:
    """Return the namespaces of endpoints in the order of `ReverseMap.endpoints`."""
    first, last = endpoints[0], endpoints[-1]
    if first.namespace == last.namespace and first.has_hostname == last.has_hostname:
        return (first.namespace,)
    return {one.namespace for one in endpoints}


def _is_too_long(name: bytes) -> bool:
    return len(name) > MAX_NAME_BYTES
