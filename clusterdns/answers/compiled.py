"""Compiled answers: the bytes after the ID, ready for every query that is the same but for its ID.

Most answers are one fixed run of bytes. Two kinds move: addresses that turn by one from query to query, and a negative
answer whose SOA shows the index's serial of the moment. Both are joined from slices, never encoded again.
"""

import random
from collections.abc import Callable, Hashable
from typing import Any

from clusterdns.wire.encode import Layout
from clusterdns.wire.response import Serial


class Answer:
    """What the hit path needs: `tail`, or when that is empty `turn()` to make it; `tally.count` to add one to."""

    __slots__ = ("dependencies", "is_empty", "size_bytes", "tail", "tally", "turn")

    def __init__(
        self,
        tail: bytes,
        turn: Callable[[], bytes] | None,
        tally: Any,
        dependencies: tuple[Hashable, ...],
        is_empty: bool,
        size_bytes: int,
    ) -> None:
        self.tail = tail
        self.turn = turn
        self.tally = tally
        self.dependencies = dependencies
        self.is_empty = is_empty
        self.size_bytes = size_bytes  # of the bytes it is made of; a ring of 4,000 addresses has 128 KiB

    def message(self) -> bytes:
        """Everything after the ID, for one query."""
        return self.turn() if self.turn is not None else self.tail


def compile_answer(
    layout: Layout, serial: Serial | None, tally: Any, dependencies: tuple[Hashable, ...], is_empty: bool
) -> Answer:
    """The answer that a layout makes."""
    turn: Callable[[], bytes] | None = None
    tail = b""
    size_bytes = len(layout.head) + len(layout.fixed) + len(layout.rest)
    if len(layout.turning) > 1:
        rotation = _Rotation(layout)
        turn = rotation.next
        size_bytes += len(rotation.ring)
    elif serial is not None and layout.serial_at:
        turn = _Dated(layout, serial).now
    else:
        tail = layout.message()
        size_bytes = len(tail)
    dependencies = tuple(dict.fromkeys(dependencies))  # the hops of an alias mostly share their namespace
    return Answer(tail, turn, tally, dependencies, is_empty, size_bytes)


class _Rotation:
    """Addresses in a ring, written out twice so that any stretch of it is one slice.

    The addresses of one name are of one size, so a stretch needs no table of bounds.
    """

    __slots__ = ("before", "count", "position", "rest", "ring", "step", "window_bytes")

    def __init__(self, layout: Layout) -> None:
        pieces = layout.turning
        self.before = layout.head + layout.fixed
        self.rest = layout.rest
        self.ring = b"".join(pieces) * 2
        self.count = len(pieces)
        self.step = len(pieces[0])
        self.window_bytes = layout.window * self.step
        self.position = random.randrange(len(pieces))  # so that an answer compiled often does not favour one address

    def next(self) -> bytes:
        start = self.position * self.step
        self.position = (self.position or self.count) - 1
        return self.before + self.ring[start : start + self.window_bytes] + self.rest


class _Dated:
    """A message with the SOA serial of the moment."""

    __slots__ = ("after", "before", "serial")

    def __init__(self, layout: Layout, serial: Serial) -> None:
        message = layout.message()
        start = len(message) - layout.serial_at
        self.before = message[:start]
        self.after = message[start + 4 :]
        self.serial = serial

    def now(self) -> bytes:
        return self.before + self.serial.wire + self.after
