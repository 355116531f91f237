"""Decides after a failure whether a watch can be resumed, and when the next attempt is made.

`RetryPolicy` counts the failures of one collection. `RetryQueue` orders the attempts of all collections of a source: a
server that fails for one mostly fails for all, so one of them tries at a time, and when it gets through, all do.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import msgspec

from clusterdns.cluster.api.errors import ApiError, Backwards, Expired, Garbled, Interrupted
from clusterdns.cluster.api.settings import Intervals

_REFUSALS_BEFORE_RELIST = 3
_FAILURES_BEFORE_LOG = 3
_LAST_UNSERVED_RETRY_SECONDS = 30.0
_LEAST_JITTER = 0.8
_MAX_RETRY_AFTER_SECONDS = 60.0  # the API server itself asks for 32 s at most
_MAX_GAP_SECONDS = 10.0
_NOT_FIXED_BY_RELIST = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
_OWN_STATUS = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)  # of one collection, whatever happens to others


class Timing(msgspec.Struct, frozen=True):
    """The clock, sleep and random numbers."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    uniform: Callable[[float, float], float] = random.uniform


class RetryQueue:
    """The attempts of all collections of one source, further apart the longer they fail."""

    def __init__(self, intervals: Intervals, timing: Timing) -> None:
        self._intervals = intervals
        self._timing = timing
        self._failures = 0  # in a row, of any collection
        self._next_at = 0.0  # the time of the last attempt that is planned
        self._not_before = 0.0  # as the server asked with Retry-After
        self._waiting: set[asyncio.Future[None]] = set()

    async def wait(self, requests: int, retry_after_seconds: float) -> None:
        """Wait for a turn after a failure that took so many requests, or until another collection gets through."""
        self._failures += 1
        timing, now = self._timing, self._timing.clock()
        gap = min(self._longest_gap(requests), self._intervals.first_retry_seconds * 2.0 ** min(self._failures - 1, 30))
        at = self._next_at = max(now, self._next_at) + timing.uniform(_LEAST_JITTER * gap, gap)
        self._not_before = max(self._not_before, now + min(retry_after_seconds, _MAX_RETRY_AFTER_SECONDS))
        woken = asyncio.get_running_loop().create_future()
        self._waiting.add(woken)
        try:
            while not woken.done() and now < max(at, self._not_before):  # which another collection may put off
                seconds = max(at, self._not_before) - now
                sleeping = asyncio.ensure_future(timing.sleep(seconds))
                try:
                    await asyncio.wait((woken, sleeping), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    sleeping.cancel()
                now = timing.clock()
        finally:
            self._waiting.discard(woken)

    def note_recovered(self) -> None:
        """Start again with short gaps after a collection has got past its failure."""
        self._failures = 0
        self.wake()

    def wake(self) -> None:
        """Have every collection that waits try at once: a request of one of them works."""
        self._next_at = self._not_before = 0.0
        for woken in self._waiting:
            if not woken.done():
                woken.set_result(None)

    def _longest_gap(self, requests: int) -> float:
        """Return the longest time between two attempts: in proportion to what they cost the server."""
        longest = self._intervals.last_retry_seconds
        return longest if requests <= 1 else min(1.5 * longest * requests, max(_MAX_GAP_SECONDS, longest))


class RetryPolicy:
    """The failures in a row of one collection, and what follows from them."""

    def __init__(self, intervals: Intervals, timing: Timing, queue: RetryQueue) -> None:
        self._intervals = intervals
        self._timing = timing
        self._queue = queue
        self._failures = 0  # in a row, of any kind
        self._refusals = 0  # in a row, with a status from the server, or from an older state

    def note_listed(self) -> None:
        """Record that a list was read in full; the watch that follows may still fail."""
        self._refusals = 0

    def note_worked(self) -> None:
        """Record that a watch works: the next failure is the first one."""
        self._failures = self._refusals = 0

    def note_failed(self, error: ApiError) -> None:
        """Record a failure."""
        self._failures += 1
        if isinstance(error, Backwards) or (error.status and error.status not in _NOT_FIXED_BY_RELIST):
            self._refusals += 1

    def is_unusual(self, error: ApiError) -> bool:
        """Return whether a failure is worth a log line.

        A watch that breaks or expires now and then is not, nor a server that asks to come later, as it does while the
        watch cache of a new CRD fills.
        """
        is_usual = isinstance(error, Interrupted | Expired) or error.status == HTTPStatus.TOO_MANY_REQUESTS
        return not is_usual or self._failures >= _FAILURES_BEFORE_LOG

    def relist_cause(self, error: ApiError) -> str:
        """Return why the watch cannot be resumed, as the metric has it; empty where it can."""
        if isinstance(error, Expired):
            return "expired"
        if isinstance(error, Garbled):
            return "garbled"
        if self._refusals < _REFUSALS_BEFORE_RELIST:
            return ""
        return "backwards" if isinstance(error, Backwards) else "refused"

    async def wait(self, error: ApiError, requests: int, *, is_unserved: bool) -> None:
        """Wait before the next attempt, after a round of so many requests.

        A collection that is forbidden or not served waits by itself: exponential back-off with full jitter.
        """
        if error.status not in _OWN_STATUS:
            await self._queue.wait(requests, error.retry_after_seconds)
            return
        last = _LAST_UNSERVED_RETRY_SECONDS if is_unserved else self._intervals.last_own_retry_seconds
        gap = min(last, self._intervals.first_retry_seconds * 2.0 ** min(self._failures - 1, 30))
        await self._timing.sleep(self._timing.uniform(0.0, gap))
