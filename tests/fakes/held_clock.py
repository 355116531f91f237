"""Time of the running event loop that stands still until a test moves it, so that a time-out costs no waiting."""

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

START = 1000.0
TURNS = 30  # of the event loop: callbacks, tasks and sockets that depend on each other come to rest
STUCK_SECONDS = 60.0  # of real time without a move: the test waits for time to pass


class HeldClock:
    """The clock of one event loop: `call_later`, `asyncio.sleep` and `asyncio.timeout` go by it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = START
        self._loop = loop
        self._moved_at = time.monotonic()

    def time(self) -> float:
        """As the event loop's `time`."""
        assert time.monotonic() - self._moved_at < STUCK_SECONDS, "the test waits for time that it does not let pass"
        return self.now

    async def pass_seconds(self, seconds: float) -> None:
        """Let time pass, from one timer to the next."""
        end = self.now + seconds
        await turns()
        while (due := self._next_timer()) <= end:
            self._move_to(max(self.now, due))
            await turns()
        self._move_to(end)
        await turns()

    async def pass_until(self, future: "asyncio.Future[Any]") -> None:
        """Let time pass, from one timer to the next, until a future is done.

        No time passes where no timer is set: a thread or the other end of a socket is waited for.
        """
        await turns()
        while not future.done():
            if (due := self._next_timer()) < math.inf:
                self._move_to(max(self.now, due))
            await turns()

    def _next_timer(self) -> float:
        timers: list[asyncio.TimerHandle] = self._loop._scheduled  # type: ignore[attr-defined]  # of asyncio's own loop
        return min((timer.when() for timer in timers if not timer.cancelled()), default=math.inf)

    def _move_to(self, moment: float) -> None:
        self.now = moment
        self._moved_at = time.monotonic()


async def turns(count: int = TURNS) -> None:
    """Let the event loop turn; no time passes."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop turn until something has happened in another thread, or at the other end of a socket."""
    while not condition():  # noqa: ASYNC110  # the condition is not set in this event loop
        await asyncio.sleep(0)


@contextmanager
def held(loop: asyncio.AbstractEventLoop) -> Iterator[HeldClock]:
    """Hold the time of an event loop inside the context."""
    clock = HeldClock(loop)
    real = loop.time
    loop.time = clock.time  # type: ignore[method-assign]
    try:
        yield clock
    finally:
        loop.time = real  # type: ignore[method-assign]
