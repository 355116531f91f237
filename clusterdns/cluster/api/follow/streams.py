"""The open watches of one collection: one, or two while a doubtful one is replaced.

A watch whose bookmark is overdue may be dead although TCP shows nothing. A second one is opened from the same version
while the first is still read; events are applied by whichever brings them first, and the first of the two that shows
life stays. Replacing a watch that was merely quiet costs a request and changes nothing.
"""

import asyncio
import logging
from collections.abc import Callable

from clusterdns.cluster.api.errors import ApiError, Expired, Unstreamed
from clusterdns.cluster.api.follow.watch import Followed, Watch

SETTLED_SECONDS = 0.1  # without a failure after a watch was opened; one that fails at once does so earlier
_REPLACE_AGAIN_SECONDS = 2.0  # after a second watch has failed
_POLL_SECONDS = 1.0  # of two open watches

log = logging.getLogger("clusterdns.plugin.kubernetes")


class Streams:
    """Keeps a watch open, and replaces it where it is doubtful."""

    def __init__(
        self, followed: Followed, on_settled: Callable[[], None], on_not_replaced: Callable[[ApiError], None]
    ) -> None:
        """`on_settled` is called once a watch is open for a moment, `on_not_replaced` where a second one fails."""
        self._followed = followed
        self._on_settled = on_settled
        self._on_not_replaced = on_not_replaced
        self._open: dict[asyncio.Task[None], Watch] = {}  # the oldest first
        self._is_settled = False
        self._replace_at = 0.0

    async def follow(self, watch: Watch) -> None:
        """Read a watch, and those that replace it, until the last one ends. Raises its ApiError."""
        self._is_settled = False
        self._start(watch)
        try:
            while True:
                ended, _ = await asyncio.wait(
                    self._open, timeout=self._patience_seconds(), return_when=asyncio.FIRST_COMPLETED
                )
                for task in ended:
                    del self._open[task]
                    if not self._open or isinstance(task.exception(), Expired):
                        return task.result()
                    self._note_ended(task)
                if not ended:
                    await self._judge()
        finally:
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)
            self._open.clear()
            self._followed.freshness.disconnected()

    def _start(self, watch: Watch) -> None:
        self._open[asyncio.create_task(watch.run(), name=self._followed.collection.label)] = watch

    def _patience_seconds(self) -> float:
        """Return how long to wait before `_judge`, unless a watch ends."""
        if not self._is_settled:
            return SETTLED_SECONDS
        limit = self._limit_seconds()
        if len(self._open) > 1:
            return min(_POLL_SECONDS, limit / 4)
        (watch,) = self._open.values()
        return max(limit - watch.quiet_seconds(), self._replace_at - self._followed.timing.clock(), limit / 100)

    def _limit_seconds(self) -> float:
        is_listing = any(watch.is_listing for watch in self._open.values())
        return self._followed.intervals.list_read_seconds if is_listing else self._followed.rhythm.limit_seconds

    async def _judge(self) -> None:
        """Replace the only watch if it is doubtful, or end one of two."""
        oldest, *others = self._open.values()
        if oldest.is_accepted and not self._is_settled:
            self._is_settled = True
            self._on_settled()
        if oldest.is_listing:
            if oldest.quiet_seconds() > self._limit_seconds():
                raise Unstreamed("the initial events of the watch have stopped")
        elif not others:
            if oldest.is_doubtful() and self._followed.timing.clock() >= self._replace_at:
                log.debug("%s: no bookmark for %.0f s; opening a second watch", *self._quiet(oldest))
                self._start(Watch(self._followed))
        elif others[0].has_lines or others[0].is_doubtful():
            await self._end(oldest)
        elif not oldest.is_doubtful():
            await self._end(others[0])
            oldest.report_connected()

    def _quiet(self, watch: Watch) -> tuple[str, float]:
        return self._followed.collection.label, watch.quiet_seconds()

    def _note_ended(self, task: asyncio.Task[None]) -> None:
        """Go on with the other watch, which is the proof of being current from now on."""
        (other,) = self._open.values()
        other.report_connected()
        error = task.exception()
        if isinstance(error, ApiError):
            self._replace_at = self._followed.timing.clock() + _REPLACE_AGAIN_SECONDS
            self._on_not_replaced(error)
        elif error is not None:
            raise error

    async def _end(self, watch: Watch) -> None:
        (task,) = (task for task, one in self._open.items() if one is watch)
        async with self._followed.applying:  # not in the middle of an event's steps
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        del self._open[task]
