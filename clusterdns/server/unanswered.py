"""Packets that get no reply, of one listen point: each is counted by its reason, and an overload is logged.

`dispatch` counts all others by their response code. The listeners decide how many queries may wait.
"""

import inspect
import logging
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

from clusterdns.telemetry.queries import QueryCounters, Unanswered
from clusterdns.wire.header import HEADER_BYTES

OVERLOAD_SECONDS = 10.0  # without a dropped query, after which an overload is over

log = logging.getLogger("clusterdns")


class UnansweredPackets:
    """The packets of one listen point that get no reply."""

    def __init__(self, counters: QueryCounters, clock: Callable[[], float] = monotonic) -> None:
        self._counters = counters
        self._clock = clock
        self._overload_ends_at = float("-inf")  # by the clock; the log has a line for each time that one begins

    def ignore(self, packet: bytes, proto: str) -> None:
        """Count a packet that is not a query."""
        is_short = len(packet) < HEADER_BYTES
        self._counters.count_unanswered(proto, Unanswered.SHORT if is_short else Unanswered.RESPONSE)

    def cancel(self, query: Coroutine[Any, Any, bytes | None], proto: str) -> None:
        """Count a query whose listener or connection has closed, and close its coroutine if no task has started it."""
        self._counters.count_unanswered(proto, Unanswered.CANCELLED)
        if inspect.getcoroutinestate(query) == inspect.CORO_CREATED:
            query.close()

    def drop(self, query: Coroutine[Any, Any, bytes | None], proto: str, limit: int) -> None:
        """Count a query that would wait as one more than `limit`, and close its coroutine."""
        query.close()
        self._counters.count_unanswered(proto, Unanswered.OVERLOAD)
        now = self._clock()
        if now >= self._overload_ends_at:
            log.warning(
                "%s: %d queries over %s wait for their handlers; further ones get no reply until fewer wait"
                " (clusterdns_dns_unanswered_total counts them); look for an upstream that is slow or down",
                self._counters.server_text, limit, proto,
            )  # fmt: skip
        self._overload_ends_at = now + OVERLOAD_SECONDS
