"""The DNS listeners of the process, which outlive configurations.

A listener is identified by transport, protocol, address, port and number. A start or a reload binds the sockets that
are missing, has every listener answer from the new configuration, and closes the listeners that it does not need. A
listener that both configurations need is never closed. `reloading` decides when a configuration takes over.
"""

import asyncio
import errno
import logging
import os
import re
import socket
import ssl
from collections.abc import Coroutine, Iterable
from typing import Any, NamedTuple

import msgspec

from clusterdns.chain import ListenerOptions, StartError
from clusterdns.host.admission import ConnectionLimits
from clusterdns.host.resources import descriptor_shares
from clusterdns.host.sockets import bind_tcp, bind_udp, share_port
from clusterdns.host.udp.datagrams import new_payload
from clusterdns.server.instance import Instance
from clusterdns.server.listen_points import ListenPoint
from clusterdns.server.listeners import tcp, udp
from clusterdns.server.listeners.budget import ConnectionBudget
from clusterdns.server.listeners.connection_table import TcpLimits

_EVERY_ADDRESS = ("0.0.0.0", "::")
_NO_IPV6 = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_HOST_LABEL = re.compile("[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?")

log = logging.getLogger("clusterdns")


class ListenerKey(NamedTuple):
    """The identity of a listener across configurations."""

    transport: str  # dns or tls
    protocol: str  # udp or tcp
    address: str
    port: int
    number: int  # among several for one address (multisocket)


class _BoundSocket(msgspec.Struct):
    """A bound socket, the listen point that it belongs to, and the listener on it once it serves."""

    key: ListenerKey
    point: ListenPoint
    sock: socket.socket
    listener: udp.UdpListener | tcp.TcpListener | None = None

    @property
    def family(self) -> socket.AddressFamily:
        """The address family, which decides the metrics and the answer table of its queries."""
        return self.sock.family

    async def finish(self, grace_seconds: float) -> None:
        """Answer the queries that have arrived, and close, but for a UDP socket: that one is read until `close_now`."""
        if isinstance(self.listener, udp.UdpListener):
            await self.listener.wait(grace_seconds)
        elif self.listener is not None:
            await self.listener.close(grace_seconds)

    def close_now(self) -> None:
        """Answer what a UDP socket has received, and close, all in one turn of the event loop."""
        if isinstance(self.listener, udp.UdpListener):
            self.listener.close_now()
        self.sock.close()

    async def close(self, grace_seconds: float) -> None:
        """Answer the queries that have arrived, and close."""
        try:
            await self.finish(grace_seconds)
        finally:
            self.close_now()


