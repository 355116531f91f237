"""A compiled answer: the bytes after the ID, ready for every query with the same bytes after the ID.

Most answers are static. Two kinds vary from use to use: addresses rotate by one, and an SOA shows the index's current
serial. Those are joined from slices, never encoded again. `wire.encode` makes the message that is compiled here.
"""

import random
from collections.abc import Callable, Hashable

from clusterdns.telemetry.queries import HitCounter, OutcomeCounter
from clusterdns.wire.encode import EncodedMessage
from clusterdns.wire.response import Serial


class Answer:
    """An entry of the answer table. A hit sends `static`, or else `message()`, and adds one to `counter.count`."""

    __slots__ = ("counter", "dependencies", "is_empty", "render", "size_bytes", "static")

    def __init__(
        self,
        static: bytes,
        render: Callable[[], bytes] | None,
        counter: HitCounter,
        dependencies: tuple[Hashable, ...],
        is_empty: bool,
        size_bytes: int,
    ) -> None:
        self.static = static  # everything after the ID; empty for an answer that varies
        self.render = render  # makes everything after the ID of an answer that varies
        self.counter = counter  # of this answer alone, so that eviction sees its use
        self.dependencies = dependencies
        self.is_empty = is_empty  # no records in the answer section
        self.size_bytes = size_bytes  # of its own bytes; 128 KiB where 4,000 addresses rotate

    def message(self) -> bytes:
        """Return everything after the ID, for one query."""
        return self.render() if self.render is not None else self.static


def compile_answer(
    encoded: EncodedMessage,
    serial: Serial | None,
    outcome: OutcomeCounter,
    dependencies: tuple[Hashable, ...],
    is_empty: bool,
) -> Answer:
    """Make the answer that sends this message, and counts its hits for the outcome."""
    render: Callable[[], bytes] | None = None
    static = b""
    size_bytes = len(encoded.head) + len(encoded.fixed) + len(encoded.rest)
    if encoded.rotating.wire and encoded.rotating.total > 1:
        rotation = _Rotation(encoded)
        render = rotation.next
        size_bytes += len(rotation.addresses)
    elif serial is not None and encoded.serial_from_end:
        render = _CurrentSerial(encoded, serial).message
    else:
        static = encoded.message()
        size_bytes = len(static)
    dependencies = tuple(dict.fromkeys(dependencies))  # a CNAME and its target mostly share their namespace
    return Answer(static, render, HitCounter(outcome), dependencies, is_empty, size_bytes)


class _Rotation:
    """A message whose address records rotate by one from use to use.

    The records are written out twice in a row, so that any run of neighbours is one slice. All are of one size.
    """

    __slots__ = ("addresses", "before", "count", "position", "record_bytes", "rest", "shown_bytes")

    def __init__(self, encoded: EncodedMessage) -> None:
        rotating = encoded.rotating
        self.before = encoded.head + encoded.fixed
        self.rest = encoded.rest
        self.addresses = rotating.wire * 2
        self.count = rotating.total
        self.record_bytes = rotating.record_bytes
        self.shown_bytes = rotating.shown_bytes
        self.position = random.randrange(rotating.total)  # an answer compiled often must not favour one address

    def next(self) -> bytes:
        start = self.position * self.record_bytes
        self.position = (self.position or self.count) - 1
        return self.before + self.addresses[start : start + self.shown_bytes] + self.rest


class _CurrentSerial:
    """A message whose SOA shows the current serial."""

    __slots__ = ("after", "before", "serial")

    def __init__(self, encoded: EncodedMessage, serial: Serial) -> None:
        message = encoded.message()
        start = len(message) - encoded.serial_from_end
        self.before = message[:start]
        self.after = message[start + 4 :]
        self.serial = serial

    def message(self) -> bytes:
        return self.before + self.serial.wire + self.after
