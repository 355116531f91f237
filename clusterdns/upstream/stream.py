"""Exchanges over TCP and TLS: few connections per upstream, many questions on each, replies in any order (RFC 7766).

A question goes to the connection with the fewest questions. Another connection is opened while all are busy and there
are fewer than MAX_CONNECTIONS, because many servers answer the questions of one connection one after the other. A
connection that stays idle for `expire_seconds` is closed. When the upstream closes a connection that has worked, the
questions on it fail as stale, and `server` asks them again.

A connection gets no more questions after a question timed out on it and no other reply came meanwhile: a firewall on
the path may have forgotten it.
"""

import asyncio
import socket
import ssl
from os import urandom
from typing import Any, cast

from clusterdns.upstream.address import Address
from clusterdns.upstream.failure import TIMEOUT, ExchangeFailed, broken, timed_out
from clusterdns.upstream.question import Question
from clusterdns.upstream.settings import TransportSettings

MAX_CONNECTIONS = 4
MAX_QUESTIONS = 16_384  # under way on one connection: an unused ID is found in two tries or so
_LENGTH_BYTES = 2


class UpstreamConnections:
    """The connections to one upstream."""

    def __init__(self, address: Address, settings: TransportSettings, is_tls: bool) -> None:
        self.address = address
        self.settings = settings
        self.is_tls = is_tls
        self.connections: list[UpstreamConnection] = []

    async def ask(self, question: Question, seconds: float, *, needs_new: bool = False) -> tuple[bytes, bool]:
        """Return the reply, and whether its connection was open before. Raises ExchangeFailed."""
        loop = asyncio.get_running_loop()
        connection = self._choose(loop, needs_new)
        was_open = connection.is_open
        future: asyncio.Future[bytes] = loop.create_future()
        message_id = connection.ask(question, future)
        timer = loop.call_later(seconds, connection.expire, future, loop.time())
        try:
            return await future, was_open
        finally:
            timer.cancel()
            connection.release(message_id)

    def close(self) -> None:
        """Close every connection and fail the questions on them."""
        for connection in tuple(self.connections):
            connection.end(ExchangeFailed("forward is shutting down"))

    def _choose(self, loop: asyncio.AbstractEventLoop, needs_new: bool) -> "UpstreamConnection":
        now = loop.time()
        usable = [one for one in self.connections if one.takes_questions(now)]
        least = min(usable, key=_load, default=None)
        is_full = len(self.connections) >= MAX_CONNECTIONS
        if least is not None and not needs_new and (not least.pending or is_full):
            return least
        if not is_full or least is None:
            self._end_one_if_full()
            connection = UpstreamConnection(self, loop)
            self.connections.append(connection)
            return connection
        return least

    def _end_one_if_full(self) -> None:
        """Close the connection with the fewest questions where there are MAX_CONNECTIONS that take no more."""
        if len(self.connections) >= MAX_CONNECTIONS:
            ended = min(self.connections, key=_load)
            ended.end(ExchangeFailed(f"read tcp {ended.endpoints()}: {TIMEOUT}", is_stale=True))

    def trim(self) -> None:
        """Close the idle connections above `max_idle`."""
        limit = self.settings.max_idle
        if limit:
            idle = [one for one in self.connections if one.is_open and not one.pending]
            for connection in idle[: max(0, len(idle) - limit)]:
                connection.end()


def _load(connection: "UpstreamConnection") -> int:
    return len(connection.pending)


