"""Received bytes as a reply: a strict walk over header, question and records, with bounds that dnslib lacks.

The walk finds where everything is, and refuses what no well-formed message has: names that run out of the message or
point forwards, records that are cut off, bytes after the last record. RDATA becomes text through dnslib, record by
record, after the walk has checked the names in it; that work is bounded however a server compresses its names.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from clusterdns.wire.codes import AAAA, CNAME, NS, OPT, PTR, SOA, SRV, TXT, A, rcode_text, type_text
from clusterdns.wire.name import label_text

HEADER_BYTES = 12
MAX_ALL_LABELS = 65_536  # of all names together; a hostile message has more
MIN_QUESTION_BYTES, MIN_RECORD_BYTES = 5, 11  # of the root name
MAX_NAME_BYTES = 255
MAX_POINTERS = 32_768  # of all names together, several times what a server needs for 64 KiB
SECTIONS = ("answer", "authority", "additional")
_NAMES_AT = {NS: (0, 1), CNAME: (0, 1), PTR: (0, 1), SOA: (0, 2), SRV: (6, 1)}  # type → where its RDATA has how many


class MalformedReply(Exception):
    """Bytes that are not a DNS message; the text says where."""


@dataclass(frozen=True)
class WireName:
    """A name in a message: its labels, and where its first compression pointer is, or -1."""

    labels: tuple[bytes, ...]
    pointer_at: int = -1

    @property
    def text(self) -> str:
        """The name with a final dot, special bytes escaped, in its case."""
        return "".join(label_text(label) + "." for label in self.labels) or "."

    @property
    def folded(self) -> str:
        """The name in lower case, for comparisons (RFC 4343)."""
        return self.text.lower()


@dataclass(frozen=True)
class WireRecord:
    """A record of a reply, which begins its RDATA at byte `at` of the message."""

    section: str
    owner: WireName
    rtype: int
    rclass: int
    ttl: int
    wire: bytes
    at: int
    size: int
    names: tuple[WireName, ...]  # in the RDATA

    @property
    def content(self) -> bytes:
        """The RDATA."""
        return self.wire[self.at : self.at + self.size]

    @cached_property
    def data(self) -> str:
        """The RDATA in presentation format, names in lower case. Raises MalformedReply."""
        if self.rtype not in _WRITERS:
            return f"\\# {self.size} {self.content.hex()}".rstrip()
        return rdata_text(self.wire, self.rtype, self.at, self.size)

    @property
    def text(self) -> str:
        """Type and RDATA."""
        return f"{type_text(self.rtype)} {self.data}"


class WireReply:
    """A message, walked over; raises MalformedReply where it is not well-formed."""

    def __init__(self, wire: bytes, transport: str) -> None:
        self.wire, self.transport = wire, transport
        if len(wire) < HEADER_BYTES:
            raise MalformedReply(f"{len(wire)} bytes are less than a header")
        self._pointers = self._labels = 0
        self.message_id, self.flags, *self.counts = (int.from_bytes(wire[at : at + 2], "big") for at in range(0, 12, 2))
        if MIN_QUESTION_BYTES * self.counts[0] + MIN_RECORD_BYTES * sum(self.counts[1:]) > len(wire) - HEADER_BYTES:
            raise MalformedReply(f"the counts {self.counts} are of more records than fit into {len(wire)} bytes")
        self._at = HEADER_BYTES
        self.questions = [self._question() for _ in range(self.counts[0])]
        self.question_bytes = wire[HEADER_BYTES : self._at]
        self.records = [
            self._record(section)
            for section, count in zip(SECTIONS, self.counts[1:], strict=True)
            for _ in range(count)
        ]  # fmt: skip
        if self._at != len(wire):
            raise MalformedReply(f"{len(wire) - self._at} bytes follow the last record")
        self.answers = [one.text for one in self.of("answer")]  # which reads all RDATA of the answer

    @property
    def is_response(self) -> bool:
        """Whether QR is set."""
        return bool(self.flags & 0x8000)

    @property
    def opcode(self) -> int:
        """The opcode."""
        return self.flags >> 11 & 15

    @property
    def is_truncated(self) -> bool:
        """Whether TC is set."""
        return bool(self.flags & 0x0200)

    @cached_property
    def opts(self) -> list[WireRecord]:
        """The OPT records of the additional section."""
        return [one for one in self.records if one.rtype == OPT and one.section == "additional"]

    @property
    def rcode(self) -> str:
        """The response code's mnemonic, with the upper bits of the OPT."""
        return rcode_text(self.flags & 15 | (self.opts[0].ttl >> 24 << 4 if self.opts else 0))

    def of(self, section: str, rtype: int | None = None) -> list[WireRecord]:
        """Return the records of a section, or those of one type."""
        return [one for one in self.records if one.section == section and rtype in (None, one.rtype)]

    @property
    def summary(self) -> str:
        """The response code and the answer in a line, shortened."""
        found = self.answers
        shown = ", ".join(found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")
        marks = ", truncated" if self.is_truncated else ""
        return f"{self.rcode}{marks} with {shown}" if found else f"{self.rcode}{marks} without an answer"

    def _question(self) -> tuple[WireName, int, int]:
        name = self._name()
        fields = self._take(4, "the question")
        return name, int.from_bytes(fields[:2], "big"), int.from_bytes(fields[2:], "big")

    def _record(self, section: str) -> WireRecord:
        owner = self._name()
        fields = self._take(10, f"a record of the {section} section")
        rtype, rclass, ttl, size = (
            int.from_bytes(fields[start:end], "big") for start, end in ((0, 2), (2, 4), (4, 8), (8, 10))
        )
        at = self._at
        self._take(size, f"the RDATA of {type_text(rtype)}")
        end = self._at
        names = self._names_in(rtype, at, end)
        self._at = end
        return WireRecord(section, owner, rtype, rclass, ttl, self.wire, at, size, names)

    def _names_in(self, rtype: int, at: int, end: int) -> tuple[WireName, ...]:
        """Read the names in the RDATA of a type that has some."""
        offset, count = _NAMES_AT.get(rtype, (0, 0))
        self._at = at + offset
        found = []
        for _ in range(count):
            found.append(self._name())
            if self._at > end:
                raise MalformedReply(f"a name in the RDATA of {type_text(rtype)} exceeds it")
        return tuple(found)

    def _take(self, size: int, what: str) -> bytes:
        taken = self.wire[self._at : self._at + size]
        if len(taken) < size:
            raise MalformedReply(f"the message ends within {what}")
        self._at += size
        return taken

    def _name(self) -> WireName:
        """Read the name at the current place, and go on after it."""
        labels: list[bytes] = []
        at, pointer_at, after = self._at, -1, -1
        size = 1
        while True:
            length = self.wire[at] if at < len(self.wire) else -1
            if length == 0:
                break
            if 0 < length < 0x40:
                label = self.wire[at + 1 : at + 1 + length]
                labels.append(label)
                size += 1 + length
                at += 1 + length
                if len(label) < length or size > MAX_NAME_BYTES:
                    raise MalformedReply(f"the name at byte {self._at} is too long or is cut off")
                self._labels += 1
                if self._labels > MAX_ALL_LABELS:
                    raise MalformedReply(f"the names have more than {MAX_ALL_LABELS:,} labels")
            elif length >= 0xC0 and at + 1 < len(self.wire):
                target = (length & 0x3F) << 8 | self.wire[at + 1]
                pointer_at, after = (at, at + 2) if pointer_at < 0 else (pointer_at, after)
                self._pointers += 1
                if not HEADER_BYTES <= target < at:
                    raise MalformedReply(f"the compression pointer at byte {at} does not point to an earlier name")
                if self._pointers > MAX_POINTERS:
                    raise MalformedReply(f"more than {MAX_POINTERS:,} compression pointers")
                at = target
            else:
                raise MalformedReply(f"the name at byte {self._at} is cut off or has a label of an unknown kind")
        self._at = at + 1 if after < 0 else after
        return WireName(tuple(labels), pointer_at)


def rdata_text(wire: bytes, rtype: int, at: int, size: int) -> str:
    """Write the RDATA at a place of a message in presentation format. Raises MalformedReply."""
    from dnslib import QTYPE, RDMAP, DNSBuffer

    buffer = DNSBuffer(wire)
    buffer.offset = at
    try:
        rdata = RDMAP[QTYPE.get(rtype)].parse(buffer, size)
    except Exception as problem:  # DNSError, but other exceptions of its parts have been seen as well
        raise MalformedReply(f"RDATA of {type_text(rtype)} that cannot be read: {problem}") from problem
    if buffer.offset != at + size:
        raise MalformedReply(f"RDATA of {type_text(rtype)} whose length is wrong")
    return _WRITERS[rtype](rdata)


def _quoted(text: bytes) -> str:
    return "".join(chr(one) if 0x20 <= one < 0x7F and one not in b'"\\' else f"\\{one:03}" for one in text)


def _name_text(label: Any) -> str:
    """Write a name of dnslib, which escapes underscores, in lower case."""
    return WireName(tuple(label.label)).folded


_WRITERS: dict[int, Callable[[Any], str]] = {
    A: lambda rdata: str(IPv4Address(bytes(rdata.data))),
    AAAA: lambda rdata: str(IPv6Address(bytes(rdata.data))),
    NS: lambda rdata: _name_text(rdata.label),
    CNAME: lambda rdata: _name_text(rdata.label),
    PTR: lambda rdata: _name_text(rdata.label),
    SRV: lambda rdata: f"{rdata.priority} {rdata.weight} {rdata.port} {_name_text(rdata.target)}",
    SOA: lambda rdata: f"{_name_text(rdata.mname)} {_name_text(rdata.rname)} {' '.join(map(str, rdata.times))}",
    TXT: lambda rdata: " ".join(f'"{_quoted(bytes(text))}"' for text in rdata.data),
}
