"""The TCP listeners: pipelined queries in, whole replies out (RFC 7766), and no client that can cost another anything.

A connection answers its queries in batches, hits and waits exactly as UDP does, with one write per batch. It reads no
further while the client does not take its replies or too many of its queries wait, so what one connection can pin is
known: one chunk of input and one reply over the high-water mark. `sweep` runs once a second over all connections and
is the only timer.
"""

import asyncio
import logging
import socket
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import Any

from clusterdns.server.dispatch import Dispatch, Listener
from clusterdns.server.sockets import open_bound, unread_bytes
from clusterdns.wire.query import HEADER_BYTES

BATCH = 64  # queries of one connection per turn of the loop
CHUNK_BYTES = 16_384  # read at once
HIGH_WATER_BYTES = 8_192  # unsent replies; above, the connection stops answering and reading
MAX_UNSENT_BYTES = 262_144  # replies of handlers that waited come when they come; a client that leaves these is cut off
MAX_SHORT_BYTES = 4_096  # an unfinished query up to here is nobody's concern …
MAX_HELD_BYTES = 8 << 20  # … longer ones share this with everything else that is held
MAX_WAITING = 64  # queries of one connection that wait for a handler; it is read no further until one is answered
MAX_ALL_WAITING = 10_000  # of all connections; beyond them a query is dropped, as over UDP
SOCKET_BUFFER_BYTES = 65_536  # the kernel's, each way; left alone they grow to megabytes for a client that stalls
BACKLOG = 1024
SWEEP_SECONDS = 1.0
_OLDEST_LOOKED_AT = 32

log = logging.getLogger("clusterdns")


@dataclass(frozen=True, slots=True)
class TcpLimits:
    """What clients may hold. Many pods behind one node's address are one client here, so its share is generous.

    Over `max_per_client` a new connection is refused; over `max_connections` the one idle longest makes room, and only
    if none is idle is the new one refused (RFC 7766 §6.2.2 leaves the choice). Over `max_stalled` the connection that
    has not been read from for longest is cut off.
    """

    idle_seconds: float = 10.0  # between the last reply and the next query
    partial_seconds: float = 5.0  # from the first byte of a query to its last
    stalled_seconds: float = 5.0  # unsent replies without any progress
    max_per_client: int = 256
    max_connections: int = 4096
    max_stalled: int = 128


def open_socket(address: str, port: int) -> socket.socket:
    """A bound, non-blocking TCP socket, not yet listening. `address` may be `0.0.0.0` or `::`. Raises OSError."""
    return open_bound(
        socket.SOCK_STREAM,
        address,
        port,
        (socket.SO_REUSEADDR, 1),
        (socket.SO_SNDBUF, SOCKET_BUFFER_BYTES),
        (socket.SO_RCVBUF, SOCKET_BUFFER_BYTES),
    )


