"""The question to an upstream: the parts of a client's query that shape the answer, and no other part.

`answer_key` says which queries may share a cached answer: those with the same name, type, class, RD, CD and DO. A
question under way is shared by fewer queries, those for which the same bytes are sent over the same kind of transport:
its key adds AD, whether there is an OPT, and the EDNS options. The parts of a query that concern one hop are left out:
its UDP size, and the EDNS options COOKIE, TCP-KEEPALIVE and PADDING (RFC 7873, 7828, 7830).

Against forged replies each letter of the name is sent in upper or lower case at random (0x20,
draft-vixie-dnsext-dns0x20), which a forger has to guess beside the ID and the port.
"""

import struct

from clusterdns.wire import codes
from clusterdns.wire.edns import iter_options, opt_record
from clusterdns.wire.header import AD, CD, HEADER_BYTES, RD
from clusterdns.wire.query import QueryMessage

FORWARDED_FLAGS = RD | AD | CD
_HOP_BY_HOP = frozenset({codes.COOKIE, codes.KEEPALIVE, codes.PADDING})
_HEADER = struct.Struct(">HHHHH")  # without the ID
_CASE_BITS = bytes(0x20 if 0x61 <= byte <= 0x7A else 0 for byte in range(256))  # the bit that makes a letter upper case
_REPLY_START = 0x80  # QR and the opcode QUERY, the upper five bits of the third byte
_REPLY_MASK = 0xF8
_ONE_QUESTION = b"\0\1"


def answer_key(query: QueryMessage) -> bytes:
    """Return the key that two queries have in common if a cached answer to one may be given to the other.

    Without RD an upstream may answer with a referral (RFC 1034 §4.3.1), with CD with data that fails validation, with
    DO with signatures (RFC 4035 §3.2). AD and the transport change no record: `cache` asks with AD and removes it for
    clients that did not (RFC 6840 §5.7), and it keeps no truncated reply. An ECS option does: `cache` answers no such
    query, and keeps only replies that are for all networks (RFC 7871 §7.3).
    """
    return query.name + query.question[-4:] + (query.flags & (RD | CD) | query.do).to_bytes(2, "big")


class Question:
    """One question to upstreams."""

    __slots__ = ("head", "is_stream", "key", "kind", "name", "tail")

    def __init__(
        self, name: bytes, kind: bytes, flags: int, edns: bytes | None = None, *, is_do: bool = False, is_stream: bool
    ) -> None:
        """`name` is lower-case; `kind` holds the bytes of type and class; `edns` the options, None without EDNS."""
        self.name = name
        self.kind = kind
        self.head = _HEADER.pack(flags, 1, 0, 0, 0 if edns is None else 1)
        self.tail = b"" if edns is None else opt_record(0, edns, do=is_do)
        self.is_stream = is_stream  # asked over TCP, where the upstream is asked over UDP otherwise
        self.key = (self.head, name + kind, self.tail, is_stream)  # no coarser than `answer_key`

    def message(self, message_id: bytes, name: bytes) -> bytes:
        """Make the whole message, with the name in the case given."""
        return b"".join((message_id, self.head, name, self.kind, self.tail))

    def is_answered_by(self, packet: bytes) -> bool:
        """Return whether a message is a reply to this question, whatever its ID and the case of its name."""
        end = HEADER_BYTES + len(self.name)
        return (
            len(packet) >= end + 4
            and packet[2] & _REPLY_MASK == _REPLY_START
            and packet[4:6] == _ONE_QUESTION
            and packet[end : end + 4] == self.kind
            and packet[HEADER_BYTES:end].lower() == self.name
        )


def question_of(query: QueryMessage, *, is_stream: bool) -> Question:
    """Make the question to ask for a client's query."""
    edns = end_to_end(query.options) if query.has_edns else None
    return Question(
        query.name, query.question[-4:], query.flags & FORWARDED_FLAGS, edns, is_do=query.do, is_stream=is_stream
    )


def randomize_case(name: bytes, random_bytes: bytes) -> bytes:
    """Put each letter of a lower-case name into upper case or not, as the random byte at its place says."""
    # a length byte is at most 63, below every letter, so the table leaves it as it is
    raised = int.from_bytes(name.translate(_CASE_BITS), "big") & int.from_bytes(random_bytes, "big")
    return (int.from_bytes(name, "big") ^ raised).to_bytes(len(name), "big")


def count_letters(name: bytes) -> int:
    """Count the letters of a lower-case name, each of which adds a bit to what a forger has to guess."""
    return len(name) - name.translate(_CASE_BITS).count(0)


def end_to_end(options: bytes) -> bytes:
    """Drop the EDNS options that concern one hop only; `options` holds whole options."""
    if not options:
        return options
    return b"".join([whole for code, whole in iter_options(options) if code not in _HOP_BY_HOP])
