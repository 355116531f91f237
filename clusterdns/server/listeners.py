"""The DNS sockets of the process, which outlive configurations.

A socket is known by its transport, protocol, address, port and number. A start or a reload opens what is missing,
points every socket at what answers it from then on, and closes those that nobody wants any more; one that both
configurations want is never closed. Which configuration there is, and when it takes over, is `run`'s and `reloading`'s.
"""

import asyncio
import errno
import logging
import os
import re
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from clusterdns.chain import ListenerOptions, StartError
from clusterdns.host.interfaces import interface_addresses
from clusterdns.host.sockets import bind_tcp, bind_udp
from clusterdns.server import tcp, udp
from clusterdns.server.connection_table import TcpLimits
from clusterdns.server.instance import Instance
from clusterdns.server.listen_points import ListenPoint

_EVERY_ADDRESS = ("0.0.0.0", "::")
_NO_IPV6 = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_HOST_LABEL = re.compile("[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?")

log = logging.getLogger("clusterdns")


class SocketKey(NamedTuple):
    """What makes a socket the same one in two configurations."""

    transport: str  # dns or tls
    protocol: str  # udp or tcp
    address: str
    port: int
    number: int  # of several for one address (multisocket)


@dataclass
class _Open:
    """A socket, the listen point that it serves, and what answers on it, once something does."""

    key: SocketKey
    point: ListenPoint
    sock: socket.socket
    listener: udp.UdpListener | tcp.TcpListener | None = None

    async def close(self, grace_seconds: float) -> None:
        """Answer what has arrived, and close."""
        if self.listener is not None:
            await self.listener.close(grace_seconds)
        self.sock.close()


class Listeners:
    """Every DNS socket of the process."""

    def __init__(self) -> None:
        self._open: dict[SocketKey, _Open] = {}
        self._fresh: dict[SocketKey, _Open] = {}  # opened for a configuration that has not taken over
        self._wanted: dict[SocketKey, ListenPoint] = {}

    def prepare(self, points: tuple[ListenPoint, ...], before: Instance | None) -> None:
        """Bind what these points want and is not bound yet; all or nothing. Raises StartError.

        A new UDP socket gets packets from its first moment on, which a socket for every address got until then. Where
        there is a configuration before this one, it answers them until the new one has started.
        """
        self._wanted = {}
        try:
            for point in points:
                for address in _addresses_of(point, points):
                    self._want(point, address)
                if not point.address:
                    taken = {other.address for other in points if other.port == point.port}
                    self._want_own_addresses(point, taken)
        except StartError:
            self.discard()
            raise
        if before is not None:
            self._borrow(before)

    def discard(self) -> None:
        """Close what was prepared for a configuration that does not take over after all."""
        for one in self._fresh.values():
            if isinstance(one.listener, udp.UdpListener):
                one.listener.close_now()
            one.sock.close()
        self._fresh = {}

    async def listen(self, instance: Instance) -> None:
        """Accept on what was prepared, for this configuration. Raises StartError; `discard` is then to follow."""
        loop = asyncio.get_running_loop()
        begun: list[tcp.TcpListener] = []
        for key, one in self._fresh.items():
            if key.protocol != "tcp":
                continue
            dispatch, facts = instance.dispatch_for(one.point, key.protocol, one.sock.family)
            listener = tcp.TcpListener(one.sock, dispatch, facts, limits_of(one.point.options), tls=_tls(one.point))
            try:
                await listener.start(loop)
            except BaseException as error:
                for other in begun:
                    await other.close(0)
                if not isinstance(error, OSError):
                    raise
                raise cannot_listen(one.point, key.protocol, error) from error
            begun.append(listener)
            one.listener = listener

    def move(self, instance: Instance) -> set[asyncio.Task[None]]:
        """Point every wanted socket at this configuration, in one turn of the loop.

        Gives the queries that still wait in the configuration before.
        """
        loop = asyncio.get_running_loop()
        self._open |= self._fresh
        self._fresh = {}
        waiting: set[asyncio.Task[None]] = set()
        for key, point in self._wanted.items():
            one = self._open[key]
            one.point = point
            dispatch, facts = instance.dispatch_for(point, key.protocol, one.sock.family)
            if one.listener is None:
                one.listener = udp.UdpListener(one.sock, dispatch, facts)
                one.listener.start(loop)
            elif isinstance(one.listener, udp.UdpListener):
                waiting |= one.listener.serve(dispatch, facts)
            else:
                waiting |= one.listener.serve(dispatch, facts, limits_of(point.options))
        return waiting

    async def settle(self, grace_seconds: float) -> None:
        """Close the sockets that nobody wants any more, and show new certificates on those that stay."""
        for key, point in self._wanted.items():
            listener = self._open[key].listener
            tls = _tls(point)
            if isinstance(listener, tcp.TcpListener) and tls is not None and tls is not listener.tls:
                await listener.use_certificate(tls)
        leaving = [self._open.pop(key) for key in self._open.keys() - self._wanted.keys()]
        await asyncio.gather(*(one.close(grace_seconds) for one in leaving))

    async def close(self, grace_seconds: float) -> None:
        """Answer what has arrived, and close everything."""
        self.discard()
        leaving, self._open = list(self._open.values()), {}
        for outcome in await asyncio.gather(*(one.close(grace_seconds) for one in leaving), return_exceptions=True):
            if isinstance(outcome, BaseException):
                log.error("while closing a socket: %r", outcome)

    def _want(self, point: ListenPoint, address: str) -> None:
        for protocol in ("tcp",) if point.transport == "tls" else ("udp", "tcp"):
            for number in range(point.options.sockets):
                try:
                    self._bind(point, SocketKey(point.transport, protocol, address, point.port, number))
                except OSError as error:
                    if address == "::" != point.address and error.errno in _NO_IPV6:
                        continue  # a host without IPv6: IPv4 is every address there is
                    raise cannot_listen(point, protocol, error) from error

    def _want_own_addresses(self, point: ListenPoint, taken: set[str]) -> None:
        """Beside the sockets for every address, a UDP socket for each address that this host has now.

        The kernel prefers them, and they answer from the right address without being told, which saves a tenth of the
        CPU per query. What cannot be opened, and addresses that come later, the sockets for every address serve.
        """
        if point.transport != "dns":
            return
        try:
            addresses = {address for several in interface_addresses().values() for address in several}
        except OSError as problem:
            log.debug("cannot list this host's addresses: %s", problem)
            return
        for address in sorted(address for address in addresses - taken if "%" not in address):
            for number in range(point.options.sockets):
                try:
                    self._bind(point, SocketKey("dns", "udp", address, point.port, number))
                except OSError as problem:
                    log.debug("no socket of its own for %s: %s", address, problem)

    def _bind(self, point: ListenPoint, key: SocketKey) -> None:
        if key not in self._open and key not in self._fresh:
            bind = bind_udp if key.protocol == "udp" else bind_tcp
            self._fresh[key] = _Open(key, point, bind(key.address, key.port))
        self._wanted[key] = point

    def _borrow(self, before: Instance) -> None:
        loop = asyncio.get_running_loop()
        for key, one in self._fresh.items():
            if key.protocol != "udp":
                continue
            everywhere = "::" if one.sock.family == socket.AF_INET6 else "0.0.0.0"
            places = [key._replace(number=0), key._replace(number=0, address=everywhere)]
            found = next((self._open[place] for place in places if place in self._open), None)
            if found is not None:
                one.listener = udp.UdpListener(one.sock, *before.dispatch_for(found.point, "udp", one.sock.family))
                one.listener.start(loop)


