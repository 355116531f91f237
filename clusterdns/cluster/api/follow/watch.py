"""One watch of a collection: reads its events from a resourceVersion on, or the whole list first, into the store.

Where the server can stream lists (WatchList, on by default since Kubernetes 1.34), the state of the collection comes as
initial events up to an annotated bookmark, and the same request goes on as the watch. `streams` opens watches and
decides which of two stays; `reflector` decides what to do when they have ended.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from contextlib import aclosing
from enum import IntEnum
from http import HTTPStatus

import msgspec

from clusterdns.cluster.api.client import MAX_LINE_BYTES, Client, CutLine
from clusterdns.cluster.api.collection import Collection
from clusterdns.cluster.api.errors import ApiError, Backwards, Garbled, Interrupted, Silent, Unstreamed, refusal_event
from clusterdns.cluster.api.follow.initial import END_ANNOTATION, InitialEvents
from clusterdns.cluster.api.follow.position import Position, number_of
from clusterdns.cluster.api.follow.retry import Timing
from clusterdns.cluster.api.follow.rhythm import BookmarkRhythm
from clusterdns.cluster.api.settings import Intervals
from clusterdns.cluster.api.store import ObjectStore
from clusterdns.cluster.decoding import WatchEvent, cut_event, read_event
from clusterdns.cluster.freshness import CollectionFreshness
from clusterdns.cluster.objects import ObjectError, ObjectKey
from clusterdns.cluster.turns import LoopTurns

_SHORTEST_GOOD_WATCH_SECONDS = 1.0
_SETTLED_WATCH_SECONDS = 30.0
# Without the feature the parameter is invalid (422); the oldest servers do not know it.
_UNSTREAMED = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)

log = logging.getLogger("clusterdns.plugin.kubernetes")


class Stage(IntEnum):
    """How far a round of requests has come. A failure at a stage is over once a later round gets past that stage."""

    LIST = 0
    WATCH = 1
    LINE = 2


class Followed(msgspec.Struct):
    """What the requests for one collection share."""

    collection: Collection
    client: Client
    store: ObjectStore
    position: Position
    rhythm: BookmarkRhythm
    freshness: CollectionFreshness
    on_passed: Callable[[Stage], None]
    intervals: Intervals
    timing: Timing
    turns: LoopTurns = msgspec.field(default_factory=LoopTurns)
    # the steps of one event are completed before another event begins
    applying: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)
    ahead: dict[ObjectKey, int] = {}  # objects that an audit has read, and the version they are as new as

    def is_ahead(self, key: ObjectKey, version: str) -> bool:
        """Return whether an audit has read the object as it is after the event of this version."""
        known = self.ahead.get(key) if self.ahead else None
        number = number_of(version)
        return known is not None and number is not None and number <= known


class Watch:
    """One request. `run` returns when the server has ended it; it raises ApiError where it fails."""

    def __init__(self, followed: Followed, *, is_list: bool = False) -> None:
        """With `is_list` the collection's state comes first."""
        self._followed = followed
        self._initial = InitialEvents(followed.store, followed.position) if is_list else None
        self._last = followed.position.newest  # of this watch's versions
        self._began = self._line_at = self._bookmark_at = followed.timing.clock()
        self._acknowledged_seconds: Callable[[], float] = lambda: math.inf
        self._listed_version = ""
        self.is_accepted = False
        self.has_lines = False

    @property
    def is_listing(self) -> bool:
        """Whether initial events are still missing."""
        return self._initial is not None

    def quiet_seconds(self) -> float:
        """Return the time since the last line, or since the start."""
        return self._followed.timing.clock() - self._line_at

    def is_doubtful(self) -> bool:
        """Return whether a bookmark is overdue."""
        return self.quiet_seconds() > self._followed.rhythm.limit_seconds

    def report_connected(self) -> None:
        """Make this watch the proof of being current; acknowledgements prove nothing while it is doubtful."""
        self._followed.freshness.connected(lambda: math.inf if self.is_doubtful() else self._acknowledged_seconds())

    async def run(self) -> None:
        """Read until the watch ends."""
        followed, timing = self._followed, self._followed.timing
        try:
            lines_of = followed.client.lines(followed.collection.path, self._params(), self._note_accepted)
            async with aclosing(lines_of) as batches:
                async for lines in batches:
                    await self.apply(lines)
        except Silent:
            log.debug("%s: no line for %g s; reconnecting", followed.collection.label, self.quiet_seconds())
        except Interrupted:
            if not self.is_listing and timing.clock() - self._began > _SETTLED_WATCH_SECONDS:
                followed.on_passed(Stage.LINE)  # the watch worked for long: not the next failure in a row
            raise
        except ApiError as error:
            if self.is_listing and not self.is_accepted and error.status in _UNSTREAMED:
                raise Unstreamed(str(error)) from error
            raise
        if self.is_listing:
            raise Interrupted("the watch ended before its initial events")
        if timing.clock() - self._began < _SHORTEST_GOOD_WATCH_SECONDS:
            raise Interrupted("the watch ended within a second")
        followed.on_passed(Stage.LINE)

    async def apply(self, lines: list[bytes]) -> None:
        """Apply complete lines. Raises ApiError where one is not an event, or reports an error."""
        followed = self._followed
        arrived_at = time.perf_counter()
        async with followed.applying:
            followed.freshness.arrived_at = arrived_at
            followed.turns.begin()
            for line in lines:
                if line.strip():
                    self.apply_event(line)
                    await followed.turns.take(followed.store.steps())
                    if self._initial is not None and self._listed_version:
                        await self._finish_list(self._initial)

    def apply_event(self, line: bytes) -> None:
        """Apply one line. Take the steps of the store afterwards."""
        followed = self._followed
        if isinstance(line, CutLine):
            self._skip(line)
            return
        try:
            event = read_event(followed.store.kind, line)
        except msgspec.MsgspecError as error:
            raise Garbled(f"a line of the watch is not a JSON event ({error})") from error
        if event.type == "ERROR":
            assert isinstance(event.object, msgspec.Raw)
            raise refusal_event(event.object)
        self._line_at = followed.timing.clock()
        self.has_lines = True
        if self._initial is not None:
            self._apply_initial(self._initial, event)
            return
        if event.type == "BOOKMARK":
            followed.rhythm.learn(self._line_at - self._bookmark_at)
            self._bookmark_at = self._line_at
        if self._is_news(event.version):
            if not followed.is_ahead(event.key, event.version):
                self._change_object(event)
            followed.position.advance(event.version)
        followed.freshness.heard(is_bookmark=event.type == "BOOKMARK")
        followed.on_passed(Stage.LINE)

    def _change_object(self, event: WatchEvent) -> None:
        if event.type in ("ADDED", "MODIFIED"):
            self._followed.store.put(event.object, is_event=True)
        elif event.type == "DELETED":
            self._followed.store.remove(event.key)

    def _skip(self, line: CutLine) -> None:
        """Pass over the event of an object that is too large; its deletion needs no more than its name."""
        store = self._followed.store
        kind, key = cut_event(line)
        if kind == "DELETED":
            store.remove(key)
            return
        if self._initial is not None:
            self._initial.keep(key)
        store.skip(ObjectError(store.kind.__name__, key, f"its event is larger than {MAX_LINE_BYTES >> 20} MiB"))

    def _params(self) -> dict[str, str]:
        followed = self._followed
        shortest = followed.intervals.shortest_watch_seconds
        params = {
            **followed.collection.selectors,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(round(followed.timing.uniform(shortest, 2 * shortest))),
        }
        if self.is_listing:
            # no resourceVersion: at least as new as etcd is when the request arrives
            return {**params, "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        return {**params, "resourceVersion": followed.position.version}

    def _note_accepted(self, acknowledged_seconds: Callable[[], float]) -> None:
        self.is_accepted = True
        self._acknowledged_seconds = acknowledged_seconds
        if not self.is_listing:
            self.report_connected()
            self._followed.on_passed(Stage.WATCH)

    def _apply_initial(self, initial: InitialEvents, event: WatchEvent) -> None:
        if event.type != "BOOKMARK":
            initial.take(event)
            return
        meta = None if isinstance(event.object, msgspec.Raw) else event.object.metadata
        if meta is None or (meta.annotations or {}).get(END_ANNOTATION) != "true":
            raise Unstreamed("the server ignores sendInitialEvents")
        if not event.version:
            raise Garbled("the bookmark that ends the initial events has no resourceVersion")
        self._listed_version = event.version

    async def _finish_list(self, initial: InitialEvents) -> None:
        """Complete the list; this request goes on as a watch."""
        followed = self._followed
        for _ in initial.finish(self._listed_version):
            await followed.turns.take(followed.store.steps())
        followed.position.advance(self._listed_version)
        self._last = followed.position.newest
        self._initial = None
        self._bookmark_at = self._line_at
        self.report_connected()
        followed.on_passed(Stage.LIST)
        followed.on_passed(Stage.WATCH)

    def _is_news(self, version: str) -> bool:
        """Return whether an event was not applied yet by the watch that this one replaces. Raises Backwards."""
        number = number_of(version)
        if number is None:
            return True
        if number < self._last:
            raise Backwards(f"the watch went back from resourceVersion {self._last} to {version}")
        is_first = number == self._last
        self._last = number
        return is_first or number > self._followed.position.newest
