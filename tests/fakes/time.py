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


class VirtualTime:
    """Time that passes when every sleeper waits, from one to the next."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    async def sleep(self, seconds: float) -> None:
        """Wait until the time has come."""
        woken = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, woken))
        await woken

    def clock(self) -> float:
        """Return the time in seconds."""
        return self.now

    async def run(self, seconds: float) -> None:
        """Let time pass; everything runs that is due."""
        end = self.now + seconds
        while True:
            for _ in range(100):
                await asyncio.sleep(0)
            due = min((one for one in self._sleepers if not one[1].done()), key=lambda one: one[0], default=None)
            if due is None or due[0] > end:
                break
            self._sleepers.remove(due)
            self.now = due[0]
            due[1].set_result(None)
        self.now = end
