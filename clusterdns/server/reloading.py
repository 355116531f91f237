"""Reload: polling the Corefile, starting a changed configuration, and handing the listeners over to it.

A configuration is read, assembled, bound and started while the previous one answers queries; then all listeners change
over in one turn of the event loop. A failure before that leaves the previous configuration as it was; a failure after
it is logged, and the new configuration stays. The first configuration answers as soon as its sockets are bound, while
its parts start; if it has errors, the last good one is started instead.
"""

import asyncio
import logging
import os
from collections.abc import Callable

from clusterdns.admin.http import AdminHttp, ListenError
from clusterdns.chain import Part, Readiness, StartError
from clusterdns.corefile.errors import CorefileErrors, ErrorList
from clusterdns.corefile.load import Corefile, load_from_memory
from clusterdns.host.collector import collect_everything
from clusterdns.server.assembly import draft
from clusterdns.server.instance import Instance
from clusterdns.server.lastgood import LastGood
from clusterdns.server.listeners.takeover import Listeners
from clusterdns.server.threads import in_daemon_thread
from clusterdns.telemetry.metrics import Registry

RELOADS_PER_COLLECTION = 256
GRACE_SECONDS = 5.0  # for queries that wait for a handler of the previous configuration

Load = Callable[[ErrorList], Corefile]  # reads the Corefile again; raises CorefileErrors

log = logging.getLogger("clusterdns")
plugin_log = logging.getLogger("clusterdns.plugin.reload")


