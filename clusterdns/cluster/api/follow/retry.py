"""Decides after a failure whether a watch can be resumed, and how long to wait before the next attempt.

`reflector` reports failures and successes here; nothing here makes a request.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from clusterdns.cluster.api.errors import ApiError, Expired, Garbled, Interrupted
from clusterdns.cluster.api.settings import Intervals

_REFUSALS_BEFORE_RELIST = 3
_FAILURES_BEFORE_LOG = 3
_LAST_UNSERVED_RETRY_SECONDS = 30.0
_NOT_FIXED_BY_RELIST = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)


@dataclass(frozen=True)
class Timing:
    """The clock, sleep and random numbers."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    uniform: Callable[[float, float], float] = random.uniform


class RetryPolicy:
    """The failures in a row of one collection, and what follows from them."""

    def __init__(self, intervals: Intervals, timing: Timing) -> None:
        self._intervals = intervals
        self._timing = timing
        self._failures = 0  # in a row, of any kind
        self._refusals = 0  # in a row, with a status from the server

    def note_listed(self) -> None:
        """Record that a list was read in full; the watch that follows may still fail."""
        self._refusals = 0

    def note_worked(self) -> None:
        """Record that a watch works: the next failure is the first one."""
        self._failures = self._refusals = 0

    def note_failed(self, error: ApiError) -> None:
        """Record a failure."""
        self._failures += 1
        if error.status and error.status not in _NOT_FIXED_BY_RELIST:
            self._refusals += 1

    def is_unusual(self, error: ApiError) -> bool:
        """Return whether a failure is worth a log line; a watch that breaks or expires now and then is not."""
        return not isinstance(error, Interrupted | Expired) or self._failures >= _FAILURES_BEFORE_LOG

    def relist_cause(self, error: ApiError) -> str:
        """Return why the watch cannot be resumed, as the metric has it; empty where it can."""
        if isinstance(error, Expired):
            return "expired"
        if isinstance(error, Garbled):
            return "garbled"
        return "refused" if self._refusals >= _REFUSALS_BEFORE_RELIST else ""

    def delay_seconds(self, error: ApiError, *, is_unserved: bool) -> float:
        """Exponential back-off with full jitter, or the server's Retry-After where that is longer, within one bound."""
        first, last = self._intervals.first_retry_seconds, self._intervals.last_retry_seconds
        if is_unserved:
            last = _LAST_UNSERVED_RETRY_SECONDS
        jitter = self._timing.uniform(0.0, min(last, first * 2.0 ** min(self._failures - 1, 30)))
        return max(jitter, min(error.retry_after_seconds, last))
