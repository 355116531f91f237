"""Exchanges over TCP and TLS: few connections per upstream, many questions on each, replies in any order (RFC 7766).

A question goes to the connection with the fewest open ones; another is opened while all are busy and there are fewer
than four, because many servers answer one connection's questions one after the other. A connection that stays idle for
`expire` is closed; one that the peer closed after it had answered is no failure, its questions are asked again.

A connection on which a question timed out and nothing else came meanwhile gets no more questions: it may be a path
that a firewall has forgotten.
"""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from os import urandom
from typing import Any, cast

from clusterdns.upstream.address import Address
from clusterdns.upstream.failure import TIMEOUT, ExchangeFailed, broken, timed_out
from clusterdns.upstream.question import Question

MAX_CONNECTIONS = 4
MAX_QUESTIONS = 16_384  # open on one connection: a free ID is found in two tries or so
_LENGTH_BYTES = 2


@dataclass(frozen=True)
class StreamSettings:
    """How connections to upstreams are made and kept."""

    tls: ssl.SSLContext | None = None
    server_name: str = ""  # what certificates must name; empty: the address
    source: str = ""  # the local address; empty: the system's choice
    expire_seconds: float = 10.0
    max_age_seconds: float = 0.0  # 0: no limit
    max_idle: int = 0  # 0: no limit


class Streams:
    """The connections to one upstream."""

    def __init__(self, address: Address, settings: StreamSettings, is_tls: bool) -> None:
        self.address = address
        self.settings = settings
        self.is_tls = is_tls
        self.connections: list[Connection] = []

    async def ask(self, question: Question, seconds: float, *, has_to_be_new: bool = False) -> tuple[bytes, bool]:
        """The reply, and whether it came over a connection that was there before. Raises ExchangeFailed."""
        loop = asyncio.get_running_loop()
        connection = self._choose(loop, has_to_be_new)
        was_there = connection.is_open
        future: asyncio.Future[bytes] = loop.create_future()
        message_id = connection.ask(question, future)
        timer = loop.call_later(seconds, connection.expire, future, loop.time())
        try:
            return await future, was_there
        finally:
            timer.cancel()
            connection.release(message_id)

    def close(self) -> None:
        """Close every connection; questions on them fail."""
        for connection in tuple(self.connections):
            connection.end(ExchangeFailed("forward is shutting down"))

    def _choose(self, loop: asyncio.AbstractEventLoop, has_to_be_new: bool) -> "Connection":
        now = loop.time()
        usable = [one for one in self.connections if one.takes_questions(now)]
        least = min(usable, key=_load, default=None)
        is_room = len(self.connections) < MAX_CONNECTIONS
        if least is not None and not has_to_be_new and (not least.pending or not is_room):
            return least
        if is_room or least is None:
            self._make_room()
            connection = Connection(self, loop)
            self.connections.append(connection)
            return connection
        return least

    def _make_room(self) -> None:
        """Questions on connections that take no more must not be the reason for a fifth one."""
        if len(self.connections) >= MAX_CONNECTIONS:
            worst = min(self.connections, key=_load)
            worst.end(ExchangeFailed(f"read tcp {worst.ends()}: {TIMEOUT}", is_stale=True))

    def trim(self) -> None:
        """Close idle connections beyond the number that may stay."""
        limit = self.settings.max_idle
        if limit:
            idle = [one for one in self.connections if one.is_open and not one.pending]
            for connection in idle[: max(0, len(idle) - limit)]:
                connection.end()


def _load(connection: "Connection") -> int:
    return len(connection.pending)


