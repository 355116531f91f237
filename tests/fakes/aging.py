"""A clock that a test advances, with timers in it; and a cache with a fake upstream."""

import asyncio
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fakes.metrics import collect

from clusterdns.chain import BlockContext, Handler, Query, Reply, failure
from clusterdns.corefile.load import parse
from clusterdns.plugins.cache import directive as cache
from clusterdns.plugins.cache.cache import Cache
from clusterdns.plugins.cache.handler import CacheHandler
from clusterdns.plugins.cache.metrics import CacheMetrics
from clusterdns.plugins.cache.phases import Phases
from clusterdns.plugins.cache.store import CacheBudget
from clusterdns.wire import codes
from clusterdns.wire.name import from_text, to_text
from clusterdns.wire.record import Record, record

START = 1000.3  # seconds; not on a whole second
UNIX = 1_700_000_000


@dataclass(eq=False)
class Timer:
    """A call at a time of the clock."""

    at: float
    call: Callable[[], None]
    is_off: bool = False

    def cancel(self) -> None:
        """Cancel the call."""
        self.is_off = True


class Clock:
    """The time in seconds, and its timers."""

    def __init__(self) -> None:
        self.now = START
        self.timers: list[Timer] = []

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Set a timer, like the event loop's `call_later`."""
        assert seconds > 0
        timer = Timer(self.now + seconds, call)
        self.timers.append(timer)
        return timer

    def waiting(self) -> list[Timer]:
        """Return the pending timers, in the order of their times."""
        return sorted((one for one in self.timers if not one.is_off), key=lambda one: one.at)

    def pass_seconds(self, seconds: float) -> None:
        """Advance the clock, and run the timers that fall due."""
        end = self.now + seconds
        while (due := self.waiting()) and due[0].at <= end:
            self.now = due[0].at
            due[0].is_off = True
            due[0].call()
        self.now = end


class FakeUpstream:
    """The next handler: it gives the replies of `says` in turn, the last one from then on."""

    def __init__(self, *says: Reply | Exception | None) -> None:
        self.says = list(says)  # None: a reply that is the result of `gate`
        self.asked: list[Query] = []  # copies of the queries as they came
        self.gate: asyncio.Future[Reply] | None = None

    async def __call__(self, query: Query) -> Reply:
        """Answer a query, as `forward` does."""
        self.asked.append(copy.copy(query))
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if said is None:
            self.gate = asyncio.get_running_loop().create_future()
            return await self.gate
        if isinstance(said, Exception):
            raise said
        return said.duplicate()


class Bed:
    """A cache built from a Corefile's text, with a fake upstream and a fake clock."""

    def __init__(self, text: str, context: BlockContext, upstream: FakeUpstream) -> None:
        directives = parse(f". {{\n{text}\n}}\n", "Corefile", {}).blocks[0].directives
        self.clock = Clock()
        self.upstream = upstream
        self.registry = context.registry
        self.forgotten: list[Any] = []
        self.settings = cache.parse(directives, context)
        metrics = CacheMetrics(context.registry, context.server_text, self.settings.zones_text)
        self.phases = Phases(context.shared.forget, self.clock, self.clock.call_later)
        self.cache = Cache(self.settings, CacheBudget(), metrics, self.phases)
        self.handler: Handler = self.wrap(upstream)

    def wrap(self, following: Handler) -> CacheHandler:
        """Make a handler of the cache above another handler."""
        return CacheHandler(self.cache, following, self.clock, lambda: UNIX + self.clock.now - START)

    def counts(self) -> dict[str, float]:
        """Return the values of the metrics by their names without prefix and suffix: `hits.success`, `misses`, …"""
        found = {}
        for metric in collect(self.registry):
            if metric.name.startswith("coredns_cache_"):
                for sample in metric.samples:
                    assert sample.labels["server"] == "dns://:53"
                    assert (sample.labels["zones"], sample.labels["view"]) == (",".join(self.settings.zones_text), "")
                    kind = sample.labels.get("type")
                    found[metric.name.removeprefix("coredns_cache_") + (f".{kind}" if kind else "")] = sample.value
        return found


_RDATA = {
    "A": (codes.A, bytes((192, 0, 2, 1))),
    "AAAA": (codes.AAAA, bytes(16)),
    "TXT": (codes.TXT, b"\x02hi"),
    "NS": (codes.NS, from_text("ns.example.org")),
}


def rr(text: str) -> Record:
    """Make a record from `OWNER TTL TYPE [TARGET or MINIMUM or VALIDITY]`."""
    owner, ttl, rtype, *more = text.split()
    name = from_text(owner)
    if rtype == "CNAME":
        return record(name, codes.CNAME, int(ttl), from_text(more[0]))
    if rtype == "SOA":
        return record(name, codes.SOA, int(ttl), b"\0\0" + bytes(16) + int(more[0]).to_bytes(4, "big"))
    if rtype == "RRSIG":
        since, until = (UNIX + int(one) for one in more)
        times = (until % 2**32).to_bytes(4, "big") + (since % 2**32).to_bytes(4, "big")
        return record(name, codes.RRSIG, int(ttl), bytes(8) + times + bytes(2) + b"\0sig")
    return record(name, _RDATA[rtype][0], int(ttl), _RDATA[rtype][1])


def said(
    rcode: int = codes.NOERROR, answer: str = "", authority: str = "", additional: str = "", **facts: Any
) -> Reply:
    """Make an upstream's reply; commas separate records."""

    def records(text: str) -> tuple[Record, ...]:
        return tuple(rr(one) for one in text.split(",") if one.strip())

    reply = Reply(rcode, records(answer), records(authority), records(additional), is_authoritative=False)
    reply.is_upstream = True
    reply.recursion_available = True
    for fact, value in facts.items():
        setattr(reply, fact, value)
    return reply


def unwritten() -> Reply:
    """Make the reply that `forward` gives if no upstream answers."""
    return failure(codes.SERVFAIL, "no upstream answered")


def ttls(reply: Reply) -> list[int]:
    """Return the TTLs of all records, each once."""
    return sorted({one.ttl for one in (*reply.answer, *reply.authority, *reply.additional)})


def option(code: int, content: bytes) -> bytes:
    """Make an EDNS option."""
    return code.to_bytes(2, "big") + len(content).to_bytes(2, "big") + content


def owners_text(records: Sequence[Record]) -> list[str]:
    """Return the owner names of the records."""
    return [to_text(one.name) for one in records]