def _addresses_of(point: ListenPoint, points: tuple[ListenPoint, ...]) -> tuple[str, ...]:
    """What a point's address stands for: either wildcard for both, as in CoreDNS, unless others have the other one."""
    if not point.address:
        return _EVERY_ADDRESS
    if point.address not in _EVERY_ADDRESS:
        return (point.address,)
    elsewhere = {other.address for other in points if other is not point and other.port == point.port}
    return tuple(one for one in _EVERY_ADDRESS if one == point.address or not elsewhere & {one, ""})


def zone_lines(points: Iterable[ListenPoint]) -> Iterable[str]:
    """What a start prints: a line per zone and listener, and one before it where the zone is no host name."""
    for point in points:
        scheme = "" if point.transport == "dns" else f"{point.transport}://"
        where = f" on {point.address}" if point.address else ""
        for zone_text in point.zones_text * point.options.sockets:
            if not _is_preferred(zone_text):
                yield f'Warning: Domain "{zone_text}" does not follow RFC1035 preferred syntax'
            yield f"{scheme}{zone_text}:{point.port}{where}"


def _is_preferred(zone_text: str) -> bool:
    """RFC 1035 §2.3.1; reverse zones are names that nobody chose."""
    is_reverse = f".{zone_text}".endswith((".in-addr.arpa.", ".ip6.arpa."))
    return is_reverse or zone_text == "." or all(map(_HOST_LABEL.fullmatch, zone_text[:-1].split(".")))


def limits_of(listening: ListenerOptions) -> TcpLimits:
    """What `timeouts` says of streams; what it does not say stays as it is without."""
    usual = TcpLimits()
    return TcpLimits(
        first_seconds=listening.read_seconds or usual.first_seconds,
        idle_seconds=listening.idle_seconds or usual.idle_seconds,
        partial_seconds=listening.read_seconds or usual.partial_seconds,
        stalled_seconds=listening.write_seconds or usual.stalled_seconds,
        max_queries=listening.max_queries,
    )


def _tls(point: ListenPoint) -> ssl.SSLContext | None:
    return point.options.tls if point.transport == "tls" else None


def cannot_listen(point: ListenPoint, protocol: str, error: OSError) -> StartError:
    """The error with the block that asked for the address, and what to do."""
    hints = {
        errno.EADDRINUSE: f"stop what uses the port ('ss -lnp sport = :{point.port}' shows it), or choose another",
        errno.EACCES: "ports below 1024 need the capability NET_BIND_SERVICE",
        errno.EADDRNOTAVAIL: "no interface of this host has that address; see 'bind' in the server block",
    }
    hint = hints.get(error.errno or 0, "see the address and port of the server block")
    return StartError(
        f"listen {protocol} {point.host_port}: {os.strerror(error.errno or 0).lower()}"
        f" (asked for by {point.asked_by}); {hint}"
    )