class Listeners:
    """All DNS listeners of the process."""

    def __init__(self) -> None:
        self._open: dict[ListenerKey, _BoundSocket] = {}  # of the running configuration
        self._fresh: dict[ListenerKey, _BoundSocket] = {}  # bound for a configuration that has not taken over
        self._wanted: dict[ListenerKey, ListenPoint] = {}
        self._payload = new_payload()
        self._budget = ConnectionBudget(ConnectionLimits().within(descriptor_shares().clients))

    def prepare(self, instance: Instance, previous: Instance | None) -> None:
        """Bind the sockets of a configuration that are not bound yet. Raises StartError; `discard` must follow then.

        The kernel delivers packets to a new UDP socket at once. The previous configuration answers those that a socket
        of its own received until then, until the new one takes over; the new one answers all others. So it is with TCP
        connections, which the previous configuration's socket keeps because the new one does not listen until `listen`.
        """
        points = instance.configuration.listen_points
        self._wanted = {}
        for point in points:
            for address in _addresses_of(point, points):
                self._want(point, address)
        for key, one in self._fresh.items():
            held = next((self._open[other] for other in _includes(key) if other in self._open), None)
            if key.protocol == "udp":
                self._read(one, instance, held, previous)
            elif held is None:
                self._listen(one, instance)

    async def discard(self) -> None:
        """Close the sockets that were bound for a configuration that does not take over."""
        fresh, self._fresh = self._fresh, {}
        await _all_of(one.close(0) for one in fresh.values())
        self._claim_ports()

    def listen(self, instance: Instance) -> None:
        """Accept TCP connections on the other new sockets. Raises StartError; `discard` must follow in that case."""
        for one in self._fresh.values():
            if one.listener is None:
                self._listen(one, instance)

    def move(self, instance: Instance) -> set[asyncio.Task[None]]:
        """Have every wanted listener answer from this configuration, in one turn of the event loop.

        All that can fail comes first, so that all listeners change over or none. Returns the tasks of queries that wait
        in the previous configuration.
        """
        both = self._open | self._fresh
        moves = [
            (both[key], point, limits_of(point.options), *instance.dispatch_for(point, key.protocol, both[key].family))
            for key, point in self._wanted.items()
        ]
        self._open, self._fresh = both, {}
        waiting: set[asyncio.Task[None]] = set()
        for one, point, limits, dispatch, context in moves:
            one.point = point
            if isinstance(one.listener, udp.UdpListener):
                waiting |= one.listener.serve(dispatch, context)
            elif one.listener is not None:
                waiting |= one.listener.serve(dispatch, context, limits)
                one.listener.tls = _tls(point)
        self._claim_ports()
        return waiting

    async def settle(self, grace_seconds: float) -> None:
        """Close the listeners that the running configuration does not want."""
        unwanted = [self._open.pop(key) for key in self._open.keys() - self._wanted.keys()]
        await _all_of(one.close(grace_seconds) for one in unwanted)

    async def close(self, grace_seconds: float) -> None:
        """Answer the queries that have arrived, and close all listeners."""
        await self.finish(grace_seconds)
        self.close_now()

    async def finish(self, grace_seconds: float) -> None:
        """Close the TCP listeners, and answer the queries that wait at present. UDP is read until `close_now`."""
        await self.discard()
        await _all_of(one.finish(grace_seconds) for one in self._open.values())

    def close_now(self) -> None:
        """Answer what the UDP sockets have received, and close all listeners, in one turn of the event loop."""
        closing, self._open = self._open, {}
        for one in closing.values():
            one.close_now()

    def _want(self, point: ListenPoint, address: str) -> None:
        for protocol in ("tcp",) if point.transport == "tls" else ("udp", "tcp"):
            for number in range(point.options.sockets):
                try:
                    self._bind(point, ListenerKey(point.transport, protocol, address, point.port, number))
                except OSError as error:
                    if address == "::" != point.address and error.errno in _NO_IPV6:
                        continue  # a host without IPv6
                    raise cannot_listen(point, protocol, error) from error

    def _bind(self, point: ListenPoint, key: ListenerKey) -> None:
        if key not in self._open and key not in self._fresh:
            bind = bind_udp if key.protocol == "udp" else bind_tcp
            beside = self._sockets_beside(key)
            for sock in beside:
                share_port(sock, is_shared=True)
            sock = bind(key.address, key.port, shares_port=point.options.shares_port or bool(beside))
            self._fresh[key] = _BoundSocket(key, point, sock)
        self._wanted[key] = point

    def _sockets_beside(self, key: ListenerKey) -> list[socket.socket]:
        """Return our sockets that exclude this one; further ones of `multisocket` share their port anyway."""
        both = (self._open, self._fresh)
        if key.address not in _EVERY_ADDRESS:
            return [sockets[other].sock for sockets in both for other in _includes(key) if other in sockets]
        return [
            one.sock
            for sockets in both
            for other, one in sockets.items()
            if (other.port, other.protocol) == (key.port, key.protocol)
            and (":" in other.address) == (":" in key.address)
        ]

    def _claim_ports(self) -> None:
        """Keep other processes from our ports, unless `multisocket` shares them: all sockets are bound and listen."""
        for one in self._open.values():
            share_port(one.sock, is_shared=one.point.options.shares_port)

    def _read(
        self, one: _BoundSocket, instance: Instance, held: _BoundSocket | None, previous: Instance | None
    ) -> None:
        """Read from a new UDP socket: for the previous configuration, where one of its sockets had the packets."""
        if held is not None and previous is not None:
            serving = previous.dispatch_for(held.point, "udp", one.family)
        else:
            serving = instance.dispatch_for(one.point, "udp", one.family)
        listener = udp.UdpListener(one.sock, *serving, self._payload)
        listener.start(asyncio.get_running_loop())
        one.listener = listener

    def _listen(self, one: _BoundSocket, instance: Instance) -> None:
        """Accept the connections of a new TCP socket."""
        dispatch, context = instance.dispatch_for(one.point, "tcp", one.family)
        limits = limits_of(one.point.options)
        one.listener = tcp.TcpListener(one.sock, dispatch, context, limits, self._budget, tls=_tls(one.point))
        try:
            one.listener.start(asyncio.get_running_loop())
        except OSError as error:
            raise cannot_listen(one.point, "tcp", error) from error


