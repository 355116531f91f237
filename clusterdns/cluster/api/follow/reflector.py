"""Follows one collection of the API server: decides which request comes next, and when.

A watch that ends is resumed from the last resourceVersion. After 410 Gone, after a line that is not JSON, or when the
server refuses to resume several times, the reflector relists and applies only the differences: with a watch that
streams the list, or page by page. `watch` and `listing` make the requests, `streams` replaces doubtful watches, `retry`
has the rules of trying again, `status` logs failures.
"""

import logging
from collections.abc import Callable
from http import HTTPStatus

from clusterdns.cluster.api.client import Client
from clusterdns.cluster.api.collection import Collection
from clusterdns.cluster.api.errors import ApiError, Unstreamed
from clusterdns.cluster.api.follow.listing import PagedList
from clusterdns.cluster.api.follow.position import Position
from clusterdns.cluster.api.follow.retry import RetryPolicy, RetryQueue, Timing
from clusterdns.cluster.api.follow.rhythm import BookmarkRhythm
from clusterdns.cluster.api.follow.streams import Streams
from clusterdns.cluster.api.follow.watch import Followed, Stage, Watch
from clusterdns.cluster.api.settings import Intervals
from clusterdns.cluster.api.status import ApiStatus
from clusterdns.cluster.api.store import ObjectStore
from clusterdns.cluster.freshness import CollectionFreshness
from clusterdns.telemetry.metrics import Registry

_NO_STATUS = 600  # an ERROR event may have any number
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
        queue: RetryQueue,
        page_limit: int,
        intervals: Intervals,
        timing: Timing,
    ) -> None:
        self.collection = collection
        self.store = store
        self.freshness = freshness
        self.is_refused = False  # whether the server does not serve the collection, or not to us
        self.position = Position(collection.label, timing.clock)
        self.followed = Followed(
            collection, client, store, self.position, BookmarkRhythm(intervals.bookmark_seconds), freshness,
            self._note_passed, intervals, timing,
        )  # fmt: skip
        self._client = client
        self._list = PagedList(self.followed, page_limit)
        self._streams = Streams(self.followed, queue.wake, self._note_not_replaced)
        self._status = status
        self._on_progress = on_progress
        self._queue = queue
        self._retry = RetryPolicy(intervals, timing, queue)
        self._needs_pages = False  # since a streamed list failed, until a watch works or pages fail
        self._requests = 0  # of the present round
        self._fault = ""  # the last internal error
        self._forbidden = ""  # how the server has forbidden the collection, since it last worked
        self._stage = self._failed_at = Stage.LIST
        self._has_failed = False  # and has not got past that stage since
        self._relists = registry.counter(
            "clusterdns_relists_total", "Lists read again because a watch could not go on.", "kind", "cause"
        )
        self._failures = registry.counter(
            "clusterdns_watch_failures_total", "Lists and watches that failed or broke off.", "kind", "cause"
        )

    async def run(self) -> None:
        """Follow the collection until cancelled."""
        while True:
            try:
                await self._round()
            except Unstreamed as error:
                log.debug("%s: %s; reading the list in pages", self.collection.label, error)
                self._client.note_unstreamed(self.collection.path)
            except ApiError as error:
                await self._recover(error)
            except Exception as error:  # an internal error must not end the stream of changes
                fault = f"internal error: {error!r}"
                if fault != self._fault:  # the traceback is logged once, not at every retry
                    log.exception("%s: failed to apply what the API server sent", self.collection.label)
                self._fault = fault
                self.position.version = ""
                await self._recover(ApiError(fault))

    async def _round(self) -> None:
        """Read the list where that is needed, and watch until the watch ends. Raises ApiError."""
        self._requests = 1
        is_list = not self.position.version
        self._stage = Stage.LIST if is_list else Stage.WATCH
        if is_list and (self._needs_pages or not self._client.streams_lists(self.collection.path)):
            self._requests += await self._read_pages()
            is_list = False
        watch = Watch(self.followed, is_list=is_list)
        try:
            await self._streams.follow(watch)
        except ApiError:
            if watch.is_listing:
                self._needs_pages = True
                # pages that follow do not show that such a watch works again
                self._stage = Stage.LINE if watch.is_accepted else Stage.WATCH
            raise

    async def _read_pages(self) -> int:
        try:
            requests = await self._list.read()
        except ApiError:
            self._needs_pages = False  # a right to watch is enough for a streamed list
            raise
        self._note_passed(Stage.LIST)
        return requests

    def _note_passed(self, stage: Stage) -> None:
        """Record that the present round got past a stage."""
        if stage == Stage.LIST:
            self.is_refused = False
            self.followed.ahead.clear()
            self._retry.note_listed()
            self.freshness.proved()
            self._on_progress()
        elif stage == Stage.LINE:
            self._retry.note_worked()
            self._needs_pages = False
        self._stage = Stage(min(stage + 1, Stage.LINE))
        if self._has_failed and stage >= self._failed_at:
            self._has_failed = False
            self._forbidden = ""
            self._queue.note_recovered()
            self._status.works(self.collection.label)

    def _note_not_replaced(self, error: ApiError) -> None:
        """Report that a watch without bookmarks could not be replaced; it is still read."""
        self._has_failed = True
        self._failed_at = Stage.WATCH
        self._count_failure(error)
        self._status.broken(self.collection.label, str(error))

    def _count_failure(self, error: ApiError) -> None:
        cause = str(error.status) if HTTPStatus.CONTINUE <= error.status < _NO_STATUS else error.cause
        self._failures.labels(self.store.kind.__name__, cause).value += 1

    async def _recover(self, error: ApiError) -> None:
        """Log the failure where it is new, decide between resuming and relisting, and wait before the next attempt."""
        self._retry.note_failed(error)
        self._count_failure(error)
        if self.collection.unserved and error.status in _UNSERVED:
            if error.status == HTTPStatus.NOT_FOUND:
                error = ApiError(self.collection.unserved, error.status)
            self.is_refused = True
            self._on_progress()
        if error.status == HTTPStatus.FORBIDDEN:
            # streams and pages are tried in turn, and forbidden in different words: one outage has one reason
            self._forbidden = self._forbidden or f"{error}; {self.collection.rule}"
            error = ApiError(self._forbidden, error.status)
        cause = self._retry.relist_cause(error)
        if self.position.version and cause:
            self.position.version = ""
            self._relists.labels(self.store.kind.__name__, cause).value += 1
        self._failed_at = self._stage
        self._has_failed = True
        if self._retry.is_unusual(error):
            self._status.broken(self.collection.label, str(error))
        await self._retry.wait(error, self._requests, is_unserved=self.is_refused)
