"""The life of the process, in order: bind, start the parts, serve, drain, stop; and its signals.

Sockets are bound first, so that a port in use ends the start before anything else happens, and read from then on. The
start is complete when all parts have started: when the index is synced, or `startup_timeout` has passed. From then on
`reloading` may replace the configuration at any time. At SIGTERM the server reports that it is not ready, answers
queries until the lameduck period ends and everything else is done, and exits.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import uvloop

from clusterdns.admin.http import AdminHttp
from clusterdns.host.collector import collect_where_grown
from clusterdns.host.resources import memory_limit_bytes, raise_open_file_limit
from clusterdns.server.instance import Instance
from clusterdns.server.lastgood import LastGood
from clusterdns.server.listeners.takeover import Listeners, zone_lines
from clusterdns.server.memory import MemoryBudget, MemoryWatch
from clusterdns.server.reloading import Load, Reloader, log_version
from clusterdns.telemetry.logs import BARE_LINES
from clusterdns.version import banner

SWITCH_SECONDS = (
    0.0005  # for which a thread that reads files or imports may keep the event loop waiting; the default is 5 ms
)
END_GRACE_SECONDS = 0.5  # for queries that wait for a handler when the listeners close

log = logging.getLogger("clusterdns")
bare_log = logging.getLogger(BARE_LINES)  # as in CoreDNS, zones and version have no level


def run(load: Load, *, dns_port: int, quiet: bool, pidfile: str | None, state_folder: str = "") -> NoReturn:
    """Serve the Corefile that `load` reads until a signal ends the process, which it does not outlive.

    The last good configuration is saved in the state folder, if one is given. Raises CorefileErrors or StartError where
    the server cannot start.
    """
    raise_open_file_limit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Server(load, dns_port, quiet=quiet, pidfile=pidfile, state_folder=state_folder).live())


class _Server:
    """One run of the server."""

    def __init__(self, load: Load, dns_port: int, *, quiet: bool, pidfile: str | None, state_folder: str) -> None:
        self._quiet = quiet
        self._pidfile = pidfile
        self._admin = AdminHttp()
        self._listeners = Listeners()
        self._reloader = Reloader(load, dns_port, LastGood(state_folder), self._listeners, self._admin)
        self._ended_by: asyncio.Future[signal.Signals] | None = None

    async def live(self) -> NoReturn:
        sys.setswitchinterval(SWITCH_SECONDS)
        loop = asyncio.get_running_loop()
        self._ended_by = loop.create_future()
        self._catch_signals(loop)
        try:
            await self._until_ended(self._reloader.begin())
            if not self._ended_by.done():
                assert self._reloader.running is not None
                self._print_start(self._reloader.running)
                self._write_pidfile()
                watching = self._watch_memory(loop)
                await self._until_ended(self._reloader.follow())
                for task in watching:
                    task.cancel()
            await self._end(self._ended_by.result())
        finally:
            await self._stop()

    async def _until_ended(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` until it is done or a signal ends the process; raises its exceptions."""
        assert self._ended_by is not None
        task = asyncio.ensure_future(work)
        await asyncio.wait((task, self._ended_by), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    # Start

    def _print_start(self, instance: Instance) -> None:
        if not self._quiet:
            for line in zone_lines(instance.configuration.listen_points):
                bare_log.info("%s", line)
        log_version(instance)
        if not self._quiet:
            bare_log.info("%s", banner())

    def _write_pidfile(self) -> None:
        if self._pidfile:
            try:
                with open(self._pidfile, "w", encoding="ascii") as file:
                    file.write(f"{os.getpid()}\n")
            except OSError as error:
                log.error("cannot write the pidfile %s: %s", self._pidfile, error.strerror)

    def _watch_memory(self, loop: asyncio.AbstractEventLoop) -> list[asyncio.Task[None]]:
        """Start the tasks that collect cycles, and that keep memory below the container's limit where it has one."""
        tasks = [loop.create_task(collect_where_grown(), name="cycles")]
        limit = memory_limit_bytes()
        if limit is not None:
            tasks.append(loop.create_task(MemoryWatch(limit, self._budgets).run(), name="memory"))
        return tasks

    def _budgets(self) -> Iterable[MemoryBudget]:
        running = self._reloader.running
        return () if running is None else running.configuration.shared.budgets

    # Signals

    def _catch_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_signal_handler(signal.SIGTERM, self._end_by, signal.SIGTERM)
        loop.add_signal_handler(signal.SIGINT, self._end_by, signal.SIGINT)
        loop.add_signal_handler(signal.SIGQUIT, os._exit, 0)
        loop.add_signal_handler(signal.SIGHUP, self._reload_by, signal.SIGHUP)
        loop.add_signal_handler(signal.SIGUSR1, self._reload_by, signal.SIGUSR1)

    def _reload_by(self, number: signal.Signals) -> None:
        log.info("%s: Reloading", number.name)
        self._reloader.request()

    def _end_by(self, number: signal.Signals) -> None:
        assert self._ended_by is not None
        if not self._ended_by.done():
            self._ended_by.set_result(number)
        elif number is signal.SIGINT and self._ended_by.result() is signal.SIGINT:
            os._exit(2)  # the second Ctrl-C does not wait for the lameduck period

    # End

    async def _end(self, ended_by: signal.Signals) -> NoReturn:
        """End the process. UDP queries are answered until then: the kernel closes what parts would close in `stop`."""
        log.info("%s: Shutting down servers then terminating", ended_by.name)
        self._remove_pidfile()
        if self._reloader.running is not None:
            await self._reloader.running.drain()
        await self._listeners.finish(END_GRACE_SECONDS)
        await self._admin.close()
        logging.shutdown()
        self._listeners.close_now()
        os._exit(0)  # the interpreter's own end frees every object, for 25 ms and more, in which queries are lost

    def _remove_pidfile(self) -> None:
        if self._pidfile:
            try:
                Path(self._pidfile).unlink(missing_ok=True)  # it may never have been written
            except OSError as error:
                log.warning("cannot remove the pidfile %s: %s", self._pidfile, error.strerror)

    async def _stop(self) -> None:
        """Close all listeners and stop all parts that were started, where the start has failed."""
        await self._listeners.close(0)
        if self._reloader.running is not None:
            await self._reloader.running.stop()
        await self._admin.close()
