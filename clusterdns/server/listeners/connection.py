"""One client's connection over TCP or TLS: pipelined queries in, whole replies out (RFC 7766).

A connection answers its queries in batches, hits and misses as over UDP, with one write per batch. It stops reading
while the client does not read its replies, or while too many of its queries wait for handlers, so that it holds one
chunk of input and one reply above the high-water mark at most. `later` writes the replies of handlers that wait;
`connection_table` limits all connections together; over TLS the transport is a `host.tls_stream.TlsStream`.
"""

import asyncio
from collections.abc import Set
from time import perf_counter
from typing import Any

from clusterdns.host.sockets import unread_bytes
from clusterdns.server.dispatch import LargeReply
from clusterdns.server.listeners.budget import MAX_ALL_WAITING, MAX_HELD_BYTES
from clusterdns.server.listeners.connection_table import (
    CHUNK_BYTES,
    ConnectionTable,
    TcpLimits,
)
from clusterdns.server.listeners.framing import framed, message_end
from clusterdns.server.listeners.later import LaterReplies
from clusterdns.wire.header import HEADER_BYTES
from clusterdns.wire.stream import FirstMessage

BATCH = 64  # queries of one connection per turn of the loop
HIGH_WATER_BYTES = 8_192  # unsent replies; above, the connection stops answering and reading
MAX_SHORT_BYTES = 4_096  # unfinished queries up to here are always kept; longer ones share MAX_HELD_BYTES
LAST_TLS_SECONDS = 0.05  # for received TLS records to be read after the listener was closed
_UNKNOWN_BYTES = 1 << 30  # unread over TLS: the size of the plain text is known once the records are read
_NONE: Set[asyncio.Task[None]] = frozenset()