class TcpListener:
    """One listening socket with its connections. `start` and `close` belong to the life cycle."""

    def __init__(
        self,
        sock: socket.socket,
        dispatch: Dispatch,
        listener: Listener,
        limits: TcpLimits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.dispatch = dispatch
        self.listener = listener
        self.limits = limits or TcpLimits()
        self.address = sock.getsockname()
        self.now = clock
        self.buffer = memoryview(bytearray(CHUNK_BYTES))  # every read ends here and is copied out before the next
        self.held_bytes = 0
        self.waiting = 0
        self.is_closing = False
        self.connections: OrderedDict[Connection, None] = OrderedDict()  # the one quiet for longest first
        self.stalled: OrderedDict[Connection, None] = OrderedDict()  # the one stalled for longest first
        self._per_client: Counter[str] = Counter()
        self._socket = sock
        self._emptied = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Accept from now on. Raises OSError where another process listens already."""
        self.loop = loop
        self._socket.listen(BACKLOG)  # uvloop says nothing where this fails
        self._server = await loop.create_server(lambda: Connection(self), sock=self._socket, backlog=BACKLOG)
        self._timer = loop.call_later(SWEEP_SECONDS, self._tick)

    async def close(self, grace_seconds: float) -> None:
        """Stop accepting, answer what was received, and close every connection, the last ones by force."""
        if self._server is None:
            self._socket.close()
            return
        for _ in range(2):  # who has connected by now is accepted in the next turn of the loop
            await asyncio.sleep(0)
        self._server.close()
        self.is_closing = True
        for connection in tuple(self.connections):
            connection.finish()
        if self.connections:
            self._emptied.clear()
            try:
                await asyncio.wait_for(self._emptied.wait(), grace_seconds)
            except TimeoutError:
                for connection in tuple(self.connections):
                    connection.abort()
                await asyncio.sleep(0)  # for the loop to take them down
        self._timer.cancel()

    def admit(self, connection: "Connection") -> bool:
        """Count a new connection in, unless its client or everybody together has too many."""
        limits = self.limits
        if self.is_closing or self._per_client[connection.host] >= limits.max_per_client:
            return False
        if len(self.connections) >= limits.max_connections:
            oldest = islice(self.connections, _OLDEST_LOOKED_AT)
            idle = next((one for one in oldest if one.is_idle), None)
            if idle is None:
                return False
            idle.abort()
            self.dismiss(idle)
        self._per_client[connection.host] += 1
        self.connections[connection] = None
        return True

    def dismiss(self, connection: "Connection") -> None:
        """Forget a connection that has ended; saying so twice does no harm."""
        self.stalled.pop(connection, None)
        if connection not in self.connections:
            return
        del self.connections[connection]
        self._per_client[connection.host] -= 1
        if not self._per_client[connection.host]:
            del self._per_client[connection.host]
        if not self.connections:
            self._emptied.set()

    def stall(self, connection: "Connection") -> None:
        """A client does not take its replies; of too many such, the first loses its connection."""
        self.stalled[connection] = None
        if len(self.stalled) > self.limits.max_stalled:
            oldest = next(iter(self.stalled))
            del self.stalled[oldest]
            oldest.abort()

    def sweep(self) -> None:
        """Close what has been idle, unfinished or stalled for too long."""
        now = self.now()
        for connection in tuple(self.connections):
            connection.check_time(now, self.limits)

    def _tick(self) -> None:
        self.sweep()
        self._timer = self.loop.call_later(SWEEP_SECONDS, self._tick)


class Connection(asyncio.BufferedProtocol):
    """One client's connection."""

    __slots__ = (
        "_client", "_held", "_is_ended", "_is_scheduled", "_is_stalled", "_since", "_tcp", "_transport",
        "_unread_bytes", "_unsent_bytes", "_waiting", "host",
    )  # fmt: skip

    def __init__(self, tcp: TcpListener) -> None:
        self.host = ""
        self._tcp = tcp
        self._client: Any = ("", 0)
        self._held = b""  # received and not yet answered: at most a chunk and an unfinished query
        self._waiting: set[asyncio.Task[None]] = set()
        self._since = tcp.now()  # when the connection became idle, the query began or the client last took something
        self._unsent_bytes = 0  # at the last sweep
        self._unread_bytes = 0  # of what had arrived when the listener closed; of no meaning before
        self._is_stalled = False
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
        for task in self._waiting:
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
        return bool(self._waiting or self._is_scheduled or self._is_stalled)

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
        self._schedule()

    # What the listener calls

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not (self._held or self._waiting or self._is_stalled)

    def abort(self) -> None:
        """Close at once, leaving what is unsent."""
        self._transport.abort()

    def finish(self) -> None:
        """Answer what has arrived by now, then close."""
        if not self._transport.is_closing():
            self._unread_bytes = unread_bytes(self._transport.get_extra_info("socket"))
            self.close_if_done()

    def close_if_done(self) -> None:
        """Close a connection that will ask nothing more, or is to be asked nothing more, once all is answered."""
        is_last = self._is_ended or (self._tcp.is_closing and self._unread_bytes <= 0)
        if is_last and not (self._waiting or self._is_scheduled or self._is_stalled):
            self._transport.close()

    def check_time(self, now: float, limits: TcpLimits) -> None:
        """Close a connection that has been in its present state for too long."""
        if self._is_stalled:
            unsent_bytes = self._transport.get_write_buffer_size()
            if unsent_bytes != self._unsent_bytes:
                self._unsent_bytes = unsent_bytes
                self._since = now
            elif now - self._since >= limits.stalled_seconds:
                self.abort()
        elif not (self._waiting or self._is_scheduled):
            patience = limits.partial_seconds if self._held else limits.idle_seconds
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
        elif self._is_stalled or len(self._waiting) >= MAX_WAITING:
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
        for _ in range(BATCH):
            if not end:
                break
            if end - start < 2 + HEADER_BYTES:
                is_sound = False
                break
            answer = entries.get(held[start + 4 : end])
            if answer is not None:
                answer.tally.count += 1
                hits += 1
                tail = answer.tail or answer.message()
                reply = (len(tail) + 2).to_bytes(2, "big") + held[start + 2 : start + 4] + tail
            else:
                reply = self._miss(held[start + 2 : end])
            start = end
            end = _message_end(held, start, size)
            replies.append(reply)
            reply_bytes += len(reply)
            if reply_bytes > HIGH_WATER_BYTES or len(self._waiting) >= MAX_WAITING:
                break  # see whether the client takes this before making more
        if reply_bytes:
            self._transport.write(b"".join(replies))
        if start:
            self._since = self._tcp.now()
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
            return len(reply).to_bytes(2, "big") + reply
        if self._tcp.waiting >= MAX_ALL_WAITING:
            reply.close()
            return b""
        task = self._tcp.loop.create_task(self._reply_later(reply))
        self._tcp.waiting += 1
        self._waiting.add(task)
        task.add_done_callback(self._waited)
        return b""

    async def _reply_later(self, reply: Coroutine[Any, Any, bytes | None]) -> None:
        """Replies may overtake each other (RFC 7766 §7), so none waits for another."""
        message = await reply
        if message is None or self._transport.is_closing():
            return
        self._transport.write(len(message).to_bytes(2, "big") + message)
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.abort()

    def _waited(self, task: asyncio.Task[None]) -> None:
        self._waiting.discard(task)
        self._tcp.waiting -= 1
        if not self._waiting:
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
