"""The TCP listeners: accepting connections, and closing them all at the end.

`connection` reads queries and writes replies on one connection; `connection_table` limits what clients may hold. A
listener outlives configurations: `serve` has it, and all of its connections, answer from another one. With a TLS
context it serves DNS over TLS (RFC 7858), else plain TCP.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable

from clusterdns.server.dispatch import Dispatch, ListenerContext
from clusterdns.server.listeners.connection import Connection
from clusterdns.server.listeners.connection_table import ConnectionTable, TcpLimits

BACKLOG = 1024
SWEEP_SECONDS = 1.0  # one timer for all connections, instead of one for each
HANDSHAKE_SECONDS = 5.0  # of TLS; a connection is not counted before its handshake completes
TLS_SHUTDOWN_SECONDS = 0.5  # for a client to answer the close_notify of TLS


class TcpListener:
    """A listening TCP socket with its connections."""

    def __init__(
        self,
        sock: socket.socket,
        dispatch: Dispatch,
        context: ListenerContext,
        limits: TcpLimits | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = sock.getsockname()
        self.tls = tls
        self.table = ConnectionTable(dispatch, context, limits or TcpLimits(), is_tls=tls is not None, clock=clock)
        self._socket = sock
        self._server: asyncio.Server | None = None

    async def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Accept connections. Raises OSError where another process listens on the address."""
        self._loop = loop
        self._socket.listen(BACKLOG)  # uvloop raises no error where this fails
        self._server = await self._accept()
        self._timer = loop.call_later(SWEEP_SECONDS, self._tick)

    async def _accept(self) -> asyncio.Server:
        """Accept on a duplicate of the socket, so that a later server can accept on the same one."""
        sock = self._socket.dup()
        if self.tls is None:
            return await self._loop.create_server(lambda: Connection(self.table), sock=sock, backlog=BACKLOG)
        return await self._loop.create_server(
            lambda: Connection(self.table), sock=sock, backlog=BACKLOG, ssl=self.tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS, ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS,
        )  # fmt: skip

    def serve(self, dispatch: Dispatch, context: ListenerContext, limits: TcpLimits) -> set[asyncio.Task[None]]:
        """Answer from another configuration; returns the tasks of queries that wait in the previous one."""
        self.table.dispatch, self.table.context, self.table.limits = dispatch, context, limits
        return self.table.waiting

    async def use_certificate(self, tls: ssl.SSLContext) -> None:
        """Use this context for new connections, without closing the socket."""
        previous = self._server
        self.tls = tls
        self._server = await self._accept()
        if previous is not None:
            previous.close()

    async def close(self, grace_seconds: float) -> None:
        """Stop accepting, answer what was received, and close every connection; after the grace time abort the rest."""
        if self._server is None:
            self._socket.close()
            return
        for _ in range(2):  # connections in the backlog are accepted in the next turn of the loop
            await asyncio.sleep(0)
        self._server.close()
        self._socket.close()
        table = self.table
        table.is_closing = True
        try:
            for connection in tuple(table.connections):
                connection.finish()
            if table.connections:
                table.emptied.clear()
                await asyncio.wait_for(table.emptied.wait(), grace_seconds)
        except TimeoutError:
            pass
        finally:
            for connection in tuple(table.connections):
                connection.abort()
            self._timer.cancel()
        await asyncio.sleep(0)  # the loop calls connection_lost of aborted connections

    def _tick(self) -> None:
        self.table.sweep()
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._tick)
