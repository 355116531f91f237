"""A configuration while it runs: its parts started, and a dispatch for each of its listen points.

`reloading` makes an instance of each configuration. An instance owns no sockets: `listeners` asks `dispatch_for` what
serves each of them.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable

from clusterdns.admin.http import ListenError
from clusterdns.chain import StartError
from clusterdns.chain.exports import ReloadSchedule
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.server.assembly import Configuration
from clusterdns.server.dispatch import Dispatch, ListenerContext
from clusterdns.server.listen_points import ListenPoint
from clusterdns.server.live.view import LiveView
from clusterdns.telemetry.queries import QueryCounters, panics, plugin_enabled

STOP_SECONDS = 10.0  # for a part to stop

log = logging.getLogger("clusterdns")


class _PointDispatch:
    """The dispatch of one listen point, with a context for each protocol and address family of its listeners."""

    def __init__(self, point: ListenPoint, configuration: Configuration) -> None:
        self.counters = QueryCounters(configuration.registry, point.server_text)
        self.dispatch = Dispatch(point.routes, self.counters, panics(configuration.registry))
        self._shared = configuration.shared
        self._contexts: dict[tuple[str, str], ListenerContext] = {}

    def context_for(self, protocol: str, family: str) -> ListenerContext:
        """Return the context, with its answer table, that all listeners of this protocol and family share."""
        found = self._contexts.get((protocol, family))
        if found is None:
            table, hit_time = self._shared.new_table(), self.counters.new_hit_time()
            self.counters.before_flush.append(table.fold_hits)
            found = self._contexts[protocol, family] = ListenerContext(
                protocol, family, table, hit_time, self._shared.tap
            )
        return found


class Instance:
    """A configuration from its start to its stop."""

    def __init__(self, configuration: Configuration, sha512: str) -> None:
        self.configuration = configuration
        self.sha512 = sha512  # of the Corefile's text
        self._live = configuration.shared.live = LiveView(configuration)
        self._dispatches = {point: _PointDispatch(point, configuration) for point in configuration.listen_points}

    @property
    def schedule(self) -> ReloadSchedule | None:
        """How often the Corefile is polled: as the last `reload` directive of the file says, None without one."""
        found = tuple(self.configuration.exports(ReloadSchedule))
        return found[-1] if found else None

    def dispatch_for(
        self, point: ListenPoint, protocol: str, family: socket.AddressFamily
    ) -> tuple[Dispatch, ListenerContext]:
        """Return what serves the listeners of one listen point, protocol and address family."""
        one = self._dispatches[point]
        return one.dispatch, one.context_for(protocol, "2" if family == socket.AF_INET6 else "1")

    def unready(self) -> dict[str, str]:
        """Return the plugins that are not ready, with the reason."""
        return {name: reason for (name, _), reason in self.configuration.shared.unready_reasons().items()}

    async def prepare(self) -> None:
        """Have every part restore what a previous process has saved, before queries are answered from this instance."""
        for part in self.configuration.parts:
            if part.life.prepare is not None:
                await part.life.prepare()

    async def start(self) -> None:
        """Start every part, and wait until each has what it answers from. Raises StartError, like `start_parts`."""
        await self.start_parts()
        await self.warm_up()

    async def start_parts(self) -> None:
        """Start every part, in plugin order. Raises StartError; `stop` must follow in that case, too.

        Queries may arrive before: parts answer them from what they have. Answers compiled so far are dropped at the
        end, because a part learns of changes from its start on.
        """
        for warning in self.configuration.warnings:
            log.warning("%s", warning)
        try:
            for part in self.configuration.parts:
                if part.life.start is not None:
                    await part.life.start()
        except (CorefileError, CorefileErrors, ListenError) as error:
            raise StartError(str(error)) from error
        self.configuration.shared.forget_all()

    async def warm_up(self) -> None:
        """Wait until every part has what it answers from, as long as its settings allow."""
        warming_up = (part.life.warm_up for part in self.configuration.parts)
        await asyncio.gather(*(warm_up() for warm_up in warming_up if warm_up is not None))

    async def serving(self) -> None:
        """Notify every part that the DNS listeners answer from this configuration, whether or not others fail."""
        plugin_enabled(self.configuration.registry).clear()
        for part in self.configuration.parts:
            problem = await _failure_of(part.life.serving)
            if problem is not None:
                log.error(
                    "plugin/%s: its work after the start failed: %r; queries are answered; send SIGHUP to try again",
                    part.name, problem,
                )  # fmt: skip

    async def drain(self) -> None:
        """Run the parts' first steps of a shutdown, while queries are still answered."""
        for part in self.configuration.parts:
            if part.life.drain is not None:
                await part.life.drain()

    async def stop(self) -> None:
        """Stop every part, whether or not others fail to, and release the configuration."""
        for part in reversed(self.configuration.parts):
            problem = await _failure_of(part.life.stop, STOP_SECONDS)
            if problem is not None:
                log.error("stopping plugin/%s failed: %r", part.name, problem)
        await self.configuration.shared.remove_all()  # which counts their hits
        for one in self._dispatches.values():
            for _ in one.counters.flush():
                await asyncio.sleep(0)
            one.counters.close()
        self._dispatches = {}
        self._live.end()
        await asyncio.sleep(0)
        self.configuration.release()


async def _failure_of(hook: Callable[[], Awaitable[None]] | None, seconds: float | None = None) -> BaseException | None:
    """Run a callback of a part; return its exception, a TimeoutError after this time, or None."""
    if hook is None:
        return None

    async def call() -> None:
        async with asyncio.timeout(seconds):
            await hook()

    (outcome,) = await asyncio.gather(call(), return_exceptions=True)
    return outcome
