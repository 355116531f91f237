"""An API server that misbehaves on request: real HTTP on loopback, replies from a script.

For each path a test lays down replies, which are given in turn; when they are used up, the path serves `lists` and its
watches stay open and say nothing. What was asked is in `requests`. The faults here cannot be had from a real API
server; what can be had is tested against one.
"""

import asyncio
import json
import socket
import ssl
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiohttp import web

Object = dict[str, Any]
Reply = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

SERVICES = "/api/v1/services"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
NAMESPACES = "/api/v1/namespaces"


class Request(NamedTuple):
    """What was asked."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def is_watch(self) -> bool:
        """Whether it was a watch, not a list."""
        return "watch" in self.query


class FakeApi:
    """Replies by path. `url` is where it listens."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self.lists: dict[str, list[Object]] = {SERVICES: [], SLICES: [], NAMESPACES: []}
        self._scripts: dict[str, deque[Reply]] = defaultdict(deque)
        self._closing = asyncio.Event()

    def script(self, path: str, *replies: Reply) -> None:
        """Give these replies, each once, in this order."""
        self._scripts[path].extend(replies)

    def asked(self, path: str, *, watch: bool) -> list[Request]:
        """The watches or the lists of a path that were asked for so far."""
        return [one for one in self.requests if one.path == path and one.is_watch is watch]

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The request handler of the server."""
        self.requests.append(Request(request.path, dict(request.query), dict(request.headers)))
        script = self._scripts[request.path]
        if script:
            return await script.popleft()(request)
        if "watch" in request.query:
            return await self.stream()(request)
        return await page(*self.lists[request.path])(request)

    def stream(self, *chunks: bytes, then: str = "hold") -> Reply:
        """A watch that sends these chunks, and then stays open (`hold`), ends (`end`) or breaks (`reset`)."""

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
        """Let go of the watches that are held open."""
        self._closing.set()


def unused_port() -> socket.socket:
    """A port of loopback that nobody listens on, and that nobody else can take."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound


@asynccontextmanager
async def serving(
    api: FakeApi, tls: ssl.SSLContext | None = None, bound: socket.socket | None = None
) -> AsyncIterator[FakeApi]:
    """The fake, listening: on a socket that is bound already, or anywhere."""
    runner = web.ServerRunner(web.Server(api.answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.SockSite(runner, bound or unused_port(), ssl_context=tls).start()
    api.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield api
    finally:
        api.close()
        await runner.cleanup()


def page(*items: Any, version: str = "100", rest: str = "") -> Reply:
    """One page of a list; `rest` is the token of the next one."""
    meta = {"resourceVersion": version} | ({"continue": rest} if rest else {})
    return body(json.dumps({"kind": "ServiceList", "metadata": meta, "items": list(items)}))


def body(content: str, status: int = 200, content_type: str = "application/json", **headers: str) -> Reply:
    """Any body."""

    async def reply(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text=content, status=status, content_type=content_type, headers=headers)

    return reply


def status(code: int, reason: str = "", message: str = "", **headers: str) -> Reply:
    """The API's way to refuse."""
    return body(json.dumps({"kind": "Status", "code": code, "reason": reason, "message": message}), code, **headers)


def reset_inside_body() -> Reply:
    """A list whose connection breaks before its end."""

    async def reply(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": "1000", "content-type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"kind": "ServiceList", "items": [')
        assert request.transport
        request.transport.abort()
        return response

    return reply


def event(kind: str, content: Object) -> bytes:
    """A line of a watch."""
    return json.dumps({"type": kind, "object": content}).encode() + b"\n"


def bookmark(version: int) -> bytes:
    """A line that says only how far the watch is."""
    return event("BOOKMARK", {"kind": "Service", "metadata": {"resourceVersion": str(version)}})


def error(code: int, reason: str, message: str = "") -> bytes:
    """The line with which a watch fails."""
    return event("ERROR", {"kind": "Status", "code": code, "reason": reason, "message": message})


def service(name: str, ip: str = "10.96.0.1", version: int = 1, **extra: Any) -> Object:
    """A Service in namespace prod; extra keywords go into its metadata."""
    meta = {"namespace": "prod", "name": name, "resourceVersion": str(version), **extra}
    return {"kind": "Service", "metadata": meta, "spec": {"type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip]}}
