"""Decode an upstream's message into records that fit into any response.

Names are expanded wherever RFC 3597 §4 allows compression, so that a `Record` does not depend on the message that it
came in. `query` reads the messages of clients; `upstream` checks whether a message answers the question. Bytes after
the last record are ignored, as by CoreDNS.

The work is linear in the bytes: each pointer must lead further back than the last and is followed once, a name has at
most 255 bytes, and reading stops where the bytes end, whatever the counts say. docs/decisions/0007 says why no library
is used.
"""

import struct
from collections.abc import Sequence
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
_ADDRESS_BYTES = {codes.A: 4, codes.AAAA: 16}
_MAX_TTL = 0x7FFFFFFF


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


def decode(message: bytes | memoryview) -> Message:
    """Decode a message. Raises Malformed, and nothing else, whatever the bytes are.

    The records of a truncated message must be whole too: check TC first to retry over TCP.
    """
    packet = bytes(message)
    try:
        return _decode(packet)
    except (IndexError, struct.error):  # a read beyond the end
        raise Malformed("message cut short") from None


def _decode(packet: bytes) -> Message:
    _, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(packet)
    if len(packet) > MAX_STREAM_BYTES:
        raise Malformed("message longer than 65535 bytes")
    if questions > 1:
        raise Malformed("more than one question")  # RFC 9619
    position = HEADER_BYTES
    question = b""
    names: dict[int, bytes] = {}  # expanded, by the offset that a pointer leads to
    owners: dict[int, bytes] = {}  # the same in lower case
    if questions:
        name, position = _name(packet, position, names)
        position += 4
        question = packet[HEADER_BYTES:position]
        if len(question) != len(name) + 4:
            raise Malformed("question cut short")
        names[HEADER_BYTES] = name
        owners[HEADER_BYTES] = name.lower()
    answer, position = _records(packet, position, answers, names, owners)
    authority: Sequence[Record] = ()
    if authorities:
        authority, position = _records(packet, position, authorities, names, owners)
    additional: list[Record] = []
    edns: Edns | None = None
    rcode = flags & 0xF
    for _ in range(additionals):
        if packet[position : position + 3] == _OPT_START:
            if edns is not None:
                raise Malformed("more than one OPT")
            rcode |= packet[position + 5] << 4
            edns, position = _edns(packet, position)
        else:
            more, position = _records(packet, position, 1, names, owners)
            additional += more
    if codes.OPT in [one.rtype for one in (*answer, *authority, *additional)]:
        raise Malformed("OPT outside of the additional section, or not at the root")  # RFC 6891 §6.1.1, §6.1.2
    return Message(packet[:2], flags, question, rcode, tuple(answer), tuple(authority), tuple(additional), edns)


def _records(
    packet: bytes, position: int, count: int, names: dict[int, bytes], owners: dict[int, bytes]
) -> tuple[list[Record], int]:
    """Return `count` records from `position` on, and where the last one ends."""
    records: list[Record] = []
    if not count:
        return records, position
    address_bytes, layouts = _ADDRESS_BYTES, rdata.LAYOUTS
    unpack = _FIXED.unpack_from
    size = len(packet)
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
        else:
            owner, fixed = _name(packet, position, names)
            # a length byte is at most 63, below every capital letter, so lowering the whole name leaves it as it is
            owner = owner.lower()
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
    return records, position


def _expand(packet: bytes, start: int, end: int, layout: tuple[int, ...], names: dict[int, bytes]) -> bytes:
    """Return the RDATA from `start` to `end` with its names expanded. Raises Malformed where it has another layout."""
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


def _name(packet: bytes, start: int, names: dict[int, bytes]) -> tuple[bytes, int]:
    """Return the name that begins at `start`, in the case received, and where it ends. Raises IndexError.

    `names` caches the name at each offset that a pointer leads to, so that no chain of pointers is followed twice.
    """
    position = fence = start
    parts: list[bytes] = []
    passed: list[tuple[int, int]] = []  # offsets of pointers followed, each with the number of parts before it
    end = name_bytes = 0
    while length := packet[position]:
        if length <= 63:
            position += 1 + length
            if name_bytes + position - start >= MAX_NAME_BYTES:
                raise Malformed("name longer than 255 bytes")
        elif length >= 0xC0:
            target = (length & 0x3F) << 8 | packet[position + 1]
            end = end or position + 2
            parts.append(packet[start:position])
            name_bytes += position - start
            if not HEADER_BYTES <= target < fence:
                raise Malformed("compression pointer that does not point back")
            known = names.get(target)
            if known is not None:
                parts.append(known)
                break
            if len(passed) == MAX_LABELS:
                raise Malformed("more compression pointers than a name has labels")
            passed.append((target, len(parts)))
            position = start = fence = target
        else:
            raise Malformed("reserved label type")
    else:
        position += 1
        if not parts:
            return packet[start:position], position
        parts.append(packet[start:position])
    name = b"".join(parts)
    if len(name) > MAX_NAME_BYTES:
        raise Malformed("name longer than 255 bytes")
    for target, before in passed:
        names[target] = b"".join(parts[before:])
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
