"""The API source: reports every change to the Services, EndpointSlices, Namespaces and Pods of a cluster.

A `Reflector` follows each of its collections (`collection`). While the API server is away, refuses requests or sends
garbage, the objects stay as they are: the failure is logged once, shown in `reason`, and retried for ever. The source
does not know the index.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from clusterdns.cluster.api.audit.rounds import AuditRounds
from clusterdns.cluster.api.client import Client
from clusterdns.cluster.api.collection import Collection, cluster_collections, plural_of
from clusterdns.cluster.api.follow.reflector import Reflector
from clusterdns.cluster.api.follow.retry import RetryQueue, Timing
from clusterdns.cluster.api.follow.watch import Followed
from clusterdns.cluster.api.settings import ApiSettings
from clusterdns.cluster.api.status import ApiStatus
from clusterdns.cluster.api.store import ObjectStore, OnChange
from clusterdns.cluster.freshness import Freshness
from clusterdns.cluster.objects import Kind, Object, ObjectKey
from clusterdns.telemetry.metrics import Registry

log = logging.getLogger("clusterdns.plugin.kubernetes")


class ApiSource:
    """The collections that one kubernetes block reads from its API server. Start it in a running loop; stop it once."""

    def __init__(
        self,
        settings: ApiSettings,
        on_change: OnChange,
        on_synced: Callable[[], None],
        registry: Registry,
        timing: Timing | None = None,
        collections: Callable[[ApiSettings], list[tuple[Kind, Collection]]] | None = None,
        freshness: Freshness | None = None,
        on_listed: Callable[[], None] | None = None,
    ) -> None:
        """`collections` lists what to follow; it is `cluster_collections` by default.

        Proof of being current goes to `freshness`, where several sources may report. `on_listed` is called after each
        list.
        """
        self._settings = settings
        self._on_synced = on_synced
        self._on_listed = on_listed
        self._client = Client(settings, registry)
        self._status = ApiStatus()
        self._synced = asyncio.Event()
        self._settled = asyncio.Event()  # synced, or refused for good
        self._tasks: list[asyncio.Task[None]] = []
        timing = timing or Timing()
        freshness = freshness or Freshness()
        queue = RetryQueue(settings.intervals, timing)
        self._reflectors = []
        self._registry, self._timing = registry, timing
        for kind, collection in (collections or cluster_collections)(settings):
            store = ObjectStore(kind, on_change, registry, keeps_versions=math.isfinite(settings.audit_seconds))
            followed = freshness.track(kind, collection.label, store.count)
            self._reflectors.append(
                Reflector(
                    collection,
                    self._client,
                    store,
                    self._status,
                    registry,
                    self._note_progress,
                    followed,
                    queue=queue,
                    page_limit=settings.page_limit,
                    intervals=settings.intervals,
                    timing=timing,
                )
            )

    @property
    def server(self) -> str:
        """The API server's host and port; empty while no credentials are loaded."""
        return urlsplit(self._client.server).netloc.rpartition("@")[2]

    @property
    def synced(self) -> bool:
        """Whether every collection was listed in full once. Never becomes false again."""
        return self._synced.is_set()

    @property
    def reason(self) -> str:
        """What is wrong, or which first lists are missing; empty while all is well."""
        if self._status.reason or self.synced:
            return self._status.reason
        waiting = [reflector.collection.label for reflector in self._reflectors if not reflector.freshness.is_listed]
        return f"waiting for the first list of {', '.join(waiting)}"

    @property
    def failure(self) -> str:
        """Why a collection cannot be listed or watched at present; empty while first lists are only awaited."""
        return self._status.reason

    @property
    def is_refused(self) -> bool:
        """Whether it is not synced because the server does not serve, or forbids, an optional collection."""
        return not self.synced and any(reflector.is_refused for reflector in self._reflectors)

    @property
    def client(self) -> Client:
        """The client of the API server that the source reads."""
        return self._client

    @property
    def followed(self) -> list[Followed]:
        """The collections, as audits see them."""
        return [reflector.followed for reflector in self._reflectors]

    def prefill(self, known: Mapping[str, dict[ObjectKey, Object]]) -> None:
        """Set the objects that are known already, by the label of their collection, before the start.

        The first lists report the differences from them.
        """
        for reflector in self._reflectors:
            reflector.store.objects = known.get(reflector.collection.label, {})

    def states(self) -> Iterator[tuple[str, Kind, tuple[Object, ...]]]:
        """Yield the label, the kind and the present objects of each collection."""
        for one in self._reflectors:
            yield one.collection.label, one.store.kind, tuple(one.store.objects.values())

    def start(self) -> None:
        """Start the reflectors, each in a task, and the audits in another."""
        self._tasks = [
            asyncio.create_task(reflector.run(), name=reflector.collection.label) for reflector in self._reflectors
        ]
        if math.isfinite(self._settings.audit_seconds):
            audits = AuditRounds(self.followed, self._settings.audit_seconds, self._registry, self._timing)
            self._tasks.append(asyncio.create_task(audits.run(), name="audits"))

    async def wait_synced(self, patience_seconds: float | None = None) -> bool:
        """Wait for the first full lists, at most this long (default: the start-up timeout). Returns `synced`.

        An optional collection that the server refuses ends the wait.
        """
        try:
            async with asyncio.timeout(
                self._settings.startup_timeout_seconds if patience_seconds is None else patience_seconds
            ):
                await self._settled.wait()
        except TimeoutError:
            log.warning("not synced with the API server yet: %s", self.reason)
        return self.synced

    async def stop(self) -> None:
        """End every watch and close the session. The objects reported so far stay where they are."""
        for task in self._tasks:
            task.cancel()
        await self._client.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # a connection that was being made is closed in the next turn of the loop

    def _note_progress(self) -> None:
        if self._on_listed is not None:
            self._on_listed()
        if self.is_refused:
            self._settled.set()
        if self.synced or not all(reflector.freshness.is_listed for reflector in self._reflectors):
            return
        self._synced.set()
        self._settled.set()
        counts: dict[str, int] = {}
        for reflector in self._reflectors:
            name = plural_of(reflector.store.kind)
            counts[name] = counts.get(name, 0) + reflector.store.count()
        log.info("synced with %s: %s", self._client.server, ", ".join(f"{n} {what}" for what, n in counts.items()))
        self._on_synced()
