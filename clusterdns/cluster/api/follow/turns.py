"""Bounds the time for which a list or an event of a watch holds the event loop.

`listing` and `watch` call `complete` after each object that they have put into a store or removed from it.
"""

import asyncio
import time

from clusterdns.cluster.api.store import ObjectStore

MAX_TURN_SECONDS = 0.001  # of decoding, before other tasks run: the listeners, and two or three more reflectors


class StoreTurns:
    """The turns of the event loop that changes of one store take. Call `begin` after each wait for something else."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._began = 0.0

    def begin(self) -> None:
        """Start to count the time of a turn."""
        self._began = time.perf_counter()

    async def complete(self) -> None:
        """Complete the change of an object, and let other tasks run where it takes long."""
        await self._yield_to_loop()
        for _ in self._store.steps():
            await self._yield_to_loop()

    async def _yield_to_loop(self) -> None:
        """Let other tasks run after MAX_TURN_SECONDS of work."""
        if time.perf_counter() - self._began > MAX_TURN_SECONDS:
            await asyncio.sleep(0)
            self._began = time.perf_counter()
