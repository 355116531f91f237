"""Bounds the time for which a source's changes hold the event loop.

The API server's lists and watches, the files of manifests and snapshots use it alike: after each step of a change,
whatever its kind, other tasks run once `MAX_TURN_SECONDS` have passed.
"""

import asyncio
import time
from collections.abc import Iterable
from itertools import chain

MAX_TURN_SECONDS = 0.001  # of work, before other tasks run: the listeners, and two or three more sources


class LoopTurns:
    """The turns of the event loop that the changes of one source take. Call `begin` after a wait for something else."""

    def __init__(self) -> None:
        self._began = 0.0

    def begin(self) -> None:
        """Start to count the time of a turn."""
        self._began = time.perf_counter()

    async def take(self, steps: Iterable[None]) -> None:
        """Take every step, and let other tasks run where that is long."""
        for _ in chain((None,), steps):
            if time.perf_counter() - self._began > MAX_TURN_SECONDS:
                await asyncio.sleep(0)
                self._began = time.perf_counter()
