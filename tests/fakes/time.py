"""Time that passes only in sleeps, and random numbers that are always the upper bound."""

import asyncio


class FakeTime:
    """Stands in for `asyncio.sleep`, `time.monotonic` and `random.uniform`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.step = 0.0  # seconds by which each call of `clock` advances it

    async def sleep(self, seconds: float) -> None:
        """Advance the time, and return after one turn of the event loop."""
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def clock(self) -> float:
        """Return the time in seconds."""
        self.now += self.step
        return self.now

    def uniform(self, _: float, most: float) -> float:
        """Return the upper bound."""
        return most
