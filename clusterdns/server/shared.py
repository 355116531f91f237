"""What the server blocks of one configuration share: answer tables, admin routes, and what outlives a reload.

`assembly` makes one `SharedState` per configuration; plugins know it as `chain.Shared`.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from clusterdns.admin.http import AdminRoute, Respond
from clusterdns.admin.tls import AdminTls
from clusterdns.answers.table import AnswerBudget, AnswerTable
from clusterdns.chain import Part, PartKey
from clusterdns.server.memory import MemoryBudget

T = TypeVar("T")


class SharedState:
    """What the blocks of one configuration share (see plugins.handler.Shared)."""

    def __init__(self, before: "SharedState | None" = None) -> None:
        """`before` is the state of the configuration that this one is to replace."""
        self.admin_routes: list[AdminRoute] = []
        self.parts: list[Part] = []
        self._tables: list[AnswerTable] = []
        self._budget = AnswerBudget()
        self.block_parts: list[list[Part]] = []  # the lists that the blocks' contexts have of their own parts
        self._kept: dict[Hashable, Any] = {}
        self._kept_before = before._kept if before is not None else {}

    def new_table(self) -> AnswerTable:
        """The answer table of one more listener."""
        table = AnswerTable(self._budget)
        self._tables.append(table)
        return table

    @property
    def budgets(self) -> tuple[MemoryBudget, ...]:
        """The memory of what can be made again: compiled answers, and what plugins keep as a `MemoryBudget`."""
        return (self._budget, *(one for one in self._kept.values() if isinstance(one, MemoryBudget)))

    def forget(self, dependencies: Iterable[Hashable]) -> None:
        """Drop every compiled answer that depends on one of these dependencies, in every table."""
        for table in self._tables:
            table.forget(dependencies)

    def http(self, address: str, path: str, respond: Respond, asked_by: str, tls: AdminTls | None = None) -> None:
        """Have `path` served on the admin listener at `address`."""
        self.admin_routes.append(AdminRoute(address, path, respond, asked_by, tls))

    def keep(self, key: Hashable, make: Callable[[], T]) -> T:
        """See plugins.handler.Shared."""
        if key not in self._kept:
            self._kept[key] = self._kept_before[key] if key in self._kept_before else make()
        found: T = self._kept[key]
        return found

    @property
    def kept_keys(self) -> frozenset[Hashable]:
        """What this configuration keeps, or has taken over from the one before."""
        return frozenset(self._kept)

    def forget_before(self) -> None:
        """Let go of what the configuration before kept; once this one has taken over."""
        self._kept_before = {}

    def let_go(self) -> None:
        """Undo the circles of references, once nothing of this configuration is used any more.

        The collector comes rarely here (see `run`), and a configuration may hold megabytes of answers.
        """
        for parts in (self.parts, *self.block_parts):
            parts.clear()
        self._budget.clear()
        for held in (self._tables, self.admin_routes, self.block_parts):
            held.clear()
        self._kept = {}
        self._kept_before = {}

    def unready_reasons(self) -> dict[PartKey, str]:
        """The parts that are not ready, with the reason."""
        return _told((part.name, part.readiness.unready) for part in self.parts)

    def warnings(self) -> dict[PartKey, str]:
        """What is wrong though the server is ready, by part."""
        return _told((part.name, part.readiness.warning) for part in self.parts)


def _told(askable: Iterable[tuple[str, Callable[[], str] | None]]) -> dict[PartKey, str]:
    texts: dict[PartKey, str] = {}
    for number, (name, ask) in enumerate(askable):
        text = ask() if ask is not None else ""
        if text:
            texts[name, number] = text
    return texts
