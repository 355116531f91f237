"""The records of a cluster's zone, for `transfer`: the names of Services and of their endpoints.

As in CoreDNS, names of pods and reverse names are not part of a transfer. Unlike in CoreDNS, a Service without ports
has no SRV record with port 0, a name has the records that a query for it gets, and reverse zones are not transferred.
"""

from collections.abc import Iterator, Mapping, Sequence

from clusterdns.cluster.index.listing import labels_below_service, name_below
from clusterdns.cluster.index.schema import SERVICE_TREE
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.wire import codes, record
from clusterdns.wire.record import Record

_TYPES = (codes.A, codes.AAAA, codes.SRV)  # the CNAME of an ExternalName is the result for each of them


class ClusterTransfer:
    """The zones of one kubernetes block (see `chain.exports.ZoneSource`)."""

    def __init__(self, zones: Sequence[ClusterZone]) -> None:
        self._zones: Mapping[bytes, ClusterZone] = {zone.zone: zone for zone in zones if not zone.is_reverse}

    def zone_records(self, zone: bytes) -> Iterator[Record] | None:
        """Yield the zone from SOA to SOA, or nothing while the index is not synced; None for an unknown zone."""
        one = self._zones.get(zone)
        if one is None:
            return None
        return self._records(one) if one.index.synced else iter(())

    def _records(self, zone: ClusterZone) -> Iterator[Record]:
        """Look up the records while they are sent, all under the first serial.

        A change in between may or may not be included. It increases the serial, so that secondaries transfer again.
        """
        soa = zone.soa.with_serial(zone.index.serial.wire)
        yield soa
        apex = zone.find(zone.zone, codes.NS)
        yield from apex.records
        seen = set(apex.additional)
        yield from apex.additional
        for key in zone.index.service_keys():  # not sorted: that takes as long as several messages
            for qname in _names(zone, *key):
                for one in _records_of(zone, qname):
                    if one not in seen:  # the name server of the zone may be a Service
                        yield one
        yield soa


def _names(zone: ClusterZone, namespace: bytes, service: bytes) -> Iterator[bytes]:
    """Yield the names of a Service, of its named ports, and where it is headless of its endpoints."""
    entry = zone.index.service(namespace, service) if zone.index.exposes(namespace) else None
    if entry is None or entry.service is None:
        return
    for left in labels_below_service(zone, entry):
        if entry.service is None:
            return
        if not left or left[0].startswith(b"_") or entry.service.headless:
            qname = name_below(zone.zone, [*left, entry.name, entry.namespace, SERVICE_TREE])
            if qname:
                yield qname


def _records_of(zone: ClusterZone, qname: bytes) -> Iterator[Record]:
    for qtype in _TYPES:
        found = zone.find(qname, qtype)
        if found.cname:
            yield record.cname(qname, zone.ttl_seconds, found.cname)
            return
        yield from found.records
