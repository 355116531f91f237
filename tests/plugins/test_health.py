"""`health`: the endpoint, the self-check and the lameduck wait."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import aiohttp
import pytest
from fakes.metrics import collect

from clusterdns.admin.http import AdminHttp, AdminRoute
from clusterdns.chain import BlockContext
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import health
from clusterdns.telemetry.metrics import Registry
from testing.waiting import PATIENCE_SECONDS

ADDRESS = "127.0.0.1:0"

ReadDirectives = Callable[[str], Sequence[Directive]]


class SharedRoutes(Protocol):
    """What the fixture `shared` records."""

    routes: list[AdminRoute]


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("health", health.HealthSettings(":8080", 0.0, "Corefile:2: health")),
        ("health localhost:8081", health.HealthSettings("localhost:8081", 0.0, "Corefile:2: health")),
        ("health {\n lameduck 5s\n}", health.HealthSettings(":8080", 5.0, "Corefile:2: health")),
        ("health [::1]:80 {\n lameduck 1m\n}", health.HealthSettings("[::1]:80", 60.0, "Corefile:2: health")),
        ("health :1 {\n lameduck 1s\n}\nhealth :2", health.HealthSettings(":2", 1.0, "Corefile:5: health")),
    ],
)
def test_parse(
    read_directives: ReadDirectives, context: BlockContext, text: str, settings: health.HealthSettings
) -> None:
    assert health.parse(read_directives(text), context) == settings


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("health 8080", "Corefile:2: '8080' is not host:port"),
        ("health :8080 :8081", "Corefile:2: Wrong argument count"),
        ("health {\n lameduck\n}", "Corefile:3: Wrong argument count"),
        ("health {\n lameduck 5\n}", "Corefile:3: '5' is not a duration"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        health.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (":8080", "http://127.0.0.1:8080/health"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080/health"),
        ("[::]:8080", "http://[::1]:8080/health"),
        ("[2001:db8::1]:80", "http://[2001:db8::1]:80/health"),
        ("localhost:8080", "http://localhost:8080/health"),
    ],
)
def test_own_url(address: str, url: str) -> None:
    assert health.own_url(address) == url


def numbers(registry: Registry) -> dict[str, float]:
    return {sample.name: sample.value for metric in collect(registry) for sample in metric.samples}


async def test_endpoint_and_self_check() -> None:
    admin, registry = AdminHttp(), Registry()
    await admin.apply([AdminRoute(ADDRESS, health.PATH, health.respond, "test")])
    url = health.own_url(f"127.0.0.1:{admin.port(ADDRESS)}")
    poller = health.Poller(url, registry)
    async with aiohttp.ClientSession() as session:
        async with session.post(url) as response:
            assert (response.status, await response.text()) == (200, "OK")
        await poller.poll(session)
        await admin.close()
        await poller.poll(session)
    shown = numbers(registry)
    assert shown["coredns_health_request_duration_seconds_count"] == 1
    assert shown["coredns_health_request_failures_total"] == 1


def test_buckets() -> None:
    registry = Registry()
    health.Poller("http://127.0.0.1:1/health", registry)
    bounds = [sample.labels["le"] for metric in collect(registry) for sample in metric.samples if "le" in sample.labels]
    assert bounds == ["0.00025", "0.0025", "0.025", "0.25", "2.5", "+Inf"]


async def test_polls_until_stopped() -> None:
    admin, registry = AdminHttp(), Registry()
    await admin.apply([AdminRoute(ADDRESS, health.PATH, health.respond, "test")])
    waits: list[float] = []
    fourth, forever = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 4:
            fourth.set()
            await forever.wait()

    poller = health.Poller(health.own_url(f"127.0.0.1:{admin.port(ADDRESS)}"), registry, sleep)
    await poller.start()
    await asyncio.wait_for(fourth.wait(), PATIENCE_SECONDS)
    await poller.stop()
    await admin.close()
    assert waits == [1.0] * 4
    assert numbers(registry)["coredns_health_request_duration_seconds_count"] == 3


async def test_slow_answer_warns(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = AdminHttp()
    await admin.apply([AdminRoute(ADDRESS, health.PATH, health.respond, "test")])
    poller = health.Poller(health.own_url(f"127.0.0.1:{admin.port(ADDRESS)}"), Registry())
    ticks = iter((10.0, 11.5))
    monkeypatch.setattr(health, "perf_counter", lambda: next(ticks))
    async with aiohttp.ClientSession() as session:
        await poller.poll(session)
    await admin.close()
    assert caplog.messages[0].endswith("took 1.5s, more than 1s")


def test_part(read_directives: ReadDirectives, context: BlockContext, shared: SharedRoutes) -> None:
    part = health.build(health.parse(read_directives("health :8080"), context), context)
    assert [(one.address, one.path, one.asked_by) for one in shared.routes] == [
        (":8080", "/health", "Corefile:2: health")
    ]
    assert part.life.start is not None
    assert part.life.stop is not None
    assert part.life.drain is None
    assert not health.PLUGIN.once


async def test_lameduck(caplog: pytest.LogCaptureFixture) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    with caplog.at_level(logging.INFO, "clusterdns"):
        await health.drain(5.0, sleep)()
    assert waits == [5.0]
    assert caplog.record_tuples == [("clusterdns.plugin.health", logging.INFO, "Going into lameduck mode for 5s")]
