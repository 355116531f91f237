"""The `pprof` directive: what this process is doing, over HTTP, in words instead of Go's profile format.

The admin listener serves the pages; `telemetry.profiles` gathers what they show, in threads, so that DNS is answered
meanwhile. Whoever reaches the address can slow the server down, which is why it is the local host's by default.
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

goroutine           every task and every thread, and where it stands
heap                objects by type, memory, and allocations where tracemalloc is on (PYTHONTRACEMALLOC=1)
profile?seconds=30  where the time goes, as stacks with the number of times seen (folded, for flame graphs)
cmdline             the command line
"""


@dataclass(frozen=True)
class Settings:
    """Where the pages are."""

    address: str = DEFAULT_ADDRESS
    asked_by: str = "pprof"


class Pages:
    """The pages of one configuration."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._is_profiling = False

    async def stop(self) -> None:
        """End a profile that is being taken: the process waits for its threads."""
        self._ended.set()

    async def index(self, request: web.BaseRequest) -> web.Response:
        """What there is."""
        return web.Response(text=INDEX)

    async def stacks(self, request: web.BaseRequest) -> web.Response:
        """Tasks and threads."""
        return web.Response(text=profiles.tasks_text(asyncio.all_tasks()) + profiles.threads_text())

    async def heap(self, request: web.BaseRequest) -> web.Response:
        """Memory."""
        return web.Response(text=await asyncio.to_thread(profiles.heap_text))

    async def command_line(self, request: web.BaseRequest) -> web.Response:
        """How the process was called."""
        return web.Response(text=" ".join(sys.orig_argv) + "\n")

    async def profile(self, request: web.BaseRequest) -> web.Response:
        """Where the time goes; one at a time."""
        text = request.query.get("seconds", "")
        try:
            seconds = float(text or DEFAULT_SECONDS)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds <= MAX_SECONDS:
            return web.Response(status=400, text=f"seconds={text}: write a number up to {MAX_SECONDS:g}\n")
        if self._is_profiling:
            return web.Response(status=503, text="a profile is being taken already: wait for its end\n")
        self._is_profiling = True
        try:
            return web.Response(text=await asyncio.to_thread(profiles.profile_text, seconds, self._ended))
        finally:
            self._is_profiling = False


def _block(settings: Settings, line: Line) -> Settings:
    for word in line.arguments_between(0, 1, "[RATE]"):
        values.integer(word)
    return settings


OPTIONS = (Option("block [RATE]", "", "Changes nothing: there is no profile of locks, since nothing locks.", _block),)


def parse(directives: Sequence[Directive], context: BlockContext) -> Settings:
    """`pprof [HOST:PORT] { block [RATE] }`. Raises CorefileError."""
    settings = Settings(asked_by=f"{directives[0].place}: pprof")
    for word in directives[0].arguments_between(0, 1, "[HOST:PORT]"):
        settings = replace(settings, address=str(values.listen_address(word)))
    return read_block(settings, directives, OPTIONS)


def build(settings: Settings, context: BlockContext) -> Part:
    """The pages."""
    pages = Pages()
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
    about="`/debug/pprof/` on `localhost:6053`: tasks and stacks, memory, and a profile of where the time goes, as "
    "text. Go's tools cannot read it.",
    options=OPTIONS,
    example="pprof localhost:6053\nwhoami",
)
PLUGIN = Plugin("pprof", parse, build, once=True, doc=DOC)
