"""Lookups of the zone's own name: SOA and NS records.

The NS records name the Services that have this host's addresses among their endpoints; where there are none, the fixed
name `ns.dns`, whose addresses are those of this host.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.lookup import LookupResult, below, glue_records
from clusterdns.cluster.index.schema import NAMESERVER_LABELS, SERVICE_TREE
from clusterdns.cluster.index.service import ServiceEntry
from clusterdns.cluster.objects import packed
from clusterdns.wire import codes, record

MAX_SOA_TTL_SECONDS = 300


class Apex:
    """Looks up the zone's own name."""

    def __init__(
        self,
        zone: bytes,
        index: Index,
        ttl_seconds: int,
        local_addresses: Callable[[], Iterable[bytes]],
        endpoint_name: Callable[[bytes, bytes], bytes],
    ) -> None:
        """`endpoint_name` makes the name of an endpoint of its Service's name and its own label."""
        self._zone = zone
        self._index = index
        self._ttl = ttl_seconds
        self._local_addresses = local_addresses
        self._endpoint_name = endpoint_name
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

    def _nameservers(self) -> LookupResult:
        dependencies: list[Hashable] = []
        names: dict[bytes, tuple[bytes, ...]] = {}
        local_addresses = tuple(self._local_addresses())
        for local in local_addresses:
            dependencies.append(local)
            for endpoint in self._index.reverse.endpoints(local):
                dependencies.append((endpoint.namespace, endpoint.service))
                entry = self._index.service(endpoint.namespace, endpoint.service)
                if entry is not None:
                    names.update(self._names_of(entry))
        if not names:
            names[below(self._zone, *NAMESERVER_LABELS)] = local_addresses
        return LookupResult(
            tuple(dependencies),
            records=tuple(record.ns(self._zone, self._ttl, target) for target, several in names.items() if several),
            additional=glue_records(self._ttl, names.items()),
        )

    def _names_of(self, entry: ServiceEntry) -> Iterator[tuple[bytes, tuple[bytes, ...]]]:
        assert entry.service is not None
        service_name = below(self._zone, entry.name, entry.namespace, SERVICE_TREE)
        if not entry.service.headless:
            yield service_name, tuple(map(packed, entry.service.cluster_ips))
            return
        by_label: dict[bytes, dict[bytes, None]] = {}
        for endpoint in entry.endpoints():
            by_label.setdefault(endpoint.label, {})[endpoint.address] = None
        for label, several in by_label.items():
            yield self._endpoint_name(service_name, label), tuple(several)
