"""Reads one collection's changes from a resourceVersion on, and applies each event to the store.

`reflector` decides when to watch and what to do when a watch ends; `client` makes the request.
"""

import logging
from collections.abc import Callable
from contextlib import aclosing
from enum import IntEnum

import msgspec

from clusterdns.cluster.api.client import Client
from clusterdns.cluster.api.collection import Collection
from clusterdns.cluster.api.errors import Garbled, Interrupted, Silent, refusal_event
from clusterdns.cluster.api.follow.retry import Timing
from clusterdns.cluster.api.follow.turns import StoreTurns
from clusterdns.cluster.api.settings import Intervals
from clusterdns.cluster.api.store import ObjectStore
from clusterdns.cluster.decoding import read_event
from clusterdns.cluster.freshness import CollectionFreshness

_SHORTEST_GOOD_WATCH_SECONDS = 1.0
_SETTLED_WATCH_SECONDS = 30.0

log = logging.getLogger("clusterdns.plugin.kubernetes")


class Stage(IntEnum):
    """How far a round of requests has come. A failure at a stage is over once a later round gets past that stage."""

    LIST = 0
    WATCH = 1
    LINE = 2


class Watch:
    """The watch of one collection. `read` follows it until it ends; `version` is where the next one resumes."""

    def __init__(
        self,
        collection: Collection,
        client: Client,
        store: ObjectStore,
        freshness: CollectionFreshness,
        on_passed: Callable[[Stage], None],
        intervals: Intervals,
        timing: Timing,
    ) -> None:
        self.version = ""  # the resourceVersion to resume from; empty: list first
        self._collection = collection
        self._client = client
        self._store = store
        self._turns = StoreTurns(store)
        self._freshness = freshness
        self._on_passed = on_passed
        self._intervals = intervals
        self._timing = timing

    async def read(self) -> None:
        """Watch from the last resourceVersion until the watch ends. Raises ApiError where it fails."""
        intervals, timing = self._intervals, self._timing
        shortest = intervals.shortest_watch_seconds
        params = {
            **self._collection.selectors,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self.version,
            "timeoutSeconds": str(round(timing.uniform(shortest, 2 * shortest))),
        }
        began = timing.clock()
        try:
            lines_of = self._client.lines(self._collection.path, params, self._freshness.connected)
            async with aclosing(lines_of) as batches:
                async for lines in batches:
                    self._on_passed(Stage.WATCH)
                    await self.apply(lines)
        except Silent:
            log.debug("%s: no event for %g s; reconnecting", self._collection.label, intervals.silence_seconds)
        except Interrupted:
            if timing.clock() - began > _SETTLED_WATCH_SECONDS:
                self._on_passed(Stage.LINE)  # the watch worked for long: not the next failure in a row
            raise
        finally:
            self._freshness.disconnected()
        if timing.clock() - began < _SHORTEST_GOOD_WATCH_SECONDS:
            raise Interrupted("the watch ended within a second")
        self._on_passed(Stage.LINE)

    async def apply(self, lines: list[bytes]) -> None:
        """Apply complete lines. Raises ApiError where one is not an event, or reports an error."""
        self._turns.begin()
        for line in lines:
            if line.strip():
                self.apply_event(line)
                await self._turns.complete()
                self._on_passed(Stage.LINE)

    def apply_event(self, line: bytes) -> None:
        """Apply one line. Call `StoreTurns.complete` afterwards."""
        try:
            event = read_event(self._store.kind, line)
        except msgspec.MsgspecError as error:
            raise Garbled(f"a line of the watch is not a JSON event ({error})") from error
        if event.type == "ERROR":
            assert isinstance(event.object, msgspec.Raw)
            raise refusal_event(event.object)
        if event.type in ("ADDED", "MODIFIED"):
            self._store.put(event.object)
        elif event.type == "DELETED":
            self._store.remove(event.key)
        self.version = event.version or self.version  # a BOOKMARK carries nothing else
        self._freshness.heard(is_bookmark=event.type == "BOOKMARK")
