"""A proxy between the product and a real API server, for the faults of networks and of API servers.

It speaks plain HTTP on loopback to the product, and TLS to the API server as the cluster's administrator. A test may
refuse connections (`is_open`), switch to another API server (`target`), break responses that are being streamed
(`cut`), change queries before they are forwarded (`rewrite`), and have everything else go wrong that an API server or a
proxy can do (`fault`, of `testing.api_faults`).
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from testing.api_faults import ApiFault, Cut
from testing.controlplane import ControlPlane
from testing.ports import LOOPBACK
from testing.waiting import until_closed

Query = dict[str, str]

_END_OF_LIST = b"k8s.io/initial-events-end"


class ApiProxy:
    """The proxy. `url` is where it listens, `queries` what it was asked: (path, query)."""

    def __init__(self, control_plane: ControlPlane, session: aiohttp.ClientSession) -> None:
        self.url = ""
        self.is_open = True
        self.fault = ApiFault()
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
        if not isinstance(transport, asyncio.Transport):  # closed by its client in the meantime
            return web.Response()
        if not self.is_open:
            transport.abort()
            return web.Response()
        query = self.rewrite(request.path, dict(request.query))
        self.queries.append((request.path, query))
        await self.fault.hold()
        if (refusal := self.fault.refuse(request)) is not None:
            return refusal
        response = web.StreamResponse()
        self._streaming.add(transport)
        try:
            headers = {"accept": _without_protobuf(request.headers.get("accept", "*/*"))}
            async with self._session.get(self.target + request.path, params=query, headers=headers) as forwarded:
                response.set_status(forwarded.status)
                response.content_type = forwarded.content_type
                await response.prepare(request)
                if "watch" in query and forwarded.ok:
                    await self._stream_watch(request.path, query, forwarded, response)
                else:
                    await self._stream_list(forwarded, response)
        except Cut as cut:
            await response.write(cut.part)
            transport.abort()
        except aiohttp.ClientError:  # the API server is gone, and so is the way to it
            transport.abort()
        except ConnectionError:
            return response  # cut
        finally:
            self._streaming.discard(transport)
        return response

    async def _stream_list(self, forwarded: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
        """Stream the response to anything but a watch. Raises Cut."""
        count = 0
        async for chunk in forwarded.content.iter_any():
            await self.fault.hold()
            count = self._within_limit(count, chunk)
            await response.write(chunk)

    async def _stream_watch(
        self, path: str, query: Query, forwarded: aiohttp.ClientResponse, response: web.StreamResponse
    ) -> None:
        """Stream a watch, line by line. Raises Cut."""
        is_listing = "sendInitialEvents" in query
        count, rest = 0, b""
        if not is_listing and (words := self.fault.last_words()):
            await response.write(words)
            return
        async for chunk in forwarded.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            await self.fault.hold()
            for line in lines:
                if is_listing:
                    count = self._within_limit(count, line)
                    is_listing = _END_OF_LIST not in line
                    words = b"" if is_listing else self.fault.last_words()
                    await response.write(line + b"\n" + words)
                    if words:
                        return
                elif passed := self.fault.event(path, line + b"\n"):
                    await response.write(passed)

    def _within_limit(self, count: int, piece: bytes) -> int:
        """Add a piece of a list to the count of bytes. Raises Cut where the fault lets no more pass."""
        limit = self.fault.list_bytes
        if limit is not None and count + len(piece) > limit:
            raise Cut(piece[: limit - count])
        return count + len(piece)


def _without_protobuf(accept: str) -> str:
    """Remove Protobuf from an Accept header, as CoreDNS sends it: `_stream_watch` finds events by the ends of lines."""
    return ",".join(one for one in accept.split(",") if "protobuf" not in one) or "application/json"


@asynccontextmanager
async def proxying(control_plane: ControlPlane) -> AsyncIterator[ApiProxy]:
    """Run a proxy in front of the control plane."""
    tls = ssl.create_default_context(cafile=str(control_plane.ca))
    tls.load_cert_chain(str(control_plane.folder / "admin.crt"), str(control_plane.folder / "admin.key"))
    connector = aiohttp.TCPConnector(ssl=tls, limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as session:
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
