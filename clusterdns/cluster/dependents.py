"""Tells the subscribers of an index which answers a change affects.

A dependency is `(namespace,)`, `(namespace, service)` or a packed address. An answer that is made from hundreds of
Services depends on ANY_SERVICE instead of each, and every answer made from an index on WHOLE. The answer tables of a
configuration are one subscriber; the index knows no more of them.
"""

from collections.abc import Callable, Hashable

from clusterdns.wire.response import Serial

WHOLE: Hashable = ()
ANY_SERVICE: Hashable = ("any Service",)  # or namespace, but not their endpoints; text, as no namespace's name is
Subscriber = Callable[[set[Hashable]], object]  # called with the dependencies that a change affects


class Dependents:
    """The subscribers of one index, and the serial of its zones, which follows the time of the last change."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.serial = Serial()
        self._changes = 0
        self._clock = clock
        self._subscribers: list[Subscriber] = []

    def changes(self) -> int:
        """Return how many changes there have been: what was made from the index holds until the number differs."""
        return self._changes

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call the subscriber after each change. There are two while a reload replaces a configuration."""
        self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Undo one `subscribe`."""
        self._subscribers.remove(subscriber)

    def notify(self, touched: set[Hashable]) -> None:
        """Notify every subscriber of a change, if it affects any answer."""
        if touched:
            self.serial.set(int(self._clock()))
            self._call(touched)

    def forget_all(self) -> None:
        """Have every answer made from the index forgotten, though no object has changed."""
        self._call({WHOLE})

    def _call(self, touched: set[Hashable]) -> None:
        self._changes += 1
        for subscriber in self._subscribers:
            subscriber(touched)
