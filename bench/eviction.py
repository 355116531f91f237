"""Compare eviction policies: hit ratio, and time per hit and per miss, over made-up traces of queries.

SIEVE is the answer table itself, and the store of `cache`; first in first out, least recently used and least frequently
used are `cachetools`'s. Usage: `python -m bench.eviction`; 3 minutes.
"""

import random
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from cachetools import Cache, FIFOCache, LFUCache, LRUCache

from clusterdns.answers.compiled import compile_answer
from clusterdns.answers.table import ENTRY_BYTES, AnswerBudget, AnswerTable
from clusterdns.chain import Reply
from clusterdns.plugins.cache.entry import CacheEntry
from clusterdns.plugins.cache.phases import Phase
from clusterdns.plugins.cache.rules import EntryKind
from clusterdns.plugins.cache.store import CacheBudget, CacheStore
from clusterdns.telemetry.metrics import Registry
from clusterdns.telemetry.queries import QueryCounters, QueryOutcome
from clusterdns.wire import codes
from clusterdns.wire.encode import EncodedMessage
from clusterdns.wire.runs import RotatingRecords

CAPACITY = 4_000
NAMES = 20_000
QUERIES = 400_000
KEY_BYTES = 8

Ask = Callable[[bytes], bool]  # asks one question; returns whether it is a hit


def _names_in_use(rng: random.Random) -> Iterator[int]:
    """Yield names by Zipf's law."""
    weights = [1 / rank for rank in range(1, NAMES + 1)]
    return iter(rng.choices(range(NAMES), weights, k=QUERIES))


def _with_scan(rng: random.Random, per_query: int, repeats: int) -> Iterator[int]:
    """Yield names in use (numbers from 0), and after each some made-up ones (numbers below 0)."""
    made_up = 0
    for name in _names_in_use(rng):
        yield name
        for _ in range(per_query):
            made_up -= 1
            for _ in range(repeats):
                yield made_up


def _with_deployments(rng: random.Random) -> Iterator[int]:
    """Yield names by Zipf's law, of which a new set is in use after each tenth of the trace."""
    for number, name in enumerate(_names_in_use(rng)):
        yield name + number // (QUERIES // 10) * NAMES


TRACES: dict[str, Callable[[random.Random], Iterator[int]]] = {
    "names in use": _names_in_use,
    "one made-up name for each": lambda rng: _with_scan(rng, 1, 1),
    "four made-up names for each": lambda rng: _with_scan(rng, 4, 1),
    "each made-up name three times": lambda rng: _with_scan(rng, 1, 3),
    "new names after each tenth": _with_deployments,
}


def _cache(cache: Cache[bytes, bool]) -> Ask:
    def ask(key: bytes) -> bool:
        if cache.get(key):
            return True
        cache[key] = True
        return False

    return ask


def _table(*, admits_all: bool) -> Ask:
    table = AnswerTable(AnswerBudget(max_answer_bytes=CAPACITY * (ENTRY_BYTES + KEY_BYTES)))
    outcome = QueryCounters(Registry(), "").counter(QueryOutcome("", "udp", "1", "A", "NOERROR", False, 0, 0))
    empty = EncodedMessage(b"", b"", RotatingRecords(), b"", 0)

    def ask(key: bytes) -> bool:
        answer = table.entries.get(key)
        if answer is not None:
            answer.counter.count += 1
            return True
        if admits_all or table.admits(key, is_at_once=True):
            table.put(key, compile_answer(empty, None, outcome, (), False))
        return False

    return ask


def _store() -> Ask:
    store = CacheStore(CAPACITY, CacheBudget(), lambda: None)
    store.open()
    reply, phase = Reply(codes.NOERROR), Phase(0)

    def ask(key: bytes) -> bool:
        if store.use(key) is not None:
            return True
        store[key] = CacheEntry(reply, EntryKind.POSITIVE, 30, 0, phase)
        return False

    return ask


POLICIES: dict[str, Callable[[], Ask]] = {
    "first in, first out": lambda: _cache(FIFOCache(CAPACITY)),
    "least recently used": lambda: _cache(LRUCache(CAPACITY)),
    "least frequently used": lambda: _cache(LFUCache(CAPACITY)),
    "SIEVE": lambda: _table(admits_all=True),
    "SIEVE with admission": lambda: _table(admits_all=False),
    "cache plugin": _store,
}


class Measured(NamedTuple):
    """The hit ratio of the names in use, and microseconds per hit of those and per miss of any name."""

    ratio: float
    hit_us: float
    miss_us: float


def measure(ask: Ask, trace: Iterator[int]) -> Measured:
    """Ask all names of a trace."""
    hits = asked = misses = 0
    hit_seconds = miss_seconds = 0.0
    for number in trace:
        key = number.to_bytes(KEY_BYTES, "big", signed=True)
        started = time.perf_counter()
        is_hit = ask(key)
        seconds = time.perf_counter() - started
        if not is_hit:
            misses += 1
            miss_seconds += seconds
        if number >= 0:
            asked += 1
            hits += is_hit
            hit_seconds += seconds if is_hit else 0.0
    return Measured(hits / asked, hit_seconds / hits * 1e6, miss_seconds / misses * 1e6)


def main() -> None:
    """Print the table."""
    print("hit ratio of the names in use, µs per hit, µs per miss;")
    print(f"{CAPACITY} answers, {NAMES} names, {QUERIES} queries")
    for trace_name, trace in TRACES.items():
        print(f"\n{trace_name}")
        for policy_name, make in POLICIES.items():
            measured = measure(make(), trace(random.Random(1)))
            print(f"  {policy_name:24} {measured.ratio:6.1%} {measured.hit_us:6.2f} {measured.miss_us:6.2f}")


if __name__ == "__main__":
    main()
