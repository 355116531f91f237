"""Follows one collection of the API server: list, watch, resume, and relist where resuming is not enough.

A watch that ends is resumed from the last resourceVersion. After 410 Gone, after a line that is not JSON, or when the
server refuses to resume several times, the reflector relists and applies only the differences, so no name is missing
for a moment. `client` makes the requests, `store` keeps the objects, `status` logs failures; this module decides which
request comes next, and when.
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
from clusterdns.cluster.api.status import ApiStatus
from clusterdns.cluster.api.store import ObjectStore
from clusterdns.cluster.decoding import read_event
from clusterdns.cluster.freshness import CollectionFreshness
from clusterdns.cluster.objects import ObjectKey
from clusterdns.telemetry.metrics import Registry

MAX_TURN_SECONDS = 0.001  # of decoding, before other tasks run: the listeners, and two or three more reflectors
_REFUSALS_BEFORE_RELIST = 3
_FAILURES_BEFORE_LOG = 3
_SHORTEST_GOOD_WATCH_SECONDS = 1.0
_SETTLED_WATCH_SECONDS = 30.0
_LAST_UNSERVED_RETRY_SECONDS = 30.0
_UNSERVED = (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN)
_NOT_FIXED_BY_RELIST = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)

log = logging.getLogger("clusterdns.plugin.kubernetes")


class Collection(NamedTuple):
    """A resource to list and watch, cluster-wide or in one namespace: its path, its selectors, and a label for logs.

    `unserved` is the message for an API server that does not serve the collection, for which the start does not wait.
    """

    label: str
    path: str
    selectors: dict[str, str]
    unserved: str = ""


@dataclass(frozen=True)
class Timing:
    """The clock, sleep and random numbers."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    uniform: Callable[[float, float], float] = random.uniform


class Garbled(ApiError):
    """A watch with a line that is not an event."""


class _Stage(IntEnum):
    """How far a round has come. A failure at a stage is over once a later round gets past that stage."""

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


_page_decoder = msgspec.json.Decoder(_Page)


