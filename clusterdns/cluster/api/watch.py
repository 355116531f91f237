"""One kind of object in one place, followed for ever: list, watch, resume, list again where that is not enough.

A watch is resumed where it ended. After 410, after bytes that are no JSON, or where the server keeps refusing to
resume, the list is read again and only the differences are applied, so nothing is ever briefly empty. `client` speaks
to the server, `store` keeps the objects, `status` hears how it goes; here it is decided what comes next, and when.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus
from typing import NamedTuple

import msgspec

from clusterdns.cluster.api.client import ApiError, Client, Expired, Interrupted, Silent, is_html, refusal_event
from clusterdns.cluster.api.settings import Intervals
from clusterdns.cluster.api.status import Status
from clusterdns.cluster.api.store import Key, Store, read_meta
from clusterdns.telemetry.metrics import Registry

MAX_TURN_SECONDS = 0.001  # of decoding before other tasks get their turn: the listeners, and two or three more watches
_REFUSALS_BEFORE_LIST = 3
_FAILURES_BEFORE_NEWS = 3
_SHORTEST_GOOD_WATCH_SECONDS = 1.0
_SETTLED_WATCH_SECONDS = 30.0
_LAST_UNSERVED_RETRY_SECONDS = 30.0
_UNSERVED = (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN)
_NOT_CURED_BY_A_LIST = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)

log = logging.getLogger("clusterdns.plugin.kubernetes")


class Place(NamedTuple):
    """What one watch reads: a collection's path, the selectors in its query, and what to call it in a log line.

    `unserved` says what it means that the API server knows no such collection; such a place is not waited for.
    """

    label: str
    path: str
    selectors: dict[str, str]
    unserved: str = ""


@dataclass(frozen=True)
class Timing:
    """Time and chance, which tests replace."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    uniform: Callable[[float, float], float] = random.uniform


class Garbled(ApiError):
    """A watch whose lines are no events."""


class _Stage(IntEnum):
    """How far a round has come. A failure at one stage is cured by getting past it, not by what comes before it."""

    LIST = 0
    WATCH = 1
    LINE = 2


class _ListMeta(msgspec.Struct, gc=False, rename={"resource_version": "resourceVersion", "rest": "continue"}):
    resource_version: str | None = None
    rest: str | None = None


class _Page(msgspec.Struct, gc=False):
    kind: str = ""
    metadata: _ListMeta | None = None
    items: list[msgspec.Raw] | None = None


