"""What a zone says about a name, and the small makers of names and records that its parts share."""

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from clusterdns.wire import codes, record
from clusterdns.wire.name import MAX_NAME_BYTES
from clusterdns.wire.record import Record

ADDRESS_BYTES = {codes.A: 4, codes.AAAA: 16}

Owners = tuple[Hashable, ...]


class Found(NamedTuple):
    """What a zone holds for a name and type: records, none of that type (both empty), or no such name."""

    owners: Owners
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
