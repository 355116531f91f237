"""A zone as a tree of names, and the look-up of an authoritative server in it.

`ZoneTree` never changes after it is made; `content` and `hierarchy` check the records. `find` is the algorithm of RFC
1034 §4.3.2 with the wildcards of RFC 4592, the DNAME of RFC 6672 and, if the zone is signed, the NSEC proofs of RFC
4035. Following CNAME records is `handler`'s task, following the file `zone`'s.
"""

import enum
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from clusterdns.plugins.file import hierarchy
from clusterdns.plugins.file.content import Records, content_of, has_type, records_of
from clusterdns.wire import codes, record
from clusterdns.wire.header import MAX_STREAM_BYTES
from clusterdns.wire.name import MAX_NAME_BYTES, end_of, is_under, labels, suffixes
from clusterdns.wire.rdata import COMPRESSED_TYPES, names_in
from clusterdns.wire.record import SOA_SERIAL_FROM_END, Record
from clusterdns.wire.runs import RecordRun, joined, pieces_of

_WILDCARD = b"\x01*"
_NOT_REDIRECTED = frozenset((codes.CNAME, codes.RRSIG, codes.NSEC))  # types answered at a CNAME itself (RFC 4035 §2.5)
_OF_EVERY_APEX = (codes.SOA, codes.NS)  # answered even beside a CNAME, without which no resolver finds the zone
_TYPES_WITH_TARGETS = frozenset((codes.MX, codes.SRV, codes.SVCB, codes.HTTPS))


_ADDRESS_BYTES = 16  # the least that an address record takes; an NS record of the root takes 13


class ZoneOutcome(enum.Enum):
    """The outcomes of a look-up."""

    ANSWER = "answer"
    CNAME = "cname"  # of the zone, or synthesized from a DNAME; `target` has its target
    REFERRAL = "referral"
    NODATA = "nodata"
    EMPTY_NON_TERMINAL = "empty non-terminal"  # no records, but names below it (RFC 4592 §2.2.2)
    NXDOMAIN = "nxdomain"
    NAME_TOO_LONG = "name too long"  # the name that a DNAME leads to (RFC 6672 §2.2)


class ZoneResult(NamedTuple):
    """The outcome of a look-up, and the sections of the reply."""

    outcome: ZoneOutcome
    answer: Sequence[Record] = ()
    authority: Sequence[Record] = ()
    additional: Sequence[Record] = ()
    target: bytes = b""
    is_synthesized: bool = False  # from a wildcard or DNAME: the zone does not have the name itself


