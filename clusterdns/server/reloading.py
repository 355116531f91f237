"""From one configuration to the next: looking at the Corefile, trying what has changed, and taking it over.

A configuration is read, assembled, bound and started while the one before answers; only then do the sockets change
over, in one turn of the loop. Whatever fails before that leaves everything as it was. The first configuration goes the
same way with nothing before it, and where it is wrong the last good one takes its place.
"""

import asyncio
import gc
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from clusterdns.admin.http import AdminHttp, ListenError
from clusterdns.chain import Part, Readiness, StartError
from clusterdns.corefile.errors import CorefileErrors, ErrorList
from clusterdns.corefile.load import Corefile, load_from_memory
from clusterdns.server.assembly import draft
from clusterdns.server.instance import Instance
from clusterdns.server.lastgood import LastGood
from clusterdns.server.listeners import Listeners
from clusterdns.telemetry.metrics import Registry

RELOADS_PER_COLLECTION = 16
GRACE_SECONDS = 5.0  # for queries that still wait for a handler of the configuration before

Load = Callable[[ErrorList], Corefile]  # reads the Corefile anew, wherever it is; raises CorefileErrors where it cannot

T = TypeVar("T")

log = logging.getLogger("clusterdns")
plugin_log = logging.getLogger("clusterdns.plugin.reload")


class Reloader:
    """Holds the running configuration, and replaces it."""

    def __init__(self, load: Load, dns_port: int, last_good: LastGood, listeners: Listeners, admin: AdminHttp) -> None:
        self.running: Instance | None = None
        self._load = load
        self._dns_port = dns_port
        self._last_good = last_good
        self._listeners = listeners
        self._admin = admin
        self._registry = registry = Registry()
        self._asked = asyncio.Event()
        self._uncollected = 0  # configurations
        self._refused = ""  # hash of the Corefile that was tried and failed
        self._remark = ""  # what /ready says of the Corefile
        self._failed = registry.counter("coredns_reload_failed_total", "Reloads that failed.").labels()
        self._versions = registry.gauge(
            "coredns_reload_version_info", "The Corefile in use; always 1.", "hash", "value"
        )
        self._is_last_good = registry.gauge(
            "clusterdns_corefile_is_last_good", "Whether the Corefile is wrong and the last good one is in use."
        ).labels()

    # The first configuration

    async def begin(self) -> None:
        """Start the first configuration. Raises CorefileErrors or StartError."""
        errors = ErrorList()
        try:
            corefile = self._load(errors)
            self._refused = corefile.sha512
            await self._try(corefile, errors)
        except (CorefileErrors, StartError) as problem:
            if not await self._begin_with_last_good(problem):
                raise
        else:
            self._refused = ""
            await _in_thread(lambda: self._last_good.save(corefile))

    async def _begin_with_last_good(self, problem: Exception) -> bool:
        """Whether there is a last good configuration, and it could be started."""
        kept = self._last_good.load()
        if kept is None:
            return False
        files, saved_at = kept
        try:
            corefile = await _in_thread(lambda: load_from_memory(files, os.environ))
            if corefile.sha512 == self._refused:
                return False
            await self._try(corefile, ErrorList())
        except (CorefileErrors, StartError) as also:
            log.error("The last good configuration, of %s, cannot be used either: %s", saved_at, also)
            return False
        self._is_last_good.value = 1
        self._remark = f"serving the last good Corefile, of {saved_at}, because there are errors in the one given: "
        self._remark += str(problem).replace("\n", " | ")
        log.error("%s", problem)
        log.error("The Corefile has errors: serving the last good one, of %s, until the errors are corrected", saved_at)
        return True

    # Those that follow

    def ask(self) -> None:
        """Reload, changed or not."""
        self._asked.set()

    async def follow(self) -> None:
        """Reload when asked to, and when `reload` is used and the Corefile has changed. Never ends by itself."""
        while True:
            assert self.running is not None
            schedule = self.running.schedule
            is_asked = await self._wait_for(schedule.pick_seconds() if schedule is not None else None)
            try:
                await self._look(is_asked=is_asked)
            except Exception:  # the task's edge: the running configuration goes on
                self._failed.value += 1
                log.exception("Restart failed")

    async def _wait_for(self, seconds: float | None) -> bool:
        """Whether a reload was asked for in this time."""
        try:
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    async def _look(self, *, is_asked: bool) -> None:
        assert self.running is not None
        errors = ErrorList()
        corefile = await _in_thread(lambda: self._load(errors))
        sha512 = corefile.sha512
        if not is_asked and self._is_old(sha512):
            return
        self._refused = sha512
        if not is_asked and not corefile.files:  # being replaced, maybe
            plugin_log.warning("%s", "; ".join(map(str, errors.errors)))
            return
        log.info("Reloading")
        try:
            await self._try(corefile, errors)
        except (CorefileErrors, StartError) as problem:
            self._failed.value += 1
            self._remark = "the Corefile has changed and cannot be used, the one before goes on: "
            self._remark += str(problem).replace("\n", " | ")
            log.error("Restart failed: %s", problem)
            plugin_log.error("Corefile changed but reload failed; the configuration before goes on serving")
            return
        self._refused = self._remark = ""
        self._is_last_good.value = 0
        await _in_thread(lambda: self._last_good.save(corefile))

    def _is_old(self, sha512: str) -> bool:
        """Whether a look has brought nothing new: what is in use, or what was tried and refused."""
        assert self.running is not None
        if sha512 == self.running.sha512 and not self._is_last_good.value:
            self._refused = self._remark = ""  # a bad edit was taken back
            return True
        return sha512 == self._refused

    # One configuration after another

    async def _try(self, corefile: Corefile, errors: ErrorList) -> None:
        """Raises CorefileErrors or StartError, and then nothing has changed."""
        before = self.running
        running = before.configuration if before is not None else None
        read = await _in_thread(  # directives may read large files and wait for resolvers
            lambda: draft(corefile, self._registry, dns_port=self._dns_port, errors=errors, before=running)
        )
        configuration = read.build()
        configuration.shared.parts.append(Part("corefile", readiness=Readiness(warning=lambda: self._remark)))
        instance = Instance(configuration, corefile.sha512)
        try:
            await self._start(instance, before)
        except BaseException:
            await self._undo(instance, before)
            raise
        waiting = self._listeners.move(instance)
        self.running = instance
        try:
            await instance.serving()
            self._tell_version(instance)
            if before is not None:
                log_version(instance)
                log.info("Reloading complete")
                await self._listeners.settle(GRACE_SECONDS)
                if waiting:
                    await asyncio.wait(waiting, timeout=GRACE_SECONDS)
        finally:
            configuration.shared.forget_before()
            if before is not None:
                gives_up = before.configuration.shared.kept_keys - configuration.shared.kept_keys
                await before.stop()
                self._collect(must=bool(gives_up))

    async def _start(self, instance: Instance, before: Instance | None) -> None:
        configuration = instance.configuration
        self._listeners.prepare(configuration.points, before)
        try:
            if before is None:
                await self._admin.apply(configuration.shared.admin_routes)  # probes want answers during a slow start
                await instance.start()
            else:
                await instance.start()
                _refuse_if_worse(instance, before)
                await self._admin.apply(configuration.shared.admin_routes)
        except ListenError as error:
            raise StartError(str(error)) from error
        await self._listeners.listen(instance)

    async def _undo(self, instance: Instance, before: Instance | None) -> None:
        self._listeners.discard()
        routes = () if before is None else tuple(before.configuration.shared.admin_routes)
        try:
            await self._admin.apply(routes)
        except ListenError as error:
            log.error("%s", error)
        await instance.stop()

    def _collect(self, *, must: bool) -> None:
        """Take away what a configuration has left in circles: the collector comes rarely by itself (see `run`).

        It takes 80 ms for an index of 10,000 Services with ten endpoints each, less what was frozen at the start, so
        it comes at once only where an index has been given up.
        """
        self._uncollected += 1
        if must or self._uncollected >= RELOADS_PER_COLLECTION:
            self._uncollected = 0
            gc.collect()

    def _tell_version(self, instance: Instance) -> None:
        """For a start `run` tells it, between the lines that it prints."""
        self._versions.clear()
        if instance.schedule is not None:
            self._versions.labels("sha512", instance.sha512).value = 1


