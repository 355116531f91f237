"""Everything a zone would answer, name by name: what `clusterdns names` shows.

Which names may exist is put together from the index; what each holds is asked of the zone itself, as a query would, so
that a listing never says other than the server. Endless families are left out: with `pods insecure` every address has a
name.
"""

from collections.abc import Iterator
from typing import NamedTuple

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.schema import NAMESERVER_LABELS, POD_TREE, SERVICE_TREE, VERSION_LABEL
from clusterdns.cluster.index.service import ServiceNode, dashed
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import address_text
from clusterdns.wire import codes, name, record
from clusterdns.wire.record import SOA_SERIAL_FROM_END, Record

# In the order of the listing. ANY is a question only, and HINFO its answer (RFC 8482).
TYPES = (codes.SOA, codes.NS, codes.A, codes.AAAA, codes.CNAME, codes.PTR, codes.SRV, codes.TXT)


class Listed(NamedTuple):
    """A record that is answered, its zone, and the namespace that it comes from (empty: the zone's own)."""

    zone: bytes
    namespace: bytes
    record: Record


def records(zone: ClusterZone, index: Index) -> Iterator[Listed]:
    """Every record of the zone: its own names, then namespace by namespace; a reverse zone by address.

    Names are in canonical order (RFC 4034 §6.1).
    """
    names = _reverse_names(zone, index) if zone.is_reverse else _forward_names(zone, index)
    for namespace, qname in names:
        for qtype in TYPES:
            found = zone.find(qname, qtype)
            if found.alias and qtype == codes.CNAME:
                yield Listed(zone.zone, namespace, record.cname(qname, zone.ttl_seconds, found.alias))
            for one in found.records:
                yield Listed(zone.zone, namespace, dated(one, index) if qtype == codes.SOA else one)


def _reverse_names(zone: ClusterZone, index: Index) -> Iterator[tuple[bytes, bytes]]:
    yield b"", zone.zone
    for address in sorted(index.reverse.addresses(), key=lambda one: (len(one), one)):
        qname = name.from_address(address)
        if qname != zone.zone and name.is_under(qname, zone.zone):
            yield b"", qname


def _forward_names(zone: ClusterZone, index: Index) -> list[tuple[bytes, bytes]]:
    """The names to ask for, each once, with their namespace."""
    places: list[tuple[bytes, list[bytes]]] = [(b"", []), (b"", [VERSION_LABEL]), (b"", NAMESERVER_LABELS)]
    for node in index.services():
        labels = [node.name, node.namespace, SERVICE_TREE]
        places += [(node.namespace, [*left, *labels]) for left in below_service(zone, node)]
    for namespace, address in index.pods():
        places.append((namespace, [dashed(address_text(address)), namespace, POD_TREE]))
    found = {(namespace, qname) for namespace, labels in places if (qname := name_below(zone.zone, labels))}
    return sorted(found, key=lambda one: (one[0], name.labels(one[1])[::-1]))


def below_service(zone: ClusterZone, node: ServiceNode) -> Iterator[list[bytes]]:
    """What stands left of a Service's name: nothing, each of its endpoints, each of its named ports."""
    yield []
    for label in node.labels():
        yield zone.labels_of(label)
    assert node.service is not None
    for port in set(node.service.ports).union(*(member.ports for member in node.members())):
        if port.name:
            yield [b"_" + port.name.encode().lower(), b"_" + port.protocol.encode().lower()]


def name_below(zone: bytes, labels: list[bytes]) -> bytes:
    """The name of these labels below the zone; empty where it is too long for anyone to ask for it."""
    try:
        return name.from_labels(*labels, *name.labels(zone))
    except ValueError:
        return b""


def dated(soa: Record, index: Index) -> Record:
    """The SOA with the index's serial of the moment, as the encoder writes it."""
    body = soa.body
    serial_at = len(body) - SOA_SERIAL_FROM_END
    return soa._replace(body=body[:serial_at] + index.serial.wire + body[serial_at + len(index.serial.wire) :])
