"""A fake API server that can go and come back, for configurations that run inside the test."""

import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from fakes.held_clock import HeldClock, turns, until
from plugins.serving import Running

from testing.fake_apiserver import NAMESPACES, SERVICES, SLICES, FakeApiServer, service, serving, unused_port
from testing.ports import LOOPBACK

PODS = "/api/v1/pods"
IMPORTS = "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports"


def named(name: str, kind: str = "Namespace", **rest: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "resourceVersion": "5"}, **rest}


class Outage:
    """An API server that can go and come back at the same port."""

    def __init__(self) -> None:
        bound = unused_port()
        self.port: int = bound.getsockname()[1]
        bound.close()
        self._running = AsyncExitStack()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    async def begin(self) -> None:
        await self._running.aclose()

    async def end(self, *events: bytes) -> None:
        """Serve; a watch of Services reports the events first."""
        api = FakeApiServer()
        api.lists |= {NAMESPACES: [named("prod")], SERVICES: [service("web")], SLICES: [], PODS: [], IMPORTS: []}
        if events:
            api.script(SERVICES, api.stream(*events))
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((LOOPBACK, self.port))
        await self._running.enter_async_context(serving(api, bound=sock))


async def begin_noticed(outage: Outage, server: Running, clock: HeldClock) -> None:
    """Begin an outage, and let less time pass than a kind needs to become stale until each watch has ended by it."""

    def feed() -> Mapping[str, Any]:
        (found,) = server.instance.configuration.shared.status_sections()["kubernetes"]
        return found

    async def is_refused() -> bool:
        return "connection refused" in feed().get("reason", "")

    await outage.begin()
    await until(lambda: not any(row["connected"] for row in feed()["kinds"]))
    await pass_until(clock, is_refused)


async def pass_until(clock: HeldClock, condition: Callable[[], Awaitable[bool]]) -> None:
    """Let time pass in small steps, with turns for sockets in between, until the condition holds."""
    while not await condition():
        await clock.pass_seconds(0.1)
        await turns(200)
