"""What is asked of another server: everything of a client's query that shapes the answer, and nothing that does not.

Two queries with the same `key` get the same answer, so they are asked once. What belongs to one hop stays here: our UDP
size is our own, and the options COOKIE, TCP-KEEPALIVE and PADDING are between two neighbours (RFC 7873, 7828, 7830).
Against forged replies a name is asked in random letter case ("0x20", draft-vixie-dnsext-dns0x20), which a forger has to
guess beside the ID and the port.
"""

import struct

from clusterdns.wire import codes
from clusterdns.wire.edns import iter_options, opt_record
from clusterdns.wire.header import AD, CD, HEADER_BYTES, RD
from clusterdns.wire.query import QueryMessage

PASSED_FLAGS = RD | AD | CD
_HOP_BY_HOP = frozenset({codes.COOKIE, codes.KEEPALIVE, codes.PADDING})
_HEADER = struct.Struct(">HHHHH")  # without the ID
_LETTERS = bytes(0x20 if 0x61 <= byte <= 0x7A else 0 for byte in range(256))
_REPLY_START = 0x80  # QR and the opcode QUERY, the upper five bits of the third byte
_REPLY_MASK = 0xF8
_ONE_QUESTION = b"\0\1"


class Question:
    """One question to upstreams."""

    __slots__ = ("head", "is_stream", "key", "kind", "name", "tail")

    def __init__(
        self, name: bytes, kind: bytes, flags: int, edns: bytes | None = None, *, is_do: bool = False, is_stream: bool
    ) -> None:
        """`name` in lower case; `kind` are the bytes of type and class; `edns` are options, None without EDNS."""
        self.name = name
        self.kind = kind
        self.head = _HEADER.pack(flags, 1, 0, 0, 0 if edns is None else 1)
        self.tail = b"" if edns is None else opt_record(0, edns, do=is_do)
        self.is_stream = is_stream  # asked over TCP where the upstream leaves the choice
        self.key = (self.head, name + kind, self.tail, is_stream)

    def message(self, message_id: bytes, name: bytes) -> bytes:
        """The whole message, the name in the letters given."""
        return b"".join((message_id, self.head, name, self.kind, self.tail))

    def is_answered_by(self, packet: bytes) -> bool:
        """Whether a message is a reply to this question, whatever its ID and letter case."""
        end = HEADER_BYTES + len(self.name)
        return (
            len(packet) >= end + 4
            and packet[2] & _REPLY_MASK == _REPLY_START
            and packet[4:6] == _ONE_QUESTION
            and packet[end : end + 4] == self.kind
            and packet[HEADER_BYTES:end].lower() == self.name
        )


def question_of(query: QueryMessage, *, is_stream: bool) -> Question:
    """What to ask for a client's query."""
    edns = end_to_end(query.options) if query.has_edns else None
    return Question(
        query.name, query.question[-4:], query.flags & PASSED_FLAGS, edns, is_do=query.do, is_stream=is_stream
    )


def in_random_case(name: bytes, random_bytes: bytes) -> bytes:
    """A lower-case name, each letter raised or not as the random byte at its place says."""
    # a length byte is at most 63, below every letter, so it is no letter to the table
    letters = int.from_bytes(name.translate(_LETTERS), "big") & int.from_bytes(random_bytes, "big")
    return (int.from_bytes(name, "big") ^ letters).to_bytes(len(name), "big")


def letters_in(name: bytes) -> int:
    """How many letters a lower-case name has: so many bits random case adds to the ID."""
    return len(name) - name.translate(_LETTERS).count(0)


def end_to_end(options: bytes) -> bytes:
    """EDNS options, whole ones, without those that concern one hop only."""
    if not options:
        return options
    return b"".join([whole for code, whole in iter_options(options) if code not in _HOP_BY_HOP])
