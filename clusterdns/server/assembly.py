"""From a Corefile to a configuration that could run: the only module that knows everybody.

Directives are parsed by their plugins, parts are built and folded into chains in the order of `plugins.order`, and the
zones are grouped by the address that they listen on. Nothing is bound or started here, and every error of the file is
found before the first is told.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from clusterdns.admin.http import Respond
from clusterdns.admin.http import Route as AdminRoute
from clusterdns.answers.table import AnswerTable, Room
from clusterdns.corefile.checks import Served, check_directives, check_overlaps, check_repetition
from clusterdns.corefile.directive import ServerBlock
from clusterdns.corefile.errors import CorefileWarning, ErrorList
from clusterdns.corefile.keys import ServerKey
from clusterdns.corefile.load import Corefile
from clusterdns.plugins.handler import BlockContext, Handler, Part, Plugin, Reuse
from clusterdns.plugins.order import ORDER, REFUSED
from clusterdns.server.routes import Route, Routes
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire import codes
from clusterdns.wire.query import Query
from clusterdns.wire.reply import Reply, failure

EVERY_ADDRESS = ""


@dataclass(frozen=True)
class ListenPoint:
    """An address that DNS is served on, and who asked for it. An empty address is every address, IPv4 and IPv6."""

    address: str
    port: int
    asked_by: str
    routes: Routes
    zones_text: tuple[str, ...]

    @property
    def host_port(self) -> str:
        """`host:port`, IPv6 in brackets."""
        return f"{_bracketed(self.address)}:{self.port}"

    @property
    def server_text(self) -> str:
        """As in the `server` label of the metrics."""
        return f"dns://{self.host_port}"


class SharedState:
    """What the blocks of one configuration share (see plugins.handler.Shared)."""

    def __init__(self) -> None:
        self.admin_routes: list[AdminRoute] = []
        self.parts: list[Part] = []
        self._tables: list[AnswerTable] = []
        self._room = Room()

    def new_table(self) -> AnswerTable:
        """The answer table of one more listener."""
        table = AnswerTable(self._room)
        self._tables.append(table)
        return table

    def forget(self, owners: Iterable[Hashable]) -> None:
        """Drop every compiled answer that depends on one of these owners, in every table."""
        for table in self._tables:
            table.forget(owners)

    def http(self, address: str, path: str, respond: Respond, asked_by: str) -> None:
        """Have `path` served on the admin listener at `address`."""
        self.admin_routes.append(AdminRoute(address, path, respond, asked_by))

    def unready_reasons(self) -> dict[str, str]:
        """Plugins that are not ready, with the reason of each part that is not."""
        reasons: dict[str, str] = {}
        for part in self.parts:
            reason = part.unready() if part.unready is not None else ""
            if reason:
                reasons[part.name] = f"{reasons[part.name]}; {reason}" if part.name in reasons else reason
        return reasons


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
    parts: list[Part] = field(default_factory=list)


def assemble(
    corefile: Corefile, registry: Registry, *, dns_port: int, errors: ErrorList | None = None
) -> Configuration:
    """Build the configuration; `errors` may hold what reading the file found. Raises CorefileErrors with all."""
    errors = ErrorList() if errors is None else errors
    check_directives(corefile.blocks, {plugin.name for plugin in ORDER}, REFUSED, errors)
    check_repetition(corefile.blocks, {plugin.name for plugin in ORDER if plugin.once}, errors)
    shared = SharedState()
    blocks = [_Block(source, _context(source, shared, registry, dns_port)) for source in corefile.blocks]
    for plugin in ORDER:
        for block in blocks:
            _parse(plugin, block, errors)
    check_overlaps([one for block in blocks for one in _served(block, dns_port, errors)], errors)
    errors.raise_if_any()
    for plugin in ORDER:
        for block in blocks:
            _build(plugin, block, shared)
    return Configuration(_points(blocks, dns_port), shared, registry, corefile.warnings)


def _context(block: ServerBlock, shared: SharedState, registry: Registry, dns_port: int) -> BlockContext:
    port = block.keys[0].port_or_default(dns_port) if block.keys else dns_port
    return BlockContext(block.zones_text, f"dns://:{port}", registry, shared, block.directive_names)


def _parse(plugin: Plugin, block: _Block, errors: ErrorList) -> None:
    directives = block.source.named(plugin.name)
    if not directives:
        return
    with errors.collect():
        settings = plugin.parse(directives, block.context)
        block.settings.append((plugin, settings))
        if plugin.name == "bind":
            port = block.context.server_text.rpartition(":")[2]
            server_text = f"dns://{_bracketed(settings.addresses[0])}:{port}"
            block.context = replace(block.context, bind_addresses=settings.addresses, server_text=server_text)


def _build(plugin: Plugin, block: _Block, shared: SharedState) -> None:
    for candidate, settings in block.settings:
        if candidate is plugin:
            part = plugin.build(settings, block.context)
            block.parts.append(part)
            shared.parts.append(part)


def _served(block: _Block, dns_port: int, errors: ErrorList) -> Iterable[Served]:
    for key in block.source.keys:
        if key.transport != "dns":
            errors.add(
                key.token.error(
                    f"clusterdns does not serve {key.transport}://",
                    "serve plain DNS here, or keep CoreDNS for this block",
                )
            )
        yield Served(
            key.transport, key.zone_text, key.port_or_default(dns_port), block.context.bind_addresses, key.token
        )


def _points(blocks: list[_Block], dns_port: int) -> tuple[ListenPoint, ...]:
    """Group the zones of all blocks by the address that they listen on, in the order of the file."""
    grouped: dict[tuple[str, int], list[tuple[_Block, ServerKey]]] = {}
    for block in blocks:
        for key in block.source.keys:
            for address in block.context.bind_addresses or (EVERY_ADDRESS,):
                grouped.setdefault((address, key.port_or_default(dns_port)), []).append((block, key))
    chains = {id(block): _fold(block.parts) for block in blocks}
    return tuple(
        ListenPoint(
            address,
            port,
            f"{served[0][1].token.place}: server block {served[0][1].token.text}",
            Routes(_route(block, key, chains[id(block)]) for block, key in served),
            tuple(sorted({key.zone_text for _, key in served})),
        )
        for (address, port), served in grouped.items()
    )


def _route(block: _Block, key: ServerKey, chain: Handler | None) -> Route:
    return Route(
        key.zone,
        key.zone_text,
        chain,
        tuple(part.observe for part in reversed(block.parts) if part.observe is not None),
        keeps_answers=all(part.reuse is not Reuse.EVERY_QUERY for part in block.parts),
        counts_queries=any(part.counts_queries for part in block.parts),
    )


def _fold(parts: list[Part]) -> Handler | None:
    """One handler out of a block's parts, the first outermost; None where no part handles queries."""
    wrapping = [part for part in parts if part.wrap is not None]
    if not wrapping:
        return None
    handler = _end_of_chain(wrapping[-1].name)
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
