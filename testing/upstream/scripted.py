"""A DNS server that answers by script, over UDP, TCP and TLS on one port of loopback, in a thread of its own.

    with Upstream() as upstream:
        ...                                          # forward . {upstream.address}
        assert upstream.count("www.example.org") == 1

The labels of the name asked decide the reply (`testing.upstream.words` lists the words), then `always` for the whole
server (`upstream.always = ("servfail",)`), then `say` for one name. It keeps every question, 0x20 case included.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
import time
from collections import defaultdict, deque
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zonefile

from testing.loop_thread import LoopThread
from testing.ports import free_ports
from testing.upstream.words import Holding, Records, Words, compose, words_of

BACKLOG = 2_000
GARBAGE = bytes(range(0x80, 0x80 + 40))
RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: the end of the connection is a reset


class Question(NamedTuple):
    """One query as it arrived."""

    transport: str  # udp, tcp, tls
    name_text: str  # in the letters it was asked in
    qtype: str
    flags: frozenset[str]  # RD, AD, CD, DO
    udp_bytes: int  # what EDNS promises, 0 without
    options: tuple[tuple[int, bytes], ...]  # code and content
    message_id: int
    port: int  # of the one who asks
    at: float  # time.monotonic()
    connection: int  # which of the connections, counted from 1; 0 for UDP


@dataclass(frozen=True)
class Said:
    """What goes back for one query: messages in order, after a pause; or what happens to the connection."""

    messages: tuple[bytes, ...]
    pause_seconds: float = 0.0
    ending: str = ""  # hang, half, reset, close


class Upstream:
    """The server. `address` is `host:port`. `tls` makes the TCP side of a second port speak TLS."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        mark: int | None = None,
        always: Iterable[str] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.host, self.port, self.tls_port = host, port, 0
        self.always: tuple[str, ...] = tuple(always)  # words for every query, those of health checks included
        self.asked: list[Question] = []
        self.connections = 0  # over TCP and TLS, ever
        self.most_open = 0  # at one time
        self._open = 0
        self._records = Records({}, mark)
        self._sayings: dict[str, deque[tuple[str, ...]]] = defaultdict(deque)
        self._holding = Holding()
        self._tls = tls
        self._thread = LoopThread("upstream")
        self._loop = self._thread.loop
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening: list[socket.socket] = []
        self._accepted: set[socket.socket] = set()
        self._udp: asyncio.DatagramTransport

    @property
    def address(self) -> str:
        """Where it listens over UDP and TCP."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def tls_address(self) -> str:
        """Where it listens for TLS."""
        return f"tls://{self.host}:{self.tls_port}"

    # The script

    def hold(self, text: str) -> "Upstream":
        """Records in zone-file lines, given as they are to whoever asks for them, CNAMEs followed."""
        for rrset in dns.zonefile.read_rrsets(text, rdclass=None, origin=dns.name.root, default_ttl=300):
            self._records.held[rrset.name, rrset.rdtype] = rrset
        return self

    def say(self, name_text: str, *turns: str) -> None:
        """For one name the words (`"nxdomain ttl-5"`) of each next query, before its labels count again."""
        self._sayings[_folded(name_text)].extend(tuple(turn.split()) for turn in turns)

    # What it was asked

    def count(self, name_text: str | None = None, qtype: str | None = None, transport: str | None = None) -> int:
        """How many queries came for a name (in whatever letters), a type, over a transport."""
        return len(self.questions(name_text, qtype, transport))

    def questions(
        self, name_text: str | None = None, qtype: str | None = None, transport: str | None = None
    ) -> list[Question]:
        """Those queries, in the order they came."""
        return [
            one
            for one in list(self.asked)
            if (name_text is None or _folded(one.name_text) == _folded(name_text))
            and (qtype is None or one.qtype == qtype)
            and (transport is None or one.transport == transport)
        ]

    def forget(self) -> None:
        """Start counting, and the words that hold a number of times, anew."""
        self.asked.clear()
        self._holding = Holding()
        self.connections, self.most_open = 0, self._open

    # Its life

    def __enter__(self) -> "Upstream":
        self._thread.start()
        self._thread.call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.call(self._close())
        self._thread.stop()

    async def _listen(self) -> None:
        ports = free_ports(2)
        self.port = self.port or ports[0]
        self._listen_over("tcp", self.port, None)
        udp, _ = await self._loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=(self.host, self.port))
        self._udp = udp
        udp.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        if self._tls is not None:
            self.tls_port = ports[1]
            self._listen_over("tls", self.tls_port, self._tls)

    def _listen_over(self, transport: str, port: int, tls: ssl.SSLContext | None) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        sock = socket.create_server((self.host, port), family=family, backlog=BACKLOG)
        sock.setblocking(False)
        self._listening.append(sock)
        self._loop.add_reader(sock, self._accept, sock, transport, tls)

    def _accept(self, listening: socket.socket, transport: str, tls: ssl.SSLContext | None) -> None:
        with contextlib.suppress(BlockingIOError):
            sock, _ = listening.accept()
            sock.setblocking(False)
            self._accepted = {one for one in self._accepted if one.fileno() >= 0} | {sock}
            self.start(self._open_connection(sock, transport, tls))

    async def _open_connection(self, sock: socket.socket, transport: str, tls: ssl.SSLContext | None) -> None:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        with contextlib.suppress(OSError):  # ssl.SSLError is one
            way, _ = await self._loop.connect_accepted_socket(lambda: protocol, sock, ssl=tls)
            await self._serve(reader, asyncio.StreamWriter(way, protocol, reader, self._loop), transport)

    async def _close(self) -> None:
        """End everything, and the connections in whatever state TLS left them: their transports see the end of them."""
        for sock in self._listening:
            self._loop.remove_reader(sock)
            sock.close()
        self._udp.close()
        await asyncio.sleep(0)  # what was accepted last has a transport then, which closes its socket
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sock in self._accepted:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        while any(sock.fileno() >= 0 for sock in self._accepted):  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.001)

    # Queries

    def said(self, wire: bytes, transport: str, port: int, connection: int) -> Said | None:
        """What goes back; None for what is no query."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        if not query.question or query.flags & dns.flags.QR:
            return None
        self._keep(query, transport, port, connection)
        name = query.question[0].name
        folded, qtype = _folded(name.to_text()), dns.rdatatype.to_text(query.question[0].rdtype)
        turns = self._sayings.get(folded)
        texts = turns.popleft() if turns else [label.decode("latin-1") for label in name.labels]
        words = self._holding.left(words_of([*self.always, *texts]), folded, qtype)
        return _commit(query, words, compose(query, words, self._records, is_udp=transport == "udp"), transport)

    def _keep(self, query: dns.message.Message, transport: str, port: int, connection: int) -> None:
        flags = {flag.name for flag in (dns.flags.RD, dns.flags.AD, dns.flags.CD) if query.flags & flag}
        if query.edns >= 0 and query.ednsflags & dns.flags.DO:
            flags.add("DO")
        self.asked.append(
            Question(
                transport,
                query.question[0].name.to_text(),
                dns.rdatatype.to_text(query.question[0].rdtype),
                frozenset(str(flag) for flag in flags),
                query.payload if query.edns >= 0 else 0,
                tuple((int(option.otype), option.to_wire() or b"") for option in query.options),
                query.id,
                port,
                time.monotonic(),
                connection,
            )
        )

    def start(self, what: Coroutine[Any, Any, None]) -> None:
        """Do something beside, until the end of the server."""
        task = self._loop.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, transport: str) -> None:
        self.connections += 1
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        connection, port = self.connections, writer.get_extra_info("peername")[1]
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                said = self.said(await reader.readexactly(size), transport, port, connection)
                if said is not None and not said.pause_seconds and not said.ending:
                    writer.write(b"".join(map(_framed, said.messages)))
                elif said is not None:
                    self.start(_send_over_tcp(writer, said))
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            return
        finally:
            self._open -= 1
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                writer.close()