class Reloader:
    """The running configuration, and how it is replaced."""

    def __init__(self, load: Load, dns_port: int, last_good: LastGood, listeners: Listeners, admin: AdminHttp) -> None:
        self.running: Instance | None = None
        self._load = load
        self._last_good = last_good
        self._listeners = listeners
        self._admin = admin
        self._registry = registry = Registry()
        self._dns_port = dns_port
        self._requested = asyncio.Event()
        self._uncollected = 0  # configurations stopped since the last collection
        self._failed_sha512 = ""  # of the Corefile whose reload failed
        self._warning = ""  # shown by /ready
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
            self._failed_sha512 = corefile.sha512
            await self._try(corefile, errors)
        except (CorefileErrors, StartError) as problem:
            if not await self._begin_with_last_good(problem):
                raise
        else:
            self._failed_sha512 = ""
            await self._save(corefile)

    async def _begin_with_last_good(self, problem: Exception) -> bool:
        """Start the last good configuration; return False where there is none or it cannot start either."""
        saved = self._last_good.load()
        if saved is None:
            return False
        files, saved_at = saved
        try:
            corefile = await in_daemon_thread(lambda: load_from_memory(files, os.environ))
            if corefile.sha512 == self._failed_sha512:
                return False
            await self._try(corefile, ErrorList())
        except (CorefileErrors, StartError) as also:
            log.error("The last good Corefile, saved at %s, cannot be used either: %s", saved_at, also)
            return False
        self._is_last_good.value = 1
        errors = _one_line(problem)
        self._warning = f"serving the last good Corefile, saved at {saved_at}; errors in the configured one: {errors}"
        log.error("%s", problem)
        log.error("Serving the last good Corefile, saved at %s, until these errors are corrected", saved_at)
        return True

    async def _save(self, corefile: Corefile) -> None:
        try:
            await in_daemon_thread(lambda: self._last_good.save(corefile))
        except Exception:  # the configuration is in use, whether or not it is saved
            log.exception("This configuration is in use, but was not saved")

    # Later configurations

    def request(self) -> None:
        """Reload now, whether or not the Corefile has changed."""
        self._requested.set()

    async def follow(self) -> None:
        """Reload on request, and when the Corefile has changed where `reload` is used; runs until cancelled."""
        while True:
            assert self.running is not None
            schedule = self.running.schedule
            is_requested = await self._wait_for_request(schedule.pick_seconds() if schedule is not None else None)
            try:
                await self._poll(is_requested=is_requested)
            except Exception:  # the task's edge: the running configuration stays
                self._failed.value += 1
                self._warning = "an internal error ended the last reload; the previous configuration stays in use"
                log.exception("Restart failed")
                plugin_log.error("Corefile changed but reload failed; the previous configuration stays in use")

    async def _wait_for_request(self, seconds: float | None) -> bool:
        """Return whether a reload was requested within this time."""
        try:
            async with asyncio.timeout(seconds):
                await self._requested.wait()
        except TimeoutError:
            return False
        self._requested.clear()
        return True

    async def _poll(self, *, is_requested: bool) -> None:
        """Read the Corefile, and reload if it has changed or a reload was requested."""
        assert self.running is not None
        errors = ErrorList()
        corefile = await in_daemon_thread(lambda: self._load(errors))
        sha512 = corefile.sha512
        if not is_requested and self._is_known(sha512):
            return
        self._failed_sha512 = sha512
        if not is_requested and not corefile.files:  # it may be missing while it is replaced
            plugin_log.warning("%s", "; ".join(map(str, errors.errors)))
            return
        log.info("Reloading")
        try:
            await self._try(corefile, errors)
        except (CorefileErrors, StartError) as problem:
            self._failed.value += 1
            self._warning = f"the changed Corefile has errors; the previous one stays in use: {_one_line(problem)}"
            log.error("Restart failed: %s", problem)
            plugin_log.error("Corefile changed but reload failed; the previous configuration stays in use")
            return

    def _is_known(self, sha512: str) -> bool:
        """Return whether a Corefile is the one in use or the one whose reload failed."""
        assert self.running is not None
        if sha512 == self.running.sha512 and not self._is_last_good.value:
            self._failed_sha512 = self._warning = ""  # a wrong edit was undone
            return True
        return sha512 == self._failed_sha512

    # One configuration replaces another

    async def _try(self, corefile: Corefile, errors: ErrorList) -> None:
        """Start a configuration and hand the listeners over to it.

        Raises CorefileErrors or StartError, and changes nothing in that case.
        """
        previous = self.running
        running = previous.configuration if previous is not None else None
        folder = self._last_good.folder
        checked = await in_daemon_thread(  # directives may read large files and wait for resolvers
            lambda: draft(
                corefile, self._registry, dns_port=self._dns_port, errors=errors, previous=running, state_folder=folder
            )
        )
        configuration = checked.build()
        configuration.shared.parts.append(Part("corefile", readiness=Readiness(warning=lambda: self._warning)))
        instance = Instance(configuration, corefile.sha512)
        if previous is None:
            await self._start_first(instance)
        else:
            await self._replace(previous, instance, corefile)

    async def _start_first(self, instance: Instance) -> None:
        """Answer queries from the bind on, and start the parts meanwhile."""
        try:
            await instance.prepare()
            self._listeners.prepare(instance, None)
            self._listeners.move(instance)
            self.running = instance
            await instance.start_parts()
            await self._apply_routes(instance)  # after the files are read, because it imports the HTTP library
            await instance.warm_up()
        except asyncio.CancelledError:
            if self.running is None:
                await self._undo(instance, None)
            raise  # a signal ends the process, which drains and stops the configuration that it finds running
        except BaseException:
            self.running = None
            await self._listeners.close(0)
            await self._undo(instance, None)
            raise
        await self._finish(instance)

    async def _replace(self, previous: Instance, instance: Instance, corefile: Corefile) -> None:
        """Start a configuration beside the previous one, and let it take over."""
        try:
            await instance.prepare()
            self._listeners.prepare(instance, previous)
            await instance.start()
            _refuse_if_less_ready(instance, previous)
            await self._apply_routes(instance)
            self._listeners.listen(instance)
            waiting = self._listeners.move(instance)
        except BaseException:
            await self._undo(instance, previous)
            raise
        self.running = instance
        self._failed_sha512 = self._warning = ""
        self._is_last_good.value = 0
        try:
            await self._end_previous(previous, instance, corefile, waiting)
        except Exception:  # the listeners answer from the new configuration, so the reload cannot be undone
            log.exception("Reloading: the new configuration is in use, but not all of the previous one was ended")

    async def _end_previous(
        self, previous: Instance, instance: Instance, corefile: Corefile, waiting: set[asyncio.Task[None]]
    ) -> None:
        """Finish a reload after the takeover; the previous configuration is stopped in any case."""
        try:
            await self._save(corefile)
            await self._finish(instance)
            log_version(instance)
            log.info("Reloading complete")
            await self._listeners.settle(GRACE_SECONDS)
            if waiting:
                await asyncio.wait(waiting, timeout=GRACE_SECONDS)
        finally:
            instance.configuration.shared.forget_previous()
            given_up = previous.configuration.shared.kept_keys - instance.configuration.shared.kept_keys
            await previous.stop()
            self._collect(at_once=bool(given_up))

    async def _finish(self, instance: Instance) -> None:
        await instance.serving()
        self._show_version(instance)

    async def _apply_routes(self, instance: Instance) -> None:
        """Serve the pages of a configuration. Raises StartError."""
        try:
            await self._admin.apply(instance.configuration.shared.admin_routes)
        except ListenError as error:
            raise StartError(str(error)) from error

    async def _undo(self, instance: Instance, previous: Instance | None) -> None:
        routes = () if previous is None else tuple(previous.configuration.shared.admin_routes)
        try:
            await self._listeners.discard()
            await self._admin.apply(routes)
        except ListenError as error:
            log.error("%s", error)
        finally:
            await instance.stop()

    def _collect(self, *, at_once: bool) -> None:
        """Collect reference cycles of stopped configurations, which are frozen (see `host.collector`).

        A collection takes 100 ms and more, and a reload leaves some 100 objects in cycles. It therefore runs at once
        only where an index was given up, which such a cycle may refer to.
        """
        self._uncollected += 1
        if at_once or self._uncollected >= RELOADS_PER_COLLECTION:
            self._uncollected = 0
            collect_everything()

    def _show_version(self, instance: Instance) -> None:
        """Set the metric of the hash in use; `log_version` logs it."""
        self._versions.clear()
        if instance.schedule is not None:
            self._versions.labels("sha512", instance.sha512).value = 1


def log_version(instance: Instance) -> None:
    """Log the hash of the Corefile in use, where `reload` is used."""
    if instance.schedule is not None:
        plugin_log.info("Running configuration SHA512 = %s", instance.sha512)


def _refuse_if_less_ready(instance: Instance, previous: Instance) -> None:
    """Raise StartError where a plugin is not ready that is ready now, or is not used now."""
    reasons = instance.unready()
    worse = reasons.keys() - previous.unready().keys()
    if worse:
        text = "; ".join(f"{name} is not ready: {reasons[name]}" for name in sorted(worse))
        raise StartError(f"{text}; increase its startup_timeout and send SIGHUP, or restart to serve without it")


def _one_line(errors: Exception) -> str:
    return str(errors).replace("\n", " | ")
