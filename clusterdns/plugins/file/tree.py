"""A zone out of a master file: its names as a tree, and what each holds, as an authoritative server says it.

`ZoneTree` judges what a zone must have and is never changed afterwards; `find` is the walk of RFC 1034 §4.3.2 with the
wildcards of RFC 4592, the DNAME of RFC 6672 and, where the zone was signed before it came here, the proofs of RFC 4035.
Following aliases out of the zone, and files, are the business of `file_handler` and `file_zone`.
"""

import enum
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from clusterdns.wire import codes, record
from clusterdns.wire.header import MAX_STREAM_BYTES
from clusterdns.wire.name import MAX_NAME_BYTES, end_of, is_under, labels, suffixes, to_text
from clusterdns.wire.rdata import names_in
from clusterdns.wire.record import SOA_SERIAL_FROM_END, Record

Records = tuple[Record, ...]

MAX_BODY_BYTES = MAX_STREAM_BYTES - 1024  # beside it a message has a header, a question, an owner and an OPT

_WILDCARD = b"\x01*"
_NEVER_CHASED = frozenset((codes.CNAME, codes.RRSIG, codes.NSEC, codes.ANY))  # may stand, or be asked, beside a CNAME
_POINTING = frozenset((codes.MX, codes.SRV, codes.SVCB, codes.HTTPS))


class Outcome(enum.Enum):
    """What a name and type come to."""

    ANSWER = "answer"
    ALIAS = "alias"  # a CNAME, of the zone or made from a DNAME; `target` is where it leads
    REFERRAL = "referral"
    NODATA = "nodata"
    EMPTY = "empty"  # nothing but names below it (RFC 4592 §2.2.2)
    NXDOMAIN = "nxdomain"
    TOO_LONG = "too long"  # a DNAME leads to a name that cannot be (RFC 6672 §2.2)


class Found(NamedTuple):
    """What is sent, and what it means."""

    outcome: Outcome
    answer: Records = ()
    authority: Records = ()
    additional: Records = ()
    target: bytes = b""
    is_made: bool = False  # from a wildcard or DNAME: the name itself does not stand in the zone


