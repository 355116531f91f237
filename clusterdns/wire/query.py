"""Read a client's packet: drop it, refuse it, or return the query in it. The cheapest checks come first.

`decode` reads the messages of upstream servers. `chain.query` extends `QueryMessage` with what plugins need.
"""

import struct
from collections.abc import Callable
from typing import TypeVar

from clusterdns.wire import codes
from clusterdns.wire.edns import check_options, opt_record
from clusterdns.wire.header import (
    AA,
    CD,
    CLASSIC_UDP_BYTES,
    DO,
    HEADER_BYTES,
    MAX_LABELS,
    MAX_STREAM_BYTES,
    OPCODE_MASK,
    OPT_BYTES,
    OWN_UDP_BYTES,
    QR,
    RA,
    RD,
    TC,
    Malformed,
)
from clusterdns.wire.name import MAX_NAME_BYTES

# No client sets these flags, and a compiled answer for each combination would let attackers fill the answer table.
ODD_FLAGS = AA | TC | RA | 0x0040 | 0x000F

MAX_RECORDS_SKIPPED = 128  # of a packet that is refused; walking them takes less than a millisecond

_OPT_START = b"\0\0\x29"  # the root and the type

_HEADER = struct.Struct(">HHHHHH")
_OPT_FIXED = struct.Struct(">HHBBHH")  # type, UDP size, extended rcode, version, flags, length (RFC 6891 §6.1.2)
_RECORD_FIXED = struct.Struct(">HHIH")


class QueryMessage:
    """A client's question with the EDNS and transport properties that decide the bytes of its response.

    `name` is lower-case; `question` is name, type and class as received, so that the response repeats the client's 0x20
    case.
    """

    __slots__ = (
        "do", "flags", "has_edns", "id", "is_canonical", "name", "options", "packet", "qclass", "qtype", "question",
        "transport", "udp_bytes", "version",
    )  # fmt: skip

    packet: bytes
    id: bytes
    flags: int
    question: bytes
    name: bytes
    qtype: int
    qclass: int
    has_edns: bool
    udp_bytes: int  # the client's advertised size, as sent
    version: int
    do: bool
    options: bytes
    is_canonical: bool  # lower-case, without odd flags, options and trailing bytes: the answer may be compiled
    transport: str  # "udp" or "tcp"

    @property
    def size_limit(self) -> int:
        """The most bytes that the response may have."""
        if self.transport != "udp":
            return MAX_STREAM_BYTES
        if self.udp_bytes >= OWN_UDP_BYTES:
            return OWN_UDP_BYTES
        return max(self.udp_bytes, CLASSIC_UDP_BYTES)


Q = TypeVar("Q", bound=QueryMessage)


def read(packet: bytes, new: Callable[[], Q]) -> Q | bytes | None:
    """Read a packet into the query that `new` makes.

    Returns bytes, a whole response, for a query that cannot be answered, and None for a packet that must get no
    response (RFC 8906 §3, RFC 9619).
    """
    size = len(packet)
    if size < HEADER_BYTES:
        return None
    _, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(packet)
    if flags & QR:
        return None
    if flags & OPCODE_MASK:
        return _refusal(packet, flags, codes.NOTIMP)
    if questions != 1 or answers > 1 or authorities > 1 or additionals > 2:
        return _refusal(packet, flags, codes.FORMERR)
    try:
        end = _name_end(packet, HEADER_BYTES, size) + 4
        if end > size:
            raise Malformed("question cut short")
    except Malformed:
        return _refusal(packet, flags, codes.FORMERR)
    query = new()
    query.packet = packet
    query.id = packet[:2]
    query.flags = flags
    question = query.question = packet[12:end]
    raw_name = question[:-4]
    # a length byte is at most 63, below every capital letter, so lowering the whole name leaves it as it is
    name = query.name = raw_name.lower()
    query.qtype = (question[-4] << 8) | question[-3]
    query.qclass = (question[-2] << 8) | question[-1]
    query.has_edns = query.do = False
    query.udp_bytes = query.version = 0
    query.options = b""
    is_plain = name == raw_name and not flags & ODD_FLAGS
    query.is_canonical = is_plain and end == size
    has_plain_opt = size - end == OPT_BYTES and packet[end : end + 3] == _OPT_START
    if has_plain_opt and additionals == 1 and not answers and not authorities:
        # nearly every query with EDNS; `_read_records` would take three times as long
        query.has_edns = True
        _, query.udp_bytes, extended, query.version, edns_flags, options_bytes = _OPT_FIXED.unpack_from(packet, end + 1)
        if options_bytes and not query.version:
            return _refusal(packet, flags, codes.FORMERR, question)
        query.do = bool(edns_flags & DO)
        query.is_canonical = is_plain and not extended and not edns_flags & ~DO
    elif answers or authorities or additionals:
        try:
            _read_records(query, packet, end, answers + authorities, additionals)
        except (Malformed, struct.error):
            return _refusal(packet, flags, codes.FORMERR, question)
    return query