class ZoneTree:
    """One zone. Raises UnusableZone if it cannot be served."""

    def __init__(self, origin: bytes, records: Sequence[Record]) -> None:
        content = content_of(origin, records)
        hierarchy.check(origin, content)
        self.origin = origin
        self.warnings = content.warnings
        self.soa = content.soa
        self._nodes = content.nodes
        self._add_empty_non_terminals()
        chain = [owner for owner, node in self._nodes.items() if has_type(node, codes.NSEC)]
        self._nsec = sorted((_canonical_key(owner), owner) for owner in chain)

    @property
    def serial(self) -> int:
        """The serial of the SOA."""
        body = self.soa.body
        return int.from_bytes(body[-SOA_SERIAL_FROM_END : 4 - SOA_SERIAL_FROM_END or None], "big")

    def records(self) -> Iterator[Record]:
        """Iterate over the zone in the order of a transfer, from its SOA to its SOA (RFC 5936 §2.2)."""
        for node in self._nodes.values():  # the first node is the apex, whose first record is the SOA
            yield from node
        yield self.soa

    def nameservers(self, *, do: bool) -> Sequence[Record]:
        """Return the NS records of the apex, with `do` also their signatures."""
        return _rrset(self._nodes[self.origin], codes.NS, do)

    def find(self, name: bytes, qtype: int, *, do: bool) -> ZoneResult:
        """Look up a name of this zone; with `do`, results include signatures and NSEC proofs."""
        node, closest = self._nodes[self.origin], self.origin
        below_origin = [one for one in suffixes(name) if len(one) > len(self.origin)]
        for at in reversed(below_origin):
            if has_type(node, codes.DNAME):
                return self._from_dname(name, qtype, node, records_of(node, codes.DNAME)[0], do)
            child = self._nodes.get(at)
            if child is None:
                return self._no_node(name, qtype, closest, do)
            node, closest = child, at
            if has_type(node, codes.NS) and not (qtype == codes.DS and at == name):
                return self._referral(node, at, do)
        return self._at_node(name, node, qtype, do)

    # The ends of the walk

    def _at_node(self, name: bytes, node: Records, qtype: int, do: bool) -> ZoneResult:
        if not node:
            return ZoneResult(ZoneOutcome.EMPTY_NON_TERMINAL, (), (*self._soa(do), *self._nsec_proof(name, do)))
        cname = _rrset(node, codes.CNAME, do)
        is_of_apex = name == self.origin and qtype in _OF_EVERY_APEX
        if cname and qtype not in _NOT_REDIRECTED and not is_of_apex:
            if qtype == codes.ANY:
                return ZoneResult(ZoneOutcome.ANSWER, cname, self.nameservers(do=do))
            return ZoneResult(ZoneOutcome.CNAME, cname, target=cname[0].rdata.lower())
        if qtype == codes.ANY:  # RFC 8482 §4.2
            answer: Sequence[Record] = (record.hinfo(name, self.soa.ttl, "RFC8482", ""),)
        else:
            answer = _rrset(node, qtype, do)
        if not answer:
            return ZoneResult(ZoneOutcome.NODATA, (), (*self._soa(do), *_nsec(node, do)))
        if qtype == codes.NS and name == self.origin:
            return ZoneResult(ZoneOutcome.ANSWER, answer, (), self._addresses(answer, self.origin, do))
        additional = self._addresses(answer, self.origin, do) if qtype in _TYPES_WITH_TARGETS else ()
        return ZoneResult(ZoneOutcome.ANSWER, answer, self.nameservers(do=do), additional)

    def _no_node(self, name: bytes, qtype: int, closest: bytes, do: bool) -> ZoneResult:
        """Answer from the wildcard below the closest encloser, or with NXDOMAIN (RFC 4592 §3.3.1)."""
        wildcard = _WILDCARD + closest
        node = self._nodes.get(wildcard)
        proof = self._nsec_proof(name, do)
        if node is None:
            other = tuple(one for one in self._nsec_proof(wildcard, do) if one not in proof)
            return ZoneResult(ZoneOutcome.NXDOMAIN, (), (*self._soa(do), *proof, *other))
        found = self._at_node(name, node, qtype, do)
        if found.outcome is ZoneOutcome.NODATA:  # the NSEC of the wildcard itself proves it
            own = _nsec(node, do)
            others = tuple(one for one in proof if one not in own)
            return found._replace(authority=(*self._soa(do), *own, *others), is_synthesized=True)
        authority = found.authority if found.outcome is ZoneOutcome.EMPTY_NON_TERMINAL else (*found.authority, *proof)
        return found._replace(answer=_with_name(found.answer, name), authority=authority, is_synthesized=True)

    def _from_dname(self, name: bytes, qtype: int, node: Records, dname: Record, do: bool) -> ZoneResult:
        """Answer with the CNAME that a DNAME above the name stands for (RFC 6672 §3)."""
        target = name[: -len(dname.name)] + dname.rdata
        answer = _rrset(node, codes.DNAME, do)
        if len(target) > MAX_NAME_BYTES:
            return ZoneResult(ZoneOutcome.NAME_TOO_LONG, answer, self.nameservers(do=do))
        answer = joined(answer, (record.cname(name, dname.ttl, target),))
        if qtype in (codes.CNAME, codes.ANY):
            return ZoneResult(ZoneOutcome.ANSWER, answer, self.nameservers(do=do), is_synthesized=True)
        return ZoneResult(ZoneOutcome.CNAME, answer, target=target.lower(), is_synthesized=True)

    def _referral(self, node: Records, cut: bytes, do: bool) -> ZoneResult:
        """Refer to the servers of a delegation, with every address of them that the zone has (RFC 9471 §3)."""
        servers = _rrset(node, codes.NS, False)
        secure = (_rrset(node, codes.DS, True) or _rrset(node, codes.NSEC, True)) if do else ()  # RFC 4035 §3.1.4
        glue = self._addresses(servers, cut, False)
        siblings = self._addresses(servers, self.origin, False)
        additional = tuple(dict.fromkeys((*glue, *siblings)))
        return ZoneResult(ZoneOutcome.REFERRAL, (), joined(servers, secure), additional)

    # Parts of the results

    def _soa(self, do: bool) -> Sequence[Record]:
        return _rrset(self._nodes[self.origin], codes.SOA, do)

    def _nsec_proof(self, name: bytes, do: bool) -> Sequence[Record]:
        """Return the NSEC that proves that the name does not exist, or has no records (RFC 4035 §3.1.3)."""
        if not do or not self._nsec:
            return ()
        position = bisect_right(self._nsec, (_canonical_key(name), name)) - 1
        return _rrset(self._nodes[self._nsec[position][1]], codes.NSEC, True)

    def _addresses(self, records: Sequence[Record], below: bytes, do: bool) -> Sequence[Record]:
        """Return the addresses of the targets of records, each target once, as far as they are at or under `below`.

        There are none beside records that fill a message, and no more than fill it beside the others.
        """
        if len(records) * (_ADDRESS_BYTES - 3) > MAX_STREAM_BYTES:
            return ()
        spare_bytes = MAX_STREAM_BYTES - sum(map(_least_bytes, records))
        found: list[Record] = []
        targets: set[bytes] = set()
        for one in records:
            if spare_bytes < 0:
                break
            for target in _targets(one):
                if target not in targets and is_under(target, below):
                    targets.add(target)
                    node = self._nodes.get(target, ())
                    addresses = [*_rrset(node, codes.A, do), *_rrset(node, codes.AAAA, do)]
                    spare_bytes -= _ADDRESS_BYTES * len(addresses)
                    found += addresses
        return tuple(found)

    def _add_empty_non_terminals(self) -> None:
        """Add a node without records for each empty non-terminal (RFC 4592 §2.2.2)."""
        for owner in tuple(self._nodes):
            parent = owner
            while parent != self.origin:
                parent = parent[1 + parent[0] :]
                if parent in self._nodes:
                    break
                self._nodes[parent] = ()


