"""The most frequent keys of a stream in bounded memory: Space-Saving (Metwally, Agrawal, El Abbadi 2005).

A key that is not held takes the place, and the count, of the least frequent one. The count of a key is therefore never
too low, and too high by at most its `error`. Counts fade, so that the top is that of the last minutes.
"""

import heapq
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)

HALF_LIFE_SECONDS = 15.0  # of a count


class HeavyHitter(NamedTuple, Generic[K]):
    """A key, and how often it came each second, as the faded count says."""

    key: K
    per_second: float
    error_per_second: float  # at most so much of it may have been other keys


class HeavyHitters(Generic[K]):
    """The most frequent of the keys that were added, at most `capacity` of them. Keys must be comparable."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._counts: dict[K, float] = {}
        self._errors: dict[K, float] = {}  # of keys that have taken the place of others
        self._least: list[tuple[float, K]] = []  # a heap of counts as they were; `_evict` brings them up to date
        self._seconds = 0.0  # faded like the counts

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, key: K, weight: float = 1.0) -> None:
        """Count a key, for as many of its kind as `weight` says."""
        counts = self._counts
        if key in counts:
            counts[key] += weight
            return
        if len(counts) < self._capacity:
            counts[key] = weight
            heapq.heappush(self._least, (weight, key))
            return
        error = self._evict()
        counts[key] = error + weight
        self._errors[key] = error
        heapq.heappush(self._least, (error + weight, key))

    def _evict(self) -> float:
        """Remove the least frequent key; return its count."""
        while True:
            known, key = self._least[0]
            count = self._counts[key]
            if known == count:
                heapq.heappop(self._least)
                del self._counts[key]
                self._errors.pop(key, None)
                return count
            heapq.heapreplace(self._least, (count, key))

    def fade(self, seconds: float) -> None:
        """Note that time has passed: counts lose half of their value in HALF_LIFE_SECONDS."""
        share = 0.5 ** (seconds / HALF_LIFE_SECONDS)
        self._seconds = (self._seconds + seconds) * share
        self._counts = {key: count * share for key, count in self._counts.items()}
        self._errors = {key: error * share for key, error in self._errors.items()}
        self._least = [(count, key) for key, count in self._counts.items()]
        heapq.heapify(self._least)

    def top(self, most: int) -> list[HeavyHitter[K]]:
        """Return the most frequent keys, the most frequent first."""
        if not self._seconds:
            return []
        found = heapq.nlargest(most, self._counts.items(), key=lambda item: (item[1], item[0]))
        seconds = self._seconds
        return [HeavyHitter(key, count / seconds, self._errors.get(key, 0.0) / seconds) for key, count in found]

    def clear(self) -> None:
        """Forget every key."""
        for held in (self._counts, self._errors, self._least):
            held.clear()
        self._seconds = 0.0
