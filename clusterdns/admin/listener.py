"""A socket that serves the pages of an admin listener over HTTP.

Importing aiohttp takes as long as everything else: `http` imports this module when a listener is opened. `connection`
limits the time of clients, `exchange` reads requests and writes responses.
"""

import asyncio
import errno
import logging
import os
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from clusterdns.admin.connection import IDLE_SECONDS, AdminConnection
from clusterdns.admin.exchange import HttpProtocol, page_request, respond
from clusterdns.admin.http import AdminRoute, ListenError
from clusterdns.admin.tls import AdminTls, renewing_context
from clusterdns.host.accepting import Acceptor
from clusterdns.host.admission import Admission
from clusterdns.host.tls import TlsError
from clusterdns.host.tls_stream import Handshakes, TlsStream

SWEEP_SECONDS = 1.0  # one timer for all connections
STOP_SECONDS = 0.4  # for a request in progress when its listener closes

_HINTS = {
    errno.EADDRINUSE: "another process listens there, or another directive asks for the same port: choose a free one",
    errno.EACCES: "ports below 1024 need the capability NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "no interface of this host has that address",
}
_PROTOCOL_OPTIONS: dict[str, Any] = {"access_log": None, "keepalive_timeout": IDLE_SECONDS}
_NO_IPV6 = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

log = logging.getLogger("clusterdns")


class AdminListener:
    """An open socket that serves HTTP, and its table of paths, which may be replaced while it serves."""

    def __init__(self, address: str, tls: AdminTls | None, admission: Admission) -> None:
        self.paths: Mapping[str, AdminRoute] = {}
        self.port = 0
        self.tls = tls
        self.connections: dict[web.RequestHandler, AdminConnection] = {}
        self._address = address
        self._admission = admission
        self._context: ssl.SSLContext | None = None
        self._server = web.Server(self._respond)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=STOP_SECONDS)
        self._handshakes = Handshakes()
        self._opening: set[asyncio.Task[None]] = set()

    async def open(self, route: AdminRoute) -> None:
        """Bind and listen; the route is the one that errors name. Raises ListenError."""
        try:
            self._context = renewing_context(self.tls) if self.tls is not None else None
            self._socket = await _bind(self._address)
        except (OSError, TlsError) as problem:
            reason = _reason(problem) if isinstance(problem, OSError) else str(problem)
            raise ListenError(f"{route.asked_by}: cannot listen on {route.address}: {reason}") from problem
        self.port = self._socket.getsockname()[1]
        await self._runner.setup()
        self._loop = asyncio.get_running_loop()
        self._acceptor = Acceptor(self._socket, self._take, self._admission.evict)
        self._acceptor.start(self._loop)
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._tick)

    async def close(self) -> None:
        """Stop listening."""
        self._timer.cancel()
        self._acceptor.close()
        self._socket.close()
        await self._runner.cleanup()

    def sweep(self, now: float) -> None:
        """Close connections that have been idle, unfinished or stalled for too long."""
        for connection in tuple(self.connections.values()):
            connection.check_time(now)

    def _tick(self) -> None:
        self.sweep(self._loop.time())
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._tick)

    def _take(self, sock: socket.socket, address: Any) -> None:
        """Count the connection, then have the event loop make its transport."""
        handler = HttpProtocol(self._server, loop=self._loop, **_PROTOCOL_OPTIONS)
        connection = AdminConnection(handler, self._admission, self.connections.pop, self._loop.time())
        self._admission.admit(connection, address[0])
        self.connections[handler] = connection
        task = self._loop.create_task(self._open(sock, handler, connection))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, sock: socket.socket, handler: web.RequestHandler, connection: AdminConnection) -> None:
        protocol = connection if self._context is None else TlsStream(self._context, connection, self._handshakes)
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, sock)
        except OSError as error:  # the client is gone
            log.debug("admin connection: %s", error)
            sock.close()
            self._admission.dismiss(connection)
            del self.connections[handler]

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = self.connections.get(request.protocol)
        if connection is None:
            raise ConnectionResetError("the client has closed the connection")
        connection.begin_response()
        try:
            route = self.paths.get(request.path) or self.paths.get(_parent(request.path))
            if route is None:
                return web.Response(status=404, text="404 page not found\n")
            return await respond(request, await route.respond(page_request(request)))
        finally:
            connection.end_response(self._loop.time())


def _parent(path: str) -> str:
    """Return the path of the route that serves everything below the first folder of a path."""
    first, slash, _ = path.removeprefix("/").partition("/")
    return f"/{first}/*" if slash else ""


async def _bind(address: str) -> socket.socket:
    """Listen on `host:port`; a host name stands for its first address, IPv4 before IPv6. Raises OSError."""
    host, _, port_text = address.rpartition(":")
    port = int(port_text)
    if not host:
        return _bind_wildcard(port)
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    family, _, _, _, address_tuple = min(found, key=lambda one: one[0] != socket.AF_INET)
    return socket.create_server(address_tuple, family=family)


def _bind_wildcard(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as problem:
            if problem.errno not in _NO_IPV6:
                raise
    return socket.create_server(("", port))


def _reason(problem: OSError) -> str:
    if isinstance(problem, socket.gaierror) or problem.errno is None:
        return str(problem.strerror)
    text = os.strerror(problem.errno)  # the exception's own text repeats the address
    hint = _HINTS.get(problem.errno)
    return f"{text}; {hint}" if hint else text