def _with_name(records: Sequence[Record], name: bytes) -> Sequence[Record]:
    """Return the same records with another owner name."""
    return joined(
        *(
            piece.with_name(name) if isinstance(piece, RecordRun) else tuple([one.with_name(name) for one in piece])
            for piece in pieces_of(records)
        )
    )


def _rrset(node: Records, rtype: int, do: bool) -> Sequence[Record]:
    """Return the records of a type, with `do` also their signatures."""
    found = records_of(node, rtype)
    if not found or not do or rtype == codes.RRSIG:
        return found
    covered = rtype.to_bytes(2, "big")
    return joined(found, tuple([one for one in records_of(node, codes.RRSIG) if one.body[10:12] == covered]))


def _nsec(node: Records, do: bool) -> Sequence[Record]:
    """Return the signed NSEC of a node if `do`."""
    return _rrset(node, codes.NSEC, True) if do else ()


def _least_bytes(one: Record) -> int:
    """Return how many bytes a record takes at least; the names in SRV, SVCB and HTTPS are never compressed."""
    return _ADDRESS_BYTES - 3 if one.rtype in COMPRESSED_TYPES else 2 + len(one.body)


def _targets(one: Record) -> Iterator[bytes]:
    """Iterate over the names in a record that clients look up next, in lower case."""
    if one.rtype in (codes.SVCB, codes.HTTPS):
        raw = one.rdata[2:]
        yield raw[: end_of(raw)].lower()
    else:
        for name in names_in(one):
            yield name.lower()


def _canonical_key(name: bytes) -> list[bytes]:
    """Return the key of the canonical order of names (RFC 4034 §6.1)."""
    return labels(name)[::-1]
