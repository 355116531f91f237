"""The process within its container's memory: what is kept to answer faster gives way before the kernel ends it.

Compiled answers and cached replies have bounds of their own, set for a small cluster under the usual limit of 170 MiB.
A large cluster leaves less for them: once a second the resident set is compared with the limit of the control group,
and the budgets are scaled so that what they hold and what is left of the limit stay in balance. Without a limit nothing
is ever scaled. Neither the index nor queries under way are touched: they are what the server is for.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

from clusterdns.host.resources import resident_bytes

PERIOD_SECONDS = 1.0
FILL = 0.9  # of the limit: the rest is for bursts of queries under way, and for what the kernel counts beside
MIN_SHARE = 0.125  # of what the budgets may take otherwise: some 11 MiB, without which every query costs a whole pass

log = logging.getLogger("clusterdns")


@runtime_checkable
class MemoryBudget(Protocol):
    """What holds things that can be made again."""

    @property
    def used_bytes(self) -> int:
        """What it holds."""

    @property
    def most_bytes(self) -> int:
        """What it may hold where there is enough."""

    def scale(self, share: float) -> None:
        """Hold at most this share of `most_bytes` from now on, and let go of what is more."""


class MemoryWatch:
    """Keeps the budgets of the running configuration within what is left of the limit."""

    def __init__(
        self, limit: int, budgets: Callable[[], Iterable[MemoryBudget]], resident: Callable[[], int] = resident_bytes
    ) -> None:
        self._limit = limit
        self._budgets = budgets
        self._resident = resident
        self._share = 1.0

    def look(self) -> None:
        """Scale the budgets to what there is."""
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
                "memory is short: %d MiB of the container's %d are taken, so few answers are kept; raise the limit",
                self._resident() >> 20, self._limit >> 20,
            )  # fmt: skip
        self._share = share

    async def look_forever(self) -> None:
        """Look once a second for as long as the process lives."""
        while True:
            try:
                self.look()
            except Exception:  # a task's edge: a fault of ours must not end the looking
                log.exception("memory cannot be watched")
            await asyncio.sleep(PERIOD_SECONDS)
