"""Follows one collection of the API server: decides which request comes next, and when.

A watch that ends is resumed from the last resourceVersion. After 410 Gone, after a line that is not JSON, or when the
server refuses to resume several times, the reflector relists and applies only the differences. `listing` and `watch`
make the requests, `retry` has the rules of trying again, `status` logs failures.
"""

import logging
from collections.abc import Callable
from http import HTTPStatus

from clusterdns.cluster.api.client import Client
from clusterdns.cluster.api.collection import Collection
from clusterdns.cluster.api.errors import ApiError
from clusterdns.cluster.api.follow.listing import PagedList
from clusterdns.cluster.api.follow.retry import RetryPolicy, Timing
from clusterdns.cluster.api.follow.watch import Stage, Watch
from clusterdns.cluster.api.settings import Intervals
from clusterdns.cluster.api.status import ApiStatus
from clusterdns.cluster.api.store import ObjectStore
from clusterdns.cluster.freshness import CollectionFreshness
from clusterdns.telemetry.metrics import Registry

_UNSERVED = (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN)

log = logging.getLogger("clusterdns.plugin.kubernetes")


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
        self.list = PagedList(collection, client, store, page_limit)
        self.watch = Watch(collection, client, store, freshness, self._note_passed, intervals, timing)
        self._status = status
        self._on_progress = on_progress
        self._timing = timing
        self._retry = RetryPolicy(intervals, timing)
        self._fault = ""  # the last internal error
        self._stage = self._failed_at = Stage.LIST
        self._relists = registry.counter(
            "clusterdns_relists_total", "Lists read again because a watch could not go on.", "kind", "cause"
        )

    async def run(self) -> None:
        """Follow the collection until cancelled."""
        while True:
            try:
                if not self.watch.version:
                    await self._read_list()
                self._stage = Stage.WATCH
                await self.watch.read()
            except ApiError as error:
                await self._recover(error)
            except Exception as error:  # an internal error must not end the stream of changes
                fault = f"internal error: {error!r}"
                if fault != self._fault:  # the traceback is logged once, not at every retry
                    log.exception("%s: failed to apply what the API server sent", self.collection.label)
                self._fault = fault
                self.watch.version = ""
                await self._recover(ApiError(fault))

    async def _read_list(self) -> None:
        self._stage = Stage.LIST
        self.watch.version = await self.list.read()
        self.is_refused = False
        self._retry.note_listed()
        self._note_passed(Stage.LIST)
        self.freshness.proved()
        self._on_progress()

    def _note_passed(self, stage: Stage) -> None:
        """Record that the present round got past a stage."""
        if stage == Stage.LINE:
            self._retry.note_worked()
        self._stage = Stage(min(stage + 1, Stage.LINE))
        if stage >= self._failed_at:
            self._status.works(self.collection.label)

    async def _recover(self, error: ApiError) -> None:
        """Log the failure where it is new, decide between resuming and relisting, and wait before the next attempt."""
        self._retry.note_failed(error)
        if self.collection.unserved and error.status in _UNSERVED:
            if error.status == HTTPStatus.NOT_FOUND:
                error = ApiError(self.collection.unserved, error.status)
            self.is_refused = True
            self._on_progress()
        cause = self._retry.relist_cause(error)
        if self.watch.version and cause:
            self.watch.version = ""
            self._relists.labels(self.store.kind.__name__, cause).value += 1
        self._failed_at = self._stage
        if self._retry.is_unusual(error):
            self._status.broken(self.collection.label, str(error))
        await self._timing.sleep(self._retry.delay_seconds(error, is_unserved=self.is_refused))
