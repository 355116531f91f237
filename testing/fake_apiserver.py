"""A fake API server: HTTP on loopback, replies from `lists` or from a script.

A test gives replies for a path, each of which is sent once, in order. A path without further replies serves `lists`,
page by page, and watches that stay open and report nothing. With `streams_lists` it sends lists as initial events of
watches; otherwise such a watch is invalid, as in API servers before Kubernetes 1.32, and spends no reply of a script.
The faults here cannot be provoked in a real API server; those that can are tested against one.
"""

import asyncio
import itertools
import json
import socket
import ssl
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiohttp import web

from testing.api import Manifest
from testing.ports import LOOPBACK

ScriptedReply = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

SERVICES = "/api/v1/services"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
NAMESPACES = "/api/v1/namespaces"

_versions = itertools.count(1000)


class ApiRequest(NamedTuple):
    """A request as it arrived."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def is_watch(self) -> bool:
        """Whether it is a watch and not a list."""
        return "watch" in self.query

    @property
    def is_list_stream(self) -> bool:
        """Whether it is a watch that begins with the list."""
        return "sendInitialEvents" in self.query


class FakeApiServer:
    """The fake, and the requests that it received. `url` is where it listens."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[ApiRequest] = []
        self.streams_lists = False
        self.refused_streams = 0
        self.lists: dict[str, list[Manifest]] = {SERVICES: [], SLICES: [], NAMESPACES: []}
        self._scripts: dict[str, deque[ScriptedReply]] = defaultdict(deque)
        self._closing = asyncio.Event()

    def script(self, path: str, *replies: ScriptedReply) -> None:
        """Add replies to the script of a path."""
        self._scripts[path].extend(replies)

    def asked(self, path: str, *, watch: bool) -> list[ApiRequest]:
        """Return the watches or the lists of a path that it received."""
        return [one for one in self.requests if one.path == path and one.is_watch is watch]

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Reply to a request."""
        received = ApiRequest(request.path, dict(request.query), dict(request.headers))
        if received.is_list_stream and not self.streams_lists:
            self.refused_streams += 1
            return await status(422, "Invalid", "sendInitialEvents: Forbidden")(request)
        self.requests.append(received)
        script = self._scripts[request.path]
        if script:
            return await script.popleft()(request)
        items = self.lists[request.path]
        if received.is_list_stream:
            return await self.stream(*[event("ADDED", one) for one in items], initial_events_end())(request)
        if received.is_watch:
            return await self.stream()(request)
        start = int(received.query.get("continue", 0))
        end = start + int(received.query.get("limit", len(items) or 1))
        return await page(*items[start:end], rest=str(end) if end < len(items) else "")(request)

    def stream(self, *chunks: bytes, then: str = "hold") -> ScriptedReply:
        """Reply with a watch that sends chunks, and then stays open (`hold`), ends (`end`) or breaks (`reset`)."""

        async def reply(request: web.BaseRequest) -> web.StreamResponse:
            response = web.StreamResponse(headers={"content-type": "application/json"})
            await response.prepare(request)
            for chunk in chunks:
                await response.write(chunk)
                await asyncio.sleep(0)
            if then == "hold":
                await self._closing.wait()
            elif then == "reset" and request.transport:
                request.transport.abort()
            return response

        return reply

    def close(self) -> None:
        """End the watches that are held open."""
        self._closing.set()


def unused_port() -> socket.socket:
    """Bind a socket: its port of loopback refuses connections, and no other server is given it."""
    bound = socket.socket()
    bound.bind((LOOPBACK, 0))
    return bound


ACCEPT_TURNS = 5  # of the event loop, after which an accepted connection has its handler


@asynccontextmanager
async def serving(
    api: FakeApiServer, tls: ssl.SSLContext | None = None, bound: socket.socket | None = None
) -> AsyncIterator[FakeApiServer]:
    """Run the fake on a socket that is bound already, or on any port."""
    runner = web.ServerRunner(web.Server(api.handle), shutdown_timeout=0.1)
    await runner.setup()
    sock = bound or unused_port()
    await web.SockSite(runner, sock, ssl_context=tls).start()
    api.url = f"{'https' if tls else 'http'}://{LOOPBACK}:{runner.addresses[0][1]}"
    try:
        yield api
    finally:
        api.close()
        # accept no more, and let what is accepted get its handler: asyncio leaks the socket of one that comes too late
        asyncio.get_running_loop().remove_reader(sock)
        for _ in range(ACCEPT_TURNS):
            await asyncio.sleep(0)
        await runner.cleanup()


def page(*items: Any, version: str = "", rest: str = "") -> ScriptedReply:
    """Reply with one page of a list; `rest` is the `continue` token of the next one."""
    meta = {"resourceVersion": version or str(next_version())} | ({"continue": rest} if rest else {})
    return body(json.dumps({"kind": "ServiceList", "metadata": meta, "items": list(items)}))


def body(content: str, status: int = 200, content_type: str = "application/json", **headers: str) -> ScriptedReply:
    """Reply with any body."""

    async def reply(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text=content, status=status, content_type=content_type, headers=headers)

    return reply


def status(code: int, reason: str = "", message: str = "", **headers: str) -> ScriptedReply:
    """Reply with an error, as a Status object."""
    return body(json.dumps({"kind": "Status", "code": code, "reason": reason, "message": message}), code, **headers)


def reset_inside_body() -> ScriptedReply:
    """Reply with a list, and break the connection before its end."""

    async def reply(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": "1000", "content-type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"kind": "ServiceList", "items": [')
        assert request.transport
        request.transport.abort()
        return response

    return reply


def event(kind: str, content: Manifest) -> bytes:
    """Make a line of a watch."""
    return json.dumps({"type": kind, "object": content}).encode() + b"\n"


def next_version() -> int:
    """Return a resourceVersion that is newer than all before."""
    return next(_versions)


def initial_events_end(version: int = 0) -> bytes:
    """Make the bookmark that ends the initial events of a watch."""
    annotations = {"k8s.io/initial-events-end": "true"}
    meta = {"resourceVersion": str(version or next_version()), "annotations": annotations}
    return event("BOOKMARK", {"kind": "Service", "metadata": meta})


def bookmark(version: int) -> bytes:
    """Make a line of a watch that carries a resourceVersion only."""
    return event("BOOKMARK", {"kind": "Service", "metadata": {"resourceVersion": str(version)}})


def error(code: int, reason: str, message: str = "") -> bytes:
    """Make the line that ends a watch with an error."""
    return event("ERROR", {"kind": "Status", "code": code, "reason": reason, "message": message})


def service(name: str, ip: str = "10.96.0.1", version: int = 0, **extra: Any) -> Manifest:
    """Make a Service in namespace prod; extra keywords go into its metadata."""
    meta = {"namespace": "prod", "name": name, "resourceVersion": str(version or next_version()), **extra}
    return {"kind": "Service", "metadata": meta, "spec": {"type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip]}}
