"""The result of looking a name up in a zone, and the functions that make its records.

`zone`, `apex`, `pointers` and `external` return a `LookupResult`; `plugins.kubernetes.handler` makes a reply of it.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import NamedTuple

from clusterdns.cluster.index.schema import ParsedName
from clusterdns.cluster.index.service import matches
from clusterdns.cluster.index.slices import EndpointAddress
from clusterdns.cluster.objects import Port
from clusterdns.wire import codes, record
from clusterdns.wire.header import MAX_STREAM_BYTES
from clusterdns.wire.name import MAX_NAME_BYTES
from clusterdns.wire.record import Record

ADDRESS_TYPES = codes.ADDRESS_TYPES
_SRV_BODY_BYTES = 16  # beside the target's name
_ADDRESS_RECORD_BYTES = 12  # beside the address, with a compressed owner name

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
    return tuple(record.addresses(owner, qtype, ttl_seconds, packed)) if qtype in ADDRESS_TYPES else ()


def glue_records(ttl_seconds: int, addresses_by_name: Iterable[tuple[bytes, Iterable[bytes]]]) -> tuple[Record, ...]:
    """Make the A and AAAA records of names that NS or SRV records point to."""
    return tuple([record.address(owner, ttl_seconds, one) for owner, several in addresses_by_name for one in several])


def endpoint_targets(
    endpoints: Iterable[EndpointAddress], name_of: Callable[[bytes], bytes], port: bytes, protocol: bytes
) -> Targets:
    """Yield the SRV targets of endpoints, at those of their ports that have a number and these labels.

    `name_of` makes an endpoint's name of its label. Neighbours mostly share their ports, and may share a label.
    """
    label = target = b""
    ports: tuple[Port, ...] = ()
    numbers: list[int] = []
    for endpoint in endpoints:
        if endpoint.label != label:
            label = endpoint.label
            target = name_of(label)
        if endpoint.ports is not ports:
            ports = endpoint.ports
            numbers = list(port_numbers(ports, port, protocol))
        for number in numbers:
            yield target, number, (endpoint.address,)


def port_numbers(ports: Iterable[Port], port: bytes, protocol: bytes) -> Iterator[int]:
    """Yield the numbers of the ports that have one and these labels."""
    return (one.number for one in ports if one.number > 0 and matches(one, port, protocol))


def srv_result(dependencies: Dependencies, qname: bytes, ttl_seconds: int, targets: Targets) -> LookupResult:
    """Make SRV records of equal weight, each once, with the addresses of their targets as additional records.

    Where no message can hold all of them, it makes just enough SRV records to fill one, without addresses, and reads no
    further targets; it makes no more addresses than fill a message either.
    """
    ports: dict[tuple[bytes, int], None] = {}
    addresses: dict[bytes, dict[bytes, None]] = {}
    spare_bytes = glue_bytes = MAX_STREAM_BYTES
    for target, number, several in targets:
        if not target:
            continue
        if (target, number) not in ports:
            ports[target, number] = None
            spare_bytes -= _SRV_BODY_BYTES + len(target)
            if spare_bytes < 0:  # ten thousand would take 5 MiB, and each spelling of a port's name as much again
                break
        if glue_bytes > 0:
            known = addresses.setdefault(target, {})
            for one in several:
                if one not in known:
                    known[one] = None
                    glue_bytes -= _ADDRESS_RECORD_BYTES + len(one)
    weight = max(1, 100 // len(ports)) if ports else 0
    records = tuple(record.srv(qname, ttl_seconds, weight, number, target) for target, number in ports)
    if spare_bytes < 0:
        return LookupResult(dependencies, records=records)
    return LookupResult(dependencies, records=records, additional=glue_records(ttl_seconds, addresses.items()))
