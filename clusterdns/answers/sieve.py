"""Eviction by use, for the answer table and for `cache`: names in use outlive those that are asked once.

`Sieve` is the order of eviction, `RecentKeys` recognises a key that comes again. Neither holds answers, counts bytes or
decides when something is evicted: their users do. `python -m bench.eviction` compares SIEVE with other policies.
"""

from collections import OrderedDict, deque
from itertools import islice
from typing import Generic, Protocol, TypeVar

MAX_RECENT_KEYS = 32_768  # per generation; two are remembered, of 2 MiB each
MAX_HAND_STEPS = 512  # in a row: 1 ms, where everything has been used
MAX_PART = 4096  # entries in one dict: it grows in a quarter of a millisecond
HAND_STEPS_PER_ENTRY = 4  # granted by each new entry, so that a batch of 64 takes 2.5 ms at most


class Evictable(Protocol):
    """An entry that remembers a few of its uses."""

    def take_use(self) -> bool:
        """Take away one of the remembered uses; return whether there was one."""


E = TypeVar("E", bound=Evictable)
P = TypeVar("P")


class _Queue(Generic[E, P]):
    """Entries in the order in which they were added, each with its place, in parts of MAX_PART entries at most.

    A single dict of 100,000 entries would stop the process for 5 ms whenever it grows.
    """

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: deque[OrderedDict[E, P]] = deque()

    def __bool__(self) -> bool:
        return bool(self._parts)

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def append(self, entry: E, place: P) -> None:
        if not self._parts or len(self._parts[-1]) >= MAX_PART:
            self._parts.append(OrderedDict())
        self._parts[-1][entry] = place

    @property
    def oldest(self) -> "OrderedDict[E, P]":
        return self._parts[0]

    def second_newest_unused(self, default: P) -> P:
        """Return the place of the entry before the newest, if it has no remembered use, or else the default."""
        newest = self._parts[-1]
        entry = next(islice(reversed(newest), 1, None), None)
        return default if entry is None or entry.take_use() else newest[entry]

    def drop_oldest(self) -> None:
        self._parts.popleft()

    def remove(self, entry: E) -> bool:
        for part in self._parts:
            if part.pop(entry, None) is not None:
                if not part:
                    self._parts.remove(part)
                return True
        return False

    def clear(self) -> None:
        self._parts.clear()


class Sieve(Generic[E, P]):
    """Entries in the order of eviction, each with the place where its owner finds it.

    A hand goes from the oldest entry to the newest and stops at the first without a remembered use; others lose one use
    each and stay. It takes entries from `_ahead` and puts those that stay into `_behind`; past the newest it begins
    again. New entries are the last ones ahead of it, so that a scan of names that are asked once evicts its own entries
    (Zhang et al., NSDI 2024). When the hand has taken all steps that it may, the newest entry but one goes unless it
    was used, so that a scan does the same while all others are in use; else the entry that the hand has come to.
    """

    __slots__ = ("_ahead", "_behind", "_steps")

    def __init__(self) -> None:
        self._ahead: _Queue[E, P] = _Queue()
        self._behind: _Queue[E, P] = _Queue()
        self._steps = MAX_HAND_STEPS  # that the hand may take now

    def __len__(self) -> int:
        return len(self._ahead) + len(self._behind)

    def __bool__(self) -> bool:
        return bool(self._ahead or self._behind)

    def add(self, entry: E, place: P) -> None:
        """Add the newest entry."""
        self._ahead.append(entry, place)
        self._steps = min(self._steps + HAND_STEPS_PER_ENTRY, MAX_HAND_STEPS)

    def remove(self, entry: E) -> bool:
        """Remove an entry; return whether there was one."""
        return self._ahead.remove(entry) or self._behind.remove(entry)

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
            oldest, keep = self._ahead.oldest, self._behind.append
            while oldest:
                entry = next(iter(oldest))
                if not self._steps:
                    return self._ahead.second_newest_unused(oldest[entry])
                if not entry.take_use():
                    return oldest[entry]
                self._steps -= 1
                keep(entry, oldest.pop(entry))
            self._ahead.drop_oldest()


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
