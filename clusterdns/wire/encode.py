"""The encoder: a response from a reply and its query, within the query's size limit.

Owner names are compressed against the question alone, so that each encoded record is valid wherever it stands in the
message, and the client's 0x20 case comes back by itself. Only a message that does not fit goes to `truncate`, which
compresses all names (`compress`) and then leaves out records. An `EncodedMessage` is joined to bytes once, or by
`answers` many times with the addresses in another order.
"""

import struct
from collections.abc import Container, Sequence
from random import randrange
from typing import NamedTuple

from clusterdns.wire import codes
from clusterdns.wire.edns import opt_record
from clusterdns.wire.header import (
    AA,
    AD,
    CD,
    HEADER_BYTES,
    MAX_STREAM_BYTES,
    OPCODE_MASK,
    QR,
    RA,
    RD,
    TC,
)
from clusterdns.wire.name import is_under, longest_suffix, suffixes
from clusterdns.wire.query import QueryMessage
from clusterdns.wire.record import SOA_SERIAL_FROM_END, Record, body_of, name_of
from clusterdns.wire.response import ResponseMessage
from clusterdns.wire.runs import (
    MIN_RUN,
    NO_ROTATION,
    POINTER_BYTES,
    RUNS,
    RecordRun,
    RotatingRecords,
    least_bytes,
    pieces_of,
    split_run,
)
from clusterdns.wire.truncate import fit

QUESTION_POINTER = b"\xc0\x0c"
MANY_RECORDS = 256
MIN_RECORD_BYTES = 11  # the root, type, class, TTL and length: no record is smaller

_FLAGS_COUNTS = struct.Struct(">HHHHH")


class EncodedMessage(NamedTuple):
    """A message without its ID, in parts: `head + fixed + neighbours among `rotating` + rest`."""

    head: bytes  # flags, counts and question
    fixed: bytes  # the records of the answer that keep their place
    rotating: RotatingRecords  # the addresses at the end of the answer; without records where they do not rotate
    rest: bytes  # authority, additional and OPT
    serial_from_end: int  # where the SOA serial begins, counted from the end of the message; 0: no current serial in it

    def message(self) -> bytes:
        """Return everything after the ID, the rotating records in their first order."""
        return b"".join((self.head, self.fixed, self.rotating.first() if self.rotating.wire else b"", self.rest))

    @property
    def is_truncated(self) -> bool:
        """Whether the header has TC."""
        return bool(int.from_bytes(self.head[:2], "big") & TC)


def encode(query: QueryMessage, reply: ResponseMessage, *, for_reuse: bool = False) -> EncodedMessage:
    """Encode a reply to this query: whole records from the front, and TC when any had to go (RFC 2181 §9).

    With `for_reuse` a message keeps all addresses of a reply that rotates, for `answers` to choose from; else they are
    rotated here, and no more of them are encoded than can fit.
    """
    rcode = reply.rcode if reply.rcode < 16 or query.has_edns else codes.SERVFAIL  # the OPT has the upper bits
    flags = reply_flags(query, reply, rcode)
    opt = opt_record(rcode, reply.options, do=query.do) if query.has_edns else b""
    question, limit = query.question, query.size_limit
    records: Sequence[Record] = reply.answer
    addresses: Sequence[Record] = ()
    answer: Sequence[bytes] = ()
    authority: Sequence[bytes] = ()
    additional: Sequence[bytes] = ()
    rotating = NO_ROTATION
    if reply.rotates and records:
        records, addresses = _split_rotating(reply, limit, for_reuse=for_reuse)
    most = limit // MIN_RECORD_BYTES + 1
    size = HEADER_BYTES + len(question) + len(opt)
    if type(reply.answer) in RUNS or type(reply.additional) in RUNS:
        size += least_bytes(records, addresses, reply.additional)
    elif len(records) > MANY_RECORDS:  # names in RDATA need compression, mostly: the owner names may wait for it
        several = records[:most]
        least_owner = min(POINTER_BYTES, *map(len, set(map(name_of, several))))
        size += sum(map(len, map(body_of, several))) + least_owner * len(several)
    if size <= limit:
        if addresses:
            rotating = _encode_rotating(query, reply, addresses)
        if records:
            answer = _encode_records(query, reply, records[:most])
        if reply.authority and len(answer) == len(records):
            authority = _encode_records(query, reply, reply.authority[:most])
        if reply.additional and len(authority) == len(reply.authority):
            additional = _encode_records(query, reply, reply.additional[:most])
        fixed = b"".join(answer)
        rest = b"".join((*authority, *additional, opt)) if authority or additional else opt
        size = HEADER_BYTES + len(question) + len(fixed) + len(rotating.wire) + len(rest)
    if size > limit:
        answer, rotating, authority, additional, opt, is_truncated = fit(query, reply, records, addresses, opt)
        if is_truncated:
            flags |= TC
        fixed = b"".join(answer)
        rest = b"".join((*authority, *additional, opt))
    head = _FLAGS_COUNTS.pack(
        flags, 1, len(answer) + rotating.shown, len(authority), len(additional) + 1 if opt else len(additional)
    )
    serial_from_end = _serial_from_end(reply, answer, authority, opt) if reply.serial is not None else 0
    return EncodedMessage(head + question, fixed, rotating, rest, serial_from_end)


