"""The staleness clock: how long ago each collection of a feed was known to be current, and which kinds are stale.

A collection is current while there is proof that its latest state is known: a list read in full, a bookmark, an event,
or an open watch whose peer acknowledges what the kernel sends to it. Its staleness is the age of the last proof. A
cluster in which nothing happens sends a bookmark a minute and never becomes stale, because its connections are alive.

`api.follow` reports here, `watch_metrics` and `plugins.kubernetes` read. The module knows neither HTTP nor DNS.
"""

import logging
import math
import time
from collections.abc import Callable
from typing import Any

from clusterdns.cluster.objects import Kind

CATCH_UP_SECONDS = 1.0  # after a watch resumes: the server sends the events that were missed at once
POLLS_PER_LIMIT = 4  # of the sockets, so that one that closes loses little of its proof
STALE_POLL_SECONDS = 1.0

Kinds = frozenset[Kind]
CallLater = Callable[[float, Callable[[], None]], Any]

log = logging.getLogger("clusterdns.plugin.kubernetes")


class CollectionFreshness:
    """The proof that one collection is current. Its reflector reports; times are those of the feed's clock."""

    def __init__(
        self, kind: Kind, label: str, count: Callable[[], int], clock: Callable[[], float], on_proof: Callable[[], None]
    ) -> None:
        self.kind = kind
        self.label = label
        self.count = count  # of the objects that are known
        self.is_current = False  # proved once, and not stale since
        self.is_listed = False
        self.connected_at: float | None = None  # since when a watch is open
        self.heard_at: float | None = None  # the last event or bookmark
        self.arrived_at = 0.0  # of the bytes that are being applied, by time.perf_counter
        self.audited_at: float | None = None
        self._clock = clock
        self._on_proof = on_proof
        self._proved_at = clock()
        self._acknowledged_seconds: Callable[[], float] | None = None

    def proved(self) -> None:
        """Report that the latest state is known: the list was read in full, or a bookmark came."""
        self._proved_at = self._clock()
        self.is_listed = True
        if not self.is_current:
            self.is_current = True
            self._on_proof()

    def heard(self, *, is_bookmark: bool = False) -> None:
        """Report a line of the watch. An event proves nothing after an outage, when more may be under way."""
        self.heard_at = now = self._clock()
        if self.is_current:
            self._proved_at = now
        elif is_bookmark:
            self.proved()

    def audited(self) -> None:
        """Report that an audit has compared the whole collection."""
        self.audited_at = self._clock()

    def connected(self, acknowledged_seconds: Callable[[], float]) -> None:
        """Report that the server has accepted a watch.

        `acknowledged_seconds` returns how long ago the peer's kernel acknowledged something; infinity where unknown.
        """
        self.connected_at = self._clock()
        self._acknowledged_seconds = acknowledged_seconds

    def disconnected(self) -> None:
        """Report that the watch has ended."""
        self.staleness_seconds()
        self.connected_at = self._acknowledged_seconds = None

    def staleness_seconds(self) -> float:
        """Return the age of the last proof; before the first one, the time since the collection is followed."""
        now = self._clock()
        if self._acknowledged_seconds is not None and self.connected_at is not None and self.is_listed:
            acknowledged_at = now - self._acknowledged_seconds()
            if acknowledged_at >= self.connected_at + CATCH_UP_SECONDS:
                self._proved_at = max(self._proved_at, acknowledged_at)
        return now - self._proved_at


class Freshness:
    """The collections of one feed, and the kinds of which one is stale beyond the limit (infinity: none ever is)."""

    def __init__(
        self,
        limit_seconds: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
        call_later: CallLater | None = None,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        """`on_change` is called when `stale` has changed; `call_later` is needed with a finite limit."""
        self.limit_seconds = limit_seconds
        self.collections: list[CollectionFreshness] = []
        self.stale: Kinds = frozenset()
        self.stale_since = 0.0  # the last proof of the kind that became stale first
        self._clock = clock
        self._call_later = call_later
        self._on_change = on_change
        self._timer: Any = None
        self._named: Kinds = frozenset()  # by the log, since the first kind became stale

    def track(self, kind: Kind, label: str, count: Callable[[], int]) -> CollectionFreshness:
        """Add a collection; `count` returns how many of its objects are known. It counts from its first list on."""
        one = CollectionFreshness(kind, label, count, self._clock, self.check)
        self.collections.append(one)
        return one

    def stop(self) -> None:
        """Stop the timer; the collections are followed no longer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._call_later = None

    def staleness(self) -> dict[Kind, float]:
        """Return the staleness in seconds of each kind, that of its worst collection."""
        ages: dict[Kind, float] = {}
        for one in self.collections:
            ages[one.kind] = max(ages.get(one.kind, 0.0), one.staleness_seconds())
        return ages

    def arrived_at(self, kind: Kind) -> float:
        """Return when the bytes arrived that were read last for a kind, by time.perf_counter; 0 where none were."""
        return max((one.arrived_at for one in self.collections if one.kind is kind), default=0.0)

    def check(self) -> None:
        """Find the stale kinds, report a change, and look again before the next one can cross the limit."""
        stale = set()
        for one in self.collections:
            if one.is_listed:
                one.is_current = one.staleness_seconds() < self.limit_seconds
                if not one.is_current:
                    stale.add(one.kind)
        self._set(frozenset(stale))
        if self._call_later is not None and math.isfinite(self.limit_seconds):
            if self._timer is not None:
                self._timer.cancel()
            poll_seconds = self.limit_seconds / POLLS_PER_LIMIT
            self._timer = self._call_later(min(poll_seconds, STALE_POLL_SECONDS) if stale else poll_seconds, self.check)

    def ages_text(self) -> str:
        """Describe the kinds that are stale, or about to be: 'EndpointSlice 10s, Service 9s'."""
        ages = self.staleness()
        late = {kind.__name__: age for kind, age in ages.items() if kind in self.stale or self._is_late(age)}
        return ", ".join(f"{name} {age:.0f}s" for name, age in sorted(late.items()))

    def _is_late(self, age_seconds: float) -> bool:
        """Return whether a kind is named with those that are stale: connections that died at once are found in turn."""
        return age_seconds >= self.limit_seconds / 2

    def _set(self, stale: Kinds) -> None:
        before, self.stale = self.stale, stale
        if stale == before:
            return
        if not before:
            self.stale_since = self._clock() - max(self.staleness()[kind] for kind in stale)
        if stale - self._named:
            self._named |= stale | {kind for kind, age in self.staleness().items() if self._is_late(age)}
            log.warning(
                "not known to be current: %s; serving the last known state, SERVFAIL for names that it does not have; "
                "check the API server and the network",
                self.ages_text(),
            )
        elif not stale:
            names = ", ".join(sorted(kind.__name__ for kind in self._named))
            log.info("current again, after %.0fs: %s", self._clock() - self.stale_since, names)
            self._named = frozenset()
        if self._on_change is not None:
            self._on_change()
