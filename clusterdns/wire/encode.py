"""The only encoder: a reply's sections, laid out for one query within its size limit.

`lay_out` decides what fits; a `Layout` can then be joined to a message, once or (in `answers`) many times with the
addresses in another order. Owner names are compressed against the question alone, so each piece of a layout is valid
wherever it stands, and the client's letter case comes back by itself; only a message that would not fit otherwise is
laid out again with `compress`, and what does not fit even then is cut off.
"""

import random
import struct
from collections.abc import Container, Sequence
from typing import NamedTuple

from clusterdns.wire import codes
from clusterdns.wire.compress import Compressor
from clusterdns.wire.edns import iter_options, opt_record
from clusterdns.wire.header import (
    AA,
    AD,
    CD,
    HEADER_BYTES,
    MAX_STREAM_BYTES,
    OPCODE_MASK,
    OPT_BYTES,
    QR,
    RA,
    RD,
    TC,
)
from clusterdns.wire.name import is_under, longest_suffix, suffixes
from clusterdns.wire.query import QueryMessage
from clusterdns.wire.record import SOA_SERIAL_FROM_END, Record
from clusterdns.wire.response import ResponseMessage

QUESTION_POINTER = b"\xc0\x0c"
MIN_RECORD_BYTES = 11  # the root, type, class, TTL and length: no record is smaller

_FLAGS_COUNTS = struct.Struct(">HHHHH")


class _Pieces(NamedTuple):
    """The sections of a message, encoded; `turning` is the end of the answer, of which `window` pieces are shown."""

    answer: Sequence[bytes]
    turning: Sequence[bytes]
    window: int
    authority: Sequence[bytes]
    additional: Sequence[bytes]

    def size(self) -> int:
        return sum(map(len, (*self.answer, *self.turning, *self.authority, *self.additional)))


class Layout(NamedTuple):
    """A message in pieces: `head + fixed + any `window` neighbours of the ring `turning` + rest`, the ID left out.

    `serial_at` is the offset of the SOA serial counted from the end of the message; 0 where no moving serial is inside.
    """

    head: bytes
    fixed: bytes
    turning: Sequence[bytes]
    window: int
    rest: bytes
    serial_at: int

    def message(self) -> bytes:
        """Everything after the ID, the turning records as they stand."""
        return b"".join((self.head, self.fixed, *self.turning[: self.window], self.rest))

    @property
    def is_cut(self) -> bool:
        """Whether the header has TC."""
        return bool(int.from_bytes(self.head[:2], "big") & TC)


