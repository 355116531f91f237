"""The life of the process, in order: bind, start the parts, serve, drain, stop.

Sockets are bound first, so that a port in use ends the start before anything else has happened; they are read from when
the parts have started, that is when the index is filled or `startup_timeout` has passed. At SIGTERM the server stops
being ready, goes on answering through the lameduck period, answers what it has received, and ends.
"""

import asyncio
import errno
import gc
import logging
import os
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import uvloop

from clusterdns.admin.http import AdminHttp, ListenError
from clusterdns.plugins.interfaces import interface_addresses
from clusterdns.server import tcp, udp
from clusterdns.server.assembly import Configuration, ListenPoint
from clusterdns.server.dispatch import Dispatch, Listener
from clusterdns.sources.manifests import ManifestError
from clusterdns.telemetry.queries import QueryCounters, panics, plugin_enabled
from clusterdns.version import banner

GRACE_SECONDS = 5.0  # for queries that still wait for a handler when the listeners close
_EVERY_ADDRESS = ("0.0.0.0", "::")
_OPENERS: dict[str, Callable[[str, int], socket.socket]] = {"udp": udp.open_socket, "tcp": tcp.open_socket}
_NO_IPV6 = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
# New containers per collection: the index is long-lived and large, so the default 700 would walk it all the time.
_GC_THRESHOLDS = (50_000, 20, 50)

log = logging.getLogger("clusterdns")


class StartError(Exception):
    """The server cannot start: what, where, and what to do."""


def run(configuration: Configuration, *, quiet: bool, pidfile: str | None) -> int:
    """Serve until a signal ends it; the exit code. Raises StartError where it cannot begin."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Server(configuration, quiet=quiet, pidfile=pidfile).live())


@dataclass
class _Open:
    """A listen point's socket of one transport and family."""

    point: ListenPoint
    transport: str
    sock: socket.socket


