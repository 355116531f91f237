"""Exchanges over TCP and TLS: few connections per upstream, many questions on each, replies in any order (RFC 7766).

A question goes to the connection with the fewest questions. Another connection is opened while all are busy and there
are fewer than MAX_CONNECTIONS, because many servers answer the questions of one connection one after the other. When
the upstream closes a connection that has worked, the questions on it fail as stale, and `server` asks them again.
`connection` has a connection's life.
"""

import asyncio
import socket
from os import urandom
from typing import Any, cast

from clusterdns.upstream.connection import DialedConnection, DialedConnections
from clusterdns.upstream.failure import TIMEOUT, ExchangeFailed
from clusterdns.upstream.question import Question

MAX_CONNECTIONS = 4
MAX_QUESTIONS = 16_384  # under way on one connection: an unused ID is found in two tries or so
_LENGTH_BYTES = 2


class UpstreamConnections(DialedConnections["UpstreamConnection"]):
    """The connections to one upstream."""

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


class UpstreamConnection(DialedConnection):
    """One connection with the questions on it."""

    _siblings: UpstreamConnections

    def __init__(self, connections: UpstreamConnections, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(connections, loop)
        self.pending: dict[bytes, tuple[Question, asyncio.Future[bytes]]] = {}
        self._socket: Any = None  # asyncio.TransportSocket, or uvloop's
        self._unsent: list[bytes] = []
        self._buffer = bytearray()

    # Questions

    def takes_questions(self, now: float) -> bool:
        """Return whether more questions may be asked on this connection."""
        return len(self.pending) < MAX_QUESTIONS and super().takes_questions(now)

    def ask(self, question: Question, future: "asyncio.Future[bytes]") -> bytes:
        """Send the question, now or once the connection is open, and return its ID."""
        message_id = urandom(2)
        while message_id in self.pending:
            message_id = urandom(2)
        self.pending[message_id] = (question, future)
        self._stay()
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
        if not self.pending and self._is_alive():
            self._rest()
            self._siblings.trim()

    def expire(self, future: "asyncio.Future[bytes]", asked_at: float) -> None:
        """Fail a question whose time is over; retire the connection if no message came since it was asked."""
        self._is_retired |= self._received_at <= asked_at
        if not future.done():
            future.set_exception(self._timed_out(f"read tcp {self.endpoints()}"))

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the questions that were asked while the connection opened."""
        super().connection_made(transport)
        self._socket = transport.get_extra_info("socket")
        cast(asyncio.Transport, transport).write(b"".join(self._unsent))
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

    def fail_all(self, failed: ExchangeFailed | None) -> None:
        """Fail the questions on the connection."""
        for _, future in self.pending.values():
            if not future.done():
                future.set_exception(failed or ExchangeFailed(f"read tcp {self.endpoints()}: closed"))
