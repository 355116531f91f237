"""The interpreter's collector of reference cycles, in runs too short to delay a query.

The index and the compiled answers are hundreds of thousands of objects without cycles, which live long. The collector
would walk all of them again and again, for 100 ms and more, and everything waits meanwhile. Objects that have survived
a few runs are therefore frozen, which exempts them from later runs. They are freed when their last reference goes, as
ever; only a cycle among them stays until `collect_everything`. No code here is known to leave such cycles, except for a
reload; libraries may, so `collect_where_grown` bounds what they can take.
"""

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

# New containers per run of the young generation, such runs per run of the middle one, and no run of the oldest: that
# one takes dicts without containers off its list, and they are walked, as large as they are, when they next hold one.
# A run walks 700 to 3,000 objects, which takes a millisecond.
_THRESHOLDS = (700, 3, 1 << 30)
_MIDDLE = 1
_MOST_WALKED = 3000

GROWTH_SECONDS = 3600.0  # between two looks; a cluster that grows costs at most one collection in this time
_GROWTH = 1.25
_SPARE_BLOCKS = 100_000  # some 10 MiB


def collect_in_short_runs() -> None:
    """Have the collector walk each object twice, and then no more."""
    gc.set_threshold(*_THRESHOLDS)
    gc.callbacks.append(_limit_run)


def _limit_run(phase: str, info: dict[str, Any]) -> None:
    """Freeze what a run of the middle generation leaves, and what is too much for any run.

    New containers are counted less those freed: while as many old ones are freed as new ones are made, as where answers
    replace others, there may be any number of new ones at the next run.
    """
    generation = info["generation"]
    if generation > _MIDDLE:  # `collect_everything`
        return
    if phase == "stop":
        if generation == _MIDDLE:
            gc.freeze()
    elif sum(len(gc.get_objects(number)) for number in range(generation + 1)) > _MOST_WALKED:
        gc.freeze()


def collect_everything() -> None:
    """Collect the cycles among frozen objects too; it walks every object of the process."""
    gc.unfreeze()
    gc.collect()


async def collect_where_grown(
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep, blocks: Callable[[], int] = sys.getallocatedblocks
) -> None:
    """Collect everything whenever the process has grown by a quarter since it last did, until cancelled."""
    await sleep(GROWTH_SECONDS)
    while True:
        limit = blocks() * _GROWTH + _SPARE_BLOCKS
        while blocks() <= limit:
            await sleep(GROWTH_SECONDS)
        collect_everything()


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the collector from walking the objects that are made meanwhile, now and later; they must live long."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
