"""The part that one directive adds to its server block: handler, life cycle, readiness, exports.

Plugins make a `Part` in `build`; `server.folding` makes a block's chain of them, `server.instance` starts and stops
them, `admin` and the `ready` directive report on them.
"""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from clusterdns.chain.handler import Handler, Observer, Reuse
from clusterdns.chain.query import Query

PartKey = tuple[str, int]  # the plugin's name, and the number of the part among all parts


class StartError(Exception):
    """A part, and with it the configuration, cannot start; the text names the cause, where it is, and what to do."""


class Handling(msgspec.Struct, frozen=True):
    """The handler and the observer of a part, and the queries that they get."""

    wrap: Callable[[Handler], Handler] | None = None  # makes this part's handler above the next one; pure
    is_for_in_only: bool = False  # queries of other classes than IN bypass the handler
    takes_any_class: bool = False  # listeners of the block accept queries of other classes than IN
    observe: Observer | None = None  # sees each finished reply of the block before it is encoded, and may mark it
    reuse: Reuse = Reuse.COMPILED
    labels: Callable[[Query], Mapping[str, str]] | None = None  # metadata of a query, before the chain runs
    collects_labels: bool = False  # the block's `labels` are called for each query (metadata)
    counts_queries: bool = False  # the block's queries are counted in coredns_dns_* (prometheus)

    @property
    def is_link(self) -> bool:
        """Whether CoreDNS has a handler for this part in its chain."""
        return self.wrap is not None or self.observe is not None or self.counts_queries


class LifeCycle(msgspec.Struct, frozen=True):
    """The callbacks of a part at start and stop, in the order in which the server calls them."""

    dry_run: Callable[[], Awaitable[None]] | None = None  # the checks of `start`; `clusterdns check` runs nothing else
    # in plugin order, before the first configuration's sockets are bound: restores what a previous process has saved
    prepare: Callable[[], Awaitable[None]] | None = None
    # in plugin order, before a reload takes over; queries may come before it has run; raises StartError
    start: Callable[[], Awaitable[None]] | None = None
    # after the starts of all parts: waits for what this part answers from, as long as its settings allow
    warm_up: Callable[[], Awaitable[None]] | None = None
    serving: Callable[[], Awaitable[None]] | None = None  # once all parts have started; an exception is logged
    drain: Callable[[], Awaitable[None]] | None = None  # first at shutdown, while DNS is still answered (lameduck)
    # after a reload took over; also where `start` failed, was cancelled or never ran; not at the end of the process
    stop: Callable[[], Awaitable[None]] | None = None


class Readiness(msgspec.Struct, frozen=True):
    """The state of a part at /ready. The functions return an empty text while all is well."""

    unready: Callable[[], str] | None = None  # why the part is not ready yet
    lapse: Callable[[], str] | None = None  # what a ready part lacks at present; counts with `monitor continuously`
    warning: Callable[[], str] | None = None  # the problem of a part that is ready; fails no probe


class Part(msgspec.Struct):
    """The effect of one directive on its server block. Most parts set few of the fields."""

    name: str  # of the directive
    handling: Handling = msgspec.field(default_factory=Handling)
    life: LifeCycle = msgspec.field(default_factory=LifeCycle)
    readiness: Readiness = msgspec.field(default_factory=Readiness)
    exports: tuple[object, ...] = ()  # for other parts of the block and for the server; see `chain.exports`
