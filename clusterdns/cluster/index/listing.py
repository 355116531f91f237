"""Lists every record that a zone would answer with: the output of `clusterdns names`.

The names come from the index; the records of each come from the zone's own `find`, so that a listing agrees with the
server. Names that exist for every address, as with `pods insecure`, are not listed, nor are the names of Services a
second time below reverse zones.
"""

from collections.abc import Iterator
from typing import NamedTuple

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.schema import NAMESERVER_LABELS, POD_TREE, SERVICE_TREE, VERSION_LABEL
from clusterdns.cluster.index.service import ServiceEntry
from clusterdns.cluster.index.slices import dashed
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import address_text
from clusterdns.wire import codes, name, record
from clusterdns.wire.record import Record

# In the order of the listing. HINFO is missing: it only answers ANY (RFC 8482).
TYPES = (codes.SOA, codes.NS, codes.A, codes.AAAA, codes.CNAME, codes.PTR, codes.SRV, codes.TXT)


class ListedRecord(NamedTuple):
    """A record with its zone, and the namespace that it comes from (empty for names of the zone itself)."""

    zone: bytes
    namespace: bytes
    record: Record


def records(zone: ClusterZone, index: Index) -> Iterator[ListedRecord]:
    """Yield every record of a zone: the zone's own names, then by namespace; in a reverse zone by address.

    Names are in canonical order (RFC 4034 §6.1).
    """
    names = _reverse_names(zone) if zone.is_reverse else _forward_names(zone, index)
    for namespace, qname in names:
        for qtype in TYPES:
            found = zone.find(qname, qtype)
            if found.cname and qtype == codes.CNAME:
                yield ListedRecord(zone.zone, namespace, record.cname(qname, zone.ttl_seconds, found.cname))
            for one in found.records:
                yield ListedRecord(zone.zone, namespace, one.with_serial(index.serial.wire))


def _reverse_names(zone: ClusterZone) -> Iterator[tuple[bytes, bytes]]:
    yield b"", zone.zone
    for address in sorted(zone.pointers.addresses(), key=lambda one: (len(one), one)):
        qname = name.from_address(address)
        if qname != zone.zone and name.is_under(qname, zone.zone):
            yield b"", qname


def _forward_names(zone: ClusterZone, index: Index) -> list[tuple[bytes, bytes]]:
    """List the names to look up, each once, with its namespace."""
    names: list[tuple[bytes, list[bytes]]] = [(b"", []), (b"", [VERSION_LABEL]), (b"", NAMESERVER_LABELS)]
    for entry in index.services():
        labels = [entry.name, entry.namespace, SERVICE_TREE]
        names += [(entry.namespace, [*left, *labels]) for left in labels_below_service(zone, entry)]
    for namespace, address in index.pods.addresses():
        if index.exposes(namespace):
            names.append((namespace, [dashed(address_text(address)), namespace, POD_TREE]))
    found = {(namespace, qname) for namespace, labels in names if (qname := name_below(zone.zone, labels))}
    return sorted(found, key=lambda one: (one[0], name.labels(one[1])[::-1]))


def labels_below_service(zone: ClusterZone, entry: ServiceEntry) -> Iterator[list[bytes]]:
    """Yield the labels in front of a Service's name: none, those of each endpoint, those of each named port."""
    assert entry.service is not None
    ports = entry.ports().union(entry.service.ports)
    labels = tuple(entry.labels())  # the entry may change before the next name is needed
    yield []
    yield from map(zone.endpoint_labels, labels)
    for port in ports:
        if port.name:
            yield [b"_" + port.name.encode().lower(), b"_" + port.protocol.encode().lower()]


def name_below(zone: bytes, labels: list[bytes]) -> bytes:
    """Put labels in front of a zone; empty where the name is too long."""
    try:
        return name.from_labels(*labels, *name.labels(zone))
    except ValueError:
        return b""
