"""The interpreter's collector of reference cycles, in runs too short to delay a query.

The index and the compiled answers are hundreds of thousands of objects without cycles, which live long. The collector
would walk all of them again and again, for 100 ms and more, and everything waits meanwhile. Objects that have survived
a few runs are therefore frozen, which exempts them from later runs. They are freed when their last reference goes, as
ever; only a cycle among them stays until `collect_everything`.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# New containers per run of the young generation, such runs per run of the middle one, and no run of the oldest: that
# one takes dicts without containers off its list, and they are walked, as large as they are, when they next hold one.
# A run walks 1,000 to 6,000 objects, which takes 2 ms at most.
_THRESHOLDS = (1000, 4, 1 << 30)
_MIDDLE = 1


def collect_in_short_runs() -> None:
    """Have the collector walk each object twice, and then no more."""
    gc.set_threshold(*_THRESHOLDS)
    gc.callbacks.append(_freeze_survivors)


def _freeze_survivors(phase: str, info: dict[str, Any]) -> None:
    if phase == "stop" and info["generation"] == _MIDDLE:
        gc.freeze()


def collect_everything() -> None:
    """Collect the cycles among frozen objects too; it walks every object of the process."""
    gc.unfreeze()
    gc.collect()


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the collector from walking the objects that are made meanwhile, now and later; they must live long."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
