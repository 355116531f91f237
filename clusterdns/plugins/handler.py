"""The calling convention of plugins: how a directive becomes part of a server block.

A plugin module offers one `Plugin`: its name, `parse` (directives → settings, raising CorefileError) and `build`
(settings → `Part`). Parsing, building and starting are separate steps, so that a configuration is known to be good
before anything is bound. The order of the chain is data in `plugins.order`; folding the parts of a block into one
handler is `server.assembly`'s work, done once.

A handler is `async` because some wait (forwarding, a lookup through another zone); dispatch runs it to its first real
wait without a task, so one that does not wait costs no more than a call.
"""

import enum
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from clusterdns.admin.http import Respond
from clusterdns.corefile.directive import Directive
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire.query import Query
from clusterdns.wire.reply import Reply

Handler = Callable[[Query], Coroutine[Any, Any, Reply]]
Observer = Callable[[Query, Reply, float], None]  # the third: seconds since the query was read


class Reuse(enum.Enum):
    """Whether a handler's effect may be compiled into an answer that later queries get without running the handler."""

    COMPILED = "compiled"  # its effect is in the reply's bytes, or it has none
    PER_REPLY = "per reply"  # it decides on each reply, by clearing `reusable`
    EVERY_QUERY = "every query"  # it must see every query: nothing that passed it is kept


@dataclass
class Part:
    """What one directive adds to its server block. Most parts have few of these."""

    name: str
    wrap: Callable[[Handler], Handler] | None = None  # given the next handler, makes this plugin's handler
    observe: Observer | None = None  # sees each finished reply of the block before it is encoded, and may mark it
    reuse: Reuse = Reuse.COMPILED
    start: Callable[[], Awaitable[None]] | None = None  # run before the DNS listeners open, in plugin order
    stop: Callable[[], Awaitable[None]] | None = None  # run after the DNS listeners closed
    drain: Callable[[], Awaitable[None]] | None = None  # run first at shutdown, while DNS is still answered (lameduck)
    unready: Callable[[], str] | None = None  # why this plugin is not ready yet, empty when it is
    counts_queries: bool = False  # the block's queries are counted in coredns_dns_* (prometheus)


@dataclass(frozen=True)
class BlockContext:
    """What parse and build may know about the block they are in, and about the process."""

    zones_text: tuple[str, ...]  # the block's zones, absolute, reverse zones expanded
    server_text: str  # as in metric labels: dns://:53
    registry: Registry
    shared: "Shared"
    directive_names: frozenset[str] = frozenset()  # every directive of this block
    bind_addresses: tuple[str, ...] = ()  # where the block listens; empty: on every address


class Shared(Protocol):
    """What all blocks of one configuration share; made by server.assembly."""

    def forget(self, owners: Iterable[Hashable]) -> None:
        """Drop every compiled answer that depends on one of these owners."""

    def http(self, address: str, path: str, respond: Respond, asked_by: str) -> None:
        """Serve `path` on the admin listener at `host:port`."""

    def unready_reasons(self) -> Mapping[str, str]:
        """Plugins that are not ready, with the reason; empty when all are."""


@dataclass(frozen=True)
class Plugin:
    """A directive: its name, whether a block may hold it once only, and its two steps."""

    name: str
    parse: Callable[[Sequence[Directive], BlockContext], Any]
    build: Callable[[Any, BlockContext], Part]
    once: bool = False
