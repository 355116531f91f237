"""Server-sent events: what is sent and when, how many streams there may be, and that a stream ends."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fakes.pictures import document
from plugins.dashboards import Dashboard, dashboard

from clusterdns.plugins.dashboard import events
from clusterdns.plugins.dashboard.events import EventStreams, LiveSections
from clusterdns.plugins.dashboard.views.markup import Markup
from clusterdns.plugins.dashboard.views.overview import SECTIONS


class Shown:
    """The document that a stream asks for."""

    def __init__(self) -> None:
        self.content: Mapping[str, Any] = document()
        self.looks = 0

    async def document(self) -> Mapping[str, Any]:
        self.looks += 1
        return self.content


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
async def streams(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EventStreams]:
    """Streams without a pause between two events."""
    monkeypatch.setattr(events, "PERIOD_SECONDS", 0.0)
    made = EventStreams(LiveSections(shown.document))
    yield made
    made.stop()


def names(sent: bytes) -> list[str]:
    return [line.removeprefix("event: ") for line in sent.decode().splitlines() if line.startswith("event: ")]


async def test_everything_is_sent_at_first_and_then_what_changes(streams: EventStreams, shown: Shown) -> None:
    stream = streams.stream()
    assert await anext(stream) == b"retry: 2000\n\n"
    assert names(await anext(stream)) == list(SECTIONS)
    assert await anext(stream) == b""
    shown.content = document(corefile_sha512="f" * 128)
    assert names(await anext(stream)) == ["process"]
    assert await anext(stream) == b""
    await stream.aclose()


async def test_an_event_holds_the_html_of_the_page(streams: EventStreams, shown: Shown) -> None:
    stream = streams.stream()
    await anext(stream)
    for event in (await anext(stream)).decode().strip().split("\n\n"):
        first, second = event.split("\n")
        assert second == "data: " + SECTIONS[first.removeprefix("event: ")](shown.content)
    await stream.aclose()


async def test_one_document_is_rendered_once_for_all_streams(
    streams: EventStreams, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Mapping[str, Any]] = []

    def count(content: Mapping[str, Any]) -> Markup:
        written.append(content)
        return Markup("x")

    monkeypatch.setattr(events, "SECTIONS", {"state": count})
    several = [streams.stream() for _ in range(5)]
    for _ in range(3):
        await asyncio.gather(*map(anext, several))
    assert (len(written), shown.looks) == (1, 10)
    for stream in several:
        await stream.aclose()


async def test_a_slow_reader_gets_the_latest_state_and_nothing_is_queued(streams: EventStreams, shown: Shown) -> None:
    stream = streams.stream()
    await anext(stream)
    await anext(stream)
    for number in range(100):  # meanwhile the reader takes nothing
        shown.content = document(corefile_sha512=f"{number:012}")
    sent = await anext(stream)
    assert names(sent) == ["process"]
    assert b"000000000099" in sent
    await stream.aclose()


async def test_streams_are_limited(streams: EventStreams) -> None:
    open_ones = [streams.stream() for _ in range(events.MAX_STREAMS)]
    for stream in open_ones:
        await anext(stream)
    assert streams.is_full
    assert [piece async for piece in streams.stream()] == []
    await open_ones[0].aclose()
    assert not streams.is_full
    for stream in open_ones:
        await stream.aclose()
    assert streams.open == 0


async def test_a_stream_ends_when_its_configuration_does(streams: EventStreams) -> None:
    stream = streams.stream()
    await anext(stream)
    streams.stop()
    assert len([piece async for piece in stream]) == 0
    assert streams.open == 0


async def test_a_stream_ends_after_an_hour(streams: EventStreams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STREAM_SECONDS", 0.0)
    assert [piece async for piece in streams.stream()] == [b"retry: 2000\n\n"]


async def first_events(page: Dashboard) -> tuple[int, bytes]:
    """Return the status of a new stream and what it sends at first."""
    async with page.session.get(page.url("/events")) as response:
        if response.status != 200:
            return response.status, await response.read()
        content = b""
        while b"event: shed" not in content:
            content += await response.content.readany()
        return response.status, content


async def test_streams_over_http(tmp_path: Path) -> None:
    async with dashboard(tmp_path) as page:
        async with page.session.get(page.url("/events")) as response:
            assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            assert response.headers["Cache-Control"] == "no-store"
        status, content = await first_events(page)
        assert status == 200
        assert content.startswith(b"retry: 2000\n\nevent: state\ndata: <p class=")


async def test_the_stream_too_many_gets_503_and_the_page_is_still_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_STREAMS", 2)
    async with dashboard(tmp_path) as page, page.session.get(page.url("/events")) as one:
        await one.content.readany()
        async with page.session.get(page.url("/events")) as other:
            await other.content.readany()
            refused = await page.get("/events")
            assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
            assert (await page.get("/")).status == 200


async def test_a_stream_over_http_ends_when_its_configuration_does(tmp_path: Path) -> None:
    async with dashboard(tmp_path) as page, page.session.get(page.url("/events")) as response:
        await response.content.readany()
        for part in page.instance.configuration.parts:
            if part.life.stop is not None:
                await part.life.stop()
        await response.content.read()  # to its end
