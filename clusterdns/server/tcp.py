"""The TCP listeners: who may connect, for how long, and the end. What is said on a connection is `connection`'s.

No client can cost another anything: connections are counted per client and in all, and `sweep`, once a second over all
of them, is the only timer. A listener outlives configurations: `serve` points it, with every connection it has, at what
another configuration answers. With a TLS context it speaks DNS over TLS (RFC 7858), else plain TCP.
"""

import asyncio
import socket
import ssl
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from clusterdns.server.connection import CHUNK_BYTES, Connection
from clusterdns.server.dispatch import Dispatch, ListenerContext

BACKLOG = 1024
SWEEP_SECONDS = 1.0
HANDSHAKE_SECONDS = 5.0  # of TLS; until then a connection is nobody's
FAREWELL_SECONDS = 0.5  # for a client to say good-bye in TLS as well
_OLDEST_LOOKED_AT = 32


@dataclass(frozen=True, slots=True)
class TcpLimits:
    """What clients may hold. Many pods behind one node's address are one client here, so its share is generous.

    Over `max_per_client` a new connection is refused; over `max_connections` the one idle longest makes room, and only
    if none is idle is the new one refused (RFC 7766 §6.2.2 leaves the choice). Over `max_stalled` the connection that
    has not been read from for longest is cut off.
    """

    first_seconds: float = 10.0  # from the connection to its first query
    idle_seconds: float = 10.0  # between the last reply and the next query
    partial_seconds: float = 5.0  # from the first byte of a query to its last
    stalled_seconds: float = 5.0  # unsent replies without any progress
    max_per_client: int = 256
    max_connections: int = 4096
    max_stalled: int = 128
    max_queries: int = -1  # of one connection, which is closed after them; -1: any number


class TcpListener:
    """One listening socket with its connections. `start` and `close` belong to the life cycle."""

    def __init__(
        self,
        sock: socket.socket,
        dispatch: Dispatch,
        listener: ListenerContext,
        limits: TcpLimits | None = None,
        *,
        tls: ssl.SSLContext | None = None,
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
        self.tls = tls
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
        self._server = await self._accept()
        self._timer = loop.call_later(SWEEP_SECONDS, self._tick)

    async def _accept(self) -> asyncio.Server:
        """Take connections from the socket, which stays ours, so that another such server can take over."""
        sock = self._socket.dup()
        if self.tls is None:
            return await self.loop.create_server(lambda: Connection(self), sock=sock, backlog=BACKLOG)
        return await self.loop.create_server(
            lambda: Connection(self), sock=sock, backlog=BACKLOG, ssl=self.tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS, ssl_shutdown_timeout=FAREWELL_SECONDS,
        )  # fmt: skip

    def serve(self, dispatch: Dispatch, listener: ListenerContext, limits: TcpLimits) -> set[asyncio.Task[None]]:
        """Answer from another configuration from now on; gives the queries that still wait in the one before."""
        self.dispatch, self.listener, self.limits = dispatch, listener, limits
        return {task for connection in self.connections for task in connection.waiting}

    async def use_certificate(self, tls: ssl.SSLContext) -> None:
        """New connections get this context; the socket is not closed for it."""
        before = self._server
        self.tls = tls
        self._server = await self._accept()
        if before is not None:
            before.close()

    async def close(self, grace_seconds: float) -> None:
        """Stop accepting, answer what was received, and close every connection, the last ones by force."""
        if self._server is None:
            self._socket.close()
            return
        for _ in range(2):  # who has connected by now is accepted in the next turn of the loop
            await asyncio.sleep(0)
        self._server.close()
        self._socket.close()
        self.is_closing = True
        try:
            for connection in tuple(self.connections):
                connection.finish()
            if self.connections:
                self._emptied.clear()
                await asyncio.wait_for(self._emptied.wait(), grace_seconds)
        except TimeoutError:
            pass
        finally:
            for connection in tuple(self.connections):
                connection.abort()
            self._timer.cancel()
        await asyncio.sleep(0)  # for the loop to take them down

    def admit(self, connection: Connection) -> bool:
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

    def dismiss(self, connection: Connection) -> None:
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

    def stall(self, connection: Connection) -> None:
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
