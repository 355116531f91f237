"""Fixtures for the API source: the objects it reported, a fake clock, and sources that are stopped at the end."""

from collections.abc import AsyncIterator, Callable

import pytest
from fakes.seen import Seen
from fakes.time import FakeTime

from clusterdns.cluster.api.follow.retry import Timing
from clusterdns.cluster.api.settings import ApiSettings
from clusterdns.cluster.api.source import ApiSource
from clusterdns.telemetry.metrics import Registry
from testing.fake_apiserver import FakeApiServer, serving
from testing.waiting import until_closed

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

    def start_one(settings: ApiSettings, time: FakeTime | None = None) -> ApiSource:
        timing = Timing(time.sleep, time.clock, time.uniform) if time else None
        source = ApiSource(settings, seen.on_change, seen.on_synced, registry, timing)
        source.start()
        started.append(source)
        return source

    yield start_one
    for source in started:
        url = source._client.server
        await source.stop()
        await until_closed(url)
