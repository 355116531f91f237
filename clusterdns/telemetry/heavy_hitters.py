"""The most frequent keys of a stream in bounded memory: Space-Saving (Metwally, Agrawal, El Abbadi 2005).

A key that is not held takes the place, and the count, of the least frequent one. The count of a key is therefore never
too low, and too high by at most the least count that is held. Counts fade, so that the top is that of the last minute:
what comes later weighs more (forward decay; Cormode, Shkapenyuk, Srivastava, Xu 2009), and nothing is recomputed.
"""

import heapq
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bytes, str, tuple[str, str])

HALF_LIFE_SECONDS = 30.0  # of a count
_MAX_WEIGHT = 1e9  # from here on counts are written with a smaller unit


class HeavyHitter(NamedTuple, Generic[K]):
    """A key, and how often it came each second, as the faded count says."""

    key: K
    per_second: float


class HeavyHitters(Generic[K]):
    """The most frequent of the keys that were added, at most `capacity` of them."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._counts: dict[K, float] = {}
        self._least: list[tuple[float, K]] = []  # a heap of counts as they were when their keys came
        self._weight = 1.0  # of a key that comes now
        self._seconds = 0.0  # weighted like the counts

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, key: K, times: int = 1) -> None:
        """Count a key this many times."""
        counts = self._counts
        if key in counts:
            counts[key] += times * self._weight
            return
        least = self._least
        if len(counts) < self._capacity:
            count = counts[key] = times * self._weight
            heapq.heappush(least, (count, key))
            return
        known, old = least[0]
        while known != counts[old]:  # it has been counted since
            heapq.heapreplace(least, (counts[old], old))
            known, old = least[0]
        del counts[old]
        count = counts[key] = known + times * self._weight
        heapq.heapreplace(least, (count, key))

    def fade(self, seconds: float) -> None:
        """Note that time has passed: counts so far lose half of their weight in HALF_LIFE_SECONDS."""
        self._seconds += seconds * self._weight
        self._weight *= 2.0 ** (seconds / HALF_LIFE_SECONDS)
        if self._weight > _MAX_WEIGHT:
            self._counts = {key: count / self._weight for key, count in self._counts.items()}
            self._least = [(count, key) for key, count in self._counts.items()]
            heapq.heapify(self._least)
            self._seconds /= self._weight
            self._weight = 1.0

    def top(self, most: int) -> list[HeavyHitter[K]]:
        """Return the most frequent keys, the most frequent first; none before time has passed."""
        if not self._seconds:
            return []
        found = heapq.nlargest(most, self._counts.items(), key=lambda item: item[1])
        return [HeavyHitter(key, count / self._seconds) for key, count in found]
