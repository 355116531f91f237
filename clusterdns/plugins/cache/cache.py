"""The cache of one directive: a store for positive answers, one for the rest, and the refreshes under way.

A name may have an entry in both stores: an expired positive answer stays available for serve-stale beside a newer
failure, for example.
"""

import asyncio
from collections.abc import Callable

from clusterdns.plugins.cache.entry import CacheEntry
from clusterdns.plugins.cache.metrics import CacheMetrics
from clusterdns.plugins.cache.phases import Phases
from clusterdns.plugins.cache.refresh import Refreshes
from clusterdns.plugins.cache.rules import EntryKind
from clusterdns.plugins.cache.settings import CacheSettings
from clusterdns.plugins.cache.store import CacheBudget, CacheStore

MIN_CAPACITY = 1024  # of a store, as in CoreDNS


class Cache:
    """The entries of one `cache` directive; keeps none before `start` and after `stop`."""

    def __init__(self, settings: CacheSettings, budget: CacheBudget, metrics: CacheMetrics, phases: Phases) -> None:
        self.settings = settings
        self.metrics = metrics
        self.phases = phases
        self.refreshes = Refreshes()
        success, denial = (max(one.capacity, MIN_CAPACITY) for one in (settings.success, settings.denial))
        self.success = CacheStore(success, budget, metrics.count_success_eviction)
        self.denial = CacheStore(denial, budget, metrics.count_denial_eviction)
        self._end_metrics: Callable[[], None] | None = None

    async def start(self) -> None:
        """Accept entries from now on."""
        self.success.open()
        self.denial.open()
        self._end_metrics = self.metrics.follow(lambda: (len(self.success), len(self.denial)))

    async def stop(self) -> None:
        """Cancel the refreshes and drop all entries, some in each turn of the event loop."""
        await self.refreshes.close()
        self.phases.close()
        try:
            for store in (self.success, self.denial):
                for _ in iter(store.drop_some, False):
                    await asyncio.sleep(0)
        finally:
            self.success.close()
            self.denial.close()
        if self._end_metrics is not None:
            self._end_metrics()

    def find(self, key: bytes, now: float) -> CacheEntry | None:
        """Return the entry to answer with, possibly a stale one; the negative entry if both stores have one.

        The positive entry is returned instead if the other one is a failure, or if the settings prefer answers.
        """
        negative, positive = self.denial.use(key), self.success.use(key)
        if negative is not None and not self._is_usable(negative, now):
            negative = None
        if positive is not None and not self._is_usable(positive, now):
            positive = None
        if negative is None or positive is None:
            return negative or positive
        prefers_positive = self.settings.stale.prefers_answers or negative.kind is EntryKind.FAILURE
        return positive if prefers_positive else negative

    def peek(self, key: bytes) -> CacheEntry | None:
        """Return the entry stored last, without counting a use."""
        entries = [one for store in (self.denial, self.success) if (one := store.get(key)) is not None]
        return max(entries, key=lambda one: one.stored_at, default=None)

    def put(self, key: bytes, entry: CacheEntry) -> None:
        """Store an entry; a positive answer ends a negative one, but not the reverse."""
        if entry.kind is EntryKind.POSITIVE:
            self.success[key] = entry
            self.denial.pop(key, None)
        else:
            self.denial[key] = entry

    def drop(self, key: bytes) -> None:
        """Remove the entries of a question."""
        self.success.pop(key, None)
        self.denial.pop(key, None)

    def _is_usable(self, entry: CacheEntry, now: float) -> bool:
        if entry.remaining_ttl(now) > 0:
            return True
        stale_seconds = self.settings.stale.seconds
        # failures are never served stale (RFC 9520 §3.2)
        return bool(stale_seconds) and now - entry.stored_at - entry.ttl_seconds <= stale_seconds and (
            entry.kind is not EntryKind.FAILURE
        )  # fmt: skip
