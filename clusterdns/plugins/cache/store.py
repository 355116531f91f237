"""Where `cache` keeps replies: least recently used first out, bounded in number, and in bytes for all caches together.

`cachetools.LRUCache` and not `TLRUCache`: what has expired must stay at hand for `serve_stale`, and goes when budget is
needed, because nobody asks for it. When it has expired the handler sees, from the time it was stored.

A reply that was kept is compiled by dispatch and shown by the answer table until its TTL must show one second less.
`Phases` sees to that: entries stored in the same sixteenth of any second count down at the same moments, so one timer
and one owner serve them all, and a cache that nobody asks has no timer.
"""

import math
from collections.abc import Callable, Hashable, Iterable
from typing import Protocol

from cachetools import LRUCache

from clusterdns.chain import Reply
from clusterdns.plugins.cache.rules import Kind, kept_options, with_ttl
from clusterdns.wire.record import Record

MAX_BYTES = 40 << 20  # of all caches: two stores at CoreDNS's capacity, full of usual replies, take 20 to 28 MiB
ENTRY_BYTES = 650  # what an entry takes beside its records, as RSS grows with it
RECORD_BYTES = 160  # what a record takes beside its body and name
PHASES = 16  # to the second

Clock = Callable[[], float]


class Timer(Protocol):
    """What `Later` gives."""

    def cancel(self) -> None:
        """Do not call."""


Later = Callable[[float, Callable[[], None]], Timer]  # the event loop's `call_later`


class Phase:
    """The owner of compiled answers that count down at the same moments of each second."""

    __slots__ = ("offset", "timer")

    def __init__(self, offset: float) -> None:
        self.offset = offset  # of those moments in the clock's second
        self.timer: Timer | None = None


class Phases:
    """All phases of a cache, and the timers that have their compiled answers forgotten."""

    def __init__(self, forget: Callable[[Iterable[Hashable]], None], clock: Clock, later: Later) -> None:
        self._forget = forget
        self._clock = clock
        self._later = later
        self._phases = tuple(Phase(number / PHASES) for number in range(PHASES))

    def stored_now(self) -> tuple[float, Phase]:
        """The moment that something stored now counts from, and its phase."""
        step = math.floor(self._clock() * PHASES)
        return step / PHASES, self._phases[step % PHASES]

    def hold(self, phase: Phase, now: float) -> float:
        """A reply of this phase may be compiled until the moment that this gives: see to its end."""
        seconds = 1 - (now - phase.offset) % 1
        if phase.timer is None:
            phase.timer = self._later(seconds, lambda: self._end(phase))
        return now + seconds

    def close(self) -> None:
        """Cancel all timers."""
        for phase in self._phases:
            if phase.timer is not None:
                phase.timer.cancel()
                phase.timer = None

    def _end(self, phase: Phase) -> None:
        phase.timer = None
        self._forget((phase,))


