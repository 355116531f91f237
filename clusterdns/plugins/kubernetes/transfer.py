"""A cluster's zone as records, for `transfer`: the Services and their endpoints as the DNS specification names them.

Names that stand for every address there could be (pods) or only say what others say (PTR) are left out, as in CoreDNS.
Unlike there a Service without ports has no SRV record with an impossible port, the records of a name are those that a
query gets, and nothing but the zone itself is a zone.
"""

from collections.abc import Iterator, Mapping, Sequence

from clusterdns.cluster.index.listing import below_service, dated, name_below
from clusterdns.cluster.index.schema import SERVICE_TREE
from clusterdns.cluster.index.service import ServiceNode
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.wire import codes, record
from clusterdns.wire.record import Record

_TYPES = (codes.A, codes.AAAA, codes.SRV)  # an ExternalName's CNAME is found under each


class ClusterTransfer:
    """The zones of one kubernetes block (see plugins.handler.TransferSource)."""

    def __init__(self, zones: Sequence[ClusterZone]) -> None:
        self._zones: Mapping[bytes, ClusterZone] = {zone.zone: zone for zone in zones if not zone.is_reverse}

    def zone_records(self, zone: bytes) -> Iterator[Record] | None:
        """The zone from SOA to SOA; nothing while the cluster is not known yet."""
        one = self._zones.get(zone)
        if one is None:
            return None
        return self._records(one) if one.index.synced else iter(())

    def _records(self, zone: ClusterZone) -> Iterator[Record]:
        """Made while it is sent: what changes meanwhile may come as it was or as it is, under the first serial.

        The next serial is greater, so that who has taken a mixture asks again.
        """
        soa = dated(zone.soa, zone.index)
        yield soa
        apex = zone.find(zone.zone, codes.NS)
        yield from apex.records
        seen = set(apex.additional)
        yield from apex.additional
        nodes = sorted(zone.index.services(), key=lambda node: (node.namespace, node.name))
        for node in nodes:
            for qname in _names(zone, node):
                for one in _at(zone, qname):
                    if one not in seen:  # a server of the zone is a Service, too
                        yield one
        yield soa


def _names(zone: ClusterZone, node: ServiceNode) -> Iterator[bytes]:
    """The Service's own name, its named ports, and where it is headless its endpoints; none once it is gone."""
    if node.service is None:
        return
    for left in tuple(below_service(zone, node)):  # at once: the next name may be asked for after another change
        if node.service is None:
            return
        if not left or left[0].startswith(b"_") or node.service.headless:
            qname = name_below(zone.zone, [*left, node.name, node.namespace, SERVICE_TREE])
            if qname:
                yield qname


def _at(zone: ClusterZone, qname: bytes) -> Iterator[Record]:
    for qtype in _TYPES:
        found = zone.find(qname, qtype)
        if found.alias:
            yield record.cname(qname, zone.ttl_seconds, found.alias)
            return
        yield from found.records