class Reflector:
    """Keeps a store equal to a collection of the API server: `run` in a task of its own, until that is cancelled."""

    def __init__(
        self,
        collection: Collection,
        client: Client,
        store: ObjectStore,
        status: ApiStatus,
        registry: Registry,
        on_progress: Callable[[], None],
        freshness: CollectionFreshness,
        *,
        page_limit: int,
        intervals: Intervals,
        timing: Timing,
    ) -> None:
        self.collection = collection
        self.store = store
        self.freshness = freshness
        self.is_refused = False  # whether the server does not serve the collection, or not to us
        self._client = client
        self._status = status
        self._on_progress = on_progress
        self._page_limit = page_limit
        self._intervals = intervals
        self._timing = timing
        self._version = ""  # the resourceVersion to resume from; empty: list first
        self._failures = 0  # in a row, of any kind
        self._refusals = 0  # in a row, with a status from the server
        self._fault = ""  # the last internal error
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
                await self._watch()
            except ApiError as error:
                await self._recover(error)
            except Exception as error:  # an internal error must not end the stream of changes
                fault = f"internal error: {error!r}"
                if fault != self._fault:  # the traceback is logged once, not at every retry
                    log.exception("%s: failed to apply what the API server sent", self.collection.label)
                self._fault = fault
                self._version = ""
                await self._recover(ApiError(fault))

    async def _list(self) -> None:
        self._stage = _Stage.LIST
        listed: set[ObjectKey] = set()
        rest: str | None = ""
        version = ""
        while rest is not None:
            params = {**self.collection.selectors, "limit": str(self._page_limit)}
            if rest:
                params["continue"] = rest
            rest, version = await self._apply_page(await self._client.page(self.collection.path, params), listed)
        for key in self.store.missing_from(listed):
            self.store.remove(key)
            await self._take_steps()
        self._version = version
        self._refusals = 0
        self.is_refused = False
        self._note_passed(_Stage.LIST)
        self.freshness.proved()
        self._on_progress()

    async def _apply_page(self, body: bytes, listed: set[ObjectKey]) -> tuple[str | None, str]:
        """Apply one page. Returns the token of the next one (None after the last) and the list's resourceVersion."""
        page = _read_page(body)  # some 2 ms for 500 large slices
        await asyncio.sleep(0)
        self._turn_began = time.perf_counter()
        for raw in page.items or ():
            key = self.store.put(raw)
            if key is not None:
                listed.add(key)
            await self._take_steps()
        meta = page.metadata or _ListMeta()
        if not meta.resource_version:
            raise ApiError("the API server sent a list without a resourceVersion")
        return meta.rest or None, meta.resource_version

    async def _watch(self) -> None:
        """Watch from the last resourceVersion until the watch ends."""
        intervals, timing = self._intervals, self._timing
        shortest = intervals.shortest_watch_seconds
        params = {
            **self.collection.selectors,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(round(timing.uniform(shortest, 2 * shortest))),
        }
        self._stage = _Stage.WATCH
        began = timing.clock()
        try:
            lines_of = self._client.lines(self.collection.path, params, self.freshness.connected)
            async with aclosing(lines_of) as batches:
                async for lines in batches:
                    self._note_passed(_Stage.WATCH)
                    self._stage = _Stage.LINE
                    await self._apply_lines(lines)
        except Silent:
            log.debug("%s: no event for %g s; reconnecting", self.collection.label, intervals.silence_seconds)
        except Interrupted:
            if timing.clock() - began > _SETTLED_WATCH_SECONDS:
                self._failures = 0  # the watch worked for long: not the next failure in a row
            raise
        finally:
            self.freshness.disconnected()
        if timing.clock() - began < _SHORTEST_GOOD_WATCH_SECONDS:
            raise Interrupted("the watch ended within a second")
        self._failures = self._refusals = 0
        self._note_passed(_Stage.LINE)

    async def _apply_lines(self, lines: list[bytes]) -> None:
        self._turn_began = time.perf_counter()
        for line in lines:
            if line.strip():
                self._apply_event(line)
                await self._take_steps()
                self._failures = self._refusals = 0
                self._note_passed(_Stage.LINE)

    def _apply_event(self, line: bytes) -> None:
        try:
            event = read_event(self.store.kind, line)
        except msgspec.MsgspecError as error:
            raise Garbled(f"a line of the watch is not a JSON event ({error})") from error
        if event.type == "ERROR":
            assert isinstance(event.object, msgspec.Raw)
            raise refusal_event(event.object)
        if event.type in ("ADDED", "MODIFIED"):
            self.store.put(event.object)
        elif event.type == "DELETED":
            self.store.remove(event.key)
        self._version = event.version or self._version  # a BOOKMARK carries nothing else
        self.freshness.heard(is_bookmark=event.type == "BOOKMARK")

    def _note_passed(self, stage: _Stage) -> None:
        if stage >= self._failed_at:
            self._status.works(self.collection.label)

    async def _recover(self, error: ApiError) -> None:
        """Log the failure where it is new, decide between resuming and relisting, and wait before the next attempt."""
        self._failures += 1
        if self.collection.unserved and error.status in _UNSERVED:
            if error.status == HTTPStatus.NOT_FOUND:
                error = ApiError(self.collection.unserved, error.status)
            self.is_refused = True
            self._on_progress()
        if error.status and error.status not in _NOT_FIXED_BY_RELIST:
            self._refusals += 1
        cause = self._relist_cause(error)
        if self._version and cause:
            self._version = ""
            self._relists.labels(self.store.kind.__name__, cause).value += 1
        self._failed_at = self._stage
        # A watch that breaks and can be resumed is normal, and so is 410 Gone.
        is_unusual = not isinstance(error, Interrupted | Expired) or self._failures >= _FAILURES_BEFORE_LOG
        if is_unusual:
            self._status.broken(self.collection.label, str(error))
        await self._timing.sleep(self._delay_seconds(error))

    def _relist_cause(self, error: ApiError) -> str:
        """Return why the watch cannot be resumed, as the metric has it; empty where it can."""
        if isinstance(error, Expired):
            return "expired"
        if isinstance(error, Garbled):
            return "garbled"
        return "refused" if self._refusals >= _REFUSALS_BEFORE_RELIST else ""

    def _delay_seconds(self, error: ApiError) -> float:
        """Exponential back-off with full jitter, or the server's Retry-After where that is longer, within one bound."""
        first, last = self._intervals.first_retry_seconds, self._intervals.last_retry_seconds
        if self.is_refused:
            last = _LAST_UNSERVED_RETRY_SECONDS
        jitter = self._timing.uniform(0.0, min(last, first * 2.0 ** min(self._failures - 1, 30)))
        return max(jitter, min(error.retry_after_seconds, last))

    async def _take_steps(self) -> None:
        """Complete the change of an object, and let other tasks run where it takes long."""
        await self._yield_to_loop()
        for _ in self.store.steps():
            await self._yield_to_loop()

    async def _yield_to_loop(self) -> None:
        """Let other tasks run after MAX_TURN_SECONDS of work."""
        if time.perf_counter() - self._turn_began > MAX_TURN_SECONDS:
            await asyncio.sleep(0)
            self._turn_began = time.perf_counter()


def _read_page(body: bytes) -> _Page:
    if is_html(body):
        raise ApiError("HTML instead of JSON; check that this is an API server")
    try:
        page = _page_decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise ApiError(f"the response is not a list in JSON: {error}") from error
    if not page.kind.endswith("List"):
        raise ApiError(f"the response is not a list but {page.kind[:40] or 'an object without a kind'}")
    return page
