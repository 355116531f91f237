"""Eviction by use, for the answer table and for `cache`: names in use outlive those that are asked once.

`Sieve` is the order of eviction, `RecentKeys` recognises a key that comes again. Neither holds answers, counts bytes or
decides when something is evicted: their users do. `python -m bench.eviction` compares SIEVE with other policies.
"""

from collections import OrderedDict
from typing import Generic, Protocol, TypeVar

MAX_RECENT_KEYS = 32_768  # per generation; two are remembered, of 2 MiB each
MAX_HAND_STEPS = 512  # in a row: 1 ms, where everything has been used
HAND_STEPS_PER_ENTRY = 8  # granted by each new entry, so that a batch of 64 takes 2 ms at most


class Evictable(Protocol):
    """An entry that remembers a few of its uses."""

    def take_use(self) -> bool:
        """Take away one of the remembered uses; return whether there was one."""


E = TypeVar("E", bound=Evictable)
P = TypeVar("P")


class Sieve(Generic[E, P]):
    """Entries in the order of eviction, each with the place where its owner finds it.

    A hand goes from the oldest entry to the newest and stops at the first without a remembered use; others lose one use
    each and stay. It takes entries from `_ahead` and puts those that stay into `_behind`; past the newest it begins
    again. New entries are the last ones ahead of it, so that a scan of names that are asked once evicts its own entries
    (Zhang et al., NSDI 2024). When the hand has taken all steps that it may, the entry that it has come to goes.
    """

    __slots__ = ("_ahead", "_behind", "_steps")

    def __init__(self) -> None:
        self._ahead: OrderedDict[E, P] = OrderedDict()
        self._behind: OrderedDict[E, P] = OrderedDict()
        self._steps = MAX_HAND_STEPS  # that the hand may take now

    def __len__(self) -> int:
        return len(self._ahead) + len(self._behind)

    def add(self, entry: E, place: P) -> None:
        """Add the newest entry."""
        self._ahead[entry] = place
        self._steps = min(self._steps + HAND_STEPS_PER_ENTRY, MAX_HAND_STEPS)

    def remove(self, entry: E) -> bool:
        """Remove an entry; return whether there was one."""
        return self._ahead.pop(entry, None) is not None or self._behind.pop(entry, None) is not None

    def rest_hand(self) -> None:
        """Let the hand take its full number of steps again; to be called once per turn of the event loop."""
        self._steps = MAX_HAND_STEPS

    def clear(self) -> None:
        """Remove all entries."""
        self._ahead.clear()
        self._behind.clear()

    def next_to_go(self) -> P:
        """Move the hand; return the place of the entry to evict, which stays. Raises KeyError where there is none."""
        if not self:
            raise KeyError("there is no entry to evict")
        while True:
            if not self._ahead:
                self._ahead, self._behind = self._behind, self._ahead
            entry = next(iter(self._ahead))
            if not self._steps or not entry.take_use():
                return self._ahead[entry]
            self._steps -= 1
            self._behind[entry] = self._ahead.pop(entry)


class RecentKeys:
    """The keys that were added last, as hashes: at least one generation of them, at most two."""

    __slots__ = ("_before", "_now", "_size")

    def __init__(self, size: int = MAX_RECENT_KEYS) -> None:
        self._size = size  # of a generation
        self._now: set[int] = set()
        self._before: set[int] = set()

    def __contains__(self, key: bytes) -> bool:
        mark = hash(key)
        return mark in self._now or mark in self._before

    def add(self, key: bytes) -> None:
        """Add a key to the newer generation; if that is full, begin the next and drop the older one."""
        mark = hash(key)
        if mark in self._now:
            return
        if len(self._now) >= self._size:
            self._before, self._now = self._now, set()
        self._now.add(mark)