class _Server:
    """One run of one configuration."""

    def __init__(self, configuration: Configuration, *, quiet: bool, pidfile: str | None) -> None:
        self._configuration = configuration
        self._quiet = quiet
        self._pidfile = pidfile
        self._admin = AdminHttp()
        self._listeners: list[udp.UdpListener | tcp.TcpListener] = []
        self._counters: list[QueryCounters] = []
        self._ended_by: asyncio.Future[signal.Signals] | None = None

    async def live(self) -> int:
        loop = asyncio.get_running_loop()
        self._ended_by = loop.create_future()
        self._catch_signals(loop)
        _raise_file_limit()
        opened = _open_sockets(self._configuration.points)
        try:
            ended_by = await self._start(opened)
            if ended_by is None:
                self._announce()
                self._write_pidfile()
                ended_by = await self._ended_by
            await self._end(ended_by)
        finally:
            await self._stop()
            for one in opened:
                one.sock.close()
        return 0

    # Beginning

    async def _start(self, opened: list[_Open]) -> signal.Signals | None:
        """Start everything; gives the signal that ended the process while it was still starting, if one did."""
        for warning in self._configuration.warnings:
            log.warning("%s", warning)
        plugin_enabled(self._configuration.registry).forget()
        try:
            await self._admin.apply(self._configuration.shared.admin_routes)
            starting = asyncio.ensure_future(self._start_parts())
            assert self._ended_by is not None
            await asyncio.wait((starting, self._ended_by), return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
                return self._ended_by.result()
            starting.result()
            gc.freeze()
            gc.set_threshold(*_GC_THRESHOLDS)
            await self._listen(opened)
        except (ListenError, ManifestError) as error:
            raise StartError(str(error)) from error
        return None

    async def _start_parts(self) -> None:
        for part in self._configuration.parts:
            if part.start is not None:
                await part.start()

    async def _listen(self, opened: list[_Open]) -> None:
        for point in self._configuration.points:
            counters = QueryCounters(self._configuration.registry, point.server_text)
            self._counters.append(counters)
            dispatch = Dispatch(point.routes, counters, panics(self._configuration.registry))
            facts: dict[tuple[str, int], Listener] = {}  # one answer table for all sockets alike but in address
            for one in opened:
                if one.point is not point:
                    continue
                kind = (one.transport, one.sock.family)
                if kind not in facts:
                    family = "2" if one.sock.family == socket.AF_INET6 else "1"
                    table = self._configuration.shared.new_table()
                    facts[kind] = Listener(one.transport, family, table, counters.pace())
                await self._listen_on(one, dispatch, facts[kind])

    async def _listen_on(self, one: _Open, dispatch: Dispatch, facts: Listener) -> None:
        loop = asyncio.get_running_loop()
        if one.transport == "udp":
            datagrams = udp.UdpListener(one.sock, dispatch, facts)
            datagrams.start(loop)
            self._listeners.append(datagrams)
            return
        stream = tcp.TcpListener(one.sock, dispatch, facts)
        try:
            await stream.start(loop)
        except OSError as error:
            raise _cannot_listen(one.point, one.transport, error) from error
        self._listeners.append(stream)

    def _announce(self) -> None:
        if not self._quiet:
            with suppress(OSError):  # nobody reads it: no reason not to serve
                print("\n".join([*self._zone_lines(), banner()]), flush=True)

    def _write_pidfile(self) -> None:
        if self._pidfile:
            try:
                with open(self._pidfile, "w", encoding="ascii") as file:
                    file.write(f"{os.getpid()}\n")
            except OSError as error:
                log.error("cannot write the pidfile %s: %s", self._pidfile, error.strerror)

    def _zone_lines(self) -> Iterable[str]:
        for point in self._configuration.points:
            where = f" on {point.address}" if point.address else ""
            for zone_text in point.zones_text:
                yield f"{zone_text}:{point.port}{where}"

    # Ending

    def _catch_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_signal_handler(signal.SIGTERM, self._end_by, signal.SIGTERM)
        loop.add_signal_handler(signal.SIGINT, self._end_by, signal.SIGINT)
        loop.add_signal_handler(signal.SIGQUIT, os._exit, 0)
        loop.add_signal_handler(signal.SIGHUP, log.info, "SIGHUP: ignored")
        loop.add_signal_handler(
            signal.SIGUSR1, log.warning, "SIGUSR1: this version cannot reload; restart it to read the Corefile again"
        )

    def _end_by(self, number: signal.Signals) -> None:
        assert self._ended_by is not None
        if not self._ended_by.done():
            self._ended_by.set_result(number)
        elif number is signal.SIGINT and self._ended_by.result() is signal.SIGINT:
            os._exit(2)  # the second Ctrl-C does not wait for the lameduck period

    async def _end(self, ended_by: signal.Signals) -> None:
        log.info("%s: Shutting down servers then terminating", ended_by.name)
        self._remove_pidfile()
        for part in self._configuration.parts:
            if part.drain is not None:
                await part.drain()

    def _remove_pidfile(self) -> None:
        if self._pidfile:
            try:
                Path(self._pidfile).unlink(missing_ok=True)  # it may never have been written
            except OSError as error:
                log.warning("cannot remove the pidfile %s: %s", self._pidfile, error.strerror)

    async def _stop(self) -> None:
        """Close and stop everything that was started; one failure does not keep the rest from it."""
        await _all_of([listener.close(GRACE_SECONDS) for listener in self._listeners])
        for part in reversed(self._configuration.parts):
            if part.stop is not None:
                await _all_of([part.stop()])
        await self._admin.close()
        for counters in self._counters:
            counters.close()


def _raise_file_limit() -> None:
    """Take all file descriptors that the host allows: thousands of TCP clients need more than the usual 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _all_of(steps: Iterable[Awaitable[None]]) -> None:
    for outcome in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(outcome, BaseException):
            log.error("while stopping: %r", outcome)


def _open_sockets(points: tuple[ListenPoint, ...]) -> list[_Open]:
    """Bind every address of every point, or none. Raises StartError."""
    opened: list[_Open] = []
    try:
        for point in points:
            for address in (point.address,) if point.address else _EVERY_ADDRESS:
                for transport, open_socket in _OPENERS.items():
                    try:
                        opened.append(_Open(point, transport, open_socket(address, point.port)))
                    except OSError as error:
                        if address == "::" and not point.address and error.errno in _NO_IPV6:
                            continue  # a host without IPv6: IPv4 is every address there is
                        raise _cannot_listen(point, transport, error) from error
            if not point.address:
                taken = {other.address for other in points if other.port == point.port}
                opened += _open_own_addresses(point, taken)
    except StartError:
        for one in opened:
            one.sock.close()
        raise
    return opened


def _open_own_addresses(point: ListenPoint, taken: set[str]) -> list[_Open]:
    """Beside the sockets for every address, a UDP socket for each address that this host has now.

    The kernel prefers them, and they answer from the right address without being told, which saves a tenth of the CPU
    per query. What cannot be opened, and addresses that come later, are served by the sockets for every address.
    """
    opened = []
    try:
        addresses = {address for several in interface_addresses().values() for address in several}
    except OSError as problem:
        log.debug("cannot list this host's addresses: %s", problem)
        return []
    for address in sorted(address for address in addresses - taken if "%" not in address):
        try:
            opened.append(_Open(point, "udp", udp.open_socket(address, point.port)))
        except OSError as problem:
            log.debug("no socket of its own for %s: %s", address, problem)
    return opened


def _cannot_listen(point: ListenPoint, transport: str, error: OSError) -> StartError:
    mends = {
        errno.EADDRINUSE: f"stop what uses the port ('ss -lnp sport = :{point.port}' shows it), or choose another",
        errno.EACCES: "ports below 1024 need the capability NET_BIND_SERVICE",
        errno.EADDRNOTAVAIL: "no interface of this host has that address; see 'bind' in the server block",
    }
    mend = mends.get(error.errno or 0, "see the address and port of the server block")
    return StartError(
        f"listen {transport} {point.host_port}: {os.strerror(error.errno or 0).lower()}"
        f" (asked for by {point.asked_by}); {mend}"
    )
