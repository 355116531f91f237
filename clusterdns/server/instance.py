"""One configuration while it runs: its parts started, and for each listen point what answers there.

Made by `run` for the first configuration and by `reloading` for each that follows. It knows no sockets: `listeners`
asks `answering` for what to put behind each.
"""

import asyncio
import logging
import socket

from clusterdns.admin.http import ListenError
from clusterdns.chain import Part, StartError
from clusterdns.chain.exports import ReloadSchedule
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.server.assembly import Configuration
from clusterdns.server.dispatch import Dispatch, ListenerContext
from clusterdns.server.listen_points import ListenPoint
from clusterdns.telemetry.queries import QueryCounters, panics, plugin_enabled

log = logging.getLogger("clusterdns")


class _Point:
    """What answers at one listen point: a dispatch, and one answer table for all sockets alike but in address."""

    def __init__(self, point: ListenPoint, configuration: Configuration) -> None:
        self.counters = QueryCounters(configuration.registry, point.server_text)
        self.dispatch = Dispatch(point.routes, self.counters, panics(configuration.registry))
        self._shared = configuration.shared
        self._contexts: dict[tuple[str, str], ListenerContext] = {}

    def context_for(self, protocol: str, family: str) -> ListenerContext:
        found = self._contexts.get((protocol, family))
        if found is None:
            table, hit_time = self._shared.new_table(), self.counters.new_hit_time()
            found = self._contexts[protocol, family] = ListenerContext(protocol, family, table, hit_time)
        return found


class Instance:
    """One configuration, from its start to its stop."""

    def __init__(self, configuration: Configuration, sha512: str) -> None:
        self.configuration = configuration
        self.sha512 = sha512  # of the Corefile's text
        self._points = {point: _Point(point, configuration) for point in configuration.points}

    @property
    def schedule(self) -> ReloadSchedule | None:
        """How often the Corefile is looked at: what the last `reload` of the file says, None without one."""
        found = tuple(self.configuration.exports(ReloadSchedule))
        return found[-1] if found else None

    def dispatch_for(
        self, point: ListenPoint, protocol: str, family: socket.AddressFamily
    ) -> tuple[Dispatch, ListenerContext]:
        """What answers queries of one protocol and address family at this point of the configuration."""
        one = self._points[point]
        return one.dispatch, one.context_for(protocol, "2" if family == socket.AF_INET6 else "1")

    def unready(self) -> dict[str, str]:
        """The plugins that are not ready, with the reason."""
        return {name: reason for (name, _), reason in self.configuration.shared.unready_reasons().items()}

    async def start(self) -> None:
        """Start every part, in plugin order. Raises StartError; `stop` is to follow then, too."""
        for warning in self.configuration.warnings:
            log.warning("%s", warning)
        try:
            for part in self.configuration.parts:
                if part.life.start is not None:
                    await part.life.start()
        except (CorefileError, CorefileErrors, ListenError) as error:
            raise StartError(str(error)) from error

    async def serving(self) -> None:
        """Say what runs, now that it answers queries."""
        plugin_enabled(self.configuration.registry).clear()
        for part in self.configuration.parts:
            if part.life.serving is not None:
                await part.life.serving()

    async def drain(self) -> None:
        """What comes first at the end, while queries are still answered."""
        for part in self.configuration.parts:
            if part.life.drain is not None:
                await part.life.drain()

    async def stop(self) -> None:
        """Stop every part, one failure not keeping the rest from it, and let go of everything."""
        for part in reversed(self.configuration.parts):
            await _stop(part)
        for one in self._points.values():
            one.counters.close()
        self._points = {}
        self.configuration.shared.let_go()


async def _stop(part: Part) -> None:
    if part.life.stop is not None:
        for outcome in await asyncio.gather(part.life.stop(), return_exceptions=True):
            if isinstance(outcome, BaseException):
                log.error("while stopping plugin/%s: %r", part.name, outcome)
