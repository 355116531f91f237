"""Decode an upstream's message into records that fit into any response.

Names are expanded wherever RFC 3597 §4 allows compression, so that a `Record` does not depend on the message that it
came in. `query` reads the messages of clients; `upstream` checks whether a message answers the question. Bytes after
the last record are ignored, as by CoreDNS.

The work is linear in the bytes: each pointer must lead further back than the last and is followed once, a name has at
most 255 bytes, all names together have MAX_NAME_LABELS, and reading stops where the bytes end, whatever the counts say.
A long message is read in steps, so that the event loop can do other work between them. docs/decisions/0007 says why no
library is used.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from clusterdns.wire import codes, rdata
from clusterdns.wire.edns import check_options
from clusterdns.wire.header import DO, HEADER_BYTES, MAX_LABELS, MAX_STREAM_BYTES, OPT_BYTES, Malformed
from clusterdns.wire.name import MAX_NAME_BYTES
from clusterdns.wire.record import Record

_HEADER = struct.Struct(">HHHHHH")
_FIXED = struct.Struct(">HHIH")
_OPT_FIXED = struct.Struct(">HBBHH")  # UDP size, extended rcode, version, flags, length (RFC 6891 §6.1.2)
_OPT_START = b"\0\0\x29"  # the root and the type
_NAME_ALONE = (rdata.NAME,)
_ADDRESS_BYTES = {codes.A: 4, codes.AAAA: 16}
_MAX_TTL = 0x7FFFFFFF
STEP_RECORDS = 256  # are decoded in half a millisecond
# of all names that a message spells or points to: 3,600 records in 64 KiB that point to names of 18 labels. A hostile
# message has 126 labels behind each pointer: 900,000, which take 100 ms to read and as long to encode
MAX_NAME_LABELS = 1 << 16


class Edns(NamedTuple):
    """The OPT record of a message (RFC 6891 §6.1)."""

    udp_bytes: int
    version: int
    do: bool
    options: bytes


class Message(NamedTuple):
    """A decoded message. The OPT is not in `additional`; its upper bits of the response code are in `rcode`."""

    id: bytes
    flags: int
    question: bytes  # name, type and class as received; empty in a message without a question
    rcode: int
    answer: tuple[Record, ...]
    authority: tuple[Record, ...]
    additional: tuple[Record, ...]
    edns: Edns | None


class _Names:
    """The names read so far by the offset that a pointer leads to, and how many labels more may be read."""

    __slots__ = ("expanded", "owners", "spare_labels")

    def __init__(self) -> None:
        self.expanded: dict[int, tuple[bytes, int]] = {}  # in the case received, each with the number of its labels
        self.owners: dict[int, bytes] = {}  # in lower case
        self.spare_labels = MAX_NAME_LABELS

    def check(self) -> None:
        """Raise Malformed where the names have too many labels."""
        if self.spare_labels < 0:
            raise Malformed(f"names of more than {MAX_NAME_LABELS} labels")


def decode(message: bytes | memoryview) -> Message:
    """Decode a message. Raises Malformed, and nothing else, whatever the bytes are.

    The records of a truncated message must be whole too: check TC first to retry over TCP.
    """
    decoded = None
    for found in decode_in_steps(bytes(message)):
        decoded = found
    assert decoded is not None
    return decoded


def decode_in_steps(packet: bytes) -> Iterator[Message | None]:
    """Decode a message as `decode` does: yield None after each STEP_RECORDS records, and the message at last."""
    try:
        yield from _decode(packet)
    except (IndexError, struct.error):  # a read beyond the end
        raise Malformed("message cut short") from None


def _decode(packet: bytes) -> Iterator[Message | None]:
    _, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(packet)
    if len(packet) > MAX_STREAM_BYTES:
        raise Malformed("message longer than 65535 bytes")
    if questions > 1:
        raise Malformed("more than one question")  # RFC 9619
    position = HEADER_BYTES
    question = b""
    names = _Names()
    if questions:
        name, position = _name(packet, position, names)
        position += 4
        question = packet[HEADER_BYTES:position]
        if len(question) != len(name) + 4:
            raise Malformed("question cut short")
        names.expanded[HEADER_BYTES] = name, MAX_NAME_LABELS - names.spare_labels
        names.owners[HEADER_BYTES] = name.lower()
    sections: list[list[Record]] = []
    for count in (answers, authorities):
        records: list[Record] = []
        while count:
            position = _read_records(packet, position, min(count, STEP_RECORDS), names, records)
            count = max(0, count - STEP_RECORDS)
            if count:
                yield None
        sections.append(records)
    answer, authority = sections
    additional: list[Record] = []
    edns: Edns | None = None
    rcode = flags & 0xF
    for number in range(1, additionals + 1):
        if packet[position : position + 3] == _OPT_START:
            if edns is not None:
                raise Malformed("more than one OPT")
            rcode |= packet[position + 5] << 4
            edns, position = _edns(packet, position)
        else:
            position = _read_records(packet, position, 1, names, additional)
        if not number % STEP_RECORDS:
            yield None
    if codes.OPT in [one.rtype for one in (*answer, *authority, *additional)]:
        raise Malformed("OPT outside of the additional section, or not at the root")  # RFC 6891 §6.1.1, §6.1.2
    yield Message(packet[:2], flags, question, rcode, tuple(answer), tuple(authority), tuple(additional), edns)


def _read_records(packet: bytes, position: int, count: int, names: _Names, records: list[Record]) -> int:
    """Append `count` records from `position` on to `records`, and return where the last one ends."""
    owners = names.owners
    address_bytes, layouts = _ADDRESS_BYTES, rdata.LAYOUTS
    unpack = _FIXED.unpack_from
    size = len(packet)
    last = b""
    for _ in range(count):
        first = packet[position]
        if first >= 0xC0:  # a pointer, as nearly always
            target = (first & 0x3F) << 8 | packet[position + 1]
            owner = owners.get(target)
            if owner is None:
                owner, fixed = _name(packet, position, names)
                owner = owners[target] = owner.lower()
            else:
                fixed = position + 2
                if owner is not last:
                    names.spare_labels -= names.expanded[target][1]
        else:
            owner, fixed = _name(packet, position, names)
            # a length byte is at most 63, below every capital letter, so lowering the whole name leaves it as it is
            owner = owner.lower()
        last = owner
        rtype, rclass, ttl, length = unpack(packet, fixed)
        start = fixed + 10
        position = start + length
        if position > size:
            raise Malformed("record cut short")
        if rtype in address_bytes:
            if length != address_bytes[rtype] and rclass == codes.IN:
                raise Malformed("address of wrong length")
            body = packet[fixed:position]
        elif rtype in layouts:
            content = _expand(packet, start, position, layouts[rtype], names)
            body = packet[fixed : fixed + 8] + len(content).to_bytes(2, "big") + content
        else:
            body = packet[fixed:position]
        if ttl > _MAX_TTL:
            body = body[:4] + b"\0\0\0\0" + body[8:]  # RFC 2181 §8
        records.append(Record(owner, rtype, body))
    names.check()
    return position


def _expand(packet: bytes, start: int, end: int, layout: tuple[int, ...], names: _Names) -> bytes:
    """Return the RDATA from `start` to `end` with its names expanded. Raises Malformed where it has another layout."""
    if layout == _NAME_ALONE:  # as of most types with names: NS, CNAME, PTR
        content, position = _name(packet, start, names)
        if position != end:
            raise Malformed("RDATA longer or shorter than its content")
        return content
    parts = []
    position = start
    for part in layout:
        if part == rdata.NAME:
            name, position = _name(packet, position, names)
            parts.append(name)
            continue
        begin = position
        if part > 0:
            position += part
        elif part == rdata.STRING:
            position += 1 + packet[position]
        elif part == rdata.STRINGS:
            position += 1 + packet[position]  # at least one
            while position < end:
                position += 1 + packet[position]
        else:
            position = max(position, end)
        parts.append(packet[begin:position])
    if position != end:
        raise Malformed("RDATA longer or shorter than its content")
    content = b"".join(parts)
    if len(content) > MAX_STREAM_BYTES:
        raise Malformed("RDATA longer than 65535 bytes with its names expanded")
    return content


def _name(packet: bytes, start: int, names: _Names) -> tuple[bytes, int]:
    """Return the name that begins at `start`, in the case received, and where it ends. Raises IndexError.

    `names` keeps the name at each offset that a pointer leads to, so that no chain of pointers is followed twice.
    """
    position = fence = start
    parts: list[bytes] = []
    passed: list[tuple[int, int, int]] = []  # offsets of pointers followed, with the parts and labels before each
    end = name_bytes = labels = 0
    while length := packet[position]:
        if length <= 63:
            position += 1 + length
            labels += 1
            if name_bytes + position - start >= MAX_NAME_BYTES:
                raise Malformed("name longer than 255 bytes")
        elif length >= 0xC0:
            target = (length & 0x3F) << 8 | packet[position + 1]
            end = end or position + 2
            parts.append(packet[start:position])
            name_bytes += position - start
            if not HEADER_BYTES <= target < fence:
                raise Malformed("compression pointer that does not point back")
            known = names.expanded.get(target)
            if known is not None:
                parts.append(known[0])
                labels += known[1]
                break
            if len(passed) == MAX_LABELS:
                raise Malformed("more compression pointers than a name has labels")
            passed.append((target, len(parts), labels))
            position = start = fence = target
        else:
            raise Malformed("reserved label type")
    else:
        position += 1
        end = end or position
        parts.append(packet[start:position])
    names.spare_labels -= labels
    if names.spare_labels < 0:
        names.check()
    if len(parts) == 1:
        return parts[0], end
    name = b"".join(parts)
    if len(name) > MAX_NAME_BYTES:
        raise Malformed("name longer than 255 bytes")
    for target, before, labels_before in passed:
        names.expanded[target] = b"".join(parts[before:]), labels - labels_before
    return name, end


def _edns(packet: bytes, start: int) -> tuple[Edns, int]:
    """Return the OPT that begins at `start`, and where it ends."""
    udp_bytes, _, version, flags, options_bytes = _OPT_FIXED.unpack_from(packet, start + 3)
    position = start + OPT_BYTES
    end = position + options_bytes
    if end > len(packet):
        raise Malformed("record cut short")
    options = packet[position:end]
    if options:
        check_options(options)
    return Edns(udp_bytes, version, bool(flags & DO), options), end