async def _all_of(closing: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Close listeners, whether or not others fail to."""
    for outcome in await asyncio.gather(*closing, return_exceptions=True):
        if isinstance(outcome, BaseException):
            log.error("closing a listener failed: %r", outcome)


def _includes(key: ListenerKey) -> list[ListenerKey]:
    """Return the keys of the first sockets of this address, and then of every address, of either transport."""
    every = "::" if ":" in key.address else "0.0.0.0"
    return [
        key._replace(transport=transport, address=address, number=0)
        for address in dict.fromkeys((key.address, every))
        for transport in ("dns", "tls")
    ]


def _addresses_of(point: ListenPoint, points: tuple[ListenPoint, ...]) -> tuple[str, ...]:
    """Return the addresses to bind: both wildcards for either, as in CoreDNS, unless another point has the other."""
    if not point.address:
        return _EVERY_ADDRESS
    if point.address not in _EVERY_ADDRESS:
        return (point.address,)
    elsewhere = {other.address for other in points if other is not point and other.port == point.port}
    return tuple(one for one in _EVERY_ADDRESS if one == point.address or not elsewhere & {one, ""})


def zone_lines(points: Iterable[ListenPoint]) -> Iterable[str]:
    """Yield the lines that a start prints: one per zone and listener, after a warning where it is not a host name."""
    for point in points:
        scheme = "" if point.transport == "dns" else f"{point.transport}://"
        where = f" on {point.address}" if point.address else ""
        for zone_text in point.zones_text * point.options.sockets:
            if not _is_preferred(zone_text):
                yield f'Warning: Domain "{zone_text}" does not follow RFC1035 preferred syntax'
            yield f"{scheme}{zone_text}:{point.port}{where}"


def _is_preferred(zone_text: str) -> bool:
    """Return whether a zone has the preferred syntax of RFC 1035 §2.3.1; reverse zones always do."""
    is_reverse = f".{zone_text}".endswith((".in-addr.arpa.", ".ip6.arpa."))
    return is_reverse or zone_text == "." or all(map(_HOST_LABEL.fullmatch, zone_text[:-1].split(".")))


def limits_of(options: ListenerOptions) -> TcpLimits:
    """Return the limits of TCP connections: the defaults, as `timeouts` changes them."""
    default = TcpLimits()
    return TcpLimits(
        first_seconds=options.read_seconds or default.first_seconds,
        idle_seconds=options.idle_seconds or default.idle_seconds,
        partial_seconds=options.read_seconds or default.partial_seconds,
        stalled_seconds=options.write_seconds or default.stalled_seconds,
        max_queries=options.max_queries,
    )


def _tls(point: ListenPoint) -> ssl.SSLContext | None:
    return point.options.tls if point.transport == "tls" else None


def cannot_listen(point: ListenPoint, protocol: str, error: OSError) -> StartError:
    """Make the error that names the server block of the listen point and what to do."""
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
