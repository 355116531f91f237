"""The result of looking a name up in a zone, and the functions that make its records.

`zone`, `apex`, `pointers` and `external` return a `LookupResult`; `plugins.kubernetes.handler` makes a reply of it.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from operator import attrgetter
from struct import Struct
from typing import NamedTuple

from clusterdns.cluster.index.schema import ParsedName
from clusterdns.cluster.index.slices import EndpointAddress, EndpointGroup
from clusterdns.cluster.objects import Port
from clusterdns.wire import codes, record
from clusterdns.wire.header import MAX_STREAM_BYTES
from clusterdns.wire.name import LENGTH_BYTES, MAX_NAME_BYTES
from clusterdns.wire.record import Record
from clusterdns.wire.runs import MAX_ADDRESSES, MIN_RUN, RecordRun, address_records, joined

ADDRESS_TYPES = codes.ADDRESS_TYPES

_SRV_BODY_BYTES = 16  # beside the target's name

_SRV = Struct(">HHH")

Dependencies = tuple[Hashable, ...]
# port numbers, and the targets that have them: how a target's name begins, and its packed addresses
Targets = Iterable[tuple[Sequence[int], Iterable[tuple[bytes, Collection[bytes]]]]]


class LookupResult(NamedTuple):
    """The answer to a name and type: records; NODATA, where the name exists without records; or no such name."""

    dependencies: Dependencies  # a change to one of them may change this answer
    exists: bool = True
    records: Sequence[Record] = ()
    additional: Sequence[Record] = ()
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


def wire_label(label: bytes) -> bytes:
    """Write a label in wire format."""
    return LENGTH_BYTES[len(label)] + label


def glue_records(ttl_seconds: int, addresses_by_name: Iterable[tuple[bytes, Collection[bytes]]]) -> Sequence[Record]:
    """Make the A and AAAA records of names that NS or SRV records point to."""
    found: list[Record] = []
    large: list[Sequence[Record]] = []
    for owner, several in addresses_by_name:
        if len(several) < MIN_RUN:
            found += [record.address(owner, ttl_seconds, one) for one in several]
        else:
            large += [address_records(owner, ttl_seconds, qtype, several) for qtype in ADDRESS_TYPES]
    return joined(tuple(found), *large) if large else tuple(found)


def pointer_records(qname: bytes, ttl_seconds: int, starts: Sequence[bytes], end: bytes) -> Sequence[Record]:
    """Make PTR records of targets that end alike."""
    if len(starts) >= MIN_RUN:
        return RecordRun(qname, codes.PTR, ttl_seconds, starts, end)
    return tuple([record.ptr(qname, ttl_seconds, start + end) for start in starts])


def port_numbers(ports: Iterable[Port], port: bytes, protocol: bytes) -> Iterator[int]:
    """Yield the numbers of the ports that have one and these labels."""
    return (one.number for one in ports if one.number > 0 and one.matches(port, protocol))


def endpoint_targets(
    groups: Iterable[EndpointGroup], start_of: Callable[[bytes], bytes], port: bytes, protocol: bytes
) -> Targets:
    """Yield the SRV targets of endpoints, at those of their ports that have a number and these labels.

    `start_of` writes the label of an endpoint in wire format.
    """
    for ports, labels in groups:
        numbers = list(port_numbers(ports, port, protocol))
        if numbers:
            yield numbers, ((start_of(label), several) for label, several in labels)


def groups_at(label: bytes, endpoints: Iterable[EndpointAddress]) -> Iterator[EndpointGroup]:
    """Group many endpoints that all have this label by their ports, where these change from one to the next."""
    for ports, several in groupby(endpoints, attrgetter("ports")):
        yield ports, ((label, [one.address for one in several]),)


def srv_result(
    dependencies: Dependencies, qname: bytes, ttl_seconds: int, targets: Targets, end: bytes = b""
) -> LookupResult:
    """Make SRV records of equal weight, each once, with the addresses of their targets as additional records.

    All targets end in `end`; those that get too long are left out. Where no message can hold all SRV records, it makes
    just enough to fill one, without addresses, and reads no further targets; it makes no more addresses than fill a
    message either.
    """
    ports: dict[tuple[bytes, int], None] = {}
    addresses: list[tuple[bytes, Collection[bytes]]] = []
    max_start = MAX_NAME_BYTES - len(end)
    spare_bytes = MAX_STREAM_BYTES
    for numbers, starts in targets:
        for start, several in starts:
            if len(start) > max_start:
                continue
            addresses.append((start, several))
            for number in numbers:
                if (start, number) not in ports:
                    ports[start, number] = None
                    spare_bytes -= _SRV_BODY_BYTES + len(start) + len(end)
            if spare_bytes < 0:  # ten thousand would take 5 MiB, and each spelling of a port's name as much again
                return LookupResult(dependencies, records=_srv_records(qname, ttl_seconds, ports, end))
    glue = glue_records(ttl_seconds, _glue(addresses, end).items())
    return LookupResult(dependencies, records=_srv_records(qname, ttl_seconds, ports, end), additional=glue)


def _srv_records(qname: bytes, ttl_seconds: int, ports: Collection[tuple[bytes, int]], end: bytes) -> Sequence[Record]:
    weight = max(1, 100 // len(ports)) if ports else 0
    if end and len(ports) >= MIN_RUN:
        starts = [_SRV.pack(0, weight, number) + start for start, number in ports]
        return RecordRun(qname, codes.SRV, ttl_seconds, starts, end)
    return tuple([record.srv(qname, ttl_seconds, weight, number, start + end) for start, number in ports])


def _glue(addresses: Iterable[tuple[bytes, Collection[bytes]]], end: bytes) -> Mapping[bytes, Collection[bytes]]:
    """Return the addresses of targets, each once, no more than fill a message."""
    found: dict[bytes, Collection[bytes]] = {}
    spare = MAX_ADDRESSES
    for start, several in addresses:
        target = start + end
        known = found.get(target)
        if known is None and len(several) == 1:
            found[target] = several
            spare -= 1
        else:
            before = 0 if known is None else len(known)
            if not isinstance(known, dict):
                known = found[target] = dict.fromkeys(known or ())
            known.update(dict.fromkeys(islice(several, spare)))
            spare -= len(known) - before
        if spare <= 0:
            break
    return found
