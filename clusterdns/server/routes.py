"""Which server block answers a name: the longest zone among the blocks that share one listener.

A `Route` is a zone with its folded chain. Routes are made by `assembly` and never change; a new configuration makes new
ones.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from clusterdns.chain import Handler, Observer, Query
from clusterdns.wire import codes
from clusterdns.wire.name import ROOT

Labeller = Callable[[Query], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Chain:
    """The parts of one server block as dispatch uses them; `folding` makes it."""

    handler: Handler | None  # for class IN; None: no part of the block handles queries
    other_handler: Handler | None = None  # for all other classes
    takes_any_class: bool = False
    observers: tuple[Observer, ...] = ()  # called on each finished reply, the innermost plugin's first
    labellers: tuple[Labeller, ...] = ()  # called before the handler: metadata of the query
    keeps_answers: bool = True  # no handler must see every query
    counts_queries: bool = True
    writer: str = ""  # the `plugin` label of the metrics


@dataclass(frozen=True, slots=True)
class Route:
    """A zone of a server block, and the chain that answers its queries."""

    zone: bytes
    zone_text: str  # the `zone` label of the metrics
    chain: Chain


class Routes:
    """The zones of one listener."""

    def __init__(self, routes: Iterable[Route], *, takes_any_class: bool = False) -> None:
        self.takes_any_class = takes_any_class  # and not IN alone
        self._by_zone = {route.zone: route for route in routes}
        root = self._by_zone.get(ROOT)
        # most listeners have one block, for all names: nothing to search
        self._sole = root if root is not None and root.chain.handler is not None and len(self._by_zone) == 1 else None

    def find(self, name: bytes, qtype: int) -> Route | None:
        """The route of the longest zone that the name is in; None when it is in none (the core then refuses)."""
        if self._sole is not None:
            return self._sole
        routes = self._by_zone
        start = 0
        best = None
        while True:
            route = routes.get(name[start:])
            if route is not None and (route.chain.handler is not None or route.zone != ROOT):
                if qtype != codes.DS:
                    return route
                if best is None or route.zone != ROOT:
                    best = route  # DS lives on the parent's side of a cut (RFC 4035 §3.1.4.1), so a shorter zone wins
            size = name[start]
            if not size:
                return best
            start += 1 + size