class _Udp(asyncio.DatagramProtocol):
    """The UDP side."""

    transport: asyncio.DatagramTransport

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)  # what it is, though not by its class in 3.11

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        said = self._upstream.said(data, "udp", addr[1], 0)
        if said is None:
            return
        if said.pause_seconds:
            self._upstream.start(self._send_later(said, addr))
        else:
            self._send(said, addr)

    async def _send_later(self, said: Said, addr: tuple[str, int]) -> None:
        await asyncio.sleep(said.pause_seconds)
        self._send(said, addr)

    def _send(self, said: Said, addr: tuple[str, int]) -> None:
        for message in said.messages:
            self.transport.sendto(message, addr)


async def _send_over_tcp(writer: asyncio.StreamWriter, said: Said) -> None:
    await asyncio.sleep(said.pause_seconds)
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        if said.ending == "half":
            framed = b"".join(map(_framed, said.messages))
            writer.write(framed[: len(framed) // 2])
        elif said.ending == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
        elif said.ending == "close":
            writer.close()
        else:
            writer.write(b"".join(map(_framed, said.messages)))


def _commit(query: dns.message.Message, words: Words, reply: dns.message.Message, transport: str) -> Said:
    """The reply on the wire, with the faults that the words ask for."""
    pause_seconds = words.number("slow", 0, bare=100) / 1000
    if "dead" in words:
        return Said((), pause_seconds)
    if transport != "udp":
        endings = {"halfframe": "half", "reset": "reset", "close": "close"}
        for word, ending in endings.items():
            if word in words:
                return Said((reply.to_wire(max_size=65535),), pause_seconds, ending)
    forged = [_with_id(query, reply, number + 1) for number in range(words.number("forged", 0, bare=1))]
    forged += [_with_name(reply, f"forged{number}") for number in range(words.number("forgedname", 0, bare=1))]
    messages = [_wire(one, query, words, transport) for one in forged]
    if "wrongid" in words:
        reply = _with_id(query, reply, 1)
    if "wrongname" in words:
        reply = _with_name(reply, "other")
    true = _wire(reply, query, words, transport)
    messages += [true] * (1 + words.number("twice", 0, bare=1))
    return Said(tuple(messages), pause_seconds)


def _wire(reply: dns.message.Message, query: dns.message.Message, words: Words, transport: str) -> bytes:
    """A reply's bytes: cut to the client's size over UDP, and spoiled where words ask for it."""
    if "garbage" in words:
        return query.id.to_bytes(2, "big") + GARBAGE
    if "qr0" in words:
        return query.to_wire()
    limit = (max(512, query.payload) if query.edns >= 0 else 512) if transport == "udp" else 65535
    wire = bytearray(_fitting(reply, limit))
    if "runt" in words:
        return bytes(wire[:7])
    if "cut" in words:
        return bytes(wire[:-5])
    end = 12
    while wire[end]:
        end += 1 + wire[end]
    if "lower" in words:
        wire[12:end] = wire[12:end].lower()  # lengths of labels are below 64 and have no letters' codes
    if "upper" in words:
        wire[12:end] = wire[12:end].upper()
    if "wrongtype" in words:
        wire[end + 1 : end + 3] = b"\0\x63"
    if "wrongclass" in words:
        wire[end + 3 : end + 5] = b"\0\x03"
    if "noquestion" in words:
        return bytes(wire[:4]) + bytes(8)
    return bytes(wire)


def _fitting(reply: dns.message.Message, limit: int) -> bytes:
    try:
        return reply.to_wire(max_size=limit)
    except dns.exception.TooBig:
        shorter = _copied(reply)
        shorter.flags |= dns.flags.TC
        shorter.authority, shorter.additional = [], []
    while True:  # as many records as fit
        try:
            return shorter.to_wire(max_size=limit)
        except dns.exception.TooBig:
            shorter.answer.pop()


def _with_id(query: dns.message.Message, reply: dns.message.Message, distance: int) -> dns.message.Message:
    other = _copied(reply)
    other.id = (query.id + distance) & 0xFFFF
    return other


def _with_name(reply: dns.message.Message, label: str) -> dns.message.Message:
    other = _copied(reply)
    question = reply.question[0]
    name = dns.name.from_text(label, dns.name.Name(question.name.labels[1:]))
    other.question = [dns.rrset.RRset(name, question.rdclass, question.rdtype)]
    return other


def _copied(reply: dns.message.Message) -> dns.message.Message:
    other = dns.message.Message(id=reply.id)
    other.flags = reply.flags
    other.question, other.answer = list(reply.question), list(reply.answer)
    other.authority, other.additional = list(reply.authority), list(reply.additional)
    if reply.edns >= 0:
        other.use_edns(0, reply.ednsflags, reply.payload, options=list(reply.options))
    return other


def _framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def _folded(name_text: str) -> str:
    return name_text.lower().rstrip(".")
