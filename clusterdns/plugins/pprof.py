"""The `pprof` directive: stacks, memory and profiles of this process over HTTP, as text and not in Go's profile format.

The admin listener serves the pages; `telemetry.profiles` makes them in threads, so that DNS is answered meanwhile.
Clients of the pages can slow the server down, so the default address is local.
"""

import asyncio
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from aiohttp import web

from clusterdns.chain import BlockContext, Doc, LifeCycle, Part, Plugin
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.options import Option, read_block
from clusterdns.telemetry import profiles

DEFAULT_ADDRESS = "localhost:6053"
PATH = "/debug/pprof/"
DEFAULT_SECONDS = 30.0
MAX_SECONDS = 300.0

INDEX = """clusterdns profiles, all as text:

goroutine           every task and every thread with its stack
heap                objects by type, memory, and allocations where tracemalloc is on (PYTHONTRACEMALLOC=1)
profile?seconds=30  CPU profile as folded stacks with sample counts, for flame graphs
cmdline             the command line
"""


@dataclass(frozen=True)
class PprofSettings:
    """The address of the pages."""

    address: str = DEFAULT_ADDRESS
    asked_by: str = "pprof"


class PprofPages:
    """The pages of one configuration."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._is_profiling = False

    async def stop(self) -> None:
        """Stop a profile in progress, because the process waits for its threads."""
        self._ended.set()

    async def index(self, request: web.BaseRequest) -> web.Response:
        """Answer with the list of pages."""
        return web.Response(text=INDEX)

    async def stacks(self, request: web.BaseRequest) -> web.Response:
        """Answer with the stacks of tasks and threads."""
        return web.Response(text=profiles.tasks_text(asyncio.all_tasks()) + profiles.threads_text())

    async def heap(self, request: web.BaseRequest) -> web.Response:
        """Answer with objects by type and memory."""
        return web.Response(text=await asyncio.to_thread(profiles.heap_text))

    async def command_line(self, request: web.BaseRequest) -> web.Response:
        """Answer with the command line."""
        return web.Response(text=" ".join(sys.orig_argv) + "\n")

    async def profile(self, request: web.BaseRequest) -> web.Response:
        """Take a profile and answer with it; 503 while another one is taken."""
        text = request.query.get("seconds", "")
        try:
            seconds = float(text or DEFAULT_SECONDS)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds <= MAX_SECONDS:
            return web.Response(status=400, text=f"seconds={text}: write a number up to {MAX_SECONDS:g}\n")
        if self._is_profiling:
            return web.Response(status=503, text="a profile is in progress; retry when it has ended\n")
        self._is_profiling = True
        try:
            return web.Response(text=await asyncio.to_thread(profiles.profile_text, seconds, self._ended))
        finally:
            self._is_profiling = False


def _block(settings: PprofSettings, line: Line) -> PprofSettings:
    for word in line.arguments_between(0, 1, "[RATE]"):
        values.integer(word)
    return settings


OPTIONS = (Option("block [RATE]", "", "Accepted, without effect: there are no locks to profile.", _block),)


def parse(directives: Sequence[Directive], context: BlockContext) -> PprofSettings:
    """Read `pprof [HOST:PORT] { block [RATE] }`. Raises CorefileError."""
    settings = PprofSettings(asked_by=f"{directives[0].place}: pprof")
    for word in directives[0].arguments_between(0, 1, "[HOST:PORT]"):
        settings = replace(settings, address=str(values.listen_address(word)))
    return read_block(settings, directives, OPTIONS)


def build(settings: PprofSettings, context: BlockContext) -> Part:
    """Register the pages."""
    pages = PprofPages()
    for name, respond in (
        ("", pages.index),
        ("goroutine", pages.stacks),
        ("heap", pages.heap),
        ("allocs", pages.heap),
        ("profile", pages.profile),
        ("cmdline", pages.command_line),
    ):
        context.shared.http(settings.address, PATH + name, respond, settings.asked_by)
    return Part("pprof", life=LifeCycle(stop=pages.stop))


DOC = Doc(
    usage=("pprof [HOST:PORT]",),
    about="`/debug/pprof/` on `localhost:6053`: tasks and stacks, memory, and a CPU profile, as text. Go's tools "
    "cannot read it.",
    options=OPTIONS,
    example="pprof localhost:6053\nwhoami",
)
PLUGIN = Plugin("pprof", parse, build, once=True, doc=DOC)
