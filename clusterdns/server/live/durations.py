"""Durations of the last seconds, and their percentiles. `observation` adds them."""

from bisect import bisect_left
from collections import deque

BOUNDS = tuple(0.000_01 * 1.2**step for step in range(80))  # seconds; 10 µs to 18 s, each a fifth above the last


class Durations:
    """Counts of durations by size, one set of them for each of the last seconds."""

    def __init__(self, seconds: int) -> None:
        self._now = [0] * (len(BOUNDS) + 1)
        self._ended: deque[list[int]] = deque(maxlen=seconds)

    def add(self, seconds: float, times: int = 1) -> None:
        """Count a duration this many times."""
        self._now[bisect_left(BOUNDS, seconds)] += times

    def end_second(self) -> None:
        """Close the present second."""
        self._ended.append(self._now)
        self._now = [0] * (len(BOUNDS) + 1)

    def quantile(self, share: float) -> float | None:
        """Return the duration that this share of all is at most, rounded up to a bound; None where there are none."""
        return _quantile([sum(counts) for counts in zip(*self._ended, strict=True)], share)

    def last_quantile(self, share: float) -> float | None:
        """Return the same of the last second alone."""
        return _quantile(self._ended[-1] if self._ended else [], share)


def _quantile(counts: list[int], share: float) -> float | None:
    wanted = share * sum(counts)
    if not wanted:
        return None
    running = 0
    for bound, count in zip((*BOUNDS, BOUNDS[-1]), counts, strict=True):
        running += count
        if running >= wanted:
            return bound
    return BOUNDS[-1]