class ZoneTree:
    """One zone. Raises ValueError where it cannot be served: without SOA at its top, or with NSEC3."""

    def __init__(self, origin: bytes, records: Iterable[Record]) -> None:
        self.origin = origin
        self.outside: list[bytes] = []  # dependencies that are left out: not in the zone, or not of class IN
        groups: dict[bytes, dict[Record, None]] = {origin: {}}
        soa: Record | None = None
        for one in records:
            owner = one.name
            if one.rclass != codes.IN or not is_under(owner, origin):
                self.outside.append(owner)
            elif len(one.body) > MAX_BODY_BYTES:
                raise ValueError(
                    f"has a record of {len(one.body)} bytes, which no message can hold, at {to_text(owner)}"
                )
            elif one.rtype == codes.SOA:
                if owner != origin:
                    raise ValueError(f"has an SOA at {to_text(owner)} that does not match origin {to_text(origin)}")
                soa = one
            elif one.rtype in (codes.NSEC3, codes.NSEC3PARAM):
                raise ValueError(f"has NSEC3 records, at {to_text(owner)}: sign the zone with NSEC")
            else:
                groups.setdefault(owner, {})[one] = None  # RFC 2181 §5: each record once
        if soa is None:
            raise ValueError(f"has no SOA record for origin {to_text(origin)}")
        self.soa = soa
        groups[origin] = {soa: None, **groups[origin]}
        self._nodes: dict[bytes, Records] = {owner: tuple(group) for owner, group in groups.items()}
        self._add_empty()
        chain = [owner for owner, node in self._nodes.items() if any(one.rtype == codes.NSEC for one in node)]
        self._nsec = sorted((_canonical(owner), owner) for owner in chain)

    @property
    def serial(self) -> int:
        """Of the SOA."""
        body = self.soa.body
        return int.from_bytes(body[-SOA_SERIAL_FROM_END : 4 - SOA_SERIAL_FROM_END or None], "big")

    def records(self) -> Iterator[Record]:
        """The whole zone as it is transferred: from its SOA to its SOA (RFC 5936 §2.2)."""
        for node in self._nodes.values():  # the top stands first, and the SOA first in it
            yield from node
        yield self.soa

    def nameservers(self, *, do: bool) -> Records:
        """The NS records of the top."""
        return _rrset(self._nodes[self.origin], codes.NS, do)

    def find(self, name: bytes, qtype: int, *, do: bool) -> Found:
        """What is there for a name of this zone; with `do`, signed."""
        node, closest = self._nodes[self.origin], self.origin
        below_origin = [one for one in suffixes(name) if len(one) > len(self.origin)]
        for at in reversed(below_origin):
            dname = next((one for one in node if one.rtype == codes.DNAME), None)
            if dname is not None:
                return self._substituted(name, qtype, node, dname, do)
            child = self._nodes.get(at)
            if child is None:
                return self._not_there(name, qtype, closest, do)
            node, closest = child, at
            if any(one.rtype == codes.NS for one in node) and not (qtype == codes.DS and at == name):
                return self._referral(node, at, do)
        return self._at(name, node, qtype, do)

    # What the walk can end in

    def _at(self, name: bytes, node: Records, qtype: int, do: bool) -> Found:
        if not node:
            return Found(Outcome.EMPTY, (), (*self._soa(do), *self._proof(name, do)))
        alias = _rrset(node, codes.CNAME, do)
        if alias and (qtype not in _NEVER_CHASED or qtype == codes.ANY):
            if qtype == codes.ANY:
                return Found(Outcome.ANSWER, alias, self.nameservers(do=do))
            return Found(Outcome.ALIAS, alias, target=alias[0].rdata.lower())
        if qtype == codes.ANY:  # RFC 8482 §4.2
            answer: Records = (record.hinfo(name, self.soa.ttl, "RFC8482", ""),)
        else:
            answer = _rrset(node, qtype, do)
        if not answer:
            return Found(Outcome.NODATA, (), (*self._soa(do), *_rrset(node, codes.NSEC, do, when=do)))
        if qtype == codes.NS and name == self.origin:
            return Found(Outcome.ANSWER, answer, (), self._addresses(answer, self.origin, do))
        additional = self._addresses(answer, self.origin, do) if qtype in _POINTING else ()
        return Found(Outcome.ANSWER, answer, self.nameservers(do=do), additional)

    def _not_there(self, name: bytes, qtype: int, closest: bytes, do: bool) -> Found:
        """A wildcard right below the closest name that is there, or no such name (RFC 4592 §3.3.1)."""
        wildcard = _WILDCARD + closest
        node = self._nodes.get(wildcard)
        proof = self._proof(name, do)
        if node is None:
            other = tuple(one for one in self._proof(wildcard, do) if one not in proof)
            return Found(Outcome.NXDOMAIN, (), (*self._soa(do), *proof, *other))
        found = self._at(name, tuple(one.with_name(name) for one in node), qtype, do)
        if found.outcome is Outcome.NODATA:  # its NSEC stands at the wildcard itself
            own = _rrset(node, codes.NSEC, do, when=do)
            others = tuple(one for one in proof if one not in own)
            return found._replace(authority=(*self._soa(do), *own, *others), is_made=True)
        authority = found.authority if found.outcome is Outcome.EMPTY else (*found.authority, *proof)
        return found._replace(authority=authority, is_made=True)

    def _substituted(self, name: bytes, qtype: int, node: Records, dname: Record, do: bool) -> Found:
        """A DNAME above the name: the CNAME that it stands for (RFC 6672 §3)."""
        target = name[: -len(dname.name)] + dname.rdata
        answer = _rrset(node, codes.DNAME, do)
        if len(target) > MAX_NAME_BYTES:
            return Found(Outcome.TOO_LONG, answer, self.nameservers(do=do))
        answer = (*answer, record.cname(name, dname.ttl, target))
        if qtype in (codes.CNAME, codes.ANY):
            return Found(Outcome.ANSWER, answer, self.nameservers(do=do), is_made=True)
        return Found(Outcome.ALIAS, answer, target=target.lower(), is_made=True)

    def _referral(self, node: Records, cut: bytes, do: bool) -> Found:
        servers = _rrset(node, codes.NS, False)
        secure = (_rrset(node, codes.DS, True) or _rrset(node, codes.NSEC, True)) if do else ()  # RFC 4035 §3.1.4
        return Found(Outcome.REFERRAL, (), (*servers, *secure), self._addresses(servers, cut, do))

    # Parts of them

    def _soa(self, do: bool) -> Records:
        return _rrset(self._nodes[self.origin], codes.SOA, do)

    def _proof(self, name: bytes, do: bool) -> Records:
        """The NSEC that says that there is no such name, or that it has no records (RFC 4035 §3.1.3)."""
        if not do or not self._nsec:
            return ()
        position = bisect_right(self._nsec, (_canonical(name), name)) - 1
        return _rrset(self._nodes[self._nsec[position][1]], codes.NSEC, True)

    def _addresses(self, pointing: Records, below: bytes, do: bool) -> Records:
        """The addresses of what records point to, each name once, as far as they are at or below a name of ours."""
        targets = dict.fromkeys(target for one in pointing for target in _targets(one) if is_under(target, below))
        return tuple(
            one
            for target in targets
            for rtype in codes.ADDRESS_TYPES
            for one in _rrset(self._nodes.get(target, ()), rtype, do)
        )

    def _add_empty(self) -> None:
        """The names that have records only below them are there, too (RFC 4592 §2.2.2)."""
        for owner in tuple(self._nodes):
            parent = owner
            while parent != self.origin:
                parent = parent[1 + parent[0] :]
                if parent in self._nodes:
                    break
                self._nodes[parent] = ()


def _rrset(node: Records, rtype: int, do: bool, *, when: bool = True) -> Records:
    """The records of a type; with `do` the signatures of them, too. `when` is whether any are wanted."""
    if not when:
        return ()
    found = tuple([one for one in node if one.rtype == rtype])
    if not found or not do or rtype == codes.RRSIG:
        return found
    covered = rtype.to_bytes(2, "big")
    return (*found, *(one for one in node if one.rtype == codes.RRSIG and one.body[10:12] == covered))


def _targets(one: Record) -> Iterator[bytes]:
    """The names that a record points clients to, in lower case."""
    if one.rtype in (codes.SVCB, codes.HTTPS):
        raw = one.rdata[2:]
        yield raw[: end_of(raw)].lower()
    else:
        for name in names_in(one):
            yield name.lower()


def _canonical(name: bytes) -> list[bytes]:
    """What names are ordered by (RFC 4034 §6.1)."""
    return labels(name)[::-1]
