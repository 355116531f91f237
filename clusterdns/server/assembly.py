"""From a Corefile to a configuration that could run: the only module that knows everybody.

Directives are parsed by their plugins, parts are built and folded into chains in the order of `plugins.order`, and the
zones are grouped by the address that they listen on. Nothing is bound or started here, and every error of the file is
found before the first is told.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from clusterdns.admin.http import Respond
from clusterdns.admin.http import Route as AdminRoute
from clusterdns.admin.tls import AdminTls
from clusterdns.answers.table import AnswerTable, Room
from clusterdns.chain.plugin import BlockContext, Handler, Listening, Part, PartKey, Plugin, Reuse
from clusterdns.chain.query import Query
from clusterdns.chain.reply import Reply, failure
from clusterdns.corefile.checks import Served, check_directives, check_overlaps, check_repetition, check_transports
from clusterdns.corefile.directive import ServerBlock
from clusterdns.corefile.errors import CorefileWarning, ErrorList
from clusterdns.corefile.keys import ServerKey
from clusterdns.corefile.load import Corefile
from clusterdns.plugins.cache.store import Room as CacheRoom
from clusterdns.plugins.order import ORDER, REFUSED
from clusterdns.server.routes import Route, Routes
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire import codes

EVERY_ADDRESS = ""
_ANY_CLASS = frozenset({"chaos", "forward"})  # a listener with one of these takes queries of every class

T = TypeVar("T")


@dataclass(frozen=True)
class ListenPoint:
    """An address that DNS is served on, and who asked for it. An empty address is every address, IPv4 and IPv6."""

    address: str
    port: int
    asked_by: str
    routes: Routes
    zones_text: tuple[str, ...]
    transport: str = "dns"  # or tls
    listening: Listening = field(default_factory=Listening)

    @property
    def host_port(self) -> str:
        """`host:port`, IPv6 in brackets."""
        return f"{_bracketed(self.address)}:{self.port}"

    @property
    def server_text(self) -> str:
        """As in the `server` label of the metrics."""
        return f"{self.transport}://{self.host_port}"


class SharedState:
    """What the blocks of one configuration share (see plugins.handler.Shared)."""

    def __init__(self, before: "SharedState | None" = None) -> None:
        """`before` is the state of the configuration that this one is to replace."""
        self.admin_routes: list[AdminRoute] = []
        self.parts: list[Part] = []
        self._tables: list[AnswerTable] = []
        self._room = Room()
        self.block_parts: list[list[Part]] = []  # the lists that the blocks' contexts have of their own parts
        self._kept: dict[Hashable, Any] = {}
        self._kept_before = before._kept if before is not None else {}

    def new_table(self) -> AnswerTable:
        """The answer table of one more listener."""
        table = AnswerTable(self._room)
        self._tables.append(table)
        return table

    @property
    def rooms(self) -> tuple[Room | CacheRoom, ...]:
        """Where answers and replies are kept that can be had again."""
        cached: CacheRoom | None = self._kept.get(CacheRoom)
        return (self._room,) if cached is None else (self._room, cached)

    def forget(self, owners: Iterable[Hashable]) -> None:
        """Drop every compiled answer that depends on one of these owners, in every table."""
        for table in self._tables:
            table.forget(owners)

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
        self._room.clear()
        for held in (self._tables, self.admin_routes, self.block_parts):
            held.clear()
        self._kept = {}
        self._kept_before = {}

    def unready_reasons(self) -> dict[PartKey, str]:
        """The parts that are not ready, with the reason."""
        return _told((part.name, part.unready) for part in self.parts)

    def remarks(self) -> dict[PartKey, str]:
        """What is wrong though the server is ready, by part."""
        return _told((part.name, part.remark) for part in self.parts)


def _told(askable: Iterable[tuple[str, Callable[[], str] | None]]) -> dict[PartKey, str]:
    texts: dict[PartKey, str] = {}
    for number, (name, ask) in enumerate(askable):
        text = ask() if ask is not None else ""
        if text:
            texts[name, number] = text
    return texts


@dataclass
class Configuration:
    """A configuration that could run: what to listen on, and the parts in the order in which they start."""

    points: tuple[ListenPoint, ...]
    shared: SharedState
    registry: Registry
    warnings: tuple[CorefileWarning, ...]

    @property
    def parts(self) -> list[Part]:
        """All parts of all blocks, in plugin order."""
        return self.shared.parts


@dataclass
class _Block:
    source: ServerBlock
    context: BlockContext
    settings: list[tuple[Plugin, Any]] = field(default_factory=list)

    @property
    def parts(self) -> list[Part]:
        return self.context.parts


def assemble(
    corefile: Corefile,
    registry: Registry,
    *,
    dns_port: int,
    errors: ErrorList | None = None,
    before: Configuration | None = None,
) -> Configuration:
    """The configuration in one go: see `draft`, which may read files and ask resolvers, and `Draft.build`."""
    return draft(corefile, registry, dns_port=dns_port, errors=errors, before=before).build()


def draft(
    corefile: Corefile,
    registry: Registry,
    *,
    dns_port: int,
    errors: ErrorList | None = None,
    before: Configuration | None = None,
) -> "Draft":
    """Read what every directive says; `errors` may hold what reading the file found. Raises CorefileErrors with all.

    `before` is the running configuration that this one is to replace: what both keep is carried over. Nothing here
    touches what runs, so that it may be done in a thread.
    """
    errors = ErrorList() if errors is None else errors
    check_directives(corefile.blocks, {plugin.name for plugin in ORDER}, REFUSED, errors)
    check_repetition(corefile.blocks, {plugin.name for plugin in ORDER if plugin.once}, errors)
    shared = SharedState(before.shared if before is not None else None)
    blocks = [_Block(source, _context(source, shared, registry, dns_port)) for source in corefile.blocks]
    for plugin in ORDER:
        for block in blocks:
            _parse(plugin, block, errors)
    served = [one for block in blocks for one in _served(block, dns_port, errors)]
    check_overlaps(served, errors)
    check_transports(served, errors)
    errors.raise_if_any()
    return Draft(blocks, shared, registry, corefile.warnings, dns_port)


@dataclass
class Draft:
    """A Corefile that has been read and found right."""

    blocks: list[_Block]
    shared: SharedState
    registry: Registry
    warnings: tuple[CorefileWarning, ...]
    dns_port: int

    def build(self) -> Configuration:
        """Make the parts and fold them."""
        self.shared.block_parts = [block.context.parts for block in self.blocks]
        for plugin in ORDER:
            if plugin.announce is not None:
                plugin.announce(self.registry)
            for block in self.blocks:
                _build(plugin, block, self.shared)
        return Configuration(_points(self.blocks, self.dns_port), self.shared, self.registry, self.warnings)


def _context(block: ServerBlock, shared: SharedState, registry: Registry, dns_port: int) -> BlockContext:
    port = block.keys[0].port_or_default(dns_port) if block.keys else dns_port
    transport = block.keys[0].transport if block.keys else "dns"
    return BlockContext(block.zones_text, f"{transport}://:{port}", registry, shared, block.directive_names, port=port)


def _parse(plugin: Plugin, block: _Block, errors: ErrorList) -> None:
    directives = block.source.named(plugin.name)
    if not directives:
        return
    with errors.collect():
        settings = plugin.parse(directives, block.context)
        block.settings.append((plugin, settings))
        if plugin.shape is not None:
            block.context = plugin.shape(settings, block.context)


def _build(plugin: Plugin, block: _Block, shared: SharedState) -> None:
    for candidate, settings in block.settings:
        if candidate is plugin:
            part = plugin.build(settings, block.context)
            block.context.parts.append(part)
            shared.parts.append(part)


def _served(block: _Block, dns_port: int, errors: ErrorList) -> Iterable[Served]:
    for key in block.source.keys:
        if key.transport not in ("dns", "tls"):
            hint = "serve plain DNS or tls:// here, or keep CoreDNS for this block"
            errors.add(key.token.error(f"clusterdns does not serve {key.transport}://", hint))
        elif key.transport == "tls" and "tls" not in block.context.directive_names:
            told = f"{key.token} without the directive 'tls', so that there is no certificate to serve it with"
            errors.add(key.token.error(told, "add 'tls CERT KEY' to the block"))
        yield Served(
            key.transport, key.zone_text, key.port_or_default(dns_port), block.context.listening.addresses, key.token
        )


def _points(blocks: list[_Block], dns_port: int) -> tuple[ListenPoint, ...]:
    """Group the zones of all blocks by the address that they listen on, in the order of the file."""
    grouped: dict[tuple[str, str, int], list[tuple[_Block, ServerKey]]] = {}
    for block in blocks:
        for key in block.source.keys:
            for address in block.context.listening.addresses or (EVERY_ADDRESS,):
                where = (key.transport, address, key.port_or_default(dns_port))
                grouped.setdefault(where, []).append((block, key))
    chains = {id(block): _chains(block.parts) for block in blocks}
    return tuple(_point(where, served, chains) for where, served in grouped.items())


def _point(
    where: tuple[str, str, int],
    served: list[tuple[_Block, ServerKey]],
    chains: dict[int, tuple[Handler | None, Handler | None]],
) -> ListenPoint:
    transport, address, port = where
    takes_any_class = any(_ANY_CLASS & block.context.directive_names for block, _ in served)
    routes = []
    for block, key in served:
        routes.append(_route(block, key, *chains[id(block)]))
    first_key = served[0][1]
    return ListenPoint(
        address,
        port,
        f"{first_key.token.place}: server block {first_key.token.text}",
        Routes(routes, takes_any_class=takes_any_class),
        tuple(sorted({key.zone_text for _, key in served})),
        transport,
        _listening([block.context.listening for block, _ in served]),
    )


def _listening(wishes: list[Listening]) -> Listening:
    """Of several blocks on one listener the first that says something is heard, as in CoreDNS."""
    return next((one for one in wishes if one != Listening(addresses=one.addresses)), wishes[0])


def _route(block: _Block, key: ServerKey, chain: Handler | None, other_chain: Handler | None) -> Route:
    labellers = tuple(part.labels for part in block.parts if part.labels is not None)
    return Route(
        key.zone,
        key.zone_text,
        chain,
        other_chain,
        tuple(part.observe for part in reversed(block.parts) if part.observe is not None),
        labellers if "metadata" in block.context.directive_names else (),
        keeps_answers=all(part.reuse is not Reuse.EVERY_QUERY for part in block.parts),
        counts_queries=any(part.counts_queries for part in block.parts),
        writer=_below_metrics(block.parts),
    )


def _below_metrics(parts: list[Part]) -> str:
    """The plugin that stands next below `prometheus` in the chain: what CoreDNS shows as a reply's writer."""
    names = [part.name for part in parts if part.wrap is not None or part.observe is not None or part.counts_queries]
    position = names.index("prometheus") + 1 if "prometheus" in names else len(names)
    return names[position] if position < len(names) else ""


def _chains(parts: list[Part]) -> tuple[Handler | None, Handler | None]:
    """A block's handler for class IN, and the one for all other classes."""
    return _fold(parts), _fold([part for part in parts if not part.is_for_in_only])


def _fold(parts: list[Part]) -> Handler | None:
    """One handler out of a block's parts, the first outermost; None where no part handles queries."""
    wrapping = [part for part in parts if part.wrap is not None]
    links = wrapping or [part for part in parts if part.name in ("prometheus", "errors", "log")]  # links at CoreDNS
    if not links:
        return None
    handler = _end_of_chain(links[-1].name)
    for part in reversed(wrapping):
        assert part.wrap is not None
        handler = part.wrap(handler)
    return handler


def _end_of_chain(last: str) -> Handler:
    async def end(query: Query) -> Reply:
        return failure(codes.SERVFAIL, f"plugin/{last}: no next plugin found", is_unhandled=True)

    return end


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
