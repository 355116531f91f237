"""The collector of reference cycles: short runs, and what becomes of objects that live long."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from clusterdns.host.collector import (
    collect_everything,
    collect_in_short_runs,
    collect_where_grown,
    collector_paused,
)

MOST_WALKED = 4_000  # containers in one run, which takes a millisecond


@pytest.fixture(autouse=True)
def own_collector() -> Iterator[None]:
    """Leave the collector as the other tests have it."""
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    gc.collect()
    gc.freeze()
    yield
    gc.callbacks[:] = callbacks
    gc.set_threshold(*thresholds)
    gc.unfreeze()


class Node:
    def __init__(self) -> None:
        self.other: Any = None


def cycle() -> None:
    one, other = Node(), Node()
    one.other, other.other = other, one


def nodes() -> int:
    return sum(isinstance(one, Node) for one in gc.get_objects())


def test_no_run_walks_more_than_a_few_thousand_objects_however_many_there_are() -> None:
    walked: list[int] = []
    collect_in_short_runs()
    gc.callbacks.insert(0, lambda phase, info: walked.append(sum(map(len, map(gc.get_objects, range(3))))))
    kept: list[Any] = [[] for _ in range(300_000)]
    assert len(kept) == 300_000
    assert walked
    assert max(walked) < MOST_WALKED


def test_objects_that_replace_others_are_frozen_in_time() -> None:
    """As many are freed as are made, so that the interpreter counts none, and makes no run."""
    kept: list[Any] = [[] for _ in range(50_000)]
    gc.freeze()
    collect_in_short_runs()
    walked: list[int] = []
    gc.callbacks.append(lambda phase, info: walked.append(sum(map(len, map(gc.get_objects, range(3))))))
    for number in range(len(kept)):
        kept[number] = []
    more: list[Any] = [[] for _ in range(5_000)]
    assert len(more) == 5_000
    assert walked
    assert max(walked) < MOST_WALKED


def test_a_dict_of_many_tuples_is_not_walked_at_each_change() -> None:
    """Values that are tracked by the collector put a dict on its list; a run of the oldest generation takes it off."""
    kept: dict[int, tuple[int, ...]] = {number: (number,) for number in range(100_000)}
    collect_in_short_runs()
    sizes: list[int] = []
    gc.callbacks.append(
        lambda phase, info: sizes.extend(len(one) for g in range(3) for one in gc.get_objects(g) if one is kept)
    )
    for number in range(30_000):
        kept[number] = (number, number)
    assert len(sizes) <= 20  # while it is young, for the first 5,000 changes


def test_cycles_of_objects_that_live_short_are_freed() -> None:
    collect_in_short_runs()
    for _ in range(20_000):
        cycle()
    assert nodes() < 2_000


def test_everything_is_collected_on_demand() -> None:
    with collector_paused():
        cycle()
    gc.collect()
    gc.unfreeze()
    assert nodes() == 2
    gc.freeze()
    collect_everything()
    assert nodes() == 0


class Ended(Exception):
    pass


@pytest.mark.parametrize(
    ("blocks", "collections"),
    [
        ([1_000_000] * 5, 0),
        ([1_000_000, 1_349_000, 1_349_000, 1_349_000, 1_349_000], 0),
        ([1_000_000, 1_351_000, 1_000_000, 1_200_000, 1_300_000], 1),
        ([1_000_000, 1_351_000, 1_351_000, 1_500_000, 1_700_000], 1),
        ([1_000_000, 1_351_000, 1_000_000, 1_351_000, 1_000_000], 2),
    ],
)
async def test_frozen_cycles_are_collected_once_the_process_has_grown(blocks: list[int], collections: int) -> None:
    readings = iter(blocks)
    collect_in_short_runs()
    cycle()
    gc.freeze()
    assert nodes() == 0, "frozen"
    runs: list[int] = []
    gc.callbacks.append(lambda phase, info: runs.append(info["generation"]) if phase == "stop" else None)

    async def sleep(seconds: float) -> None:
        assert seconds == 3600

    def read() -> int:
        for reading in readings:
            return reading
        raise Ended

    with pytest.raises(Ended):
        await collect_where_grown(sleep, read)
    assert runs.count(2) == collections
    gc.unfreeze()
    assert nodes() == (0 if collections else 2)
