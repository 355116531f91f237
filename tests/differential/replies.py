"""A reply as it is compared: everything that a client could act on, and nothing that may differ from query to query.

Left out on purpose: the order of records, the serial of an SOA, the letter case of names that the question did not
spell, name compression, and the UDP size a server advertises.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rdatatype
import dns.rrset

HEADER_BYTES = 12
SOA_SERIAL = 2  # place among an SOA's words of text


class Line(NamedTuple):
    """A record in text; the owner is `@` where it is the question's name, spelled as the question spells it."""

    owner: str
    rtype: str
    ttl: int
    rdata: str


@dataclass(frozen=True)
class Seen:
    """A reply, or (`silent`) that there was none."""

    silent: bool = False
    broken: str = ""  # why the message cannot be read
    rcode: int = 0
    flags: frozenset[str] = frozenset()
    question: bytes = b""  # as it came back
    answer: tuple[Line, ...] = ()
    authority: tuple[Line, ...] = ()
    additional: tuple[Line, ...] = ()
    edns: tuple[int, int, tuple[str, ...]] | None = None  # version, flags, options
    size: int = 0  # bytes; not compared

    @property
    def is_cut(self) -> bool:
        """Whether TC is set."""
        return "TC" in self.flags

    @property
    def is_denial(self) -> bool:
        """NXDOMAIN or NODATA."""
        return not self.answer and bool(self.authority)

    def same_as(self, other: "Seen") -> bool:
        """Whether a client could not tell the two apart."""
        return replace(self, size=0) == replace(other, size=0)

    def text(self) -> str:
        """For a message."""
        if self.silent or self.broken:
            return self.broken or "(no reply)"
        lines = [f"rcode {self.rcode} {' '.join(sorted(self.flags))} edns {self.edns} {self.size} bytes"]
        for section, records in (("", self.answer), ("auth ", self.authority), ("add ", self.additional)):
            lines += [f"{section}{' '.join(map(str, record))}" for record in records[:6]]
            if len(records) > 6:
                lines.append(f"{section}… {len(records)} records")
        return "\n      ".join(lines)


SILENCE = Seen(silent=True)


_denials: dict[
    tuple[bytes, bytes, bytes], Seen
] = {}  # most replies are denials, and those differ in the question alone


def read(reply: bytes | None) -> Seen:
    """A reply without its ID, made comparable."""
    if reply is None:
        return SILENCE
    message = b"\0\0" + reply
    has_question, has_answers = reply[3] == 1, reply[4:6] != b"\0\0"
    if has_answers or not has_question:
        return _read(message, b"")
    question_end = message.index(b"\0", HEADER_BYTES) + 5
    question, rest = message[HEADER_BYTES:question_end], message[question_end:]
    owner = b""
    if rest[:1] >= b"\xc0":  # the SOA's owner is a pointer into the question
        owner = message[int.from_bytes(rest[:2], "big") & 0x3FFF : question_end - 4].lower()
        rest = rest[2:]
    key = (reply[:10], owner, rest)
    if key not in _denials:
        _denials[key] = _read(message, question)
    return replace(_denials[key], question=question, size=len(message))


def _read(message: bytes, question: bytes) -> Seen:
    try:
        parsed = dns.message.from_wire(message, one_rr_per_rrset=True)
    except dns.exception.DNSException as error:
        return Seen(broken=f"{type(error).__name__}: {error}")
    name = None
    if parsed.question:
        name = parsed.question[0].name
        question = message[HEADER_BYTES : HEADER_BYTES + len(name.to_wire() or b"") + 4]
    flags = {flag.name for flag in dns.flags.Flag if flag & parsed.flags and flag.name is not None}
    edns = None
    if parsed.edns >= 0:
        options = tuple(sorted(option.to_text() for option in parsed.options))
        edns = (parsed.edns, parsed.ednsflags & 0xFFFF, options)
    return Seen(
        rcode=int(parsed.rcode()),
        flags=frozenset({*flags, f"opcode{int(parsed.opcode())}"}),
        question=question,
        answer=_lines(parsed.answer, name),
        authority=_lines(parsed.authority, name),
        additional=_lines(parsed.additional, None),  # names from the objects, whatever their letter case
        edns=edns,
        size=len(message),
    )


def _lines(records: list[dns.rrset.RRset], qname: dns.name.Name | None) -> tuple[Line, ...]:
    return tuple(sorted(_line(record, qname) for record in records))


def _line(record: dns.rrset.RRset, qname: dns.name.Name | None) -> Line:
    rtype = dns.rdatatype.to_text(record.rdtype)
    words = record[0].to_text().split(" ") if len(record) else []
    if rtype == "SOA":
        words[SOA_SERIAL] = "SERIAL"
    if qname is not None and record.name == qname:
        owner = "@" if record.name.labels == qname.labels else f"{record.name} (not as asked)"
        if rtype == "SOA":
            owner = str(record.name).lower()
    else:
        owner = str(record.name).lower()
    rdata = " ".join(words)
    return Line(owner, rtype, record.ttl, rdata if rtype == "TXT" else rdata.lower())
