"""The records of a zone file put in order: by owner name, each once, one TTL per RRset, and a warning for each mistake.

`tree` answers from the result, `zone` adds file and line to the warnings. A zone that has no answer at all is an error
(`UnusableZone`); every other mistake costs at most the records that it names. `hierarchy` checks names against others.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from clusterdns.wire import codes
from clusterdns.wire.header import MAX_STREAM_BYTES
from clusterdns.wire.name import is_under, to_text
from clusterdns.wire.record import Record
from clusterdns.wire.runs import MIN_RUN, as_run

Records = tuple[Record, ...]

MAX_BODY_BYTES = MAX_STREAM_BYTES - 1024  # leaves space for header, question, owner name and OPT
MAX_WARNINGS = 20  # of one file; more are counted

_BESIDE_CNAME = frozenset((codes.RRSIG, codes.NSEC))  # RFC 4035 §2.5
_ONE_OF_A_KIND = {codes.CNAME: "RFC 2181 §10.1", codes.DNAME: "RFC 6672 §2.4"}


class UnusableZone(ValueError):
    """The reason why a zone cannot be served, and the position of the record that shows it, if one does."""

    def __init__(self, problem: str, position: int | None = None) -> None:
        super().__init__(problem)
        self.position = position


class ZoneWarnings:
    """The warnings of one zone, each with the position of its record."""

    def __init__(self) -> None:
        self.found: list[tuple[int, str]] = []
        self.left_out = 0

    def add(self, position: int, text: str) -> None:
        """Add a warning, or count it beyond `MAX_WARNINGS`."""
        if len(self.found) < MAX_WARNINGS:
            self.found.append((position, text))
        else:
            self.left_out += 1


class LargeNode(tuple[Record, ...]):
    """The records of a name that has many, and those of each type, which are a run where they can be one."""

    rrsets: Mapping[int, Sequence[Record]]

    @classmethod
    def of(cls, records: Records) -> "LargeNode":
        """Group the records by type."""
        groups: dict[int, list[Record]] = {}
        for one in records:
            groups.setdefault(one.rtype, []).append(one)
        node = cls(records)
        node.rrsets = {rtype: as_run(tuple(several)) for rtype, several in groups.items()}
        return node


def has_type(node: Records, rtype: int) -> bool:
    """Return whether a node has records of a type."""
    return rtype in node.rrsets if isinstance(node, LargeNode) else any(one.rtype == rtype for one in node)


def records_of(node: Records, rtype: int) -> Sequence[Record]:
    """Return the records of a type that a node has."""
    return node.rrsets.get(rtype, ()) if isinstance(node, LargeNode) else tuple([x for x in node if x.rtype == rtype])


class ZoneContent(NamedTuple):
    """The zone's SOA, its records by owner name, and the warnings. The first record of the apex is the SOA."""

    soa: Record
    nodes: dict[bytes, Records]
    warnings: ZoneWarnings
    records: Sequence[Record]  # as in the file
    groups: dict[bytes, list[int]]  # the positions of each owner name's records in the file

    def warn(self, owner: bytes, text: str, rtype: int | None = None, rdata: bytes = b"") -> None:
        """Add a warning with the position of a record of the name: the first, of the type, with the RDATA."""
        matching = (
            position
            for position in self.groups[owner]
            if rtype in (None, self.records[position].rtype) and self.records[position].rdata.startswith(rdata)
        )
        self.warnings.add(next(matching), text)


