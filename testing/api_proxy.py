"""A proxy between the product and a real API server, for what the network and old versions do to watches.

It speaks plain HTTP on loopback to the product and TLS, as the cluster's administrator, to the API server. A test may
close it (`is_open`), lead it to another API server (`target`), break what streams over it (`cut`), and change queries
on their way (`rewrite`).
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from testing.controlplane import ControlPlane

Query = dict[str, str]

# A TLS connection that is closed says goodbye and waits for the answer; a loop that ends before leaves its socket open.
TLS_GOODBYE_SECONDS = 0.25


class Meddler:
    """The proxy. `url` is where it listens."""

    def __init__(self, control_plane: ControlPlane, session: aiohttp.ClientSession) -> None:
        self.url = ""
        self.is_open = True
        self.queries: list[tuple[str, Query]] = []
        self.rewrite: Callable[[str, Query], Query] = lambda _, query: query
        self.target = control_plane.url
        self._session = session
        self._streaming: set[asyncio.Transport] = set()

    def cut(self) -> None:
        """Break every connection that is in the middle of an answer."""
        for transport in self._streaming:
            transport.abort()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The request handler of the server."""
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        if not self.is_open:
            transport.abort()
            return web.Response()
        query = self.rewrite(request.path, dict(request.query))
        self.queries.append((request.path, query))
        async with self._session.get(self.target + request.path, params=query) as real:
            response = web.StreamResponse(status=real.status, headers={"content-type": real.content_type})
            await response.prepare(request)
            self._streaming.add(transport)
            try:
                async for chunk in real.content.iter_any():
                    await response.write(chunk)
            except ConnectionError:
                return response  # cut
            finally:
                self._streaming.discard(transport)
            return response


@asynccontextmanager
async def between(control_plane: ControlPlane) -> AsyncIterator[Meddler]:
    """A proxy in front of the control plane, listening."""
    tls = ssl.create_default_context(cafile=str(control_plane.ca))
    tls.load_cert_chain(str(control_plane.folder / "admin.crt"), str(control_plane.folder / "admin.key"))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls, limit=0)) as session:
        meddler = Meddler(control_plane, session)
        server = web.Server(meddler.answer, handler_cancellation=True)  # a watch ends with its reader
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        meddler.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield meddler
        finally:
            await runner.cleanup()
    await asyncio.sleep(TLS_GOODBYE_SECONDS)
