"""The result of looking a name up in a zone, and the functions that make its records.

`zone`, `apex`, `pointers` and `external` return a `LookupResult`; `plugins.kubernetes.handler` makes a reply of it.
"""

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from clusterdns.cluster.index.schema import ParsedName
from clusterdns.wire import codes, record
from clusterdns.wire.header import MAX_STREAM_BYTES
from clusterdns.wire.name import MAX_NAME_BYTES
from clusterdns.wire.record import Record

ADDRESS_BYTES = {codes.A: 4, codes.AAAA: 16}

Dependencies = tuple[Hashable, ...]
Targets = Iterable[tuple[bytes, int, tuple[bytes, ...]]]  # target name, port number, packed addresses


class LookupResult(NamedTuple):
    """The answer to a name and type: records; NODATA, where the name exists without records; or no such name."""

    dependencies: Dependencies  # a change to one of them may change this answer
    exists: bool = True
    records: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    cname: bytes = b""  # the target of an ExternalName, which the handler looks up
    reusable: bool = True  # false where a change that no dependency stands for may change this answer


def dependencies_of(parsed: ParsedName) -> Dependencies:
    """List the dependencies of a name: its namespace, and its Service where the name is at or below one."""
    if not parsed.namespace:
        return ()
    if not parsed.service:
        return ((parsed.namespace,),)
    return ((parsed.namespace,), (parsed.namespace, parsed.service))


def below(zone: bytes, *labels: bytes) -> bytes:
    """Put labels in front of a name; empty where the result is longer than 255 bytes."""
    name = b"".join([bytes((len(label),)) + label for label in labels]) + zone
    return name if len(name) <= MAX_NAME_BYTES else b""


def address_records(owner: bytes, ttl_seconds: int, qtype: int, packed: Iterable[bytes]) -> tuple[Record, ...]:
    """Make the A or AAAA records of packed addresses; none for another QTYPE."""
    size = ADDRESS_BYTES.get(qtype)
    return tuple([record.address(owner, ttl_seconds, one) for one in packed if len(one) == size])


def glue_records(ttl_seconds: int, addresses_by_name: Iterable[tuple[bytes, Iterable[bytes]]]) -> tuple[Record, ...]:
    """Make the A and AAAA records of names that NS or SRV records point to."""
    return tuple([record.address(owner, ttl_seconds, one) for owner, several in addresses_by_name for one in several])


def srv_result(dependencies: Dependencies, qname: bytes, ttl_seconds: int, targets: Targets) -> LookupResult:
    """Make SRV records of equal weight, each once, with the addresses of their targets as additional records.

    Where no message can hold all of them, it makes just enough SRV records to fill one, without addresses.
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
        if spare_bytes < 0:  # ten thousand would take 5 MiB, and each spelling of a port's name as much again
            return LookupResult(dependencies, records=tuple(records))
    return LookupResult(dependencies, records=tuple(records), additional=glue_records(ttl_seconds, addresses.items()))
