"""The calling convention of plugins: how a directive becomes part of a server block.

A plugin module offers one `Plugin`: its name, `parse` (directives → settings, raising CorefileError) and `build`
(settings → `Part`). Parsing, building and starting are separate steps, so that a configuration is known to be good
before anything is bound. The order of the chain is data in `plugins.order`; folding the parts of a block into one
handler is `server.assembly`'s work, done once.

What people read about a directive is data as well (`Doc`): docs/corefile.md is made of it.

A handler is `async` because some wait (forwarding, a lookup through another zone); dispatch runs it to its first real
wait without a task, so one that does not wait costs no more than a call.
"""

import enum
import os
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from clusterdns.admin.http import Respond
from clusterdns.admin.tls import AdminTls
from clusterdns.chain.query import Query
from clusterdns.chain.reply import Reply
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.options import Option
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire.name import from_text
from clusterdns.wire.record import Record

Handler = Callable[[Query], Coroutine[Any, Any, Reply]]
Observer = Callable[[Query, Reply, float], None]  # the third: seconds since the query was read


class Reuse(enum.Enum):
    """Whether a handler's effect may be compiled into an answer that later queries get without running the handler."""

    COMPILED = "compiled"  # its effect is in the reply's bytes, or it has none
    PER_REPLY = "per reply"  # it decides on each reply, by clearing `reusable`
    EVERY_QUERY = "every query"  # it must see every query: nothing that passed it is kept


T = TypeVar("T")
PartKey = tuple[str, int]  # the plugin, and which of all parts


class TransferSource(Protocol):
    """A plugin whose zones can be transferred (RFC 5936); the `transfer` directive asks it."""

    def zone_records(self, zone: bytes) -> Iterable[Record] | None:
        """The zone from SOA to SOA; None where the name is none of its zones."""


@dataclass
class Part:
    """What one directive adds to its server block. Most parts have few of these."""

    name: str
    wrap: Callable[[Handler], Handler] | None = None  # given the next handler, makes this plugin's handler
    is_for_in_only: bool = False  # queries of other classes (CH) pass it by
    observe: Observer | None = None  # sees each finished reply of the block before it is encoded, and may mark it
    reuse: Reuse = Reuse.COMPILED
    rehearse: Callable[[], Awaitable[None]] | None = None  # what of `start` may raise; all that `clusterdns check` runs
    start: Callable[[], Awaitable[None]] | None = None  # run before the DNS listeners open, in plugin order
    serving: Callable[[], Awaitable[None]] | None = None  # run once the DNS listeners are open
    # run after the DNS listeners closed, or moved on; also where `start` failed, was cut short or was never run
    stop: Callable[[], Awaitable[None]] | None = None
    drain: Callable[[], Awaitable[None]] | None = None  # run first at shutdown, while DNS is still answered (lameduck)
    unready: Callable[[], str] | None = None  # why this plugin is not ready yet, empty when it is
    remark: Callable[[], str] | None = None  # what is wrong though it is ready: shown by /ready, fails no probe
    counts_queries: bool = False  # the block's queries are counted in coredns_dns_* (prometheus)
    labels: Callable[[Query], Mapping[str, str]] | None = None  # metadata of a query, before the chain is run
    transfer: TransferSource | None = None
    offer: Any = None  # what this plugin has for others of its block, which know its type (see BlockContext.part)


@dataclass(frozen=True)
class Listening:
    """How a block's addresses are listened on; the plugins that say so set it while they are parsed."""

    addresses: tuple[str, ...] = ()  # empty: every address
    sockets: int = 1  # per address and transport
    tls: ssl.SSLContext | None = None  # for keys of the scheme tls://
    read_seconds: float | None = None  # for a query to become complete
    write_seconds: float | None = None  # for a client to take its replies
    idle_seconds: float | None = None  # between queries
    max_queries: int = -1  # of one connection; -1: no limit


@dataclass(frozen=True)
class BlockContext:
    """What parse and build may know about the block they are in, and about the process."""

    zones_text: tuple[str, ...]  # the block's zones, absolute, reverse zones expanded
    server_text: str  # as in metric labels: dns://:53
    registry: Registry
    shared: "Shared"
    directive_names: frozenset[str] = frozenset()  # every directive of this block
    listening: Listening = field(default_factory=Listening)
    root: str = ""  # the folder that relative paths are in; empty: the working directory
    port: int = 53  # of the block's first key
    parts: list["Part"] = field(default_factory=list)  # of this block; complete when `wrap` is called

    def part(self, name: str) -> "Part | None":
        """Another plugin's part of this block. To be asked in `wrap` or later: parts are built in plugin order."""
        return next((part for part in self.parts if part.name == name), None)

    def path(self, text: str) -> str:
        """A file that the Corefile names, relative ones in the folder that `root` names."""
        return os.path.join(self.root, text)

    @property
    def zones(self) -> tuple[bytes, ...]:
        """The block's zones as names."""
        return tuple(map(from_text, self.zones_text))


class Shared(Protocol):
    """What all blocks of one configuration share; made by server.assembly."""

    def forget(self, owners: Iterable[Hashable]) -> None:
        """Drop every compiled answer that depends on one of these owners."""

    def keep(self, key: Hashable, make: Callable[[], T]) -> T:
        """The object that the configuration before this one kept under the same key, or else a new one.

        This is how an index lives through a reload. Who keeps an object counts who uses it: the new configuration
        starts before the old one stops.
        """

    def http(self, address: str, path: str, respond: Respond, asked_by: str, tls: AdminTls | None = None) -> None:
        """Serve `path` on the admin listener at `host:port`."""

    def unready_reasons(self) -> Mapping[PartKey, str]:
        """The parts that are not ready, with the reason; empty when all are."""

    def remarks(self) -> Mapping[PartKey, str]:
        """What is wrong though the server is ready, by part."""


@dataclass(frozen=True)
class Doc:
    """What docs/corefile.md says about a directive."""

    usage: tuple[str, ...]  # the forms of the first line, without options
    about: str  # what it does, in a few sentences
    options: tuple[Option[Any], ...] = ()  # the same rows that parse
    example: str = ""  # lines of a server block; a test starts it
    better: str = ""  # what it does that CoreDNS does not, or does worse; empty: the same


@dataclass(frozen=True)
class Plugin:
    """A directive: its name, whether a block may hold it once only, its two steps, and what is said of it."""

    name: str
    parse: Callable[[Sequence[Directive], BlockContext], Any]
    build: Callable[[Any, BlockContext], Part]
    doc: Doc
    once: bool = False
    shape: Callable[[Any, BlockContext], BlockContext] | None = None  # the block as its settings make it
    # makes the metrics without labels, which CoreDNS shows as 0 from the start whether a block has the plugin or not
    announce: Callable[[Registry], object] | None = None