def reply_flags(query: QueryMessage, reply: ResponseMessage, rcode: int) -> int:
    """Return the flags of the header, with opcode and response code."""
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
    """Return the bytes of a reply without compression, truncation and OPT, which CoreDNS logs and counts.

    Counting stops beyond the largest message, which bounds the work for a Service of ten thousand endpoints.
    """
    size = HEADER_BYTES + len(query.question)
    for section in (reply.answer, reply.authority, reply.additional):
        for piece in pieces_of(section):
            if type(piece) is RecordRun:
                size += piece.wire_bytes
                continue
            for name, _, body in piece:
                size += len(name) + len(body)
                if size > MAX_STREAM_BYTES:
                    return size
    return size


def _encode_records(query: QueryMessage, reply: ResponseMessage, records: Sequence[Record]) -> list[bytes]:
    """Return each record with its owner name compressed against the question."""
    name, last = query.name, query.name
    prefix = QUESTION_POINTER
    if type(records) in RUNS:
        return _encode_pieces(query, reply, pieces_of(records))
    serial = reply.serial
    if len(records) >= MIN_RUN and serial is None and len(set(map(name_of, records))) == 1:
        prefix = _written_owner(records[0].name, name)
        return [prefix + body for body in map(body_of, records)]
    encoded = []
    ancestors: frozenset[bytes] | None = None
    for owner, rtype, body in records:
        if rtype == codes.SOA and serial is not None:
            body = body[:-SOA_SERIAL_FROM_END] + serial.wire + body[4 - SOA_SERIAL_FROM_END :]
        if owner != last:  # the records of an RRset share their owner
            last = owner
            if owner == name:
                prefix = QUESTION_POINTER
            elif len(records) == 1 and is_under(name, owner):  # the SOA of a negative answer: a pointer alone
                prefix = (0xC000 | HEADER_BYTES + len(name) - len(owner)).to_bytes(2, "big")
            else:
                if ancestors is None:
                    ancestors = frozenset(suffixes(name)[:-1])  # a pointer to the root would be longer than the root
                prefix = _compress(owner, name, ancestors)
        encoded.append(prefix + body)
    return encoded


def _compress(owner: bytes, name: bytes, ancestors: Container[bytes]) -> bytes:
    """Return the owner name with the longest suffix that the question's name shares as a pointer (RFC 1035 §4.1.4)."""
    suffix = longest_suffix(owner, ancestors)
    if suffix is None:
        return owner
    pointer = 0xC000 | HEADER_BYTES + len(name) - len(suffix)
    return owner[: len(owner) - len(suffix)] + pointer.to_bytes(2, "big")


def _encode_pieces(query: QueryMessage, reply: ResponseMessage, pieces: Sequence[Sequence[Record]]) -> list[bytes]:
    encoded = []
    for piece in pieces:
        if type(piece) is RecordRun:
            encoded += piece.encoded(_written_owner(piece.name, query.name), piece.end)
        else:
            encoded += _encode_records(query, reply, piece)
    return encoded


def _encode_rotating(query: QueryMessage, reply: ResponseMessage, addresses: Sequence[Record]) -> RotatingRecords:
    if type(addresses) is RecordRun:
        return addresses.rotating(_written_owner(addresses.name, query.name))
    encoded = _encode_records(query, reply, addresses)
    return RotatingRecords(b"".join(encoded), len(encoded[0]), len(encoded))


def _written_owner(owner: bytes, name: bytes) -> bytes:
    return QUESTION_POINTER if owner == name else _compress(owner, name, frozenset(suffixes(name)[:-1]))


def _split_rotating(
    reply: ResponseMessage, size_limit: int, *, for_reuse: bool
) -> tuple[Sequence[Record], Sequence[Record]]:
    """Return the records of the answer that keep their place (CNAMEs, or none), and the addresses that rotate.

    The addresses of an answer of ours are all of one name and type. An upstream's need not be: only the last run of one
    name and type rotates, because its encoded records must be of one size. Unless the answer is for reuse, a few
    addresses are rotated here, and keep their new place.
    """
    records = reply.answer
    large = split_run(records)
    if large is not None:
        before, run = large
        return before, run if for_reuse else run.neighbours(randrange(len(run)), size_limit // MIN_RECORD_BYTES + 1)
    if reply.is_upstream:
        start = len(records)
        last = records[-1]
        if last.rtype in codes.ADDRESS_TYPES:
            while start and records[start - 1].rtype == last.rtype and records[start - 1].name == last.name:
                start -= 1
    else:
        start = next((number for number, one in enumerate(records) if one.rtype in codes.ADDRESS_TYPES), len(records))
    before, addresses = records[:start], records[start:]
    if for_reuse or not addresses:
        return before, addresses
    return (*before, *_rotated(addresses, size_limit)), ()


def _rotated(addresses: Sequence[Record], size_limit: int) -> Sequence[Record]:
    """Return as many neighbours as could fit, from a random one on."""
    start = randrange(len(addresses))
    most = min(len(addresses), size_limit // MIN_RECORD_BYTES + 1)
    return (*addresses[start : start + most], *addresses[: max(0, start + most - len(addresses))])


def _serial_from_end(reply: ResponseMessage, answer: Sequence[bytes], authority: Sequence[bytes], opt: bytes) -> int:
    """Return 0 unless an SOA is the last record but the OPT and has not been left out."""
    records, encoded = (reply.authority, authority) if reply.authority else (reply.answer, answer)
    if reply.additional or len(encoded) < len(records) or not records or records[-1].rtype != codes.SOA:
        return 0
    return SOA_SERIAL_FROM_END + len(opt)
