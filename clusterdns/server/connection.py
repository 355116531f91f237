"""One client's connection: pipelined queries in, whole replies out (RFC 7766), over TCP or TLS.

A connection answers its queries in batches, hits and waits exactly as UDP does, with one write per batch. It reads no
further while the client does not take its replies or too many of its queries wait, so what one connection can pin is
known: one chunk of input and one reply over the high-water mark. Which connections there are, and what they may take
together, is `tcp`'s to know.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any

from clusterdns.host.sockets import unread_bytes
from clusterdns.wire.header import HEADER_BYTES
from clusterdns.wire.stream import FirstMessage

if TYPE_CHECKING:
    from clusterdns.server.tcp import TcpLimits, TcpListener

BATCH = 64  # queries of one connection per turn of the loop
CHUNK_BYTES = 16_384  # read at once
HIGH_WATER_BYTES = 8_192  # unsent replies; above, the connection stops answering and reading
MAX_UNSENT_BYTES = 262_144  # replies of handlers that waited come when they come; a client that leaves these is cut off
MAX_SHORT_BYTES = 4_096  # an unfinished query up to here is nobody's concern …
MAX_HELD_BYTES = 8 << 20  # … longer ones share this with everything else that is held
MAX_WAITING = 64  # queries of one connection that wait for a handler; it is read no further until one is answered
LAST_TLS_SECONDS = 0.05  # for what has arrived over TLS to be read when the listener closes
MAX_ALL_WAITING = 10_000  # of all connections; beyond them a query is dropped, as over UDP

log = logging.getLogger("clusterdns")


class Connection(asyncio.BufferedProtocol):
    """One client's connection."""

    __slots__ = (
        "_asked", "_client", "_held", "_is_ended", "_is_scheduled", "_is_stalled", "_resumed", "_since", "_tcp",
        "_transport", "_unread_bytes", "_unsent_bytes", "host", "waiting",
    )  # fmt: skip

    def __init__(self, tcp: "TcpListener") -> None:
        self.host = ""
        self._tcp = tcp
        self._client: Any = ("", 0)
        self._asked = 0  # whole queries so far
        self._held = b""  # received and not yet answered: at most a chunk and an unfinished query
        self.waiting: set[asyncio.Task[None]] = set()
        self._since = tcp.now()  # when the connection became idle, the query began or the client last took something
        self._unsent_bytes = 0  # at the last sweep
        self._unread_bytes = 0  # of what had arrived when the listener closed; of no meaning before
        self._is_stalled = False
        self._resumed: asyncio.Event | None = None  # for transfers: the client has taken everything
        self._is_scheduled = False  # more of what is held is to be answered in the next turn
        self._is_ended = False  # the client has sent all it will

    # What the transport calls

    def connection_made(self, transport: Any) -> None:
        """Take the connection, or refuse it over a limit."""
        self._transport: asyncio.Transport = transport
        self._client = transport.get_extra_info("peername") or self._client
        self.host = self._client[0]
        if not self._tcp.admit(self):
            transport.abort()
            return
        transport.set_write_buffer_limits(HIGH_WATER_BYTES, 0)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give everything back."""
        self._hold(b"")
        for task in self.waiting:
            task.cancel()
        self._tcp.dismiss(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """The listener's one buffer."""
        return self._tcp.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Answer what has come."""
        if self not in self._tcp.connections:
            return
        self._tcp.connections.move_to_end(self)
        if not self._held:
            self._since = self._tcp.now()
        self._unread_bytes -= nbytes
        self._hold(self._held + self._tcp.buffer[:nbytes].tobytes())
        if not (self._is_scheduled or self._is_stalled):
            self._go_on()

    def eof_received(self) -> bool:
        """Keep the other direction open until all is answered."""
        self._is_ended = True
        return bool(self.waiting or self._is_scheduled or self._is_stalled)

    def pause_writing(self) -> None:
        """The client does not read: answer and read no more."""
        self._is_stalled = True
        self._since = self._tcp.now()
        self._tcp.stall(self)

    def resume_writing(self) -> None:
        """The client has taken everything."""
        self._is_stalled = False
        self._since = self._tcp.now()
        self._tcp.stalled.pop(self, None)
        if self._resumed is not None:
            self._resumed.set()
        self._schedule()

    # What the listener calls

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not (self._held or self.waiting or self._is_stalled)

    def abort(self) -> None:
        """Close at once, leaving what is unsent."""
        self._transport.abort()

    def finish(self) -> None:
        """Answer what has arrived by now, then close."""
        if self._transport.is_closing():
            return
        if self._tcp.tls is None:
            self._unread_bytes = unread_bytes(self._transport.get_extra_info("socket"))
            self.close_if_done()
        else:  # how much plain text the socket's bytes are is known once they are read
            self._unread_bytes = MAX_UNSENT_BYTES
            self._tcp.loop.call_later(LAST_TLS_SECONDS, self._finish_tls)

    def _finish_tls(self) -> None:
        self._unread_bytes = 0
        if not self._transport.is_closing():
            self.close_if_done()

    def close_if_done(self) -> None:
        """Close a connection that will ask nothing more, or is to be asked nothing more, once all is answered."""
        is_last = self._is_ended or (self._tcp.is_closing and self._unread_bytes <= 0)
        if is_last and not (self.waiting or self._is_scheduled or self._is_stalled):
            self._transport.close()

    def check_time(self, now: float, limits: "TcpLimits") -> None:
        """Close a connection that has been in its present state for too long."""
        if self._is_stalled:
            unsent_bytes = self._transport.get_write_buffer_size()
            if unsent_bytes != self._unsent_bytes:
                self._unsent_bytes = unsent_bytes
                self._since = now
            elif now - self._since >= limits.stalled_seconds:
                self.abort()
        elif not (self.waiting or self._is_scheduled):
            idle_seconds = limits.idle_seconds if self._asked else limits.first_seconds
            patience = limits.partial_seconds if self._held else idle_seconds
            if now - self._since >= patience:
                self._end()

    def _end(self) -> None:
        """Close; what lies unsent by now, under the high-water mark, would keep a closing connection for ever."""
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    # Answering

    def _go_on(self) -> None:
        """Answer a batch of what is held, then read on if all whole queries are answered and the client keeps up."""
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
            self._tcp.loop.call_soon(self._go_on)

    def _answer_batch(self) -> tuple[bool, bool]:
        """Whether the client speaks DNS at all, and whether another whole query is held."""
        held, size, start, hits = self._held, len(self._held), 0, 0
        entries = self._tcp.listener.answers.entries
        replies: list[bytes] = []
        reply_bytes = 0
        began = perf_counter()
        is_sound = True
        end = _message_end(held, 0, size)
        most = self._tcp.limits.max_queries
        left = most if most < 0 else max(0, most - self._asked)
        for number in range(BATCH):
            if number == left:
                self._is_ended = True  # as many as one connection may ask; what follows is not read
                end = 0
            if not end:
                break
            if end - start < 2 + HEADER_BYTES:
                is_sound = False
                break
            answer = entries.get(held[start + 4 : end])
            if answer is not None:
                answer.tally.count += 1
                hits += 1
                tail = answer.static or answer.message()
                reply = (len(tail) + 2).to_bytes(2, "big") + held[start + 2 : start + 4] + tail
            else:
                reply = self._miss(held[start + 2 : end])
            start = end
            end = _message_end(held, start, size)
            replies.append(reply)
            reply_bytes += len(reply)
            if reply_bytes > HIGH_WATER_BYTES or len(self.waiting) >= MAX_WAITING:
                break  # see whether the client takes this before making more
        if reply_bytes:
            self._transport.write(b"".join(replies))
        if start:
            self._since = self._tcp.now()
            self._asked += len(replies)
            self._hold(held[start:])
        if hits:
            pace = self._tcp.listener.pace
            pace.hits += hits
            pace.seconds += perf_counter() - began
        return is_sound, bool(end)

    def _miss(self, message: bytes) -> bytes:
        """The reply with its length in front; empty where there is none, or none yet."""
        reply = self._tcp.dispatch.miss(message, self._client, self._tcp.listener)
        if reply is None:
            return b""
        if isinstance(reply, bytes):
            if isinstance(reply, FirstMessage):
                self._begin(self._send_rest(reply.rest))
            return len(reply).to_bytes(2, "big") + reply
        if self._tcp.waiting >= MAX_ALL_WAITING:
            reply.close()
            return b""
        self._begin(self._reply_later(reply))
        return b""

    def _begin(self, waiting: Coroutine[Any, Any, None]) -> None:
        task = self._tcp.loop.create_task(waiting)
        self._tcp.waiting += 1
        self.waiting.add(task)
        task.add_done_callback(self._waited)

    async def _reply_later(self, reply: Coroutine[Any, Any, bytes | None]) -> None:
        """Replies may overtake each other (RFC 7766 §7), so none waits for another."""
        message = await reply
        if message is None or self._transport.is_closing():
            return
        self._transport.write(len(message).to_bytes(2, "big") + message)
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.abort()
        elif isinstance(message, FirstMessage):
            await self._send_rest(message.rest)

    async def _send_rest(self, messages: Iterator[bytes]) -> None:
        """The other messages of a transfer, each made when the client has taken those before it."""
        await asyncio.sleep(0)  # the first one is on its way by then
        for message in messages:
            while self._is_stalled:
                if self._resumed is None:
                    self._resumed = asyncio.Event()
                self._resumed.clear()
                await self._resumed.wait()
            if self._transport.is_closing():
                return
            self._transport.write(len(message).to_bytes(2, "big") + message)
            await asyncio.sleep(0)

    def _waited(self, task: asyncio.Task[None]) -> None:
        self.waiting.discard(task)
        self._tcp.waiting -= 1
        if not task.cancelled() and (error := task.exception()) is not None:  # a transfer that broke off half-way
            log.error("a transfer to %s is cut off", self.host, exc_info=error)
            self.abort()
        if not self.waiting:
            self._since = self._tcp.now()
        if not self._is_stalled:
            self._schedule()

    def _hold(self, rest: bytes) -> None:
        self._tcp.held_bytes += len(rest) - len(self._held)
        self._held = rest
        if len(rest) > MAX_SHORT_BYTES + CHUNK_BYTES and self._tcp.held_bytes > MAX_HELD_BYTES:
            self.abort()


def _message_end(held: bytes, start: int, size: int) -> int:
    """Where the message that starts here ends; 0 when it is not all there. Too short a length needs no more bytes."""
    if size - start < 2:
        return 0
    end = start + 2 + (held[start] << 8 | held[start + 1])
    return end if end <= size or end - start < 2 + HEADER_BYTES else 0
