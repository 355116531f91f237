"""The changes of objects as they become answers, reported to the live picture while it has viewers.

`feed` applies each change through `reported`; `server.live` sets the observer.
"""

from collections.abc import Callable, Iterator
from time import perf_counter

from clusterdns.cluster.freshness import Freshness
from clusterdns.cluster.objects import Change

ChangeObserver = Callable[[Change, float], None]  # a change, and the seconds from its arrival until answers have it


class ObjectChanges:
    """The changes of one feed, and at most one observer of them."""

    def __init__(self) -> None:
        self.observer: ChangeObserver | None = None

    def reported(self, change: Change, steps: Iterator[None], freshness: Freshness) -> Iterator[None]:
        """Take the steps of a change, then report it; the time of an event begins when its bytes were read."""
        if self.observer is None:
            return steps
        obj = change.new if change.new is not None else change.old
        assert obj is not None
        return self._report(change, steps, freshness.arrived_at(type(obj)) if change.is_event else 0.0)

    def _report(self, change: Change, steps: Iterator[None], arrived_at: float) -> Iterator[None]:
        began = arrived_at or perf_counter()
        yield from steps
        if self.observer is not None:
            self.observer(change, perf_counter() - began)
