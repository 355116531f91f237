"""Routes: from a query's name to the chain of the longest zone among the blocks that share a listen point.

A `Route` is a zone with its folded chain. `listen_points` makes routes; they never change, and a new configuration has
new ones.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from clusterdns.chain import Handler, Observer, Query
from clusterdns.wire import codes
from clusterdns.wire.name import ROOT, longest_suffix, suffixes

Labeller = Callable[[Query], Mapping[str, str]]


class Chain(msgspec.Struct, frozen=True):
    """The parts of one server block as dispatch uses them; `folding` makes it."""

    handler: Handler | None  # for class IN; None: no part of the block handles queries
    other_handler: Handler | None = None  # for all other classes
    takes_any_class: bool = False
    observers: tuple[Observer, ...] = ()  # called on each finished reply, the innermost plugin's first
    labellers: tuple[Labeller, ...] = ()  # called before the handler: metadata of the query
    keeps_answers: bool = True  # no handler must see every query
    counts_queries: bool = True
    writer: str = ""  # the `plugin` label of the metrics


class Route(msgspec.Struct, frozen=True):
    """A zone of a server block, and the chain that answers its queries."""

    zone: bytes
    zone_text: str  # the `zone` label of the metrics
    chain: Chain


class Routes:
    """The zones of one listen point."""

    def __init__(self, routes: Iterable[Route], *, takes_any_class: bool = False) -> None:
        self.takes_any_class = takes_any_class  # and not IN alone
        # a root zone without a handler is refused like a name outside of all zones
        self._by_zone = {one.zone: one for one in routes if one.chain.handler is not None or one.zone != ROOT}
        root = self._by_zone.get(ROOT)
        # most listen points have one block, for all names, and no zone to look for
        self._sole = root if len(self._by_zone) == 1 else None

    def find(self, name: bytes, qtype: int) -> Route | None:
        """Return the route of the longest zone that the name is in; None for a name in none, which dispatch refuses."""
        if self._sole is not None:
            return self._sole
        zone = longest_suffix(name, self._by_zone)
        if zone is None:
            return None
        if qtype == codes.DS:  # the parent zone holds DS (RFC 4035 §3.1.4.1): the shortest zone but the root
            held = [one for one in suffixes(zone) if one in self._by_zone]
            zone = held[-1] if held[-1] != ROOT or len(held) == 1 else held[-2]
        return self._by_zone[zone]
