"""The turns of the event loop in a benchmark: how long each of them took, by what was done in it.

CPU time is measured, because other processes of a busy machine take the core in the middle of a turn.
"""

import asyncio
import time
from asyncio.events import Handle
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from statistics import median

REPEATS = 3


class Turns:
    """The longest turn of the event loop by what was done, in milliseconds of CPU time."""

    def __init__(self) -> None:
        self.longest_ms: dict[str, float] = defaultdict(float)
        self.repeats: dict[str, list[float]] = {}  # the measurements of those that took too long once
        self.doing = ""
        run = Handle._run

        def timed(handle: Handle) -> None:
            began = time.thread_time()
            run(handle)
            if self.doing:
                took = (time.thread_time() - began) * 1000
                self.longest_ms[self.doing] = max(self.longest_ms[self.doing], took)

        Handle._run = timed  # type: ignore  # the loop has no hook for this

    async def repeated(self, limit_ms: float, measure: Callable[[], Awaitable[None]]) -> None:
        """Measure; where a turn takes longer than the limit, measure again, and take the median of each turn.

        What shares the core's caches and its clock makes a turn slower by half and more, and never faster.
        """
        longest = self.longest_ms
        found: dict[str, list[float]] = defaultdict(list)
        for number in range(REPEATS):
            self.longest_ms = defaultdict(float)
            await measure()
            for doing, took in self.longest_ms.items():
                found[doing].append(took)
            if not number and max(self.longest_ms.values()) <= limit_ms:
                break
        self.longest_ms = longest
        for doing, several in found.items():
            longest[doing] = max(longest[doing], median(several))
            if max(several) > limit_ms:
                self.repeats[doing] = several

    @asynccontextmanager
    async def measured(self, doing: str, *, after: int = 0) -> AsyncIterator[None]:
        """Measure what is done inside, without what the turn did before, and this number of turns after it."""
        await asyncio.sleep(0)
        self.doing = doing
        yield
        for _ in range(after + 1):
            await asyncio.sleep(0)
        self.doing = ""
