"""The `pprof` directive: stacks, memory and profiles of this process over HTTP, as text and not in Go's profile format.

The admin listener serves the pages; `telemetry.profiles` makes them in threads, so that DNS is answered meanwhile.
Clients of the pages can slow the server down, so the default address is local.
"""

import asyncio
import sys
import threading
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from clusterdns.admin.page import Page, PageRequest, text_page
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


class PprofSettings(msgspec.Struct, frozen=True):
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

    async def index(self, request: PageRequest) -> Page:
        """Answer with the list of pages."""
        return text_page(INDEX)

    async def stacks(self, request: PageRequest) -> Page:
        """Answer with the stacks of tasks and threads."""
        return text_page(profiles.tasks_text(asyncio.all_tasks()) + profiles.threads_text())

    async def heap(self, request: PageRequest) -> Page:
        """Answer with objects by type and memory."""
        return text_page(await asyncio.to_thread(profiles.heap_text))

    async def command_line(self, request: PageRequest) -> Page:
        """Answer with the command line."""
        return text_page(" ".join(sys.orig_argv) + "\n")

    async def profile(self, request: PageRequest) -> Page:
        """Take a profile and answer with it; 503 while another one is taken."""
        text = request.query.get("seconds", "")
        try:
            seconds = float(text or DEFAULT_SECONDS)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds <= MAX_SECONDS:
            return text_page(f"seconds={text}: write a number up to {MAX_SECONDS:g}\n", 400)
        if self._is_profiling:
            return text_page("a profile is in progress; retry when it has ended\n", 503)
        self._is_profiling = True
        try:
            return text_page(await asyncio.to_thread(profiles.profile_text, seconds, self._ended))
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
