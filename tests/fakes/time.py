"""Time that passes only when somebody sleeps, and chance that always says the most."""

import asyncio


class FakeTime:
    """Stands in for `asyncio.sleep`, `time.monotonic` and `random.uniform`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.step = 0.0  # by which each look at the clock advances it

    async def sleep(self, seconds: float) -> None:
        """Return after one turn of the loop, however long it was to be."""
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def clock(self) -> float:
        """The moment, in seconds."""
        self.now += self.step
        return self.now

    def uniform(self, _: float, most: float) -> float:
        """The upper bound."""
        return most