class Entry:
    """A reply as it was stored, how it was asked for since, and when a refresh that failed may be tried again."""

    __slots__ = (
        "additional", "answer", "authority", "hits", "is_authentic", "is_authoritative", "kind", "last_hit", "options",
        "phase", "rcode", "recursion_available", "retry_at", "shown_ttl", "size_bytes", "stored", "ttl_seconds",
    )  # fmt: skip

    def __init__(self, reply: Reply, kind: Kind, ttl_seconds: int, stored: float, phase: Phase) -> None:
        """Take a reply whose records have the TTL `ttl_seconds`."""
        self.kind = kind
        self.rcode = reply.rcode
        self.answer: tuple[Record, ...] = tuple(reply.answer)
        self.authority: tuple[Record, ...] = tuple(reply.authority)
        self.additional: tuple[Record, ...] = tuple(reply.additional)
        self.options = kept_options(reply.options)
        self.is_authoritative = reply.is_authoritative
        self.recursion_available = reply.recursion_available
        self.is_authentic = reply.is_authentic
        self.ttl_seconds = ttl_seconds
        self.shown_ttl = ttl_seconds
        self.stored = stored
        self.phase = phase
        self.hits = 0  # in a row, as `prefetch` counts them
        self.last_hit = stored
        self.retry_at = -math.inf
        size_bytes = ENTRY_BYTES + len(self.options)
        for section in (self.answer, self.authority, self.additional):
            for name, _, body in section:
                size_bytes += RECORD_BYTES + len(name) + len(body)
        self.size_bytes = size_bytes

    def left_seconds(self, now: float) -> int:
        """The TTL that is left, in whole seconds; 0 or less: expired."""
        return self.ttl_seconds - int(now - self.stored)

    def reply(self, ttl: int) -> Reply:
        """The reply with this TTL. Its records are made when the TTL differs from the last one shown."""
        if ttl != self.shown_ttl:
            self.answer = with_ttl(self.answer, ttl)
            if self.authority:
                self.authority = with_ttl(self.authority, ttl)
            if self.additional:
                self.additional = with_ttl(self.additional, ttl)
            self.shown_ttl = ttl
        reply = Reply(self.rcode, self.answer, self.authority, self.additional, is_authoritative=self.is_authoritative)
        reply.recursion_available = self.recursion_available
        reply.is_authentic = self.is_authentic
        reply.options = self.options
        reply.is_upstream = True
        return reply


class CacheBudget:
    """The bytes that all stores of the process may take together. Who holds most gives way."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.used_bytes = 0
        self.most_bytes = max_bytes  # where memory is not short
        self._max_bytes = max_bytes
        self._stores: list[Store] = []

    def enter(self, store: "Store") -> None:
        """Count a store among those that share."""
        self._stores.append(store)

    def leave(self, store: "Store") -> None:
        """Count it no more; it must be empty."""
        self._stores.remove(store)

    def scale(self, share: float) -> None:
        """Keep at most this share of `most_bytes` from now on."""
        self._max_bytes = int(self.most_bytes * share)
        self.make_space()

    def make_space(self) -> None:
        """Evict entries until what is left fits."""
        while self.used_bytes > self._max_bytes:
            max(self._stores, key=lambda store: store.used_bytes).evict()


class Store:
    """Replies by the question they answer. Between `open` and `close` it takes part in the process's budget."""

    def __init__(self, capacity: int, budget: CacheBudget, count_eviction: Callable[[], None]) -> None:
        self.used_bytes = 0
        self._capacity = capacity
        self._budget = budget
        self._count_eviction = count_eviction
        self._entries: LRUCache[bytes, Entry] = LRUCache(capacity)
        self._is_open = False

    def __len__(self) -> int:
        return len(self._entries)

    def open(self) -> None:
        """Begin to keep entries."""
        self._is_open = True
        self._budget.enter(self)

    def close(self) -> None:
        """Let go of everything."""
        if self._is_open:
            self._is_open = False
            self._budget.used_bytes -= self.used_bytes
            self.used_bytes = 0
            self._entries.clear()
            self._budget.leave(self)

    def get(self, key: bytes) -> Entry | None:
        """The entry, which is now the one used last."""
        return self._entries.get(key)

    def put(self, key: bytes, entry: Entry) -> None:
        """Keep an entry in the place of what was there; the one used longest ago makes budget."""
        if not self._is_open:
            return
        self.drop(key)
        if len(self._entries) >= self._capacity:
            self.evict()
        self._entries[key] = entry
        self._add_bytes(len(key) + entry.size_bytes)
        self._budget.make_space()

    def drop(self, key: bytes) -> None:
        """Take an entry out, if it is here."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._add_bytes(-len(key) - entry.size_bytes)

    def evict(self) -> None:
        """Take out the entry used longest ago. Raises KeyError where there is none."""
        key, entry = self._entries.popitem()
        self._add_bytes(-len(key) - entry.size_bytes)
        self._count_eviction()

    def _add_bytes(self, count: int) -> None:
        self.used_bytes += count
        self._budget.used_bytes += count
