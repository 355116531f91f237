"""Lookups of the zone's own name: SOA and NS records.

The NS records name the Services that have this host's addresses among their endpoints; where there are none, the fixed
name `ns.dns`, whose addresses are those of this host.
"""

from collections.abc import Callable, Hashable, Iterable
from itertools import chain

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.lookup import Dependencies, LookupResult, below, glue_records
from clusterdns.cluster.index.schema import NAMESERVER_LABELS, SERVICE_TREE
from clusterdns.cluster.index.service import ServiceEntry
from clusterdns.cluster.objects import packed
from clusterdns.wire import codes, record
from clusterdns.wire.header import MAX_STREAM_BYTES
from clusterdns.wire.name import MAX_NAME_BYTES
from clusterdns.wire.runs import address_records

MAX_SOA_TTL_SECONDS = 300
MAX_SERVERS = 64  # beyond them no Service is read: thousands may have this host among their endpoints
_NS_BYTES = 12  # beside the target, of which at least its own label cannot be compressed


class Apex:
    """Looks up the zone's own name."""

    def __init__(
        self,
        zone: bytes,
        index: Index,
        ttl_seconds: int,
        local_addresses: Callable[[], Iterable[bytes]],
        find_entry: Callable[[bytes, bytes], ServiceEntry | None],
        endpoint_start: Callable[[bytes], bytes],
        *,
        needs_ports: bool,
    ) -> None:
        """`find_entry` looks up a Service that exists for clients, by namespace and name.

        `endpoint_start` writes an endpoint's label in wire format. With `needs_ports` a Service without ports has no
        addresses of its own.
        """
        self._zone = zone
        self._index = index
        self._ttl = ttl_seconds
        self._local_addresses = local_addresses
        self._find_entry = find_entry
        self._endpoint_start = endpoint_start
        self._needs_ports = needs_ports
        self.soa = record.soa(
            zone,
            min(ttl_seconds, MAX_SOA_TTL_SECONDS),
            below(zone, *NAMESERVER_LABELS),
            below(zone, b"hostmaster"),
            serial=0,  # the encoder writes the current serial of the index
            minimum=ttl_seconds,
        )

    def find(self, qtype: int) -> LookupResult:
        """Look up SOA or NS; other types are NODATA."""
        if qtype == codes.SOA:
            return LookupResult((), records=(self.soa,))
        if qtype == codes.NS:
            return self._nameservers()
        return LookupResult(())

    def find_server(self, qname: bytes, qtype: int) -> LookupResult:
        """Look up the fixed name `ns.dns`, which the SOA names: it has the addresses of all name servers."""
        dependencies, names = self._servers()
        addresses = dict.fromkeys(chain.from_iterable(names.values()))
        return LookupResult(dependencies, records=address_records(qname, self._ttl, qtype, addresses))

    def _nameservers(self) -> LookupResult:
        dependencies, names = self._servers()
        return LookupResult(
            dependencies,
            records=tuple(record.ns(self._zone, self._ttl, target) for target in names),
            additional=glue_records(self._ttl, names.items()),
        )

    def _servers(self) -> tuple[Dependencies, dict[bytes, tuple[bytes, ...]]]:
        """Return the names of the name servers with their addresses, about MAX_SERVERS, and what they depend on."""
        dependencies: dict[Hashable, None] = {}
        names: dict[bytes, tuple[bytes, ...]] = {}
        local_addresses = tuple(self._local_addresses())
        for local in local_addresses:
            dependencies[local] = None
            for endpoint in self._index.reverse.endpoints(local):
                key = (endpoint.namespace, endpoint.service)
                if key in dependencies:
                    continue
                if len(names) >= MAX_SERVERS:
                    break
                dependencies.update(dict.fromkeys(((endpoint.namespace,), key)))
                entry = self._find_entry(*key)
                if entry is not None and entry.service is not None and entry.service.type != "ExternalName":
                    names.update(entry.cached(("servers", self._zone), lambda: self._names_of(entry)))  # noqa: B023
        names = {target: several for target, several in names.items() if target and several}
        if not names and local_addresses:
            names[below(self._zone, *NAMESERVER_LABELS)] = local_addresses
        return tuple(dependencies), names

    def _names_of(self, entry: ServiceEntry) -> dict[bytes, tuple[bytes, ...]]:
        """Return the names of a Service with their addresses: its own, or those of the endpoints of a headless one.

        No more names of endpoints than fill a message.
        """
        assert entry.service is not None
        service_name = below(self._zone, entry.name, entry.namespace, SERVICE_TREE)
        if not service_name:
            return {}
        if not entry.service.headless:
            has_addresses = bool(entry.service.ports) or not self._needs_ports
            return {service_name: tuple(map(packed, entry.service.cluster_ips)) if has_addresses else ()}
        names = {}
        spare_bytes = MAX_STREAM_BYTES
        for label in sorted(entry.labels()):
            target = self._endpoint_start(label) + service_name
            if len(target) <= MAX_NAME_BYTES:
                names[target] = tuple(dict.fromkeys([one.address for one in entry.endpoints_at(label)]))
            spare_bytes -= _NS_BYTES + len(label)
            if spare_bytes < 0:
                break
        return names