class UpstreamConnection(asyncio.Protocol):
    """One connection. Questions may be asked at once; they are sent when it is open."""

    def __init__(self, connections: UpstreamConnections, loop: asyncio.AbstractEventLoop) -> None:
        self.pending: dict[bytes, tuple[Question, asyncio.Future[bytes]]] = {}
        self.is_open = False
        self._siblings = connections  # all connections to the upstream, this one included
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._socket: Any = None  # asyncio.TransportSocket, or uvloop's
        self._endpoints = ""
        self._unsent: list[bytes] = []
        self._buffer = bytearray()
        self._answered = 0  # questions
        self._opened_at = self._received_at = loop.time()  # received: a whole message
        self._is_retired = False
        self._idle: asyncio.TimerHandle | None = None
        self._dial_task = loop.create_task(self._dial())

    # Questions

    def takes_questions(self, now: float) -> bool:
        """Return whether more questions may be asked on this connection."""
        age = self._siblings.settings.max_age_seconds
        return not self._is_retired and len(self.pending) < MAX_QUESTIONS and (not age or now - self._opened_at < age)

    def ask(self, question: Question, future: "asyncio.Future[bytes]") -> bytes:
        """Send the question, now or once the connection is open, and return its ID."""
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
        """Remove a question that has ended. A connection without questions is closed later; a retired one at once."""
        self.pending.pop(message_id, None)
        if self.pending or not self._is_alive():
            return
        if not self.takes_questions(self._loop.time()) or not self.is_open:
            self.end()
            return
        self._idle = self._loop.call_later(self._siblings.settings.expire_seconds, self.end)
        self._siblings.trim()

    def expire(self, future: "asyncio.Future[bytes]", asked_at: float) -> None:
        """Fail a question whose time is over; retire the connection if no message came since it was asked."""
        self._is_retired |= self._received_at <= asked_at
        if not future.done():
            where = f"read tcp {self.endpoints()}" if self.is_open else f"dial tcp {self._siblings.address.host_port}"
            future.set_exception(timed_out(where))

    def endpoints(self) -> str:
        """Return SRC->DST for errors."""
        return self._endpoints or self._siblings.address.host_port

    # The connection

    def _is_alive(self) -> bool:
        return self in self._siblings.connections

    async def _dial(self) -> None:
        siblings = self._siblings
        try:
            await dial(self, siblings.address, siblings.settings, siblings.settings.tls if siblings.is_tls else None)
        except ExchangeFailed as failed:
            self.end(failed)
        else:
            if not self._is_alive() and self._transport is not None:
                self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the questions that were asked while the connection opened."""
        self._transport = cast(asyncio.Transport, transport)  # create_connection makes no other kind
        self.is_open = True
        self._socket = transport.get_extra_info("socket")
        source = transport.get_extra_info("sockname")
        if source:
            host, port = source[:2]
            near = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            self._endpoints = f"{near}->{self._siblings.address.host_port}"
        self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def data_received(self, data: bytes) -> None:
        """Take the whole messages out of what has arrived, each behind its length (RFC 1035 §4.2.2)."""
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
            # An upstream with Nagle's algorithm on sends its next reply when this one is acknowledged, which the kernel
            # would do 40 ms later (Knot DNS 3.2: 15,000 instead of 2,000 queries/s over four connections).
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _take(self, message: bytes) -> None:
        self._received_at = self._loop.time()
        asked = self.pending.get(message[:2])
        if asked is not None and asked[0].is_answered_by(message) and not asked[1].done():
            self._answered += 1
            asked[1].set_result(message)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the questions on the connection, which the upstream or the path has closed."""
        is_stale = self._answered > 0
        if isinstance(exc, OSError):
            failed = broken(f"read tcp {self.endpoints()}", "read", exc)
            failed.is_stale = is_stale
        else:
            failed = ExchangeFailed("EOF", is_stale=is_stale)
        self.end(failed)

    def end(self, failed: ExchangeFailed | None = None) -> None:
        """Close the connection and fail the questions on it."""
        if not self._is_alive():
            return
        self._siblings.connections.remove(self)
        if self._idle is not None:
            self._idle.cancel()
        if self._transport is not None:
            self._transport.abort()
        elif not self._dial_task.done() and asyncio.current_task() is not self._dial_task:
            self._dial_task.cancel()
        for _, future in self.pending.values():
            if not future.done():
                future.set_exception(failed or ExchangeFailed(f"read tcp {self.endpoints()}: closed"))


async def dial(
    connection: asyncio.Protocol, address: Address, settings: TransportSettings, tls: ssl.SSLContext | None
) -> None:
    """Connect to an upstream over TCP, or over TLS where there is a context. Raises ExchangeFailed."""
    try:
        await asyncio.get_running_loop().create_connection(
            lambda: connection,
            address.scoped_host,
            address.port,
            ssl=tls,
            server_hostname=(address.server_name or settings.tls_server_name or address.host) if tls else None,
            local_addr=(settings.source, 0) if settings.source else None,
        )
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or str(error)
        raise ExchangeFailed(f"tls: {address.host_port}: handshake failed: {reason}") from error
    except OSError as error:
        raise broken(f"dial tcp {address.host_port}", "connect", error) from error
