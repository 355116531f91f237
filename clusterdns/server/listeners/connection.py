"""One client's connection over TCP or TLS: pipelined queries in, whole replies out (RFC 7766).

A connection answers its queries in batches, hits and misses as over UDP, with one write per batch. It stops reading
while the client does not read its replies, or while too many of its queries wait for handlers, so that it holds one
chunk of input and one reply above the high-water mark at most. `connection_table` limits all connections together.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from time import perf_counter
from typing import Any

from clusterdns.host.sockets import unread_bytes
from clusterdns.server.listeners.connection_table import (
    CHUNK_BYTES,
    MAX_ALL_WAITING,
    MAX_HELD_BYTES,
    ConnectionTable,
    TcpLimits,
)
from clusterdns.server.listeners.framing import framed, message_end
from clusterdns.wire.header import HEADER_BYTES
from clusterdns.wire.stream import FirstMessage

BATCH = 64  # queries of one connection per turn of the loop
HIGH_WATER_BYTES = 8_192  # unsent replies; above, the connection stops answering and reading
MAX_UNSENT_BYTES = 262_144  # replies of handlers that waited are written at once; above, the connection is closed
MAX_SHORT_BYTES = 4_096  # unfinished queries up to here are always kept; longer ones share MAX_HELD_BYTES
MAX_WAITING = 64  # queries of one connection that wait for a handler; it reads no more until one is answered
LAST_TLS_SECONDS = 0.05  # for received TLS records to be read after the listener was closed

log = logging.getLogger("clusterdns")


class Connection(asyncio.BufferedProtocol):
    """One client's connection."""

    __slots__ = (
        "_client", "_drained", "_held", "_is_ended", "_is_scheduled", "_is_stalled", "_query_count", "_since",
        "_table", "_transport", "_unread_bytes", "_unsent_bytes", "host", "waiting",
    )  # fmt: skip

    def __init__(self, table: ConnectionTable) -> None:
        self.host = ""
        self.waiting: set[asyncio.Task[None]] = set()
        self._table = table
        self._client: Any = ("", 0)
        self._query_count = 0  # whole queries so far
        self._held = b""  # received and not answered yet: at most a chunk and an unfinished query
        self._since = table.now()  # when the connection became idle, the query began or the client last read something
        self._unsent_bytes = 0  # at the last sweep
        self._unread_bytes = 0  # in the kernel when the listener closed; not used before
        self._is_stalled = False
        self._drained: asyncio.Event | None = None  # set when the client has read everything; transfers wait for it
        self._is_scheduled = False  # the next turn of the loop answers more of what is held
        self._is_ended = False  # the client sends no more queries

    # What the transport calls

    def connection_made(self, transport: Any) -> None:
        """Take the connection, or close it where a limit is reached."""
        self._transport: asyncio.Transport = transport
        self._client = transport.get_extra_info("peername") or self._client
        self.host = self._client[0]
        if not self._table.admit(self):
            transport.abort()
            return
        transport.set_write_buffer_limits(HIGH_WATER_BYTES, 0)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release what the connection holds, and cancel what waits."""
        self._hold(b"")
        for task in self.waiting:
            task.cancel()
        self._table.dismiss(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer that all connections of the listener share."""
        return self._table.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Answer the queries that have arrived."""
        if self not in self._table.connections:
            return
        self._table.connections.move_to_end(self)
        if not self._held:
            self._since = self._table.now()
        self._unread_bytes -= nbytes
        self._hold(self._held + self._table.buffer[:nbytes].tobytes())
        if not (self._is_scheduled or self._is_stalled):
            self._go_on()

    def eof_received(self) -> bool:
        """Keep the connection open for writing until all queries are answered."""
        self._is_ended = True
        return bool(self.waiting or self._is_scheduled or self._is_stalled)

    def pause_writing(self) -> None:
        """Stop answering and reading: the client does not read its replies."""
        self._is_stalled = True
        self._since = self._table.now()
        self._table.stall(self)

    def resume_writing(self) -> None:
        """Go on: the client has read everything."""
        self._is_stalled = False
        self._since = self._table.now()
        self._table.stalled.pop(self, None)
        if self._drained is not None:
            self._drained.set()
        self._schedule()

    # What the listener and its table call

    @property
    def is_idle(self) -> bool:
        """Whether no query, reply or wait is under way."""
        return not (self._held or self.waiting or self._is_stalled)

    def abort(self) -> None:
        """Close at once and discard unsent replies."""
        self._transport.abort()

    def finish(self) -> None:
        """Answer what has been received by now, then close."""
        if self._transport.is_closing():
            return
        if not self._table.is_tls:
            self._unread_bytes = unread_bytes(self._transport.get_extra_info("socket"))
            self.close_if_done()
        else:  # the size of the plain text is known once the socket's bytes are read
            self._unread_bytes = MAX_UNSENT_BYTES
            asyncio.get_running_loop().call_later(LAST_TLS_SECONDS, self._finish_tls)

    def _finish_tls(self) -> None:
        self._unread_bytes = 0
        if not self._transport.is_closing():
            self.close_if_done()

    def close_if_done(self) -> None:
        """Close once all queries are answered, where the client sends no more or the listener is closing."""
        is_last = self._is_ended or (self._table.is_closing and self._unread_bytes <= 0)
        if is_last and not (self.waiting or self._is_scheduled or self._is_stalled):
            self._transport.close()

    def check_time(self, now: float, limits: TcpLimits) -> None:
        """Close a connection that has been in its present state for longer than the limits allow."""
        if self._is_stalled:
            unsent_bytes = self._transport.get_write_buffer_size()
            if unsent_bytes != self._unsent_bytes:
                self._unsent_bytes = unsent_bytes
                self._since = now
            elif now - self._since >= limits.stalled_seconds:
                self.abort()
        elif not (self.waiting or self._is_scheduled):
            idle_seconds = limits.idle_seconds if self._query_count else limits.first_seconds
            seconds = limits.partial_seconds if self._held else idle_seconds
            if now - self._since >= seconds:
                self._end()

    def _end(self) -> None:
        """Close; abort where replies below the high-water mark are unsent, which would delay a close for ever."""
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    # Answering

    def _go_on(self) -> None:
        """Answer a batch of what is held; read on if every whole query is answered and the client reads its replies."""
        self._is_scheduled = False
        if self._transport.is_closing():
            return
        is_sound, has_more = self._answer_batch()
        if not is_sound:
            self._transport.close()
        elif self._is_stalled or len(self.waiting) >= MAX_WAITING:
            self._transport.pause_reading()
        elif has_more:
            self._transport.pause_reading()
            self._schedule()
        elif not self._is_ended and not self._transport.is_closing():
            self._transport.resume_reading()
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
            if reply_bytes > HIGH_WATER_BYTES or len(self.waiting) >= MAX_WAITING:
                break  # the client has to read these before more are made
        if reply_bytes:
            self._transport.write(b"".join(replies))
        if start:
            self._since = self._table.now()
            self._query_count += len(replies)
            self._hold(held[start:])
        if hits:
            hit_time = self._table.context.hit_time
            hit_time.hits += hits
            hit_time.seconds += perf_counter() - began
        return is_sound, bool(end)

    def _miss(self, message: bytes) -> bytes:
        """Return the framed reply; empty where there is none, or where a handler waits."""
        reply = self._table.dispatch.miss(message, self._client, self._table.context)
        if reply is None:
            return b""
        if isinstance(reply, bytes):
            if isinstance(reply, FirstMessage):
                self._begin(self._send_rest(reply.rest))
            return framed(reply)
        if self._table.waiting_count >= MAX_ALL_WAITING:
            reply.close()
            return b""
        self._begin(self._reply_later(reply))
        return b""

    def _begin(self, waiting: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(waiting)
        self._table.waiting_count += 1
        self.waiting.add(task)
        task.add_done_callback(self._waited)

    async def _reply_later(self, reply: Coroutine[Any, Any, bytes | None]) -> None:
        """Send a reply when its handler is done; replies may overtake each other (RFC 7766 §7)."""
        message = await reply
        if message is None or self._transport.is_closing():
            return
        self._transport.write(framed(message))
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.abort()
        elif isinstance(message, FirstMessage):
            await self._send_rest(message.rest)

    async def _send_rest(self, messages: Iterator[bytes]) -> None:
        """Send the other messages of a transfer; each is made when the client has read the ones before it."""
        await asyncio.sleep(0)  # the caller writes the first message in this turn of the loop
        for message in messages:
            while self._is_stalled:
                if self._drained is None:
                    self._drained = asyncio.Event()
                self._drained.clear()
                await self._drained.wait()
            if self._transport.is_closing():
                return
            self._transport.write(framed(message))
            await asyncio.sleep(0)

    def _waited(self, task: asyncio.Task[None]) -> None:
        self.waiting.discard(task)
        self._table.waiting_count -= 1
        if not task.cancelled() and (error := task.exception()) is not None:  # a transfer failed half-way
            log.error("a transfer to %s is cut off", self.host, exc_info=error)
            self.abort()
        if not self.waiting:
            self._since = self._table.now()
        if not self._is_stalled:
            self._schedule()

    def _hold(self, rest: bytes) -> None:
        self._table.held_bytes += len(rest) - len(self._held)
        self._held = rest
        if len(rest) > MAX_SHORT_BYTES + CHUNK_BYTES and self._table.held_bytes > MAX_HELD_BYTES:
            self.abort()
