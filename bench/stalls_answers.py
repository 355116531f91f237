"""The longest turns of `python -m bench.stalls` over stored answers and cached replies, all of them at once.

Compiled answers of four tables are forgotten, given up by a reload, counted for a scrape and evicted under memory
pressure; the replies of a full `cache` are dropped and evicted. The budgets are lifted here, so that there are as many
answers as asked for: those of a real process hold some 31,000.
"""

import asyncio
import socket
import time
from collections.abc import Iterator

from bench.turns import Turns
from clusterdns.admin.exposition import expose
from clusterdns.answers.compiled import Answer, compile_answer
from clusterdns.answers.table import AnswerBudget, AnswerTable
from clusterdns.chain import Reply
from clusterdns.corefile.load import parse
from clusterdns.plugins.cache.cache import Cache
from clusterdns.plugins.cache.entry import CacheEntry
from clusterdns.plugins.cache.metrics import CacheMetrics
from clusterdns.plugins.cache.phases import Phases
from clusterdns.plugins.cache.rules import EntryKind
from clusterdns.plugins.cache.settings import CacheSettings
from clusterdns.plugins.cache.store import CacheBudget
from clusterdns.server.assembly import assemble
from clusterdns.server.instance import Instance
from clusterdns.server.memory import MIN_SHARE
from clusterdns.telemetry.metrics import Registry
from clusterdns.telemetry.queries import MAX_COUNTERS, QueryCounters, QueryOutcome
from clusterdns.wire import codes, record
from clusterdns.wire.encode import EncodedMessage
from clusterdns.wire.name import ROOT, from_text
from clusterdns.wire.runs import NO_ROTATION

ANSWERS = 100_000
CACHED = 9_984  # in each store of `cache`, its default
COREFILE = ".:53 {\n prometheus 127.0.0.1:0\n whoami\n}\n"
NEW_NAMES = 64  # in one batch of a UDP socket
QUESTION = b"\1\0\0\1\0\0\0\0\0\0\6%06d\3web\4prod\3svc\7cluster\5local\0\0\1\0\1"


class Stored:
    """A configuration with answers in the tables of its UDP and TCP listeners, over IPv4 and IPv6."""

    def __init__(self, count: int) -> None:
        self.registry = Registry()
        configuration = assemble(parse(COREFILE, "/Corefile", {}), self.registry, dns_port=53)
        self.shared = configuration.shared
        self.budget = self.shared._budget = AnswerBudget(count << 12, count << 12)
        self.instance = Instance(configuration, "")
        (point,) = configuration.listen_points
        self.tables: list[AnswerTable] = []
        for protocol in ("udp", "tcp"):
            for family in (socket.AF_INET, socket.AF_INET6):
                dispatch, context = self.instance.dispatch_for(point, protocol, family)
                self.tables.append(context.answers)
        self.counters: QueryCounters = dispatch.counters
        self.keys = [QUESTION % number for number in range(count)]
        for number, key in enumerate(self.keys):
            self.tables[number % 4].put(key, self.answer(number))
        self.use()

    def answer(self, number: int) -> Answer:
        """Make an answer of a Service of its own, in the one namespace."""
        size = 100 + number % MAX_COUNTERS
        outcome = QueryOutcome("cluster.local.", "udp", "1", "A", "NOERROR", False, 57, size)
        dependencies = ((b"prod",), (b"prod", b"%d" % number))
        encoded = EncodedMessage(b"", bytes(100), NO_ROTATION, b"", 0)
        return compile_answer(encoded, None, self.counters.counter(outcome), dependencies, number % 2 > 0)

    def use(self, times: int = 3) -> None:
        """Hit every answer."""
        for number, key in enumerate(self.keys):
            self.tables[number % 4].entries[key].counter.count += times


async def measure_answers(turns: Turns, count: int = ANSWERS) -> None:
    """Measure what concerns every compiled answer at once."""
    text = f"{count:,} answers"
    stored = Stored(count)
    async with turns.measured(f"scrape, {text}"):
        await expose(stored.registry, "")
    stored.use()
    stored.budget.scale(stored.budget.used_bytes / stored.budget.most_bytes)
    async with turns.measured(f"{NEW_NAMES} new names, {text}, all of them used"):
        for number in range(count, count + NEW_NAMES):
            stored.tables[0].put(QUESTION % number, stored.answer(number))
    async with turns.measured(f"namespace forgotten, {text}", after=count):
        stored.shared.forget([(b"prod",)])
    assert not stored.budget.used_bytes
    stored = Stored(count)
    async with turns.measured(f"all forgotten, {text}", after=count):
        stored.shared.forget_all()
    stored = Stored(count)
    stored.budget.scale(MIN_SHARE * stored.budget.used_bytes / stored.budget.most_bytes)
    async with turns.measured(f"memory pressure, {text}"):
        for _ in iter(stored.budget.evict, False):
            await asyncio.sleep(0)
    stored = Stored(count)
    async with turns.measured(f"reload gives up {text}"):
        await stored.instance.stop()


async def measure_cache(turns: Turns) -> None:
    """Measure what concerns every cached reply at once."""
    text = f"2 × {CACHED:,} cached replies"
    registry = Registry()
    cache, budget = await _full_cache(registry)
    async with turns.measured(f"scrape, {text}"):
        await expose(registry, "")
    budget.scale(MIN_SHARE)
    async with turns.measured(f"memory pressure, {text}"):
        for _ in iter(budget.evict, False):
            await asyncio.sleep(0)
    cache, budget = await _full_cache(registry)
    async with turns.measured(f"reload gives up {text}"):
        await cache.stop()


async def _full_cache(registry: Registry) -> tuple[Cache, CacheBudget]:
    loop = asyncio.get_running_loop()
    phases = Phases(lambda _: None, time.monotonic, loop.call_later)
    budget = CacheBudget()
    cache = Cache(CacheSettings((".",), (ROOT,)), budget, CacheMetrics(registry, "dns://:53", (".",)), phases)
    await cache.start()
    for key, entry in _cached(phases):
        cache.put(key, entry)
    return cache, budget


def _cached(phases: Phases) -> Iterator[tuple[bytes, CacheEntry]]:
    owner = from_text("www.example.org.")
    for number in range(CACHED):
        address = (167_772_160 + number).to_bytes(4, "big")
        answer = [record.record(owner, codes.A, 60, address) for _ in range(4)]
        yield b"a%d" % number, CacheEntry(Reply(0, answer), EntryKind.POSITIVE, 60, *phases.stored_now())
        yield b"n%d" % number, CacheEntry(Reply(codes.NXDOMAIN), EntryKind.NEGATIVE, 60, *phases.stored_now())
