"""The TCP listeners: accepting connections, and closing them all at the end.

`connection` reads queries and writes replies on one connection; `connection_table` limits what clients may hold. A
listener outlives configurations: `serve` has it, and all of its connections, answer from another one. With a TLS
context it serves DNS over TLS (RFC 7858), else plain TCP. Each connection is counted before anything is made for it.
"""

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from clusterdns.host.accepting import Acceptor
from clusterdns.host.admission import ConnectionLimits
from clusterdns.host.resources import return_free_memory
from clusterdns.host.tls_stream import Handshakes, TlsStream
from clusterdns.server.dispatch import Dispatch, ListenerContext
from clusterdns.server.listeners.budget import ConnectionBudget
from clusterdns.server.listeners.connection import Connection
from clusterdns.server.listeners.connection_table import ConnectionTable, TcpLimits

BACKLOG = 1024
SWEEP_SECONDS = 1.0  # one timer for all connections, instead of one for each
RETURN_FROM = 128  # TLS connections, some 6 MiB in their handshakes; returning takes milliseconds

log = logging.getLogger("clusterdns")


class TcpListener:
    """A listening TCP socket with its connections."""

    def __init__(
        self,
        sock: socket.socket,
        dispatch: Dispatch,
        context: ListenerContext,
        limits: TcpLimits | None = None,
        budget: ConnectionBudget | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = sock.getsockname()
        self.tls = tls  # of new connections
        budget = budget or ConnectionBudget(ConnectionLimits())
        self.table = ConnectionTable(
            dispatch, context, limits or TcpLimits(), budget, is_tls=tls is not None, clock=clock
        )
        self._socket = sock
        self._acceptor = Acceptor(sock, self._take, budget.admission.evict)
        self._handshakes = Handshakes()
        self._opening: set[asyncio.Task[None]] = set()
        self._most_open = 0  # connections, since memory was last returned
        self._timer: asyncio.TimerHandle | None = None  # while the listener is open

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Accept connections. Raises OSError where another process listens on the address."""
        self._loop = loop
        self._socket.listen(BACKLOG)
        self._acceptor.start(loop)
        self._timer = loop.call_later(SWEEP_SECONDS, self._tick)

    def serve(self, dispatch: Dispatch, context: ListenerContext, limits: TcpLimits) -> set[asyncio.Task[None]]:
        """Answer from another configuration; returns the tasks of queries that wait in the previous one."""
        self.table.dispatch, self.table.context, self.table.limits = dispatch, context, limits
        return self.table.waiting

    async def close(self, grace_seconds: float) -> None:
        """Stop accepting, answer what was received, and close every connection; after the grace time abort the rest."""
        if self._timer is None:
            self._socket.close()
            return
        self._timer.cancel()
        self._timer = None
        self._acceptor.accept_rest()
        self._acceptor.close()
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
        await asyncio.sleep(0)  # the loop calls connection_lost of aborted connections

    def _take(self, sock: socket.socket, address: Any) -> None:
        """Count the connection, then have the event loop make its transport."""
        connection = Connection(self.table, address, sock.getsockname()[0])
        self.table.admit(connection, connection.host)
        task = self._loop.create_task(self._open(sock, connection))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, sock: socket.socket, connection: Connection) -> None:
        protocol = connection if self.tls is None else TlsStream(self.tls, connection, self._handshakes)
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, sock)
        except OSError as error:  # the client is gone
            log.debug("tcp connection of %s: %s", connection.host, error)
            sock.close()
            self.table.dismiss(connection)

    def _tick(self) -> None:
        self.table.sweep()
        self._return_memory()
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._tick)

    def _return_memory(self) -> None:
        """Return the memory of a flood of TLS connections to the system once most of them have ended."""
        count = len(self.table.connections)
        if self.table.is_tls and count < self._most_open // 2 and self._most_open >= RETURN_FROM:
            self._most_open = count
            return_free_memory()
        self._most_open = max(self._most_open, count)