def _read_records(query: QueryMessage, packet: bytes, start: int, others: int, additionals: int) -> None:
    """Walk the records after the question and read the OPT. Raises Malformed and struct.error."""
    size = len(packet)
    has_odd_flags = bool(query.flags & ODD_FLAGS)
    for number in range(others + additionals):
        owner_end = _name_end(packet, start, size, pointers=True)
        rtype, _, _, length = _RECORD_FIXED.unpack_from(packet, owner_end)
        rdata = owner_end + 10
        end = rdata + length
        if end > size:
            raise Malformed("record cut short")
        if rtype == codes.OPT:
            if number < others or query.has_edns or owner_end != start + 1:
                raise Malformed(
                    "more than one OPT, or one outside of the additional section or not at the root"
                )  # RFC 6891 §6.1.1
            _, query.udp_bytes, extended, query.version, flags, _ = _OPT_FIXED.unpack_from(packet, owner_end)
            query.has_edns = True
            query.do = bool(flags & DO)
            has_odd_flags |= bool(extended or flags & ~DO)
            query.options = packet[rdata:end]
            if not query.version:  # a later version is BADVERS, whatever its options look like
                check_options(query.options)
        start = end
    query.is_canonical = (
        query.name == query.question[:-4] and start == size and query.has_edns and not query.options and additionals
        == 1 and not others and not has_odd_flags
    )  # fmt: skip


def _name_end(packet: bytes, start: int, size: int, *, pointers: bool = False) -> int:
    """Return where the name ends that begins at `start`. Raises Malformed.

    `pointers` allows compression, which a question cannot have because no name precedes it. Each pointer must lead
    further back than the last (RFC 1035 §4.1.4), so there are no loops; their number is bounded as well.
    """
    position = fence = start
    name_bytes = end = jumps = 0
    while position < size:
        length = packet[position]
        if not length:
            return end or position + 1
        if length <= 63:
            position += 1 + length
            name_bytes += 1 + length
            if name_bytes >= MAX_NAME_BYTES:
                raise Malformed("name longer than 255 bytes")
        elif pointers and length >= 0xC0 and position + 1 < size:
            end = end or position + 2
            position = (length & 0x3F) << 8 | packet[position + 1]
            if not HEADER_BYTES <= position < fence:
                raise Malformed("compression pointer that does not point back")
            fence = position
            jumps += 1
            if jumps > MAX_LABELS:
                raise Malformed("more compression pointers than a name has labels")
        else:
            raise Malformed("reserved label type")
    raise Malformed("name cut short")


def _refusal(packet: bytes, flags: int, rcode: int, question: bytes = b"") -> bytes:
    """Return a response without records but the OPT, where the query has one that can be found (RFC 6891 §7).

    It has the query's opcode, RD and CD, and the question (RFC 8906 §3.1).
    """
    opt = _own_opt(packet)
    return b"".join((
        packet[:2],
        _HEADER.pack(0, QR | flags & (OPCODE_MASK | RD | CD) | rcode, 1 if question else 0, 0, 0, 1 if opt else 0)[2:],
        question,
        opt,
    ))  # fmt: skip


def _own_opt(packet: bytes) -> bytes:
    """Return our OPT where the packet has an OPT in its additional section, else nothing; works without a full parse.

    The records are only walked, so that an OPT is found in a packet whose names, counts or options are malformed.
    """
    _, _, questions, answers, authorities, additionals = _HEADER.unpack_from(packet)
    if not additionals:
        return b""
    first_additional = questions + answers + authorities
    count = first_additional + additionals
    if count > MAX_RECORDS_SKIPPED:
        return b""
    position, size = HEADER_BYTES, len(packet)
    try:
        for number in range(count):
            position = _name_skipped(packet, position)
            if number < questions:
                position += 4
                continue
            rtype, _, _, _, edns_flags, length = _OPT_FIXED.unpack_from(packet, position)
            if rtype == codes.OPT and number >= first_additional:
                return opt_record(0, b"", do=bool(edns_flags & DO))
            position += _OPT_FIXED.size + length
            if position > size:
                break
    except (IndexError, struct.error):
        pass  # the packet ends before an OPT is found
    return b""


def _name_skipped(packet: bytes, position: int) -> int:
    """Return where the name ends that begins at `position`, without following pointers. Raises IndexError."""
    most = position + MAX_NAME_BYTES
    while (length := packet[position]) and length < 0xC0:
        position += 1 + length
        if position > most:
            raise IndexError("name longer than 255 bytes")
    return position + (2 if length else 1)