class Connection(asyncio.BufferedProtocol):
    """One client's connection, from the moment when it is accepted."""

    __slots__ = (
        "_client", "_held", "_is_ended", "_is_scheduled", "_later", "_query_count", "_server", "_since", "_table",
        "_unread_bytes", "_unsent_bytes", "host", "is_stalled", "transport",
    )  # fmt: skip

    def __init__(self, table: ConnectionTable, client: Any, server: str) -> None:
        self.host: str = client[0]
        self.is_stalled = False  # the client does not read its replies
        self.transport: Any = None  # until the event loop has made it; over TLS a TlsStream
        self._table = table
        self._client = client  # address and port
        self._server = server  # the address that the client connected to
        self._later: LaterReplies | None = None
        self._query_count = 0  # whole queries so far
        self._held = b""  # received and not answered yet: at most a chunk and an unfinished query
        self._since = table.now()  # when the connection became idle, the query began or the client last read something
        self._unsent_bytes = 0  # at the last sweep
        self._unread_bytes = 0  # in the kernel when the listener closed; not used before
        self._is_scheduled = False  # the next turn of the loop answers more of what is held
        self._is_ended = False  # the client sends no more queries

    # What the transport calls

    def connection_made(self, transport: Any) -> None:
        """Begin to read, unless the connection has given way to another one before its transport was made."""
        self.transport = transport
        if self not in self._table.connections:
            transport.abort()
            return
        transport.set_write_buffer_limits(HIGH_WATER_BYTES, 0)
        if self._table.is_closing:
            self.finish()

    def connection_lost(self, exc: Exception | None) -> None:
        """Release what the connection holds, and cancel what waits."""
        self._hold(b"")
        if self._later is not None:
            self._later.cancel(self._table.dispatch.unanswered)
            self._later = None
        self._table.dismiss(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer that all connections of the listener share."""
        return self._table.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Answer the queries that have arrived."""
        self.data_received(self._table.buffer[:nbytes].tobytes())

    def data_received(self, data: bytes) -> None:
        """Answer the queries that have arrived; over TLS, decrypted."""
        if self not in self._table.connections:
            return
        if not self._held:
            self._since = self._table.now()
        self._unread_bytes -= len(data)
        self._hold(self._held + data)
        if not (self._is_scheduled or self.is_stalled):
            self._go_on()

    def eof_received(self) -> bool:
        """Keep the connection open for writing until all queries are answered."""
        self._is_ended = True
        return bool(self.waiting or self._is_scheduled or self.is_stalled)

    def pause_writing(self) -> None:
        """Stop answering and reading: the client does not read its replies."""
        self.is_stalled = True
        self._since = self._table.now()
        self._table.budget.stall(self)

    def resume_writing(self) -> None:
        """Go on: the client has read everything."""
        self.is_stalled = False
        self._since = self._table.now()
        self._table.budget.stalled.pop(self, None)
        if self._later is not None:
            self._later.resume()
        self._schedule()

    # What the listener and its table call

    @property
    def waiting(self) -> Set[asyncio.Task[None]]:
        """The queries and transfers that wait."""
        return _NONE if self._later is None else self._later.tasks

    @property
    def is_busy(self) -> bool:
        """Whether a query waits for its handler, or for its turn."""
        return self._is_scheduled or bool(self.waiting)

    def abort(self) -> None:
        """Close at once and discard unsent replies."""
        if self.transport is None:  # not made yet
            self._table.dismiss(self)
        else:
            self.transport.abort()

    def finish(self) -> None:
        """Answer what has been received by now, then close."""
        if self.transport is None or self.transport.is_closing():
            return
        if not self._table.is_tls:
            self._unread_bytes = unread_bytes(self.transport.get_extra_info("socket"))
            self.close_if_done()
        else:
            self._unread_bytes = _UNKNOWN_BYTES
            asyncio.get_running_loop().call_later(LAST_TLS_SECONDS, self._finish_tls)

    def _finish_tls(self) -> None:
        self._unread_bytes = 0
        if not self.transport.is_closing():
            self.close_if_done()

    def close_if_done(self) -> None:
        """Close once all queries are answered, where the client sends no more or the listener is closing."""
        is_last = self._is_ended or (self._table.is_closing and self._unread_bytes <= 0)
        if is_last and not (self.waiting or self._is_scheduled or self.is_stalled):
            self.transport.close()

    def check_time(self, now: float, limits: TcpLimits) -> None:
        """Close a connection that has been in its present state for longer than the limits allow."""
        if self.transport is None:
            return
        if self.is_stalled:
            unsent_bytes = self.transport.get_write_buffer_size()
            if unsent_bytes != self._unsent_bytes:
                self._unsent_bytes = unsent_bytes
                self._since = now
            elif now - self._since >= limits.stalled_seconds:
                self.abort()
        elif not self.is_busy and now - self._since >= self._seconds(limits):
            self._end()

    def _seconds(self, limits: TcpLimits) -> float:
        """Return how long the connection may stay as it is, without a query under way."""
        if self._held:
            return limits.partial_seconds
        if self._query_count:
            return limits.idle_seconds
        if self._table.is_tls and not self.transport.is_open:
            return limits.handshake_seconds
        return limits.first_seconds

    def _end(self) -> None:
        """Close; abort where replies below the high-water mark are unsent, which would delay a close for ever."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    # Answering

    @property
    def _waits_enough(self) -> bool:
        return self._later is not None and self._later.are_enough

    def _go_on(self) -> None:
        """Answer a batch of what is held; read on if every whole query is answered and the client reads its replies."""
        self._is_scheduled = False
        if self.transport.is_closing():
            return
        is_sound, has_more = self._answer_batch()
        if not is_sound:
            self.transport.close()
        elif self.is_stalled or self._waits_enough:
            self.transport.pause_reading()
        elif has_more:
            self.transport.pause_reading()
            self._schedule()
        elif not self._is_ended and not self.transport.is_closing():
            self.transport.resume_reading()
        self.close_if_done()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _answer_batch(self) -> tuple[bool, bool]:
        """Return whether the bytes can be DNS messages at all, and whether another whole query is held."""
        held, size, start, hits = self._held, len(self._held), 0, 0
        entries = self._table.context.answers.entries
        replies: list[bytes] = []
        reply_bytes = 0
        began = perf_counter()
        is_sound = True
        end = message_end(held, 0, size)
        most = self._table.limits.max_queries
        left = most if most < 0 else max(0, most - self._query_count)
        for number in range(BATCH):
            if number == left:
                self._is_ended = True  # the connection has asked as many queries as it may; the rest is not read
                end = 0
            if not end:
                break
            if end - start < 2 + HEADER_BYTES:
                is_sound = False
                break
            answer = entries.get(held[start + 4 : end])
            if answer is not None:
                answer.counter.count += 1
                hits += 1
                tail = answer.static or answer.message()
                reply = (len(tail) + 2).to_bytes(2, "big") + held[start + 2 : start + 4] + tail
            else:
                reply = self._miss(held[start + 2 : end])
            start = end
            end = message_end(held, start, size)
            replies.append(reply)
            reply_bytes += len(reply)
            if reply_bytes > HIGH_WATER_BYTES or self._waits_enough:
                break  # the client has to read these before more are made
        if reply_bytes:
            self.transport.write(b"".join(replies))
        if start:
            self._since = self._table.now()
            self._query_count += len(replies)
            self._table.budget.admission.asked(self)
            self._hold(held[start:])
        if replies:
            self._table.note_replies(replies, self.host, hits, perf_counter() - began)
        return is_sound, bool(end)

    def _miss(self, message: bytes) -> bytes:
        """Return the framed reply; empty where there is none, or where a handler waits."""
        reply = self._table.dispatch.miss(message, self._client, self._server, self._table.context)
        if reply is None:
            return b""
        if isinstance(reply, bytes):
            if isinstance(reply, FirstMessage):
                self._replies_later().transfer(reply.rest)
            return framed(reply)
        pending = reply.encoding if isinstance(reply, LargeReply) else reply
        if self._table.budget.waiting_count >= MAX_ALL_WAITING:
            self._table.drop(pending, self.host, MAX_ALL_WAITING)
            return b""
        self._replies_later().reply(pending, is_large=pending is not reply)
        return b""

    def _replies_later(self) -> LaterReplies:
        if self._later is None:
            self._later = LaterReplies(self, self._table.budget, self._table.context.tap)
        return self._later

    def go_on_after_reply(self) -> None:
        """Go on, because a reply that waited is written or given up."""
        if not self.waiting:
            self._since = self._table.now()
        if not self.is_stalled:
            self._schedule()

    def _hold(self, rest: bytes) -> None:
        budget = self._table.budget
        budget.held_bytes += len(rest) - len(self._held)
        self._held = rest
        if len(rest) > MAX_SHORT_BYTES + CHUNK_BYTES and budget.held_bytes > MAX_HELD_BYTES:
            self.abort()
