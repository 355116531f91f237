"""Following a collection whose objects or pages are huge: memory is bounded, and the rest is served."""

import contextlib

import pytest
from aiohttp import web
from cluster.api.followed import NEW, OLD, Start, api_settings, ip_of
from fakes.seen import Seen
from fakes.time import FakeTime

from clusterdns.cluster.objects import Service
from clusterdns.telemetry.metrics import Registry
from testing import fake_apiserver as faked
from testing.fake_apiserver import SERVICES, FakeApiServer, error, event, page, service


async def test_an_event_of_a_huge_object_is_skipped_and_its_deletion_is_not(
    fake: FakeApiServer,
    seen: Seen,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    registry: Registry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("clusterdns.cluster.api.client.MAX_LINE_BYTES", 10_000)
    bulk = {"text": "x" * 20_000}
    fake.script(SERVICES, page(service("web", OLD), service("huge")))
    lines = [
        event("MODIFIED", service("web", NEW, annotations=bulk)),
        event("ADDED", service("more")),
        event("DELETED", service("huge", annotations=bulk)),
    ]
    text = b"".join(lines)
    fake.script(SERVICES, fake.stream(text[:9_000], text[9_000:25_000], text[25_000:]))
    start(api_settings(fake))
    await seen.until_names(Service, "web", "more")
    assert ip_of(seen, "web") == OLD
    assert registry.counter("clusterdns_objects_skipped_total", "", "kind").labels("Service").value == 1
    assert "Service prod/web: its event is larger than" in caplog.text


async def test_a_huge_object_of_a_streamed_list_keeps_its_last_good_state(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterdns.cluster.api.client.MAX_LINE_BYTES", 10_000)
    fake.streams_lists = True
    fake.script(
        SERVICES, fake.stream(event("ADDED", service("web")), faked.initial_events_end(), error(410, "Expired"))
    )
    huge = event("ADDED", service("web", NEW, annotations={"text": "x" * 20_000}))
    fake.script(SERVICES, fake.stream(huge, event("ADDED", service("more")), faked.initial_events_end()))
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, "web", "more")
    assert ip_of(seen, "web") == OLD


async def test_a_page_that_is_too_large_is_read_in_smaller_ones(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterdns.cluster.api.client.MAX_PAGE_BYTES", 2_000)
    names = [f"s{number:02}" for number in range(30)]
    fake.lists[SERVICES] = [service(name) for name in names]
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, *names)
    limits = [int(one.query["limit"]) for one in fake.asked(SERVICES, watch=False)]
    assert limits[:3] == [50, 6, 12]


async def test_pages_grow_to_about_the_size_that_is_decoded_in_one_piece(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterdns.cluster.api.follow.listing._PAGE_BYTES", 30_000)
    names = [f"s{number:04}" for number in range(700)]
    fake.lists[SERVICES] = [service(name) for name in names]
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, *names)
    limits = [int(one.query["limit"]) for one in fake.asked(SERVICES, watch=False)]
    assert limits[:2] == [50, 100]
    assert 100 < limits[2] < 200, "as many as have some 30,000 bytes"
    assert len(set(limits[2:])) < 4


async def test_a_page_without_an_end_takes_a_bounded_amount_of_memory(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterdns.cluster.api.client.MAX_PAGE_BYTES", 100_000)
    sent = 0

    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"content-type": "application/json"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b" " * 10_000)
                sent += 10_000
        return response

    fake.script(SERVICES, *[endless] * 4, page(service("web")))
    source = start(api_settings(fake), fake_time)
    await seen.until_names(Service, "web")
    await seen.until(lambda: source.synced)
    assert sent < 100 << 20
