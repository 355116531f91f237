"""A DNS server that does what the labels of the name asked say.

    with ScriptedUpstream() as upstream:
        ...                                          # forward . {upstream.address}
        assert upstream.count("www.example.org") == 1

`testing.upstream.words` lists the words that may be labels. `always` adds words to every query of the server
(`upstream.always = ("servfail",)`), `script` replaces the labels of one name. The server keeps what it received, 0x20
case included.
"""

import ssl
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.rdatatype

from testing.ports import LOOPBACK
from testing.upstream.faults import committed
from testing.upstream.reply import compose
from testing.upstream.server import Response, Source, UpstreamServer
from testing.upstream.words import CountedWords, words_of


class ReceivedQuery(NamedTuple):
    """One query as it arrived."""

    transport: str  # udp, tcp, tls
    name_text: str  # in the case it was asked in
    qtype: str
    flags: frozenset[str]  # of the header, Z and the response code included, and DO
    udp_bytes: int  # the size that EDNS offers, 0 without
    options: tuple[tuple[int, bytes], ...]  # code and content
    message_id: int
    port: int  # the client's
    at: float  # time.monotonic()
    connection: int  # counted from 1; 0 for UDP


class ScriptedUpstream(UpstreamServer):
    """The server, and the queries that it received."""

    def __init__(
        self,
        host: str = LOOPBACK,
        *,
        mark: int | None = None,
        always: Iterable[str] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`mark` is a part of every address in its answers, which so identifies the server."""
        super().__init__(host, tls)
        self.always: tuple[str, ...] = tuple(always)  # words for every query, those of health checks included
        self.received: list[ReceivedQuery] = []
        self._mark = mark
        self._scripts: dict[str, deque[tuple[str, ...]]] = defaultdict(deque)
        self._counted = CountedWords()

    def script(self, name_text: str, *turns: str) -> None:
        """Set the words (`"nxdomain ttl-5"`) of each next query for a name; afterwards its labels count again."""
        self._scripts[_folded(name_text)].extend(tuple(turn.split()) for turn in turns)

    def count(self, name_text: str | None = None, qtype: str | None = None, transport: str | None = None) -> int:
        """Count the queries for a name (in any case), of a type, over a transport."""
        return len(self.queries(name_text, qtype, transport))

    def queries(
        self, name_text: str | None = None, qtype: str | None = None, transport: str | None = None
    ) -> list[ReceivedQuery]:
        """Return those queries, in the order of their arrival."""
        return [
            one
            for one in list(self.received)
            if (name_text is None or _folded(one.name_text) == _folded(name_text))
            and (qtype is None or one.qtype == qtype)
            and (transport is None or one.transport == transport)
        ]

    def forget(self) -> None:
        """Begin all counts anew, those of counted words too."""
        super().forget()
        self.received.clear()
        self._counted = CountedWords()

    def respond(self, query: bytes, source: Source) -> Response | None:
        """Make the response that the words of the name ask for; None to bytes that are not a query."""
        try:
            message = dns.message.from_wire(query)
        except dns.exception.DNSException:
            return None
        if not message.question or message.flags & dns.flags.QR:
            return None
        received = _received(message, source)
        self.received.append(received)
        folded = _folded(received.name_text)
        turns = self._scripts.get(folded)
        texts = turns.popleft() if turns else [label.decode("latin-1") for label in message.question[0].name.labels]
        words = self._counted.use(words_of([*self.always, *texts]), folded, received.qtype)
        reply = compose(message, words, self._mark, is_udp=source.transport == "udp")
        return committed(message, words, reply, source.transport)


def _received(message: dns.message.Message, source: Source) -> ReceivedQuery:
    flags = {flag.name for flag in dns.flags.Flag if message.flags & flag}
    flags |= {name for name, bits in (("Z", 0x0040), ("RCODE", 0x000F)) if message.flags & bits}
    if message.edns >= 0 and message.ednsflags & dns.flags.DO:
        flags.add("DO")
    return ReceivedQuery(
        source.transport,
        message.question[0].name.to_text(),
        dns.rdatatype.to_text(message.question[0].rdtype),
        frozenset(str(flag) for flag in flags),
        message.payload if message.edns >= 0 else 0,
        tuple((int(option.otype), option.to_wire() or b"") for option in message.options),
        message.id,
        source.port,
        time.monotonic(),
        source.connection,
    )


def _folded(name_text: str) -> str:
    return name_text.lower().rstrip(".")
