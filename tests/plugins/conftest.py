"""What tests of plugins share: queries as dispatch makes them, and a block context whose shared part only records."""

from collections.abc import AsyncIterator, Callable, Coroutine, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import dns.edns
import dns.message
import pytest
from fakes.held_clock import HeldClock
from fakes.live import FakeLive
from plugins.api_outage import Outage
from plugins.forwarding import Forwarding, MakeQuery, forwarding_part

from clusterdns.admin.http import AdminRoute
from clusterdns.admin.page import Page, PageRequest, Respond, text_page
from clusterdns.admin.tls import AdminTls
from clusterdns.chain import BlockContext, PartKey, Plugin, Query, Reply
from clusterdns.chain.live import Live
from clusterdns.chain.query import read_query
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.load import parse
from clusterdns.telemetry.metrics import Registry

T = TypeVar("T")


@dataclass
class RecordingShared:
    """Keeps what plugins ask of the process."""

    routes: list[AdminRoute] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    noted: dict[str, str] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)
    forgotten: list[Any] = field(default_factory=list)
    kept: dict[Hashable, Any] = field(default_factory=dict)
    live: Live = field(default_factory=FakeLive)

    def forget(self, dependencies: Iterable[Any]) -> None:
        self.forgotten += dependencies

    def keep(self, key: Hashable, make: Callable[[], T]) -> T:
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]  # type: ignore[no-any-return]

    def http(self, address: str, path: str, respond: Respond, asked_by: str, tls: AdminTls | None = None) -> None:
        self.routes.append(AdminRoute(address, path, respond, asked_by, tls))

    def unready_reasons(self) -> Mapping[PartKey, str]:
        return {(name, 0): text for name, text in self.reasons.items()}

    corefile_sha512: str = "0123"
    sections: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)

    def status_sections(self) -> Mapping[str, list[Mapping[str, Any]]]:
        return self.sections

    async def explain(self, request: PageRequest) -> Page:
        return text_page("explained")

    def lapses(self) -> Mapping[PartKey, str]:
        return {(name, 0): text for name, text in self.lacking.items()}

    def warnings(self) -> Mapping[PartKey, str]:
        return {(name, 0): text for name, text in self.noted.items()}


async def no_lookup(query: Query, name: bytes, qtype: int) -> Reply:
    """What tests replace whose handler asks further names."""
    raise AssertionError(f"asked for {name!r}")


@pytest.fixture
async def outage() -> AsyncIterator[Outage]:
    """An API server that runs until its outage begins."""
    api = Outage()
    await api.end()
    yield api
    await api.begin()


@pytest.fixture
def shared() -> RecordingShared:
    return RecordingShared()


@pytest.fixture
def context(shared: RecordingShared) -> BlockContext:
    return BlockContext(("cluster.local.", "in-addr.arpa."), "dns://:53", Registry(), shared)


@pytest.fixture
def make_query() -> Callable[..., Query]:
    def make(
        name: str, qtype: str = "A", *, transport: str = "udp", client: tuple[Any, ...] = ("10.1.0.9", 40222),
        server: str = "10.96.0.10",
        edns_bytes: int | None = None, do: bool = False, checking_disabled: bool = False,
        options: Sequence[dns.edns.Option] = (),
    ) -> Query:  # fmt: skip
        message = dns.message.make_query(name, qtype, want_dnssec=do, use_edns=False if edns_bytes is None else 0)
        if edns_bytes is not None:
            message.use_edns(0, payload=edns_bytes, ednsflags=0x8000 if do else 0)
        if options:
            message.use_edns(0, options=list(options))
        message.id = 4711
        message.flags |= 0x0010 if checking_disabled else 0
        query = read_query(message.to_wire())
        assert isinstance(query, Query)
        query.transport = transport
        query.client = client
        query.server = server
        query.lookup = no_lookup
        return query

    return make


@pytest.fixture
def read_directives() -> Callable[[str], Sequence[Directive]]:
    """Directives from the text of a server block's inside, which begins on line 2 of the file `Corefile`."""

    def read_text(text: str) -> Sequence[Directive]:
        return parse(f". {{\n{text}\n}}\n", "Corefile", {}).blocks[0].directives

    return read_text


@pytest.fixture
def through(
    read_directives: Callable[[str], Sequence[Directive]], context: BlockContext
) -> Callable[..., Coroutine[Any, Any, Reply]]:
    """Sends a query through the plugin of a directive's text, above a plugin that answers with `below`."""

    async def ask(plugin: Plugin, text: str, query: Query, below: Reply) -> Reply:
        part = plugin.build(plugin.parse(read_directives(text), context), context)

        async def following(query: Query) -> Reply:
            return below

        assert part.handling.wrap is not None
        return await part.handling.wrap(following)(query)

    return ask


@pytest.fixture
def forwarding(
    read_directives: Callable[[str], Sequence[Directive]],
    context: BlockContext,
    make_query: MakeQuery,
    held_clock: HeldClock,
) -> Forwarding:
    """Uses the `forward` lines of a text. Time stands still: an exchange times out when the test lets time pass."""
    return lambda text: forwarding_part(read_directives(text), context, make_query)
