"""Fixtures for the API source: the objects it reported, a fake clock, and sources that are stopped at the end."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from fakes.seen import Seen
from fakes.time import FakeTime

from clusterdns.cluster.api.follow.retry import Timing
from clusterdns.cluster.api.settings import ApiSettings
from clusterdns.cluster.api.source import ApiSource
from clusterdns.telemetry.metrics import Registry
from testing.api_proxy import TLS_CLOSE_SECONDS
from testing.fake_apiserver import FakeApiServer, serving

Start = Callable[..., ApiSource]


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
async def fake() -> AsyncIterator[FakeApiServer]:
    async with serving(FakeApiServer()) as api:
        yield api


@pytest.fixture
async def start(seen: Seen, registry: Registry) -> AsyncIterator[Start]:
    """Start a source for settings, with real time or a fake one."""
    started: list[ApiSource] = []
    has_tls = False

    def start_one(settings: ApiSettings, time: FakeTime | None = None) -> ApiSource:
        nonlocal has_tls
        has_tls |= not settings.endpoint.startswith("http://")
        timing = Timing(time.sleep, time.clock, time.uniform) if time else None
        source = ApiSource(settings, seen.on_change, seen.on_synced, registry, timing)
        source.start()
        started.append(source)
        return source

    yield start_one
    for source in started:
        await source.stop()
    if has_tls:
        await asyncio.sleep(TLS_CLOSE_SECONDS)