def lay_out(query: QueryMessage, reply: ResponseMessage, *, will_turn: bool = False) -> Layout:
    """Fit a reply to its query: whole records from the front, and TC when any had to go (RFC 2181 §9).

    A layout that is to be used often keeps all addresses of a rotating reply (`will_turn`); for a single use they are
    turned here, and no more of them are encoded than can fit.
    """
    rcode = reply.rcode if reply.rcode < 16 or query.has_edns else codes.SERVFAIL  # the OPT has the upper bits
    flags = reply_flags(query, reply, rcode)
    opt = opt_record(rcode, reply.options, do=query.do) if query.has_edns else b""
    question, limit = query.question, query.size_limit
    records: Sequence[Record] = ()
    ring: Sequence[Record] = ()
    answer: Sequence[bytes] = ()
    turning: Sequence[bytes] = ()
    is_larger = False  # than could ever fit, so that what comes after the answer need not be looked at
    if reply.answer:
        records, ring = _split(reply) if reply.rotates else (reply.answer, ())
        if will_turn:
            turning = _pieces(query, reply, ring)
        elif ring:
            records, ring = (*records, *_turned(ring, limit)), ()
        answer = _pieces(query, reply, records[: limit // MIN_RECORD_BYTES + 1])
        is_larger = len(answer) < len(records)
    authority: Sequence[bytes] = _pieces(query, reply, reply.authority) if reply.authority else ()
    additional: Sequence[bytes] = _pieces(query, reply, reply.additional) if reply.additional and not is_larger else ()
    window = len(turning)
    fixed = b"".join(answer)
    rest = b"".join((*authority, *additional, opt)) if authority or additional else opt
    turning_bytes = sum(map(len, turning)) if turning else 0
    if HEADER_BYTES + len(question) + len(fixed) + turning_bytes + len(rest) > limit:
        (answer, turning, window, authority, additional), opt, is_cut = _squeezed(query, reply, records, ring, opt)
        if is_cut:
            flags |= TC
        fixed = b"".join(answer)
        rest = b"".join((*authority, *additional, opt))
    head = _FLAGS_COUNTS.pack(
        flags, 1, len(answer) + window, len(authority), len(additional) + 1 if opt else len(additional)
    )
    serial_at = _serial_at(reply, answer, authority, opt) if reply.serial is not None else 0
    return Layout(head + question, fixed, turning if window else (), window, rest, serial_at)


def reply_flags(query: QueryMessage, reply: ResponseMessage, rcode: int) -> int:
    """The second 16 bits of the header."""
    flags = QR | query.flags & (OPCODE_MASK | RD | CD) | rcode & 0xF
    if reply.is_authoritative:
        flags |= AA
    if reply.recursion_available:
        flags |= RA
    if reply.is_truncated:
        flags |= TC
    if reply.is_authentic:
        flags |= AD
    return flags


def uncompressed_size(query: QueryMessage, reply: ResponseMessage) -> int:
    """The bytes a reply would have without compression, truncation and OPT: what CoreDNS logs and counts.

    Counting ends where no message could be larger, so that a Service of ten thousand endpoints costs no more.
    """
    size = HEADER_BYTES + len(query.question)
    for section in (reply.answer, reply.authority, reply.additional):
        for name, _, body in section:
            size += len(name) + len(body)
            if size > MAX_STREAM_BYTES:
                return size
    return size


def _pieces(query: QueryMessage, reply: ResponseMessage, records: Sequence[Record]) -> list[bytes]:
    name, last = query.name, query.name
    prefix = QUESTION_POINTER
    serial = reply.serial
    pieces = []
    ancestors: frozenset[bytes] | None = None
    for owner, rtype, body in records:
        if rtype == codes.SOA and serial is not None:
            body = body[:-SOA_SERIAL_FROM_END] + serial.wire + body[4 - SOA_SERIAL_FROM_END :]
        if owner != last:  # the records of an RRset share their owner
            last = owner
            if owner == name:
                prefix = QUESTION_POINTER
            elif len(records) == 1 and is_under(name, owner):  # the SOA of a denial: one pointer, without a look-up
                prefix = (0xC000 | HEADER_BYTES + len(name) - len(owner)).to_bytes(2, "big")
            else:
                if ancestors is None:
                    ancestors = frozenset(suffixes(name)[:-1])  # a pointer to the root would be longer than the root
                prefix = _compress(owner, name, ancestors)
        pieces.append(prefix + body)
    return pieces


def _squeezed(
    query: QueryMessage, reply: ResponseMessage, records: Sequence[Record], ring: Sequence[Record], opt: bytes
) -> tuple[_Pieces, bytes, bool]:
    """A message that is too large with all names compressed, and if need be cut: its sections, its OPT, and if so.

    Explanations go before records do, and going is told by TC as well (RFC 8914 §3).
    """
    limit = query.size_limit
    compressor = Compressor(query.question, limit, reply.serial)
    answer = compressor.pieces(records)
    turning = compressor.turning(ring)
    whole = _Pieces(answer, turning, len(ring), compressor.pieces(reply.authority), compressor.pieces(reply.additional))
    is_whole = compressor.position <= limit  # beyond it the compressor takes nothing more
    space = limit - HEADER_BYTES - len(query.question)
    if is_whole and whole.size() + len(opt) <= space:
        return whole, opt, False
    if len(opt) > OPT_BYTES:
        opt = opt_record(reply.rcode, _without_explanations(reply.options), do=query.do)
        if len(opt) > space:
            opt = opt_record(reply.rcode, b"", do=query.do)
        if is_whole and whole.size() + len(opt) <= space:
            return whole, opt, True
    return _cut(space - len(opt), whole, len(records)), opt, True


def _without_explanations(options: bytes) -> bytes:
    """The EDNS options without extended errors."""
    return b"".join([whole for code, whole in iter_options(options) if code != codes.EDE])


def _compress(owner: bytes, name: bytes, ancestors: Container[bytes]) -> bytes:
    """The owner name with its longest suffix that the question's name also has as a pointer (RFC 1035 §4.1.4)."""
    suffix = longest_suffix(owner, ancestors)
    if suffix is None:
        return owner
    pointer = 0xC000 | HEADER_BYTES + len(name) - len(suffix)
    return owner[: len(owner) - len(suffix)] + pointer.to_bytes(2, "big")


def _split(reply: ResponseMessage) -> tuple[Sequence[Record], Sequence[Record]]:
    """The answer in two: what stands, a chain of aliases or nothing, and the run of addresses that ends it.

    Our own addresses of one answer are all of one name and type; an upstream's need not be, and only a run that is
    can turn as pieces of one size.
    """
    records = reply.answer
    if reply.is_upstream:
        start = len(records)
        last = records[-1]
        if last.rtype in codes.ADDRESS_TYPES:
            while start and records[start - 1].rtype == last.rtype and records[start - 1].name == last.name:
                start -= 1
    else:
        start = next((number for number, one in enumerate(records) if one.rtype in codes.ADDRESS_TYPES), len(records))
    return records[:start], records[start:]


def _turned(ring: Sequence[Record], size_limit: int) -> Sequence[Record]:
    """As many neighbours of the ring as could fit, from a random one on."""
    start = random.randrange(len(ring))
    most = min(len(ring), size_limit // MIN_RECORD_BYTES + 1)
    return (*ring[start : start + most], *ring[: max(0, start + most - len(ring))])


def _cut(space: int, whole: _Pieces, answer_count: int) -> _Pieces:
    """What fits of each section, whole records from the front; a section is begun only when all before it fitted."""
    answer, turning, window, authority, additional = whole
    kept, space = _take(answer, space)
    if len(kept) < answer_count:
        return _Pieces(kept, (), 0, (), ())
    turning_bytes = sum(map(len, turning))
    if turning_bytes > space:
        # as many as fit wherever the ring begins, so that every rotation shows the same number
        return _Pieces(kept, turning, space // max(map(len, turning)), (), ())
    kept_authority, space = _take(authority, space - turning_bytes)
    if len(kept_authority) < len(authority):
        return _Pieces(kept, turning, window, kept_authority, ())
    return _Pieces(kept, turning, window, authority, _take(additional, space)[0])


def _take(pieces: Sequence[bytes], space: int) -> tuple[Sequence[bytes], int]:
    """As many pieces from the front as fit, and the space that is left."""
    for number, piece in enumerate(pieces):
        if len(piece) > space:
            return pieces[:number], space
        space -= len(piece)
    return pieces, space


def _serial_at(reply: ResponseMessage, answer: Sequence[bytes], authority: Sequence[bytes], opt: bytes) -> int:
    """How far from the end the serial is, where the SOA is the last record but the OPT and has not been cut off."""
    records, pieces = (reply.authority, authority) if reply.authority else (reply.answer, answer)
    if reply.additional or len(pieces) < len(records) or not records or records[-1].rtype != codes.SOA:
        return 0
    return SOA_SERIAL_FROM_END + len(opt)
