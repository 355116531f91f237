"""From a Corefile to a configuration that could run.

Plugins parse their directives and build parts, in the order of `plugins.order`; `folding` makes a chain of each block's
parts and `listen_points` groups the zones by address. Nothing is bound or started here, and every error of the file is
found before the first one is raised.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from clusterdns.chain import BlockContext, Part, Plugin
from clusterdns.corefile.checks import Served, check_directives, check_overlaps, check_repetition, check_transports
from clusterdns.corefile.directive import ServerBlock
from clusterdns.corefile.errors import CorefileWarning, ErrorList
from clusterdns.corefile.load import Corefile
from clusterdns.plugins.order import ORDER, REFUSED, plugin
from clusterdns.server.folding import fold
from clusterdns.server.listen_points import ListenPoint, ServedBlock, listen_points
from clusterdns.server.shared import SharedState
from clusterdns.telemetry import unlabelled
from clusterdns.telemetry.metrics import Registry

T = TypeVar("T")


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

    def exports(self, kind: type[T]) -> Iterator[T]:
        """Yield what parts export of this type, in plugin order."""
        return (one for part in self.parts for one in part.exports if isinstance(one, kind))


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
    check_directives(corefile.blocks, ORDER, REFUSED, errors)
    used = {name for block in corefile.blocks for name in block.directive_names}
    plugins = [plugin(name) for name in ORDER if name in used]
    check_repetition(corefile.blocks, {one.name for one in plugins if one.once}, errors)
    shared = SharedState(before.shared if before is not None else None)
    blocks = [_Block(source, _context(source, shared, registry, dns_port)) for source in corefile.blocks]
    for one in plugins:
        for block in blocks:
            _parse(one, block, errors)
    served = [zone for block in blocks for zone in _served(block, dns_port)]
    check_overlaps(served, errors)
    check_transports(served, errors)
    errors.raise_if_any()
    return Draft(blocks, plugins, shared, registry, corefile.warnings, dns_port)


@dataclass
class Draft:
    """A Corefile that has been read and found right."""

    blocks: list[_Block]
    plugins: list[Plugin]  # those that the file uses, in the order of the chain
    shared: SharedState
    registry: Registry
    warnings: tuple[CorefileWarning, ...]
    dns_port: int

    def build(self) -> Configuration:
        """Make the parts and fold them."""
        unlabelled.register_all(self.registry)
        self.shared.block_parts = [block.context.parts for block in self.blocks]
        for one in self.plugins:
            for block in self.blocks:
                _build(one, block, self.shared)
        served = [
            ServedBlock(block.source.keys, block.context.listener, fold(block.context.parts)) for block in self.blocks
        ]
        return Configuration(listen_points(served, self.dns_port), self.shared, self.registry, self.warnings)


def _context(block: ServerBlock, shared: SharedState, registry: Registry, dns_port: int) -> BlockContext:
    port = block.keys[0].port_or_default(dns_port) if block.keys else dns_port
    transport = block.keys[0].transport if block.keys else "dns"
    return BlockContext(block.zones_text, f"{transport}://:{port}", registry, shared, block.directive_names, port=port)


def _parse(used: Plugin, block: _Block, errors: ErrorList) -> None:
    directives = block.source.named(used.name)
    if not directives:
        return
    with errors.collect():
        settings = used.parse(directives, block.context)
        block.settings.append((used, settings))
        if used.configure_block is not None:
            block.context = used.configure_block(settings, block.context)


def _build(used: Plugin, block: _Block, shared: SharedState) -> None:
    for candidate, settings in block.settings:
        if candidate is used:
            part = used.build(settings, block.context)
            block.context.parts.append(part)
            shared.parts.append(part)


def _served(block: _Block, dns_port: int) -> Iterator[Served]:
    listener = block.context.listener
    for key in block.source.keys:
        port = key.port_or_default(dns_port)
        has_certificate = "tls" in block.context.directive_names
        yield Served(key.transport, key.zone_text, port, listener.addresses, key.token, has_certificate)
