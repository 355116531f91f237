"""The upstream of the benchmarks: slow, or a forger of replies.

The forger has more knowledge than an off-path attacker: the port, the name and the moment. It does not know the query's
ID and 0x20 case, so it sends every ID there is; a resolver that relies on the ID alone accepts one of them. Where speed
matters Knot is the upstream (`servers.resolver`).
"""

import itertools
import os
import random
from collections.abc import Iterator

from testing.upstream.server import Response, Source, UpstreamServer

GENUINE, FORGED = bytes((192, 0, 2, 1)), bytes((203, 0, 113, 66))
_HEADER_BYTES = 12
_RECORD = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4"  # A of the name asked, TTL 60
_A_IN = b"\0\1\0\1"
_IDS = 1 << 16


class BenchUpstream(UpstreamServer):
    """Answers every name with the same address, after a pause and after forged replies."""

    def __init__(self, pause_seconds: float = 0, forgery_count: int = 0) -> None:
        super().__init__()
        self.query_count = 0
        self._pause_seconds = pause_seconds
        self._forgery_count = forgery_count
        self._random = random.Random(7)

    def respond(self, query: bytes, source: Source) -> Response:
        """Send the forged replies, over UDP, and the genuine one."""
        self.query_count += 1
        genuine = reply_to(query, GENUINE)
        if not self._forgery_count or source.transport != "udp":
            return Response([genuine], self._pause_seconds)
        return Response(itertools.chain(forgeries(query, self._forgery_count, self._random), [genuine]))

    def forget(self) -> None:
        """Begin all counts anew."""
        super().forget()
        self.query_count = 0


def question_end(message: bytes) -> int:
    """Return the offset of the end of a message's question."""
    end = _HEADER_BYTES
    while message[end]:
        end += 1 + message[end]
    return end + 5


def reply_to(query: bytes, address: bytes, message_id: bytes | None = None, question: bytes | None = None) -> bytes:
    """Make a reply with one address; the ID and the question are the query's unless given."""
    if question is None:
        question = query[_HEADER_BYTES : question_end(query)]
    return (message_id or query[:2]) + b"\x81\x80\0\1\0\1\0\0\0\0" + question + _RECORD + address


def forgeries(query: bytes, count: int, rng: random.Random) -> Iterator[bytes]:
    """Make replies with a forged address; none for health checks and the probes of `loop`.

    Every ID comes once, with the name in lower case, in random order. The rest of `count` has the query's ID and either
    another question or bytes that are not a message.
    """
    question = query[_HEADER_BYTES : question_end(query)]
    name, type_and_class = question[:-4], question[-4:]
    if type_and_class != _A_IN:
        return
    lower = name.lower() + type_and_class
    ids = list(range(_IDS))
    rng.shuffle(ids)
    for message_id in ids[:count]:
        yield reply_to(query, FORGED, message_id.to_bytes(2, "big"), lower)
    others = (
        reply_to(query, FORGED, question=b"\x05other" + name[1 + name[0] :] + type_and_class),
        reply_to(query, FORGED, question=name + b"\0\x1c\0\1"),
        query[:2] + os.urandom(40),
        query[:7],
    )
    for number in range(count - _IDS):
        yield others[number % len(others)]
