"""From a Corefile to a configuration that can run.

Each directive reads its settings, then makes its part, in the order of `plugins.order`; `folding` makes a chain of each
block's parts, and `listen_points` groups the zones by address. Nothing is bound or started here. All errors of the file
are collected before they are raised.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from clusterdns.admin.page import Page, PageRequest, Respond
from clusterdns.chain import BlockContext, Part, Plugin
from clusterdns.corefile.checks import Served, check_directives, check_overlaps, check_repetition, check_transports
from clusterdns.corefile.directive import ServerBlock
from clusterdns.corefile.errors import CorefileWarning, ErrorList
from clusterdns.corefile.load import Corefile
from clusterdns.host.imports import import_in_thread
from clusterdns.plugins.order import ORDER, REFUSED, plugin
from clusterdns.server.folding import fold
from clusterdns.server.listen_points import ListenPoint, ServedBlock, listen_points
from clusterdns.server.shared import SharedState
from clusterdns.telemetry import unlabelled
from clusterdns.telemetry.metrics import Registry

T = TypeVar("T")


class Configuration(msgspec.Struct):
    """A configuration that can run: listen points, and parts in the order in which they start."""

    listen_points: tuple[ListenPoint, ...]
    shared: SharedState
    registry: Registry
    warnings: tuple[CorefileWarning, ...]
    contexts: list[BlockContext]  # one per server block
    sources: tuple[ServerBlock, ...]  # the same blocks in the Corefile
    dns_port: int  # of keys without one
    files: tuple[tuple[str, bytes], ...]  # of the Corefile: path and content, the main file first

    def folded(self, change: Callable[[ServerBlock, Part], Part]) -> tuple[ListenPoint, ...]:
        """Fold chains of changed parts, for questions beside those of clients; order and zones are those in use."""
        blocks = zip(self.sources, self.contexts, strict=True)
        return listen_points(
            [_served_block(source, context, [change(source, part) for part in context.parts])
             for source, context in blocks],
            self.dns_port,
        )  # fmt: skip

    @property
    def parts(self) -> list[Part]:
        """All parts of all blocks, in plugin order."""
        return self.shared.parts

    def exports(self, kind: type[T]) -> Iterator[T]:
        """Yield the exports of this type, in plugin order."""
        return (one for part in self.parts for one in part.exports if isinstance(one, kind))

    def release(self) -> None:
        """Break the reference cycles of a stopped configuration, which may hold megabytes of answers.

        The collector, which runs rarely, would find them late.
        """
        for context in self.contexts:
            context.parts.clear()
        self.shared.release()


class _Block(msgspec.Struct):
    """A server block while its directives are read: the context as they change it, and their settings."""

    source: ServerBlock
    context: BlockContext
    settings: list[tuple[Plugin, Any]] = msgspec.field(default_factory=list)


def assemble(
    corefile: Corefile,
    registry: Registry,
    *,
    dns_port: int,
    errors: ErrorList | None = None,
    previous: Configuration | None = None,
) -> Configuration:
    """Make a configuration of a Corefile: `draft`, then `Draft.build`. Raises CorefileErrors."""
    return draft(corefile, registry, dns_port=dns_port, errors=errors, previous=previous).build()


def draft(
    corefile: Corefile,
    registry: Registry,
    *,
    dns_port: int,
    errors: ErrorList | None = None,
    previous: Configuration | None = None,
    state_folder: str = "",
) -> "Draft":
    """Read and check the settings of every directive. Raises CorefileErrors with all errors.

    `errors` may hold errors of the file already. `previous` is the running configuration, whose kept objects the new
    one takes over. Directives may keep files in `state_folder`. The call may read files and ask resolvers; it may run
    in a thread, since it changes nothing that runs.
    """
    errors = ErrorList() if errors is None else errors
    check_directives(corefile.blocks, ORDER, REFUSED, errors)
    used = {name for block in corefile.blocks for name in block.directive_names}
    plugins = [plugin(name) for name in ORDER if name in used]
    check_repetition(corefile.blocks, {one.name for one in plugins if one.once}, errors)
    shared = SharedState(previous.shared if previous is not None else None, corefile.sha512)
    blocks = [_Block(source, _context(source, shared, registry, dns_port, state_folder)) for source in corefile.blocks]
    for one in plugins:
        for block in blocks:
            _parse(one, block, errors)
    served = [zone for block in blocks for zone in _served(block, dns_port)]
    check_overlaps(served, errors)
    check_transports(served, errors)
    errors.raise_if_any()
    return Draft(blocks, shared, registry, corefile, dns_port)


class Draft(msgspec.Struct):
    """A configuration whose settings are read and checked, and whose parts are not made yet."""

    blocks: list[_Block]
    shared: SharedState
    registry: Registry
    corefile: Corefile
    dns_port: int

    def build(self) -> Configuration:
        """Make the parts and fold them into chains."""
        unlabelled.register_all(self.registry)
        for name in ORDER:
            for block in self.blocks:
                self._build(name, block)
        served = [_served_block(block.source, block.context, block.context.parts) for block in self.blocks]
        configuration = Configuration(
            listen_points(served, self.dns_port), self.shared, self.registry, self.corefile.warnings,
            contexts=[block.context for block in self.blocks],
            sources=tuple(block.source for block in self.blocks),
            dns_port=self.dns_port,
            files=self.corefile.files,
        )  # fmt: skip
        self.shared.explain_page = _LatePage(configuration)
        return configuration

    def _build(self, name: str, block: _Block) -> None:
        for used, settings in block.settings:
            if used.name == name:
                part = used.build(settings, block.context)
                block.context.parts.append(part)
                self.shared.parts.append(part)


class _LatePage:
    """The page /explain, whose code is loaded, in a thread, when it is first asked for."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._page: Respond | None = None

    async def __call__(self, request: PageRequest) -> Page:
        loaded = await import_in_thread("clusterdns.server.explaining.page")
        self._page = self._page or loaded.ExplainPage(self._configuration)
        return await self._page(request)


def _served_block(source: ServerBlock, context: BlockContext, parts: Sequence[Part]) -> ServedBlock:
    return ServedBlock(source.keys, context.listener, fold(parts))


def _context(
    block: ServerBlock, shared: SharedState, registry: Registry, dns_port: int, state_folder: str
) -> BlockContext:
    port = block.keys[0].port_or_default(dns_port) if block.keys else dns_port
    transport = block.keys[0].transport if block.keys else "dns"
    return BlockContext(
        block.zones_text, f"{transport}://:{port}", registry, shared, block.directive_names,
        state_folder=state_folder, port=port,
    )  # fmt: skip


def _parse(used: Plugin, block: _Block, errors: ErrorList) -> None:
    directives = block.source.named(used.name)
    if not directives:
        return
    with errors.collect():
        settings = used.parse(directives, block.context)
        block.settings.append((used, settings))
        if used.configure_block is not None:
            block.context = used.configure_block(settings, block.context)


def _served(block: _Block, dns_port: int) -> Iterator[Served]:
    listener = block.context.listener
    for key in block.source.keys:
        port = key.port_or_default(dns_port)
        has_certificate = "tls" in block.context.directive_names
        yield Served(key.transport, key.zone_text, port, listener.addresses, key.token, has_certificate)
