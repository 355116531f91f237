"""The encoder: a response from a reply and its query, within the query's size limit.

Owner names are compressed against the question alone, so that each encoded record is valid wherever it stands in the
message, and the client's 0x20 case comes back by itself. Only a message that does not fit goes to `truncate`, which
compresses all names (`compress`) and then leaves out records. An `EncodedMessage` is joined to bytes once, or by
`answers` many times with the addresses in another order.
"""

import random
import struct
from collections.abc import Container, Sequence
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
from clusterdns.wire.record import SOA_SERIAL_FROM_END, Record
from clusterdns.wire.response import ResponseMessage
from clusterdns.wire.truncate import fit

QUESTION_POINTER = b"\xc0\x0c"
MIN_RECORD_BYTES = 11  # the root, type, class, TTL and length: no record is smaller

_FLAGS_COUNTS = struct.Struct(">HHHHH")


class EncodedMessage(NamedTuple):
    """A message without its ID, in parts: `head + fixed + any `shown` neighbours of `rotating` + rest`."""

    head: bytes  # flags, counts and question
    fixed: bytes  # the records of the answer that keep their place
    rotating: Sequence[bytes]  # the addresses at the end of the answer, one by one; empty where they do not rotate
    shown: int  # how many of them a message has
    rest: bytes  # authority, additional and OPT
    serial_from_end: int  # where the SOA serial begins, counted from the end of the message; 0: no current serial in it

    def message(self) -> bytes:
        """Return everything after the ID, the rotating records in their first order."""
        return b"".join((self.head, self.fixed, *self.rotating[: self.shown], self.rest))

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
    records: Sequence[Record] = ()
    addresses: Sequence[Record] = ()
    answer: Sequence[bytes] = ()
    rotating: Sequence[bytes] = ()
    is_too_large = False  # whatever follows the answer
    if reply.answer:
        records, addresses = _split_rotating(reply) if reply.rotates else (reply.answer, ())
        if for_reuse:
            rotating = _encode_records(query, reply, addresses)
        elif addresses:
            records, addresses = (*records, *_rotated(addresses, limit)), ()
        answer = _encode_records(query, reply, records[: limit // MIN_RECORD_BYTES + 1])
        is_too_large = len(answer) < len(records)
    authority: Sequence[bytes] = _encode_records(query, reply, reply.authority) if reply.authority else ()
    additional: Sequence[bytes] = ()
    if reply.additional and not is_too_large:
        additional = _encode_records(query, reply, reply.additional)
    shown = len(rotating)
    fixed = b"".join(answer)
    rest = b"".join((*authority, *additional, opt)) if authority or additional else opt
    rotating_bytes = sum(map(len, rotating)) if rotating else 0
    if HEADER_BYTES + len(question) + len(fixed) + rotating_bytes + len(rest) > limit:
        answer, rotating, shown, authority, additional, opt, is_truncated = fit(query, reply, records, addresses, opt)
        if is_truncated:
            flags |= TC
        fixed = b"".join(answer)
        rest = b"".join((*authority, *additional, opt))
    head = _FLAGS_COUNTS.pack(
        flags, 1, len(answer) + shown, len(authority), len(additional) + 1 if opt else len(additional)
    )
    serial_from_end = _serial_from_end(reply, answer, authority, opt) if reply.serial is not None else 0
    return EncodedMessage(head + question, fixed, rotating if shown else (), shown, rest, serial_from_end)


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
        for name, _, body in section:
            size += len(name) + len(body)
            if size > MAX_STREAM_BYTES:
                return size
    return size


def _encode_records(query: QueryMessage, reply: ResponseMessage, records: Sequence[Record]) -> list[bytes]:
    """Return each record with its owner name compressed against the question."""
    name, last = query.name, query.name
    prefix = QUESTION_POINTER
    serial = reply.serial
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


def _split_rotating(reply: ResponseMessage) -> tuple[Sequence[Record], Sequence[Record]]:
    """Return the records of the answer that keep their place (CNAMEs, or none), and the addresses that rotate.

    The addresses of an answer of ours are all of one name and type. An upstream's need not be: only the last run of one
    name and type rotates, because its encoded records must be of one size.
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


def _rotated(addresses: Sequence[Record], size_limit: int) -> Sequence[Record]:
    """Return as many neighbours as could fit, from a random one on."""
    start = random.randrange(len(addresses))
    most = min(len(addresses), size_limit // MIN_RECORD_BYTES + 1)
    return (*addresses[start : start + most], *addresses[: max(0, start + most - len(addresses))])


def _serial_from_end(reply: ResponseMessage, answer: Sequence[bytes], authority: Sequence[bytes], opt: bytes) -> int:
    """Return 0 unless an SOA is the last record but the OPT and has not been left out."""
    records, encoded = (reply.authority, authority) if reply.authority else (reply.answer, answer)
    if reply.additional or len(encoded) < len(records) or not records or records[-1].rtype != codes.SOA:
        return 0
    return SOA_SERIAL_FROM_END + len(opt)