def log_version(instance: Instance) -> None:
    """The line that tells which text runs, where `reload` is used."""
    if instance.schedule is not None:
        plugin_log.info("Running configuration SHA512 = %s", instance.sha512)


def _refuse_if_worse(instance: Instance, before: Instance) -> None:
    """Raises StartError where names that are answered now would not be any more."""
    reasons = instance.unready()
    worse = reasons.keys() - before.unready().keys()
    if worse:
        told = "; ".join(f"{name} is not ready: {reasons[name]}" for name in sorted(worse))
        raise StartError(f"{told}; wait for it longer (startup_timeout) and send SIGHUP, or restart to do without")


async def _in_thread(call: Callable[[], T]) -> T:
    """Run this where it may block: in a thread that cannot keep the process from ending, as the loop's own would."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, problem: BaseException | None) -> None:
        if done.done():  # nobody waits any more
            return
        if problem is not None:
            done.set_exception(problem)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # None only where T is

    def work() -> None:
        result, problem = None, None
        try:
            result = call()
        except Exception as error:  # noqa: BLE001  # told to whoever waits
            problem = error
        with suppress(RuntimeError):  # the loop has closed meanwhile
            loop.call_soon_threadsafe(settle, result, problem)

    threading.Thread(target=work, name="corefile", daemon=True).start()
    return await done
