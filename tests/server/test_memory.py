"""Memory pressure: the budgets shrink below the limit of the container, and grow again when memory is free."""

import asyncio
import logging

import pytest

from clusterdns.answers.table import AnswerBudget
from clusterdns.plugins.cache.store import CacheBudget
from clusterdns.server.memory import FILL, MIN_SHARE, MemoryBudget, MemoryWatch

MIB = 1 << 20


class FakeBudget:
    most_bytes = 80 * MIB

    def __init__(self, used_bytes: int = 0) -> None:
        self.used_bytes = used_bytes
        self.share = 0.0

    def scale(self, share: float) -> None:
        self.share = share

    def evict(self) -> bool:
        most = int(self.most_bytes * self.share)
        self.used_bytes = min(self.used_bytes, max(most, self.used_bytes - MIB))
        return self.used_bytes > most


@pytest.mark.parametrize(
    ("resident_mib", "used_mib", "share"),
    [
        (50, 0, 1.0),  # 103 MiB left of 153: more than the budgets want
        (113, 0, 0.5),
        (133, 20, 0.5),  # the same: 20 MiB of the resident set are theirs
        (153, 60, 0.75),  # full: what they hold they keep
        (163, 60, 0.625),  # over: they give way by as much
        (200, 80, 33 / 80),
        (300, 0, MIN_SHARE),
    ],
)
def test_budgets_share_the_memory_that_is_left(resident_mib: int, used_mib: int, share: float) -> None:
    budgets: list[MemoryBudget] = [budget := FakeBudget(used_mib * MIB)]
    MemoryWatch(170 * MIB, lambda: budgets, lambda: resident_mib * MIB).adjust()
    assert budget.share == pytest.approx(share, abs=0.001)


async def test_budgets_are_enforced_in_several_turns_of_the_event_loop() -> None:
    budgets: list[MemoryBudget] = [small := FakeBudget(20 * MIB), large := FakeBudget(70 * MIB)]
    watch = MemoryWatch(170 * MIB, lambda: budgets, lambda: 300 * MIB)
    watch.adjust()
    assert large.used_bytes == 70 * MIB
    enforcing = asyncio.create_task(watch.enforce())
    for _ in range(3):
        await asyncio.sleep(0)
    assert 60 * MIB < large.used_bytes < 70 * MIB
    await enforcing
    assert [one.used_bytes for one in (small, large)] == [one.share * one.most_bytes for one in (small, large)]


def test_no_budgets_before_a_configuration_runs() -> None:
    MemoryWatch(MIB, lambda: ()).adjust()


def test_each_memory_pressure_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    taken = 500 * MIB
    watch = MemoryWatch(170 * MIB, lambda: [FakeBudget()], lambda: taken)
    with caplog.at_level(logging.WARNING, "clusterdns"):
        watch.adjust()
        watch.adjust()
        assert len(caplog.messages) == 1
        assert caplog.messages[0].startswith("memory pressure: RSS 500 of 170 MiB; answer cache at its minimum")
        taken = 20 * MIB
        watch.adjust()
        taken = 500 * MIB
        watch.adjust()
    assert len(caplog.messages) == 2


@pytest.mark.parametrize("budget", [AnswerBudget(), CacheBudget()])
def test_answers_and_cache_implement_memory_budget(budget: MemoryBudget) -> None:
    assert budget.used_bytes == 0
    assert budget.most_bytes >= 40 * MIB
    budget.scale(MIN_SHARE)
    assert budget.most_bytes >= 40 * MIB


def test_a_small_cluster_fits_the_usual_limit_with_full_budgets() -> None:
    process_mib = 60
    assert (AnswerBudget().most_bytes + CacheBudget().most_bytes) / MIB <= 170 * FILL - process_mib + 1
