"""The admin listeners: /health, /ready, /metrics and whatever else a plugin serves over HTTP.

Several paths may share one `host:port`. A configuration is a list of `AdminRoute`s; `apply` moves from the previous
one to the next, and a listener that both have stays open meanwhile, so that a reload never makes a probe fail. What a
path answers belongs to the plugin that asked for it; nothing here knows DNS.
"""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

from aiohttp import web

from clusterdns.admin.tls import AdminTls, renewing_context
from clusterdns.host.tls import TlsError

Respond = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

KEEP_ALIVE_SECONDS = 75
STOP_SECONDS = 0.4  # what an exchange in progress gets when its listener closes

_REMEDIES = {
    errno.EADDRINUSE: "another process listens there, or another directive asks for the same port: choose a free one",
    errno.EACCES: "ports below 1024 need the capability NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "no interface of this host has that address",
}
_NO_IPV6 = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_EVERYWHERE = ("", "0.0.0.0", "[::]")  # each stands for every address of either family, as in CoreDNS

log = logging.getLogger("clusterdns")


class AdminRoute(NamedTuple):
    """One path on one listener. `asked_by` names the directive, with file and line, for error messages."""

    address: str  # host:port; without a host, or with a wildcard, every address
    path: str
    respond: Respond
    asked_by: str
    tls: AdminTls | None = None


class ListenError(Exception):
    """An admin listener cannot open."""


class AdminHttp:
    """The admin listeners of the process. They outlive configurations."""

    def __init__(self) -> None:
        self._listeners: dict[str, _Listener] = {}

    async def apply(self, routes: Iterable[AdminRoute]) -> None:
        """Serve exactly these routes; of several for one path the first counts.

        Raises ListenError where one cannot open; what was served before is then served again.
        """
        before = {address: listener.paths for address, listener in self._listeners.items()}
        wanted: dict[str, dict[str, AdminRoute]] = {}
        for route in routes:
            paths = wanted.setdefault(_place(route.address), {})
            paths.setdefault(route.path, route)
            other = next(iter(paths.values()))
            if route.tls != other.tls:
                told = f"{route.asked_by}: {route.address} cannot have TLS settings other than {other.asked_by} has"
                raise ListenError(f"{told}: choose another port")
        try:
            await self._move_to(wanted)
        except ListenError:
            try:
                await self._move_to(before)
            except ListenError as again:
                log.error("%s", again)
            raise

    async def close(self) -> None:
        """Close every listener."""
        closing, self._listeners = list(self._listeners.values()), {}
        await asyncio.gather(*(listener.close() for listener in closing))

    def port(self, address: str) -> int:
        """The port that the listener asked for as `address` really has; tells what port 0 became."""
        return self._listeners[_place(address)].port

    async def _move_to(self, wanted: Mapping[str, Mapping[str, AdminRoute]]) -> None:
        # closing comes first: `:9153` cannot open while `127.0.0.1:9153` is
        first = {address: next(iter(paths.values())) for address, paths in wanted.items()}
        for address, before in tuple(self._listeners.items()):
            if address not in first or first[address].tls != before.tls:
                await self._listeners.pop(address).close()
        for address, paths in wanted.items():
            listener = self._listeners.get(address)
            if listener is None:
                listener = _Listener(address, first[address].tls)
                await listener.open(first[address])
                self._listeners[address] = listener
            listener.paths = paths


class _Listener:
    """One listening socket and its table of paths, which may be exchanged while it serves."""

    def __init__(self, address: str, tls: AdminTls | None) -> None:
        self.paths: Mapping[str, AdminRoute] = {}
        self.port = 0
        self.tls = tls
        self._address = address
        server = web.Server(self._respond, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS)
        self._runner = web.ServerRunner(server, shutdown_timeout=STOP_SECONDS)

    async def open(self, route: AdminRoute) -> None:
        """Start to listen for what this route asks. Raises ListenError."""
        try:
            context = renewing_context(self.tls) if self.tls is not None else None
            bound = await _bind(self._address)
        except (OSError, TlsError) as problem:
            reason = _reason(problem) if isinstance(problem, OSError) else str(problem)
            raise ListenError(f"{route.asked_by}: cannot listen on {route.address}: {reason}") from problem
        self.port = bound.getsockname()[1]
        await self._runner.setup()
        await web.SockSite(self._runner, bound, ssl_context=context).start()

    async def close(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        route = self.paths.get(request.path)
        if route is None:
            return web.Response(status=404, text="404 page not found\n")
        return await route.respond(request)


def _place(address: str) -> str:
    """One spelling for all wildcards of a port, so that they share a listener."""
    host, _, port_text = address.rpartition(":")
    return f":{port_text}" if host in _EVERYWHERE else address


async def _bind(address: str) -> socket.socket:
    """A listening socket on `host:port`; a name means its first address, IPv4 before IPv6."""
    host, _, port_text = address.rpartition(":")
    port = int(port_text)
    if not host:
        return _bind_everywhere(port)
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    family, _, _, _, where = min(found, key=lambda one: one[0] != socket.AF_INET)
    return socket.create_server(where, family=family)


def _bind_everywhere(port: int) -> socket.socket:
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
    remedy = _REMEDIES.get(problem.errno)
    return f"{text}; {remedy}" if remedy else text