class Connection(asyncio.Protocol):
    """One connection, from its opening on. Its questions wait in it while it opens."""

    def __init__(self, streams: Streams, loop: asyncio.AbstractEventLoop) -> None:
        self.pending: dict[bytes, tuple[Question, asyncio.Future[bytes]]] = {}
        self.is_open = False
        self._streams = streams
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._socket: Any = None  # the event loop's stand-in for one
        self._ends = ""
        self._unsent: list[bytes] = []
        self._buffer = bytearray()
        self._answered = 0
        self._opened_at = self._heard_at = loop.time()  # heard: a whole message
        self._is_retired = False
        self._idle: asyncio.TimerHandle | None = None
        self._dialling = loop.create_task(self._dial())

    # Questions

    def takes_questions(self, now: float) -> bool:
        """Whether more may be asked here."""
        age = self._streams.settings.max_age_seconds
        return not self._is_retired and len(self.pending) < MAX_QUESTIONS and (not age or now - self._opened_at < age)

    def ask(self, question: Question, future: "asyncio.Future[bytes]") -> bytes:
        """Send the question, now or once the connection is open; the ID it got."""
        message_id = urandom(2)
        while message_id in self.pending:
            message_id = urandom(2)
        self.pending[message_id] = (question, future)
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        message = question.message(message_id, question.name)
        framed = len(message).to_bytes(_LENGTH_BYTES, "big") + message
        if self._transport is None:
            self._unsent.append(framed)
        else:
            self._transport.write(framed)
        return message_id

    def release(self, message_id: bytes) -> None:
        """The question is no longer waited for."""
        self.pending.pop(message_id, None)
        if self.pending or not self._is_alive():
            return
        if not self.takes_questions(self._loop.time()) or not self.is_open:
            self.end()
            return
        self._idle = self._loop.call_later(self._streams.settings.expire_seconds, self.end)
        self._streams.trim()

    def expire(self, future: "asyncio.Future[bytes]", asked_at: float) -> None:
        """A question's time is over."""
        self._is_retired |= self._heard_at <= asked_at
        if not future.done():
            where = f"read tcp {self.ends()}" if self.is_open else f"dial tcp {self._streams.address.host_port}"
            future.set_exception(timed_out(where))

    def ends(self) -> str:
        """SRC->DST."""
        return self._ends or self._streams.address.host_port

    # The connection

    def _is_alive(self) -> bool:
        return self in self._streams.connections

    async def _dial(self) -> None:
        streams = self._streams
        address, settings = streams.address, streams.settings
        try:
            await self._loop.create_connection(
                lambda: self,
                address.scoped_host,
                address.port,
                ssl=settings.tls if streams.is_tls else None,
                server_hostname=(address.server_name or settings.server_name or address.host)
                if streams.is_tls
                else None,
                local_addr=(settings.source, 0) if settings.source else None,
            )
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", "") or error.reason or str(error)
            self.end(ExchangeFailed(f"tls: {address.host_port}: failed to verify or agree: {reason}"))
        except OSError as error:
            self.end(broken(f"dial tcp {address.host_port}", "connect", error))
        else:
            if not self._is_alive() and self._transport is not None:
                self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open: what was asked meanwhile goes out."""
        self._transport = cast(asyncio.Transport, transport)  # create_connection makes no other kind
        self.is_open = True
        self._socket = transport.get_extra_info("socket")
        source = transport.get_extra_info("sockname")
        if source:
            host, port = source[:2]
            near = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            self._ends = f"{near}->{self._streams.address.host_port}"
        self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def data_received(self, data: bytes) -> None:
        """Bytes of frames, a length and a message each (RFC 1035 §4.2.2)."""
        buffer = self._buffer
        buffer += data
        start = taken = 0
        while len(buffer) - start >= _LENGTH_BYTES:
            end = start + _LENGTH_BYTES + (buffer[start] << 8 | buffer[start + 1])
            if len(buffer) < end:
                break
            self._take(bytes(buffer[start + _LENGTH_BYTES : end]))
            start = end
            taken += 1
        del buffer[:start]
        if len(self.pending) > taken and self._socket is not None:
            # a peer with Nagle's algorithm on holds its next reply back until this one is acknowledged, which the
            # kernel would do 40 ms later (Knot DNS 3.2: 15,000 instead of 2,000 queries/s over four connections)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _take(self, message: bytes) -> None:
        self._heard_at = self._loop.time()
        asked = self.pending.get(message[:2])
        if asked is not None and asked[0].is_answered_by(message) and not asked[1].done():
            self._answered += 1
            asked[1].set_result(message)

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer, or the path, ended it."""
        is_stale = self._answered > 0
        if isinstance(exc, OSError):
            failed = broken(f"read tcp {self.ends()}", "read", exc)
            failed.is_stale = is_stale
        else:
            failed = ExchangeFailed("EOF", is_stale=is_stale)
        self.end(failed)

    def end(self, failed: ExchangeFailed | None = None) -> None:
        """Close it; questions still on it fail."""
        if not self._is_alive():
            return
        self._streams.connections.remove(self)
        if self._idle is not None:
            self._idle.cancel()
        if self._transport is not None:
            self._transport.abort()
        elif not self._dialling.done() and asyncio.current_task() is not self._dialling:
            self._dialling.cancel()
        for _, future in self.pending.values():
            if not future.done():
                future.set_exception(failed or ExchangeFailed(f"read tcp {self.ends()}: closed"))
