"""Memory pressure: answer tables and caches shrink before the kernel kills the process.

Compiled answers and cached replies have budgets, set for a small cluster under the usual limit of 170 MiB. In a large
cluster the index leaves less memory for them. Once a second the resident set is compared with the limit of the control
group, and the budgets are scaled to the memory that is left. The index and queries in progress are never touched.
Without a limit nothing is scaled.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

from clusterdns.host.resources import resident_bytes

PERIOD_SECONDS = 1.0
FILL = 0.9  # of the limit; the rest is for bursts of queries and for memory that the kernel counts in addition
MIN_SHARE = 0.125  # of the budgets, some 11 MiB; without it every query would take the whole chain

log = logging.getLogger("clusterdns")


@runtime_checkable
class MemoryBudget(Protocol):
    """The memory that a store of reproducible objects may take."""

    @property
    def used_bytes(self) -> int:
        """The size of the objects held now."""

    @property
    def most_bytes(self) -> int:
        """The budget where memory is not short."""

    def scale(self, share: float) -> None:
        """Set the budget to this share of `most_bytes`; `evict` enforces it."""

    def evict(self) -> bool:
        """Evict some of what exceeds the budget, in about a millisecond; return whether more does."""


class MemoryWatch:
    """Scales the budgets of the running configuration to the memory that the limit leaves."""

    def __init__(
        self, limit: int, budgets: Callable[[], Iterable[MemoryBudget]], resident: Callable[[], int] = resident_bytes
    ) -> None:
        self._limit = limit
        self._budgets = budgets
        self._resident = resident
        self._share = 1.0

    def adjust(self) -> None:
        """Scale the budgets to the memory that is left now; `enforce` follows."""
        budgets = tuple(self._budgets())
        most = sum(budget.most_bytes for budget in budgets)
        if not most:
            return
        left = int(self._limit * FILL) - self._resident()
        share = min(1.0, max(MIN_SHARE, (sum(budget.used_bytes for budget in budgets) + left) / most))
        for budget in budgets:
            budget.scale(share)
        if share == MIN_SHARE < self._share:
            log.warning(
                "memory pressure: RSS %d of %d MiB; answer cache at its minimum; raise the container's memory limit",
                self._resident() >> 20, self._limit >> 20,
            )  # fmt: skip
        self._share = share

    async def enforce(self) -> None:
        """Evict what exceeds the budgets, some in each turn of the event loop."""
        for _ in iter(self._evict_some, False):
            await asyncio.sleep(0)

    def _evict_some(self) -> bool:
        return sum(budget.evict() for budget in self._budgets()) > 0

    async def run(self) -> None:
        """Adjust and enforce the budgets once a second until cancelled."""
        while True:
            try:
                self.adjust()
                await self.enforce()
            except Exception:  # the task's edge: the budgets stay as they are
                log.exception("cannot adjust the memory budgets")
            await asyncio.sleep(PERIOD_SECONDS)
