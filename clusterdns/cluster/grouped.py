"""A multimap whose groups are sorted: adding to a group of ten thousand costs little more than to a group of one.

`index` groups endpoints by label and by address, and Services and Pods by address. Who writes the objects chooses how
many of them share a key. This module knows neither objects nor names.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_MAX_TUPLE = 8  # a list of one takes 40 bytes more than a tuple; a longer tuple would be copied at each change


class Grouped(Generic[K, V]):
    """Values by key, those of a key in the order of their rank. A value that was added twice is there twice."""

    __slots__ = ("_groups", "_rank")

    def __init__(self, rank: Callable[[V], Any]) -> None:
        """`rank` makes the sort key of a value; the ranks of the values of a key must compare."""
        self._groups: dict[K, tuple[V, ...] | list[V]] = {}
        self._rank = rank

    def get(self, key: K) -> Sequence[V]:
        """Return the values of a key, in order. Do not keep the result: the next change may change it."""
        return self._groups.get(key, ())

    def __contains__(self, key: K) -> bool:
        return key in self._groups

    def __iter__(self) -> Iterator[K]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)

    def clear(self) -> None:
        """Remove every value."""
        self._groups.clear()

    def without(self, keys: Collection[K]) -> Collection[K]:
        """Return those of the keys that have no value."""
        if not self._groups or self._groups.keys().isdisjoint(keys):  # usually; several times as fast
            return keys
        return [key for key in keys if key not in self._groups]

    def add_all(self, pairs: Iterable[tuple[K, V]]) -> None:
        """Add values with their keys."""
        groups = self._groups
        for key, value in pairs:
            if key in groups:
                self.add(key, value)
            else:
                groups[key] = (value,)

    def add(self, key: K, value: V) -> None:
        """Add a value to those of a key."""
        group = self._groups.get(key)
        if group is None:
            self._groups[key] = (value,)
            return
        at = bisect_left(group, self._rank(value), key=self._rank)
        if isinstance(group, list):
            group.insert(at, value)
        elif len(group) < _MAX_TUPLE:
            self._groups[key] = (*group[:at], value, *group[at:])
        else:
            self._groups[key] = [*group[:at], value, *group[at:]]

    def remove(self, key: K, value: V) -> None:
        """Remove a value from those of a key, once where it is there twice. Raises KeyError where it is not there."""
        if not self.discard(key, value):
            raise KeyError(value)

    def discard(self, key: K, value: V) -> bool:
        """Remove a value from those of a key, once where it is there twice. Returns false where it is not there."""
        group = self._groups.get(key, ())
        rank = self._rank(value)
        at = bisect_left(group, rank, key=self._rank)
        while at < len(group) and group[at] != value:
            if self._rank(group[at]) != rank:
                return False
            at += 1
        if at == len(group):
            return False
        if len(group) == 1:
            del self._groups[key]
        elif isinstance(group, list):
            del group[at]
        else:
            self._groups[key] = group[:at] + group[at + 1 :]
        return True
