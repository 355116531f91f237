"""The server block that a directive is in: its zones, its listeners, its other parts.

`server.assembly` makes one `BlockContext` per block; plugins read it in `parse` and `build`.
"""

import os
import ssl
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from clusterdns.admin.page import Page, PageRequest, Respond
from clusterdns.admin.tls import AdminTls
from clusterdns.chain.part import Part, PartKey
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire.name import from_text

if TYPE_CHECKING:
    from clusterdns.chain.live import Live

T = TypeVar("T")


class ListenerOptions(msgspec.Struct, frozen=True):
    """The options of a block's listeners; directives such as `bind`, `tls` and `timeouts` set the fields."""

    addresses: tuple[str, ...] = ()  # empty: every address
    sockets: int = 1  # per address and transport
    shares_port: bool = False  # with other processes (SO_REUSEPORT)
    tls: ssl.SSLContext | None = None  # for keys of the scheme tls://
    read_seconds: float | None = None  # for a query to become complete
    write_seconds: float | None = None  # for a client to take its replies
    idle_seconds: float | None = None  # between queries
    max_queries: int = -1  # of one connection; -1: no limit


class Shared(Protocol):
    """The services that all blocks of one configuration share; `server.shared` implements them."""

    corefile_sha512: str  # of the Corefile and its imports
    live: "Live"

    def forget(self, dependencies: Iterable[Hashable]) -> None:
        """Drop every compiled answer that depends on one of these."""

    def keep(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the object that the previous configuration kept under the same key, or else a new one.

        This is how an index survives a reload. The new configuration starts before the old one stops, so a kept object
        counts its users.
        """

    def http(self, address: str, path: str, respond: Respond, asked_by: str, tls: AdminTls | None = None) -> None:
        """Serve `path` on the admin listener at `host:port`; `asked_by` is the directive with file and line."""

    def unready_reasons(self) -> Mapping[PartKey, str]:
        """Return the parts that are not ready, with the reason; empty when all are."""

    def status_sections(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return the rows that parts export for /status, by section (see `chain.exports.StatusSection`)."""

    async def explain(self, request: PageRequest) -> Page:
        """Answer a request for the page /explain (see `server.explaining.page`)."""

    def lapses(self) -> Mapping[PartKey, str]:
        """Return what parts that are ready lack at present."""

    def warnings(self) -> Mapping[PartKey, str]:
        """Return the problems of parts that are ready."""


class BlockContext(msgspec.Struct, frozen=True):
    """The properties of a block and of the process that a plugin may use."""

    zones_text: tuple[str, ...]  # the block's zones, absolute, reverse zones expanded
    server_text: str  # as in metric labels: dns://:53
    registry: Registry
    shared: Shared
    directive_names: frozenset[str] = frozenset()  # every directive of this block
    listener: ListenerOptions = msgspec.field(default_factory=ListenerOptions)
    state_folder: str = ""  # of files that outlive the process (`-state`); empty: there is none
    root: str = ""  # the folder of relative paths; empty: the working directory
    port: int = 53  # of the block's first key
    parts: list[Part] = msgspec.field(default_factory=list)  # of this block; complete when `Handling.wrap` is called

    def exports(self, kind: type[T]) -> tuple[T, ...]:
        """Return the exports of this type in this block, in plugin order; complete in `Handling.wrap` or later."""
        return tuple(one for part in self.parts for one in part.exports if isinstance(one, kind))

    def export(self, kind: type[T]) -> T | None:
        """Return the first export of this type, or None."""
        return next(iter(self.exports(kind)), None)

    def path(self, text: str) -> str:
        """Return the path of a file that the Corefile names; relative ones are in the folder that `root` names."""
        return os.path.join(self.root, text)

    @property
    def zones(self) -> tuple[bytes, ...]:
        """The block's zones as names."""
        return tuple(map(from_text, self.zones_text))
