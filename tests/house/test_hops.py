"""The tables of hops in docs/architecture.md are what runs: each path is executed under the interpreter's profiler."""

import asyncio
import re
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any, cast

import dns.message
import pytest

from clusterdns.cluster.api.client import Client
from clusterdns.cluster.api.collection import Collection
from clusterdns.cluster.api.follow.reflector import Reflector
from clusterdns.cluster.api.follow.retry import RetryQueue, Timing
from clusterdns.cluster.api.follow.watch import Watch
from clusterdns.cluster.api.settings import Intervals
from clusterdns.cluster.api.status import ApiStatus
from clusterdns.cluster.api.store import ObjectStore
from clusterdns.cluster.freshness import Freshness
from clusterdns.cluster.objects import EndpointSlice
from clusterdns.corefile.load import parse
from clusterdns.host.sockets import bind_udp
from clusterdns.host.udp.datagrams import new_payload
from clusterdns.plugins.kubernetes.feed import Feed
from clusterdns.plugins.kubernetes.settings import KubernetesSettings
from clusterdns.server.assembly import Configuration, assemble
from clusterdns.server.dispatch import Dispatch, ListenerContext
from clusterdns.server.listeners import udp
from clusterdns.server.shared import SharedState
from clusterdns.server.tap import Tap
from clusterdns.telemetry.metrics import Registry
from clusterdns.telemetry.queries import QueryCounters, panics
from clusterdns.wire.name import from_text

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGE = str(ROOT / "clusterdns")
COREFILE = """
cluster.local {
    errors
    loadbalance
    prometheus
    kubernetes {
        manifests zones/demo
    }
}
"""
FORWARDING = ". {{\n cache\n forward . 127.0.0.1:{}\n}}\n"
MAX_HOPS = {"Hit": 4, "Miss": 9, "Forwarded": 15, "Change": 6}


def hops(path: str) -> list[str]:
    """Return the numbered cells of a path's table."""
    section = PAGE.split(f"\n### {path}", 1)[1].split("\n#", 1)[0]
    return [match[1] for match in re.finditer(r"^\| \d+ \| (.+?) \|", section, re.MULTILINE)]


class Profile:
    """A context that records the calls of the package's functions, in order, as `Class.function`."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def __enter__(self) -> "Profile":
        sys.setprofile(self._record)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _record(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE) and not code.co_name.startswith("<"):
            self.called.append(code.co_qualname)


def expected(path: str) -> list[set[str]]:
    """Return the hops in order, each a set of functions of which one must run."""
    return [set(re.findall(r"`([A-Za-z_.]+)`", cell)) for cell in hops(path)]


def assert_in_order(called: list[str], path: str) -> None:
    rest = iter(called)
    for functions in expected(path):
        assert any(name in functions for name in rest), f"{functions} did not run, or not in this order: {called}"


async def profile_of(configuration: Configuration, name: str, address: str, times: int = 1) -> list[str]:
    """Send equal queries to a UDP socket on an address, and return the calls for the last of them."""
    point = configuration.listen_points[0]
    counters = QueryCounters(configuration.registry, point.server_text)
    dispatch = Dispatch(point.routes, counters, panics(configuration.registry))
    sock = bind_udp(address, 0)
    context = ListenerContext("udp", "1", configuration.shared.new_table(), counters.new_hit_time(), Tap())
    listener = udp.UdpListener(sock, dispatch, context, new_payload())
    listener.start(asyncio.get_running_loop())
    query = dns.message.make_query(name, "A", use_edns=0).to_wire()
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0)
            for _ in range(times):
                with Profile() as profile:
                    client.sendto(query, ("127.0.0.1", sock.getsockname()[1]))
                    await received(client)
    finally:
        await listener.close(0)
    return profile.called


async def received(client: socket.socket) -> bytes:
    async with asyncio.timeout(30):
        return await asyncio.get_running_loop().sock_recv(client, 4096)


async def with_demo(use: Callable[[Configuration], Awaitable[list[str]]]) -> list[str]:
    configuration = assemble(parse(COREFILE, str(ROOT / "Corefile"), {}), Registry(), dns_port=53)
    parts = [part for part in configuration.parts if part.name == "kubernetes"]
    for part in parts:
        assert part.life.start is not None
        await part.life.start()
    try:
        return await use(configuration)
    finally:
        for part in parts:
            assert part.life.stop is not None
            await part.life.stop()


FIXED, ROTATED, NEGATIVE = "normal-nginx.default.svc", "headless-nginx.default.svc", "no-such.default.svc"


@pytest.mark.parametrize("name", [FIXED, ROTATED, NEGATIVE])
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
async def test_hit(name: str, address: str) -> None:
    called = await with_demo(lambda made: profile_of(made, f"{name}.cluster.local", address, times=4))
    once_per_batch = {"ManyAtOnce.receive", "ManyAtOnce._clear_interfaces", "UdpListener._send", "ManyAtOnce.send"}
    hops_of_a_hit = [function for function in called if function not in once_per_batch]
    assert len(hops_of_a_hit) <= MAX_HOPS["Hit"], called
    assert set(hops_of_a_hit) <= set().union(*expected("Hit"))


async def test_miss() -> None:
    called = await with_demo(lambda made: profile_of(made, f"{FIXED}.cluster.local", "127.0.0.1"))
    assert_in_order(called, "Miss")


async def test_forwarded() -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as upstream:
        upstream.bind(("127.0.0.1", 0))

        def answer() -> None:
            asked, client = upstream.recvfrom(4096)
            upstream.sendto(asked[:2] + bytes((asked[2] | 0x80, asked[3])) + asked[4:], client)

        loop.add_reader(upstream, answer)
        text = FORWARDING.format(upstream.getsockname()[1])
        configuration = assemble(parse(text, "Corefile", {}), Registry(), dns_port=53)
        called = await profile_of(configuration, "www.example.org", "127.0.0.1")
        loop.remove_reader(upstream)
        for part in configuration.parts:
            if part.life.stop is not None:
                await part.life.stop()
    assert_in_order(called, "Forwarded")


async def test_change() -> None:
    shared, registry = SharedState(), Registry()
    shared.new_table()
    feed = Feed(KubernetesSettings((from_text("cluster.local"),)), registry)
    feed.index.subscribe(shared.forget)
    reflector = Reflector(
        Collection("endpointslices", "", {}), cast(Client, None), ObjectStore(EndpointSlice, feed._apply, registry),
        ApiStatus(), registry, lambda: None, Freshness().track(EndpointSlice, "", int),
        queue=RetryQueue(Intervals(), Timing()),
        page_limit=1, intervals=Intervals(), timing=Timing(),
    )  # fmt: skip
    event: Any = (
        b'{"type":"ADDED","object":{"metadata":{"name":"web-1","namespace":"prod","resourceVersion":"7","labels":'
        b'{"kubernetes.io/service-name":"web"}},"endpoints":[{"addresses":["10.244.0.1"]}],"ports":[]}}'
    )
    with Profile() as profile:
        Watch(reflector.followed).apply_event(event)
        assert list(reflector.store.steps())
    assert_in_order(profile.called, "Change")


@pytest.mark.parametrize("path", MAX_HOPS)
def test_no_path_exceeds_its_limit_of_hops(path: str) -> None:
    assert 0 < len(hops(path)) <= MAX_HOPS[path]
