"""A reply as it is compared: everything that a client could act on, nothing that may differ between two equal queries.

The comparison leaves out the order of records, the serial of an SOA, the case of names other than the QNAME, name
compression, and the UDP size that a server advertises.
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
SOA_SERIAL = 2  # index among the words of an SOA in presentation format


class Line(NamedTuple):
    """A record in text; its owner name is `@` where it equals the QNAME, case included."""

    owner: str
    rtype: str
    ttl: int
    rdata: str


@dataclass(frozen=True)
class ComparedReply:
    """A parsed reply, or (`silent`) none."""

    silent: bool = False
    broken: str = ""  # why the message cannot be parsed
    rcode: int = 0
    flags: frozenset[str] = frozenset()
    question: bytes = b""  # the section as received
    answer: tuple[Line, ...] = ()
    authority: tuple[Line, ...] = ()
    additional: tuple[Line, ...] = ()
    edns: tuple[int, int, tuple[str, ...]] | None = None  # version, flags, options
    size: int = 0  # bytes; not compared
    late_seconds: float = 0.0  # of its question, on a busy machine; not compared

    @property
    def is_truncated(self) -> bool:
        """Whether TC is set."""
        return "TC" in self.flags

    def same_as(self, other: "ComparedReply") -> bool:
        """Return whether the replies mean the same to a client."""
        return replace(self, size=0, late_seconds=0.0) == replace(other, size=0, late_seconds=0.0)

    def text(self) -> str:
        """Return the reply as lines of a test's message."""
        if self.silent or self.broken:
            return self.broken or "(no reply)"
        lines = [f"rcode {self.rcode} {' '.join(sorted(self.flags))} edns {self.edns} {self.size} bytes"]
        for section, records in (("", self.answer), ("auth ", self.authority), ("add ", self.additional)):
            lines += [f"{section}{' '.join(map(str, record))}" for record in records[:6]]
            if len(records) > 6:
                lines.append(f"{section}… {len(records)} records")
        return "\n      ".join(lines)


SILENCE = ComparedReply(silent=True)

# parsed negative answers, by all but their question: most replies are negative, and equal but for the question
_negative: dict[tuple[bytes, bytes, bytes], ComparedReply] = {}


def read(reply: bytes | None) -> ComparedReply:
    """Parse a reply without its ID."""
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
    if key not in _negative:
        _negative[key] = _read(message, question)
    return replace(_negative[key], question=question, size=len(message))


def _read(message: bytes, question: bytes) -> ComparedReply:
    try:
        parsed = dns.message.from_wire(message, one_rr_per_rrset=True)
    except dns.exception.DNSException as error:
        return ComparedReply(broken=f"{type(error).__name__}: {error}")
    name = None
    if parsed.question:
        name = parsed.question[0].name
        question = message[HEADER_BYTES : HEADER_BYTES + len(name.to_wire() or b"") + 4]
    flags = {flag.name for flag in dns.flags.Flag if flag & parsed.flags and flag.name is not None}
    edns = None
    if parsed.edns >= 0:
        options = tuple(sorted(option.to_text() for option in parsed.options))
        edns = (parsed.edns, parsed.ednsflags & 0xFFFF, options)
    return ComparedReply(
        rcode=int(parsed.rcode()),
        flags=frozenset({*flags, f"opcode{int(parsed.opcode())}"}),
        question=question,
        answer=_lines(parsed.answer, name),
        authority=_lines(parsed.authority, name),
        additional=_lines(parsed.additional, None),  # names from the objects, in any case
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
