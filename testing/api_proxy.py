"""A proxy between the product and a real API server, for the faults of networks and of older API servers.

It speaks plain HTTP on loopback to the product, and TLS to the API server as the cluster's administrator. A test may
refuse connections (`is_open`), switch to another API server (`target`), break responses that are being streamed
(`cut`), and change queries before they are forwarded (`rewrite`).
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from testing.controlplane import ControlPlane
from testing.ports import LOOPBACK
from testing.waiting import until_closed

Query = dict[str, str]


class ApiProxy:
    """The proxy. `url` is where it listens, `queries` what it has forwarded: (path, query)."""

    def __init__(self, control_plane: ControlPlane, session: aiohttp.ClientSession) -> None:
        self.url = ""
        self.is_open = True
        self.queries: list[tuple[str, Query]] = []
        self.rewrite: Callable[[str, Query], Query] = lambda _, query: query
        self.target = control_plane.url
        self._session = session
        self._streaming: set[asyncio.Transport] = set()

    def cut(self) -> None:
        """Abort every connection that is in the middle of a response."""
        for transport in self._streaming:
            transport.abort()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Forward a request, and stream its response."""
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        if not self.is_open:
            transport.abort()
            return web.Response()
        query = self.rewrite(request.path, dict(request.query))
        self.queries.append((request.path, query))
        async with self._session.get(self.target + request.path, params=query) as forwarded:
            response = web.StreamResponse(status=forwarded.status, headers={"content-type": forwarded.content_type})
            await response.prepare(request)
            self._streaming.add(transport)
            try:
                async for chunk in forwarded.content.iter_any():
                    await response.write(chunk)
            except ConnectionError:
                return response  # cut
            finally:
                self._streaming.discard(transport)
            return response


@asynccontextmanager
async def proxying(control_plane: ControlPlane) -> AsyncIterator[ApiProxy]:
    """Run a proxy in front of the control plane."""
    tls = ssl.create_default_context(cafile=str(control_plane.ca))
    tls.load_cert_chain(str(control_plane.folder / "admin.crt"), str(control_plane.folder / "admin.key"))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls, limit=0)) as session:
        proxy = ApiProxy(control_plane, session)
        server = web.Server(proxy.handle, handler_cancellation=True)  # a watch ends with its reader
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, 0).start()
        proxy.url = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
        try:
            yield proxy
        finally:
            await runner.cleanup()
    await until_closed(control_plane.url)
