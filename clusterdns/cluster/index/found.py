"""What a zone says about a name, and the small makers of names and records that its parts share."""

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from clusterdns.wire import codes, record
from clusterdns.wire.header import MAX_STREAM_BYTES
from clusterdns.wire.name import MAX_NAME_BYTES
from clusterdns.wire.record import Record

ADDRESS_BYTES = {codes.A: 4, codes.AAAA: 16}

Dependencies = tuple[Hashable, ...]
Targets = Iterable[tuple[bytes, int, tuple[bytes, ...]]]  # target name, port number, addresses


class Found(NamedTuple):
    """What a zone holds for a name and type: records, none of that type (both empty), or no such name."""

    dependencies: Dependencies
    exists: bool = True
    records: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    alias: bytes = b""  # the target of an ExternalName: a CNAME, to be followed
    reusable: bool = True  # false where what it depends on has no owner


def below(zone: bytes, *labels: bytes) -> bytes:
    """The name with these labels in front of the zone; empty where that is longer than a name can be."""
    name = b"".join([bytes((len(label),)) + label for label in labels]) + zone
    return name if len(name) <= MAX_NAME_BYTES else b""


def addresses(owner: bytes, ttl_seconds: int, qtype: int, packed: Iterable[bytes]) -> tuple[Record, ...]:
    """The records of the type that was asked, A or AAAA; none for other types."""
    size = ADDRESS_BYTES.get(qtype)
    return tuple([record.address(owner, ttl_seconds, one) for one in packed if len(one) == size])


def glue(ttl_seconds: int, addresses_by_name: Iterable[tuple[bytes, Iterable[bytes]]]) -> tuple[Record, ...]:
    """A and AAAA for names that other records point at."""
    return tuple([record.address(owner, ttl_seconds, one) for owner, several in addresses_by_name for one in several])


def srv(dependencies: Dependencies, qname: bytes, ttl_seconds: int, targets: Targets) -> Found:
    """SRV records, each once and all of one weight, and the addresses of their targets.

    Of more than any message can hold there are just enough to fill one, and no addresses.
    """
    ports: dict[tuple[bytes, int], None] = {}
    addresses: dict[bytes, dict[bytes, None]] = {}
    for target, number, several in targets:
        if target:
            ports[target, number] = None
            addresses.setdefault(target, {}).update(dict.fromkeys(several))
    weight = max(1, 100 // len(ports)) if ports else 0
    records: list[Record] = []
    spare_bytes = MAX_STREAM_BYTES
    for target, number in ports:
        records.append(record.srv(qname, ttl_seconds, weight, number, target))
        spare_bytes -= len(records[-1].body)
        if spare_bytes < 0:  # ten thousand would take 5 MiB, in each spelling of a port's name
            return Found(dependencies, records=tuple(records))
    return Found(dependencies, records=tuple(records), additional=glue(ttl_seconds, addresses.items()))