def content_of(origin: bytes, records: Sequence[Record]) -> ZoneContent:
    """Put the records of a zone in order. Raises UnusableZone: no SOA at its apex, NSEC3, or a record too large."""
    warnings = ZoneWarnings()
    groups: dict[bytes, list[int]] = {origin: []}
    soa_position: int | None = None
    for position, one in enumerate(records):
        if problem := _outside(one, origin):
            warnings.add(position, f"{problem}; the record is ignored")
        elif len(one.body) > MAX_BODY_BYTES:
            problem = f"has a record of {len(one.body)} bytes, which no message can hold, at {to_text(one.name)}"
            raise UnusableZone(problem, position)
        elif one.rtype == codes.SOA:
            if one.name != origin:
                problem = f"has an SOA at {to_text(one.name)} that does not match origin {to_text(origin)}"
                raise UnusableZone(problem, position)
            if soa_position is not None:
                warnings.add(position, f"a second SOA of {to_text(origin)}; the last one is served")
            soa_position = position
        elif one.rtype in (codes.NSEC3, codes.NSEC3PARAM):
            raise UnusableZone(f"has NSEC3 records, at {to_text(one.name)}: sign the zone with NSEC", position)
        else:
            groups.setdefault(one.name, []).append(position)
    if soa_position is None:
        raise UnusableZone(f"has no SOA record for origin {to_text(origin)}")
    soa = records[soa_position]
    nodes: dict[bytes, Records] = {}
    for owner, group in groups.items():
        nodes[owner] = _node(records, group, warnings, is_apex=owner == origin)
    if not any(one.rtype == codes.NS for one in nodes[origin]):
        warnings.add(soa_position, f"zone {to_text(origin)} has no NS record at its apex; add its name servers")
    nodes[origin] = (soa, *nodes[origin])
    nodes.update({owner: LargeNode.of(node) for owner, node in nodes.items() if len(node) >= MIN_RUN})
    return ZoneContent(soa, nodes, warnings, records, groups)


def _outside(one: Record, origin: bytes) -> str:
    """Return why a record is not in the zone; empty if it is."""
    if one.rclass != codes.IN:
        return f"{to_text(one.name)} has a record of class {codes.class_text(one.rclass)}, which is not served"
    return "" if is_under(one.name, origin) else f"{to_text(one.name)} is not in zone {to_text(origin)}"


def _node(records: Sequence[Record], group: Sequence[int], warnings: ZoneWarnings, *, is_apex: bool) -> Records:
    """Return the records of one name: each once, one CNAME and one DNAME, one TTL per RRset."""
    if len(group) == 1 and not is_apex:
        return (records[group[0]],)
    kept: dict[bytes, Record] = {}  # by type, class and RDATA (RFC 2181 §5)
    ttls: dict[int, int] = {}
    for position in group:
        one = records[position]
        key = one.body[:4] + one.body[8:]
        if key in kept:
            text = f"the {codes.type_text(one.rtype)} record of {to_text(one.name)} is repeated; it is served once"
            warnings.add(position, text)
        elif one.rtype in _ONE_OF_A_KIND and one.rtype in ttls:
            kind, source = codes.type_text(one.rtype), _ONE_OF_A_KIND[one.rtype]
            text = f"{to_text(one.name)} has more than one {kind}; only the first is served ({source})"
            warnings.add(position, text)
            continue
        lowest = ttls.get(one.rtype, one.ttl)
        if one.ttl != lowest and one.rtype != codes.RRSIG:
            kind, owner = codes.type_text(one.rtype), to_text(one.name)
            text = f"the {kind} records of {owner} have different TTLs; all get the lowest (RFC 2181 §5.2)"
            warnings.add(position, text)
        ttls[one.rtype] = min(lowest, one.ttl)
        kept.setdefault(key, one)
    _check_cname(records, group, ttls.keys(), warnings, is_apex=is_apex)
    return tuple([one if one.rtype == codes.RRSIG else one.with_ttl(ttls[one.rtype]) for one in kept.values()])


def _check_cname(
    records: Sequence[Record], group: Sequence[int], types: Collection[int], warnings: ZoneWarnings, *, is_apex: bool
) -> None:
    others = [rtype for rtype in types if rtype != codes.CNAME and rtype not in _BESIDE_CNAME]
    if codes.CNAME not in types or not (others or is_apex):
        return
    position = next(one for one in group if records[one].rtype == codes.CNAME)
    owner = to_text(records[position].name)
    if is_apex:
        text = f"{owner}, the apex of the zone, has a CNAME; only SOA and NS are answered beside it (RFC 1034 §3.6.2)"
    else:
        listed = ", ".join(map(codes.type_text, others))
        text = f"{owner} has a CNAME beside {listed}; the CNAME is answered instead (RFC 1034 §3.6.2)"
    warnings.add(position, text)