class _Event(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


_page_decoder = msgspec.json.Decoder(_Page)
_event_decoder = msgspec.json.Decoder(_Event)


class Watch:
    """Keeps a store equal to what the API server has. Run it in a task of its own; cancel that to end it."""

    def __init__(
        self,
        place: Place,
        client: Client,
        store: Store,
        status: Status,
        registry: Registry,
        on_progress: Callable[[], None],
        *,
        page_limit: int,
        intervals: Intervals,
        timing: Timing,
    ) -> None:
        self.place = place
        self.store = store
        self.listed = False  # whether the list was read in full at least once
        self.refused = False  # whether the server does not serve the place, or not to us
        self._client = client
        self._status = status
        self._on_progress = on_progress
        self._page_limit = page_limit
        self._intervals = intervals
        self._timing = timing
        self._version = ""  # where to resume; empty: list first
        self._failures = 0  # in a row, of any sort
        self._refusals = 0  # in a row, said by the server itself
        self._fault = ""  # of ours, the last one
        self._stage = _Stage.LIST
        self._failed_at = _Stage.LIST
        self._turn_began = 0.0
        self._relists = registry.counter(
            "clusterdns_relists_total", "Lists read again because a watch could not go on.", "kind", "cause"
        )

    async def run(self) -> None:
        """Follow the collection until cancelled."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._follow()
            except ApiError as error:
                await self._recover(error)
            except Exception as error:  # a fault of ours must not end the stream of changes
                fault = f"internal error: {error!r}"
                if fault != self._fault:  # its trace is told once, not at every retry
                    log.exception("%s: failed to apply what the API server sent", self.place.label)
                self._fault = fault
                self._version = ""
                await self._recover(ApiError(fault))

    async def _list(self) -> None:
        self._stage = _Stage.LIST
        seen: set[Key] = set()
        rest: str | None = ""
        version = ""
        while rest is not None:
            params = {**self.place.selectors, "limit": str(self._page_limit)}
            if rest:
                params["continue"] = rest
            rest, version = await self._take(await self._client.page(self.place.path, params), seen)
        for key in self.store.missing_from(seen):
            self.store.remove(key)
            await self._give_turn()
        self._version = version
        self._refusals = 0
        self.refused = False
        self._passed(_Stage.LIST)
        if not self.listed:
            self.listed = True
            self._on_progress()

    async def _take(self, body: bytes, seen: set[Key]) -> tuple[str | None, str]:
        """Apply one page. Returns where the next one starts, None after the last, and the list's version."""
        page = _read_page(body)  # some 2 ms for 500 large slices: a turn of its own
        await asyncio.sleep(0)
        self._turn_began = time.perf_counter()
        for raw in page.items or ():
            key = self.store.put(raw)
            if key is not None:
                seen.add(key)
            await self._give_turn()
        meta = page.metadata or _ListMeta()
        if not meta.resource_version:
            raise ApiError("the API server sent a list without a resourceVersion")
        return meta.rest or None, meta.resource_version

    async def _follow(self) -> None:
        """One watch, from the version last seen to its end."""
        intervals, timing = self._intervals, self._timing
        shortest = intervals.shortest_watch_seconds
        params = {
            **self.place.selectors,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(round(timing.uniform(shortest, 2 * shortest))),
        }
        self._stage = _Stage.WATCH
        began = timing.clock()
        try:
            async with aclosing(self._client.lines(self.place.path, params)) as batches:
                async for lines in batches:
                    self._passed(_Stage.WATCH)
                    self._stage = _Stage.LINE
                    await self._apply(lines)
        except Silent:
            log.debug("%s: nothing for %g s, watching again", self.place.label, intervals.silence_seconds)
        except Interrupted:
            if timing.clock() - began > _SETTLED_WATCH_SECONDS:
                self._failures = 0  # a fault of its own, not the next in a row
            raise
        if timing.clock() - began < _SHORTEST_GOOD_WATCH_SECONDS:
            raise Interrupted("the watch ended as soon as it began")
        self._failures = self._refusals = 0
        self._passed(_Stage.LINE)

    async def _apply(self, lines: list[bytes]) -> None:
        self._turn_began = time.perf_counter()
        for line in lines:
            if line.strip():
                self._apply_event(line)
                self._failures = self._refusals = 0
                self._passed(_Stage.LINE)
            await self._give_turn()

    def _apply_event(self, line: bytes) -> None:
        try:
            event = _event_decoder.decode(line)
        except msgspec.MsgspecError as error:
            raise Garbled(f"a watch line is no event of JSON ({error})") from error
        if event.type == "ERROR":
            raise refusal_event(event.object)
        meta = read_meta(event.object)
        if event.type in ("ADDED", "MODIFIED"):
            self.store.put(event.object)
        elif event.type == "DELETED" and meta.name:
            self.store.remove((meta.namespace or "", meta.name))
        self._version = meta.resource_version or self._version  # a BOOKMARK is nothing but this

    def _passed(self, stage: _Stage) -> None:
        if stage >= self._failed_at:
            self._status.works(self.place.label)

    async def _recover(self, error: ApiError) -> None:
        """Say what is wrong where that is news, decide whether to resume or to list, and wait."""
        self._failures += 1
        if self.place.unserved and error.status in _UNSERVED:
            if error.status == HTTPStatus.NOT_FOUND:
                error = ApiError(self.place.unserved, error.status)
            self.refused = True
            self._on_progress()
        if error.status and error.status not in _NOT_CURED_BY_A_LIST:
            self._refusals += 1
        cause = self._cause_to_list(error)
        if self._version and cause:
            self._version = ""
            self._relists.labels(self.store.kind.__name__, cause).value += 1
        self._failed_at = self._stage
        # A watch that breaks and can be resumed is daily life, and so is 410.
        is_news = not isinstance(error, Interrupted | Expired) or self._failures >= _FAILURES_BEFORE_NEWS
        if is_news:
            self._status.broken(self.place.label, str(error))
        await self._timing.sleep(self._delay_seconds(error))

    def _cause_to_list(self, error: ApiError) -> str:
        if isinstance(error, Expired):
            return "expired"
        if isinstance(error, Garbled):
            return "garbled"
        return "refused" if self._refusals >= _REFUSALS_BEFORE_LIST else ""

    def _delay_seconds(self, error: ApiError) -> float:
        """Exponential back-off with full jitter; longer where the server asks for it, within the same bound."""
        first, last = self._intervals.first_retry_seconds, self._intervals.last_retry_seconds
        if self.refused:
            last = _LAST_UNSERVED_RETRY_SECONDS
        jitter = self._timing.uniform(0.0, min(last, first * 2.0 ** min(self._failures - 1, 30)))
        return max(jitter, min(error.retry_after_seconds, last))

    async def _give_turn(self) -> None:
        if time.perf_counter() - self._turn_began > MAX_TURN_SECONDS:
            await asyncio.sleep(0)
            self._turn_began = time.perf_counter()


def _read_page(body: bytes) -> _Page:
    if is_html(body):
        raise ApiError("HTML instead of JSON: is this an API server?")
    try:
        page = _page_decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise ApiError(f"the answer is not JSON of a list: {error}") from error
    if not page.kind.endswith("List"):
        raise ApiError(f"the answer is no list of objects but {page.kind[:40] or 'something without a kind'}")
    return page
