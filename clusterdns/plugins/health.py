"""The `health` directive: /health answers OK while the process runs, and `lameduck` delays its end.

The process also polls its own /health once a second; the duration shows how busy the event loop is. `ready` reports
whether the server is ready for queries.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from clusterdns.admin.page import Page, PageRequest, text_page
from clusterdns.chain import BlockContext, Doc, LifeCycle, Part, Plugin
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.options import Option, read_block
from clusterdns.host.imports import import_in_thread
from clusterdns.telemetry.logs import duration_text
from clusterdns.telemetry.metrics import Registry
from clusterdns.telemetry.unlabelled import health_durations, health_failures

if TYPE_CHECKING:
    import aiohttp

DEFAULT_ADDRESS = ":8080"
PATH = "/health"
POLL_SECONDS = 1.0
POLL_TIMEOUT_SECONDS = 3.0
SLOW_SECONDS = 1.0

Sleep = Callable[[float], Awaitable[object]]

log = logging.getLogger("clusterdns.plugin.health")


class HealthSettings(msgspec.Struct, frozen=True):
    """The address of /health, and how long DNS is answered after a request to end."""

    address: str = DEFAULT_ADDRESS
    lameduck_seconds: float = 0.0
    asked_by: str = "health"


async def respond(request: PageRequest) -> Page:
    """Answer 200 and OK to every method."""
    return text_page("OK")


class Poller:
    """Polls our own /health over HTTP, as a kubelet does, and counts durations and failures."""

    def __init__(self, url: str, registry: Registry, sleep: Sleep = asyncio.sleep) -> None:
        self._url = url
        self._sleep = sleep
        self._durations = health_durations(registry)
        self._failures = health_failures(registry)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start polling."""
        self._task = asyncio.create_task(self._poll_forever(), name="health self-check")

    async def stop(self) -> None:
        """Stop polling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _poll_forever(self) -> None:
        try:
            await import_in_thread("aiohttp")
            import aiohttp

            timeout = aiohttp.ClientTimeout(total=POLL_TIMEOUT_SECONDS)
            async with aiohttp.ClientSession(timeout=timeout) as session:
                while True:
                    await self._sleep(POLL_SECONDS)
                    await self.poll(session)
        except Exception:  # the task's edge: the process runs without its self-check
            log.exception("Own health check of %s ended", self._url)

    async def poll(self, session: "aiohttp.ClientSession") -> None:
        """Request /health once, and record the outcome."""
        from aiohttp import ClientError

        started = perf_counter()
        try:
            async with session.get(self._url) as response:
                await response.read()
        except (ClientError, TimeoutError, OSError) as problem:
            self._failures.value += 1
            log.warning("Own health check of %s failed: %s", self._url, str(problem) or "no answer in time")
            return
        seconds = perf_counter() - started
        self._durations.observe(seconds)
        if seconds > SLOW_SECONDS:
            log.warning("Own health check of %s took %s, more than 1s", self._url, duration_text(round(seconds, 3)))


def own_url(address: str) -> str:
    """Return the URL of /health for a listener on `host:port`, with loopback for a wildcard."""
    host, _, port = address.rpartition(":")
    if host.strip("[]") in ("", "0.0.0.0"):
        host = "127.0.0.1"
    elif host == "[::]":
        host = "[::1]"
    return f"http://{host}:{port}{PATH}"


def drain(lameduck_seconds: float, sleep: Sleep = asyncio.sleep) -> Callable[[], Awaitable[None]]:
    """Make the step that delays a shutdown, so that clients find another server while this one still answers."""

    async def wait() -> None:
        log.info("Going into lameduck mode for %s", duration_text(lameduck_seconds))
        await sleep(lameduck_seconds)

    return wait


def parse(directives: Sequence[Directive], context: BlockContext) -> HealthSettings:
    """Read `health [HOST:PORT] { lameduck DURATION }`; the last of several wins. Raises CorefileError."""
    settings = HealthSettings(asked_by=f"{directives[-1].place}: health")
    for directive in directives:
        for word in directive.arguments_between(0, 1, "[HOST:PORT]"):
            settings = replace(settings, address=str(values.listen_address(word)))
    return read_block(settings, directives, _OPTIONS)


def _lameduck(settings: HealthSettings, line: Line) -> HealthSettings:
    return replace(settings, lameduck_seconds=values.duration_seconds(line.one_argument("DURATION")))


_OPTIONS = (Option("lameduck DURATION", "0s", "How long DNS and HTTP are still answered after SIGTERM.", _lameduck),)


def build(settings: HealthSettings, context: BlockContext) -> Part:
    """Register /health, and make the part that polls it and waits at the end."""
    context.shared.http(settings.address, PATH, respond, settings.asked_by)
    poller = Poller(own_url(settings.address), context.registry)
    waits = drain(settings.lameduck_seconds) if settings.lameduck_seconds else None
    return Part("health", life=LifeCycle(start=poller.start, stop=poller.stop, drain=waits))


DOC = Doc(
    usage=("health [HOST:PORT]",),
    about="`/health` on `:8080`: 200 and `OK` while the process runs. The process polls itself once a second and shows "
    "durations and failures in two metrics.",
    options=_OPTIONS,
    example="health :18080 {\n    lameduck 5s\n}\nwhoami",
    better="Answers stay synced with the cluster during the lameduck period.",
)
PLUGIN = Plugin("health", parse, build, doc=DOC)
