"""What the server blocks of one configuration share: answer tables, admin routes, and objects that outlive a reload.

`assembly` makes one `SharedState` per configuration; plugins know it as `chain.Shared`.
"""

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from clusterdns.admin.http import AdminRoute
from clusterdns.admin.page import Page, PageRequest, Respond, text_page
from clusterdns.admin.tls import AdminTls
from clusterdns.answers.table import AnswerBudget, AnswerTable
from clusterdns.chain import Part, PartKey
from clusterdns.chain.exports import StatusSection
from clusterdns.server.memory import MemoryBudget
from clusterdns.server.tap import Tap

if TYPE_CHECKING:
    from clusterdns.chain.live import Live

T = TypeVar("T")


class SharedState:
    """The state that the blocks of one configuration share (see `chain.Shared`)."""

    def __init__(self, previous: "SharedState | None" = None, sha512: str = "") -> None:
        """`previous` is the state of the running configuration, whose kept objects are taken over.

        `sha512` is that of the Corefile and its imports.
        """
        self.corefile_sha512 = sha512
        self.admin_routes: list[AdminRoute] = []
        self.parts: list[Part] = []  # of all blocks, in plugin order
        self.explain_page: Respond | None = None  # `assembly` sets it
        self.live: Live  # the instance sets it
        self.tap: Tap = previous.tap if previous is not None else Tap()
        self._tables: list[AnswerTable] = []
        self._budget = AnswerBudget()
        self._is_removing = False  # forgotten answers, at the next turn of the event loop
        self._kept: dict[Hashable, Any] = {}
        self._kept_previously = previous._kept if previous is not None else {}

    def new_table(self) -> AnswerTable:
        """Make an answer table within the budget of the configuration."""
        table = AnswerTable(self._budget)
        self._tables.append(table)
        return table

    @property
    def budgets(self) -> tuple[MemoryBudget, ...]:
        """The budgets of memory that can be given up: compiled answers, and what plugins keep as a `MemoryBudget`."""
        return (self._budget, *(one for one in self._kept.values() if isinstance(one, MemoryBudget)))

    def forget(self, dependencies: Iterable[Hashable]) -> None:
        """Forget every compiled answer that depends on one of these dependencies, in every table.

        A few are removed at once, more of them in the turns of the event loop that follow.
        """
        for table in self._tables:
            table.forget(dependencies)
        self._remove_forgotten()

    def forget_all(self) -> None:
        """Forget every compiled answer."""
        for table in self._tables:
            table.forget_all()
        self._remove_forgotten()

    def _remove_forgotten(self) -> None:
        if self._budget.remove_forgotten() and not self._is_removing:
            self._is_removing = True
            asyncio.get_running_loop().call_soon(self._go_on_removing)

    def _go_on_removing(self) -> None:
        self._is_removing = False
        self._remove_forgotten()

    async def remove_all(self) -> None:
        """Remove every compiled answer, some in each turn of the event loop; their hits are counted."""
        for table in self._tables:
            table.forget_all()
        for _ in iter(self._budget.remove_forgotten, False):
            await asyncio.sleep(0)

    def http(self, address: str, path: str, respond: Respond, asked_by: str, tls: AdminTls | None = None) -> None:
        """Serve `path` on the admin listener at `address`."""
        self.admin_routes.append(AdminRoute(address, path, respond, asked_by, tls))

    def keep(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the object that the previous configuration kept under this key, or else a new one."""
        if key not in self._kept:
            self._kept[key] = self._kept_previously[key] if key in self._kept_previously else make()
        found: T = self._kept[key]
        return found

    @property
    def kept_keys(self) -> frozenset[Hashable]:
        """The keys of objects that this configuration keeps, its own and those taken over."""
        return frozenset(self._kept)

    def forget_previous(self) -> None:
        """Drop the references to objects of the previous configuration; to be called after the takeover."""
        self._kept_previously = {}

    def release(self) -> None:
        """Drop all references, once nothing of this configuration is in use and its answers are removed."""
        self._budget.clear()
        self.parts.clear()
        self._tables.clear()
        self.admin_routes.clear()
        self.explain_page = None
        self._kept = {}
        self._kept_previously = {}

    def unready_reasons(self) -> dict[PartKey, str]:
        """Return why parts are not ready, by part; empty when all are ready."""
        return _texts((part.name, part.readiness.unready) for part in self.parts)

    def status_sections(self) -> dict[str, list[Mapping[str, Any]]]:
        """Return the rows that parts export for /status, by section."""
        exported = [one for part in self.parts for one in part.exports if isinstance(one, StatusSection)]
        sections: dict[str, list[Mapping[str, Any]]] = {}
        for section in {(one.name, id(one.owner or one)): one for one in exported}.values():
            sections.setdefault(section.name, []).extend(section.rows())
        return sections

    async def explain(self, request: PageRequest) -> Page:
        """Answer a request for /explain."""
        if self.explain_page is None:
            return text_page("this configuration has ended\n", 503)
        return await self.explain_page(request)

    def lapses(self) -> dict[PartKey, str]:
        """Return what parts that are ready lack at present, by part."""
        return _texts((part.name, part.readiness.lapse) for part in self.parts)

    def warnings(self) -> dict[PartKey, str]:
        """Return what is wrong although the server is ready, by part."""
        return _texts((part.name, part.readiness.warning) for part in self.parts)


def _texts(callables: Iterable[tuple[str, Callable[[], str] | None]]) -> dict[PartKey, str]:
    """Call each callable, and return the texts that are not empty."""
    texts: dict[PartKey, str] = {}
    for number, (name, ask) in enumerate(callables):
        text = ask() if ask is not None else ""
        if text:
            texts[name, number] = text
    return texts
