"""A relay of TCP connections to an API server: what passes is TLS, from the product to the server, and is not read.

It cuts connections, refuses new ones, and leads them to another server. Packets between the product and the relay are
dropped by `packet_loss`, faults of HTTP are those of `api_proxy`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from testing.ports import LOOPBACK

_PIECE_BYTES = 1 << 16


class TcpRelay:
    """The relay. `url` is where it listens, `accepted` the number of connections since the start."""

    def __init__(self, target: str) -> None:
        self.url = ""
        self.target = target
        self.is_open = True
        self.accepted = 0
        self._clients: dict[int, asyncio.StreamWriter] = {}  # by the client's port

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return urlsplit(self.url).port or 0

    def client_ports(self) -> list[int]:
        """Return the ports of the clients that are connected."""
        return list(self._clients)

    def cut(self) -> None:
        """Abort every connection."""
        for writer in self._clients.values():
            writer.transport.abort()

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect to the target, and pass on what each side sends until one of them ends."""
        self.accepted += 1
        if not self.is_open:
            writer.transport.abort()
            return
        port = writer.get_extra_info("peername")[1]
        self._clients[port] = writer
        target = urlsplit(self.target)
        try:
            server_reader, server_writer = await asyncio.open_connection(target.hostname, target.port)
            try:
                await _pump_both((reader, server_writer), (server_reader, writer))
            finally:
                server_writer.transport.abort()
        except OSError:
            pass  # the server is gone, and so is the way to it
        finally:
            del self._clients[port]
            writer.transport.abort()


async def _pump_both(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    pumps = [asyncio.create_task(_pump(*way)) for way in ways]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(_PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        return  # the other direction ends with this one


@asynccontextmanager
async def relaying(target: str) -> AsyncIterator[TcpRelay]:
    """Run a relay on loopback to the server of a URL."""
    relay = TcpRelay(target)
    server = await asyncio.start_server(relay.relay, LOOPBACK, 0)
    relay.url = f"https://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    try:
        yield relay
    finally:
        server.close()
        relay.cut()
