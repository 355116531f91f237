"""The listen points of a configuration: the zones of all server blocks, grouped by transport, address and port.

`assembly` makes them of the blocks, `listeners` opens sockets for each, and `instance` has a dispatch for each. Nothing
is bound here.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from clusterdns.chain import ListenerOptions
from clusterdns.corefile.keys import ServerKey
from clusterdns.server.routes import Chain, Route, Routes
from clusterdns.telemetry.logs import bracketed

EVERY_ADDRESS = ""


class ListenPoint(msgspec.Struct, frozen=True, eq=False):
    """An address, port and transport on which DNS is served. An empty address stands for all, IPv4 and IPv6."""

    address: str
    port: int
    asked_by: str  # the first server block with this point, with file and line
    routes: Routes
    zones_text: tuple[str, ...]
    transport: str = "dns"  # or tls
    options: ListenerOptions = msgspec.field(default_factory=ListenerOptions)

    @property
    def host_port(self) -> str:
        """`host:port`, IPv6 in brackets."""
        return f"{bracketed(self.address)}:{self.port}"

    @property
    def server_text(self) -> str:
        """The `server` label of the metrics."""
        return f"{self.transport}://{self.host_port}"


class ServedBlock(NamedTuple):
    """What a server block serves, on which listeners."""

    keys: tuple[ServerKey, ...]
    listener: ListenerOptions
    chain: Chain


def listen_points(blocks: Iterable[ServedBlock], dns_port: int) -> tuple[ListenPoint, ...]:
    """Group the zones of all blocks into listen points, in the order of the file."""
    grouped: dict[tuple[str, str, int], list[tuple[ServedBlock, ServerKey]]] = {}
    for block in blocks:
        for key in block.keys:
            for address in block.listener.addresses or (EVERY_ADDRESS,):
                point = (key.transport, address, key.port_or_default(dns_port))
                grouped.setdefault(point, []).append((block, key))
    return tuple(_listen_point(*point, served) for point, served in grouped.items())


def _listen_point(transport: str, address: str, port: int, served: list[tuple[ServedBlock, ServerKey]]) -> ListenPoint:
    routes = [Route(key.zone, key.zone_text, block.chain) for block, key in served]
    first_key = served[0][1]
    return ListenPoint(
        address,
        port,
        f"{first_key.token.place}: server block {first_key.token.text}",
        Routes(routes, takes_any_class=any(block.chain.takes_any_class for block, _ in served)),
        tuple(sorted({key.zone_text for _, key in served})),
        transport,
        _listener_options([block.listener for block, _ in served]),
    )


def _listener_options(options: list[ListenerOptions]) -> ListenerOptions:
    """Return the first options of several blocks that are not the defaults, as CoreDNS does."""
    return next((one for one in options if one != ListenerOptions(addresses=one.addresses)), options[0])
