"""Server-sent events: each section of the live page as HTML, whenever it has changed (WHATWG HTML §9.2).

The sections are written once per document for all clients. A client that reads slowly gets fewer events and none twice:
what is sent is compared with what it has, so nothing is queued for it.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any

from clusterdns.plugins.dashboard.views.markup import Markup
from clusterdns.plugins.dashboard.views.overview import SECTIONS

MAX_STREAMS = 64
PERIOD_SECONDS = 1.0
STREAM_SECONDS = 3600.0  # then the browser connects again, and shows its cookie again
RETRY_MILLISECONDS = 2000
CONTENT_TYPE = "text/event-stream; charset=utf-8"


class LiveSections:
    """The HTML of the latest document, by section."""

    def __init__(self, document: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
        self._document = document
        self._writing = asyncio.Lock()
        self._written: tuple[Mapping[str, Any], dict[str, Markup]] | None = None

    async def current(self) -> dict[str, Markup]:
        """Write the sections, unless they are written: one in each turn of the event loop."""
        async with self._writing:
            document = await self._document()
            if self._written is None or self._written[0] is not document:
                written = {}
                for name, write in SECTIONS.items():
                    written[name] = write(document)
                    await asyncio.sleep(0)
                self._written = document, written
            return self._written[1]


class EventStreams:
    """The streams of one configuration."""

    def __init__(self, sections: LiveSections) -> None:
        self._sections = sections
        self._ended = asyncio.Event()
        self.open = 0

    @property
    def is_full(self) -> bool:
        """Whether no further stream may begin."""
        return self.open >= MAX_STREAMS

    def stop(self) -> None:
        """End every stream."""
        self._ended.set()

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Yield the sections that have changed, all of them at first, and then once a second; empty where none has."""
        if self.is_full:  # since the response began
            return
        self.open += 1
        loop = asyncio.get_running_loop()
        until = loop.time() + STREAM_SECONDS
        shown: dict[str, Markup] = {}
        try:
            yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
            while loop.time() < until and not self._ended.is_set():
                current = await self._sections.current()
                yield b"".join(_event(name, html) for name, html in current.items() if shown.get(name) != html)
                shown = current
                await self._period()
        finally:
            self.open -= 1

    async def _period(self) -> None:
        try:
            async with asyncio.timeout(PERIOD_SECONDS):
                await self._ended.wait()
        except TimeoutError:
            return


def _event(name: str, html: str) -> bytes:
    """Write an event; the HTML has no line breaks, because texts in it are escaped."""
    return f"event: {name}\ndata: {html}\n\n".encode(errors="replace")
