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
    question: str = ""
    answer: tuple[Line, ...] = ()
    authority: tuple[Line, ...] = ()
    additional: tuple[Line, ...] = ()
    edns: tuple[int, bool, tuple[str, ...]] | None = None  # version, DO, options
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


def read(reply: bytes | None) -> Seen:
    """A reply without its ID, made comparable."""
    if reply is None:
        return SILENCE
    try:
        message = dns.message.from_wire(b"\0\0" + reply, one_rr_per_rrset=True)
    except dns.exception.DNSException as error:
        return Seen(broken=f"{type(error).__name__}: {error}")
    question = message.question[0] if message.question else None
    name = question.name if question is not None else dns.name.root
    flags = {flag.name for flag in dns.flags.Flag if flag & message.flags and flag.name is not None}
    edns = None
    if message.edns >= 0:
        options = tuple(sorted(option.to_text() for option in message.options))
        edns = (message.edns, bool(message.ednsflags & dns.flags.DO), options)
    return Seen(
        rcode=int(message.rcode()),
        flags=frozenset({*flags, f"opcode{int(message.opcode())}"}),
        question=f"{question.name} {int(question.rdtype)} {int(question.rdclass)}" if question is not None else "",
        answer=_lines(message.answer, name),
        authority=_lines(message.authority, name),
        additional=_lines(message.additional, None),  # names from the objects, whatever their letter case
        edns=edns,
        size=len(reply) + 2,
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
