"""A byte relay between two stream addresses, so that a server in a network namespace reaches a port of the host.

A namespace has a loopback of its own, but shares unix sockets. Two relays make the bridge, each run as a program:

    inside:  relay.py 127.0.0.1:6443 /tmp/x/api.sock        on the host:  relay.py /tmp/x/api.sock 127.0.0.1:6443

An address with a slash is a unix socket's path. A relay prints `relaying` when it listens. SIGTERM ends it with all its
connections, which is how a test makes the API server unreachable.
"""

import asyncio
import contextlib
import sys

CHUNK_BYTES = 1 << 16


class Relay:
    """A listener on one address that connects each client to the other."""

    def __init__(self, listen: str, connect: str) -> None:
        self._listen = listen
        self._connect = connect

    async def run(self) -> None:
        """Relay until cancelled or killed."""
        if "/" in self._listen:
            server = await asyncio.start_unix_server(self._accept, self._listen)
        else:
            host, _, port = self._listen.rpartition(":")
            server = await asyncio.start_server(self._accept, host, int(port))
        print("relaying", flush=True)
        await server.serve_forever()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):  # a refused connection closes the client's
            far_reader, far_writer = await self._open()
            with contextlib.closing(far_writer):
                pumps = [asyncio.create_task(_pump(reader, far_writer)), asyncio.create_task(_pump(far_reader, writer))]
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if "/" in self._connect:
            return await asyncio.open_unix_connection(self._connect)
        host, _, port = self._connect.rpartition(":")
        return await asyncio.open_connection(host, int(port))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK_BYTES):
        writer.write(chunk)
        await writer.drain()


if __name__ == "__main__":
    asyncio.run(Relay(sys.argv[1], sys.argv[2]).run())
