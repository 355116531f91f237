"""The top of a zone: its SOA, and the servers that its NS records name.

The servers are the Services that this host's own addresses are behind, as clients know them; where there are none, the
fixed name `ns.dns` with those addresses.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator

from clusterdns.cluster.index import found
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.found import Found, below
from clusterdns.cluster.index.schema import NAMESERVER_LABELS, SERVICE_TREE
from clusterdns.cluster.index.service import ServiceNode
from clusterdns.cluster.objects import packed
from clusterdns.wire import codes, record

MAX_SOA_TTL_SECONDS = 300


class Apex:
    """Answers for the zone's own name."""

    def __init__(
        self,
        zone: bytes,
        index: Index,
        ttl_seconds: int,
        local_addresses: Callable[[], Iterable[bytes]],
        below_service: Callable[[bytes, bytes], bytes],
    ) -> None:
        """`below_service` gives the name of an endpoint from that of its Service and its own label."""
        self._zone = zone
        self._index = index
        self._ttl = ttl_seconds
        self._local_addresses = local_addresses
        self._below_service = below_service
        self.soa = record.soa(
            zone,
            min(ttl_seconds, MAX_SOA_TTL_SECONDS),
            below(zone, *NAMESERVER_LABELS),
            below(zone, b"hostmaster"),
            serial=0,  # the encoder writes the index's serial of the moment
            minimum=ttl_seconds,
        )

    def find(self, qtype: int) -> Found:
        """SOA and NS; everything else is NODATA."""
        if qtype == codes.SOA:
            return Found((), records=(self.soa,))
        if qtype == codes.NS:
            return self._nameservers()
        return Found(())

    def _nameservers(self) -> Found:
        dependencies: list[Hashable] = []
        names: dict[bytes, tuple[bytes, ...]] = {}
        local_addresses = tuple(self._local_addresses())
        for local in local_addresses:
            dependencies.append(local)
            for member in self._index.reverse.members(local):
                dependencies.append((member.namespace, member.service))
                node = self._index.service(member.namespace, member.service)
                if node is not None:
                    names.update(self._names_of(node))
        if not names:
            names[below(self._zone, *NAMESERVER_LABELS)] = local_addresses
        return Found(
            tuple(dependencies),
            records=tuple(record.ns(self._zone, self._ttl, target) for target, several in names.items() if several),
            additional=found.glue(self._ttl, names.items()),
        )

    def _names_of(self, node: ServiceNode) -> Iterator[tuple[bytes, tuple[bytes, ...]]]:
        assert node.service is not None
        service_name = below(self._zone, node.name, node.namespace, SERVICE_TREE)
        if not node.service.headless:
            yield service_name, tuple(map(packed, node.service.cluster_ips))
            return
        by_label: dict[bytes, dict[bytes, None]] = {}
        for member in node.members():
            by_label.setdefault(member.label, {})[member.address] = None
        for label, several in by_label.items():
            yield self._below_service(service_name, label), tuple(several)
