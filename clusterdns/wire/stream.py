"""The messages of a zone transfer (RFC 5936 §2.2), each encoded when it is sent. `encode` makes all other responses.

A message has about 1 KiB of the 64 KiB that are allowed: the server answers other queries between two messages, and
the names of a cluster that fill one are looked up in 1 ms.
"""

import struct
from collections.abc import Iterable, Iterator

from clusterdns.wire.compress import Compressor
from clusterdns.wire.edns import opt_record
from clusterdns.wire.encode import reply_flags
from clusterdns.wire.header import MAX_STREAM_BYTES
from clusterdns.wire.query import QueryMessage
from clusterdns.wire.record import Record
from clusterdns.wire.response import ResponseMessage

MESSAGE_BYTES = 1 << 10

_COUNTS = struct.Struct(">HHHHH")


class FirstMessage(bytes):
    """The first message of several; `rest` yields the others."""

    rest: Iterator[bytes]


def transfer_messages(query: QueryMessage, reply: ResponseMessage, records: Iterable[Record]) -> FirstMessage:
    """Encode the first message of a transfer of these records, with the reply's code and flags."""
    rest = _messages(query, reply, records)
    first = FirstMessage(next(rest))
    first.rest = rest
    return first


def _messages(query: QueryMessage, reply: ResponseMessage, records: Iterable[Record]) -> Iterator[bytes]:
    opt = opt_record(reply.rcode, reply.options, do=query.do) if query.has_edns else b""
    flags = reply_flags(query, reply, reply.rcode)
    limit = MESSAGE_BYTES - len(opt)

    def message() -> bytes:
        head = _COUNTS.pack(flags, 1, len(encoded), 0, 1 if opt else 0)
        return b"".join((query.id, head, query.question, *encoded, opt))

    compressor = Compressor(query.question, limit, None)
    encoded: list[bytes] = []
    for record in records:
        one = compressor.encode((record,))
        if compressor.position > limit and encoded:
            yield message()
            compressor = Compressor(query.question, MAX_STREAM_BYTES - len(opt), None)
            one = compressor.encode((record,))  # the first record of a message may take the largest message
            compressor.limit = max(limit, compressor.position)
            encoded = []
        encoded += one
    yield message()
