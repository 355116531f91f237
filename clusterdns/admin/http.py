"""The admin listeners: /health, /ready, /metrics and other pages that plugins serve over HTTP.

Several paths may share one `host:port`. Each configuration has a list of `AdminRoute`s; `apply` changes from the
previous list to the next one, and a listener in both stays open, so that no probe fails during a reload. Plugins make
the responses; `connection` limits the time of clients. This module knows nothing of DNS.
"""

import asyncio
import errno
import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple

from aiohttp import web

from clusterdns.admin.connection import IDLE_SECONDS, AdminConnection
from clusterdns.admin.tls import AdminTls, renewing_context
from clusterdns.host.accepting import Acceptor
from clusterdns.host.admission import Admission, ConnectionLimits
from clusterdns.host.resources import descriptor_shares
from clusterdns.host.tls import TlsError
from clusterdns.host.tls_stream import Handshakes, TlsStream

Respond = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

SWEEP_SECONDS = 1.0  # one timer for all connections
STOP_SECONDS = 0.4  # for a request in progress when its listener closes

_HINTS = {
    errno.EADDRINUSE: "another process listens there, or another directive asks for the same port: choose a free one",
    errno.EACCES: "ports below 1024 need the capability NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "no interface of this host has that address",
}
_NO_IPV6 = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_WILDCARDS = ("", "0.0.0.0", "[::]")  # each stands for all addresses of both families, as in CoreDNS

log = logging.getLogger("clusterdns")


class AdminRoute(NamedTuple):
    """One path on one listener. `asked_by` is the directive with file and line, for error messages."""

    address: str  # host:port; without a host, or with a wildcard, every address
    path: str
    respond: Respond
    asked_by: str
    tls: AdminTls | None = None


class ListenError(Exception):
    """An admin listener cannot be opened."""


class AdminHttp:
    """The admin listeners of the process. They outlive configurations."""

    def __init__(self) -> None:
        self._listeners: dict[str, AdminListener] = {}
        self._admission = Admission(ConnectionLimits().within(descriptor_shares().admin))

    async def apply(self, routes: Iterable[AdminRoute]) -> None:
        """Serve exactly these routes; of several with the same path the first one wins.

        Raises ListenError where a listener cannot be opened; the previous routes are served again in that case.
        """
        previous = {address: listener.paths for address, listener in self._listeners.items()}
        wanted: dict[str, dict[str, AdminRoute]] = {}
        for route in routes:
            paths = wanted.setdefault(_normalized(route.address), {})
            paths.setdefault(route.path, route)
            other = next(iter(paths.values()))
            if route.tls != other.tls:
                text = f"{route.asked_by}: {route.address} has other TLS settings in {other.asked_by}"
                raise ListenError(f"{text}; use another port")
        try:
            await self._move_to(wanted)
        except ListenError:
            try:
                await self._move_to(previous)
            except ListenError as again:
                log.error("%s", again)
            raise

    async def close(self) -> None:
        """Close every listener."""
        closing, self._listeners = list(self._listeners.values()), {}
        await asyncio.gather(*(listener.close() for listener in closing))

    def port(self, address: str) -> int:
        """Return the port of the listener at `address`: the one that the kernel chose for port 0."""
        return self._listeners[_normalized(address)].port

    async def _move_to(self, wanted: Mapping[str, Mapping[str, AdminRoute]]) -> None:
        # close first: `:9153` cannot be bound while `127.0.0.1:9153` is
        first = {address: next(iter(paths.values())) for address, paths in wanted.items()}
        for address, listener in tuple(self._listeners.items()):
            if address not in first or first[address].tls != listener.tls:
                await self._listeners.pop(address).close()
        for address, paths in wanted.items():
            if address not in self._listeners:
                opened = AdminListener(address, first[address].tls, self._admission)
                await opened.open(first[address])
                self._listeners[address] = opened
            self._listeners[address].paths = paths


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
        self._server = web.Server(self._respond, access_log=None, keepalive_timeout=IDLE_SECONDS)
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
        handler = self._server()
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
            route = self.paths.get(request.path)
            if route is None:
                return web.Response(status=404, text="404 page not found\n")
            return await route.respond(request)
        finally:
            connection.end_response(self._loop.time())


def _normalized(address: str) -> str:
    """Write all wildcards of a port alike, so that they share a listener."""
    host, _, port_text = address.rpartition(":")
    return f":{port_text}" if host in _WILDCARDS else address


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
