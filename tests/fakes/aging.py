"""Time that passes when told to, with an event loop's `call_later` in it; and a cache with an upstream beside it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from clusterdns.chain import BlockContext, Query, Reply, failure
from clusterdns.corefile.load import parse
from clusterdns.plugins.cache import directive as cache
from clusterdns.plugins.cache.handler import Cache
from clusterdns.plugins.cache.metrics import CacheMetrics
from clusterdns.plugins.cache.store import CacheBudget, Phases
from clusterdns.wire import codes
from clusterdns.wire.name import from_text, to_text
from clusterdns.wire.record import Record, record

START = 1000.3  # in the midst of a second
UNIX = 1_700_000_000


@dataclass(eq=False)
class Timer:
    """A call to come."""

    at: float
    call: Callable[[], None]
    is_off: bool = False

    def cancel(self) -> None:
        """Call no more."""
        self.is_off = True


class Clock:
    """The time, and what is to be called in it."""

    def __init__(self) -> None:
        self.now = START
        self.timers: list[Timer] = []

    def __call__(self) -> float:
        """The moment, in seconds."""
        return self.now

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """As the event loop's `call_later`."""
        assert seconds > 0
        timer = Timer(self.now + seconds, call)
        self.timers.append(timer)
        return timer

    def waiting(self) -> list[Timer]:
        """The timers that have not been called."""
        return sorted((one for one in self.timers if not one.is_off), key=lambda one: one.at)

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass, and call what falls due."""
        end = self.now + seconds
        while (due := self.waiting()) and due[0].at <= end:
            self.now = due[0].at
            due[0].is_off = True
            due[0].call()
        self.now = end


class FakeUpstream:
    """The handler that follows. `says` is what the next queries get; the last of it from then on."""

    def __init__(self, *says: Reply | Exception | None) -> None:
        self.says = list(says)  # None: wait for `gate`
        self.asked: list[Query] = []
        self.gate: asyncio.Future[Reply] | None = None

    async def __call__(self, query: Query) -> Reply:
        """As `forward`."""
        self.asked.append(query)
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if said is None:
            self.gate = asyncio.get_running_loop().create_future()
            return await self.gate
        if isinstance(said, Exception):
            raise said
        return said.duplicate()


class Bed:
    """A cache as a Corefile's text makes it, between a fake upstream and a fake clock."""

    def __init__(
        self, text: str, context: BlockContext, upstream: FakeUpstream, room: CacheBudget | None = None
    ) -> None:
        directives = parse(f". {{\n{text}\n}}\n", "Corefile", {}).blocks[0].directives
        self.clock = Clock()
        self.upstream = upstream
        self.registry = context.registry
        self.forgotten: list[Any] = []
        self.settings = cache.parse(directives, context)
        metrics = CacheMetrics(context.registry, context.server_text, self.settings.zones_text)
        self.phases = Phases(context.shared.forget, self.clock, self.clock.later)
        unix = lambda: UNIX + self.clock.now - START  # noqa: E731
        self.cache = Cache(self.settings, room or CacheBudget(), metrics, self.phases, self.clock, unix)
        self.handler = self.cache.wrap(upstream)

    def counts(self) -> dict[str, float]:
        """What the metrics say, without prefix and suffix: `hits.success`, `misses`, …"""
        found = {}
        for metric in self.registry.collect():
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
    """A record from `OWNER TTL TYPE [TARGET or MINIMUM or VALIDITY]`."""
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
    """An upstream's reply; records are divided by commas."""

    def records(text: str) -> tuple[Record, ...]:
        return tuple(rr(one) for one in text.split(",") if one.strip())

    reply = Reply(rcode, records(answer), records(authority), records(additional), is_authoritative=False)
    reply.is_upstream = True
    reply.recursion_available = True
    for fact, value in facts.items():
        setattr(reply, fact, value)
    return reply


def unwritten() -> Reply:
    """What `forward` gives when no upstream answers."""
    return failure(codes.SERVFAIL, "no upstream answered")


def ttls(reply: Reply) -> list[int]:
    """The TTLs of all records, each once."""
    return sorted({one.ttl for one in (*reply.answer, *reply.authority, *reply.additional)})


def option(code: int, content: bytes) -> bytes:
    """An EDNS option."""
    return code.to_bytes(2, "big") + len(content).to_bytes(2, "big") + content


def owners_text(records: Sequence[Record]) -> list[str]:
    """The owner names."""
    return [to_text(one.name) for one in records]
