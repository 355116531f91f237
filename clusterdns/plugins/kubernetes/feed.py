"""A feed: a source of objects, and the index that it fills.

Blocks that read the same objects share a feed, and so do the configurations before and after a reload, so that a reload
mostly keeps the index. `handler` answers from the index; `api` and `manifests` are the sources.
"""

import asyncio
import math
from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from clusterdns.chain.exports import CURRENT
from clusterdns.cluster.api.collection import import_collections
from clusterdns.cluster.api.source import ApiSource
from clusterdns.cluster.dependents import Subscriber
from clusterdns.cluster.freshness import Freshness
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.namespaces import Namespaces
from clusterdns.cluster.objects import KINDS, Change, EndpointSlice, ImportedSlice, ServiceImport
from clusterdns.cluster.watch_metrics import WatchMetrics
from clusterdns.plugins.kubernetes.changes import ObjectChanges
from clusterdns.plugins.kubernetes.latency import ProgrammingLatency
from clusterdns.plugins.kubernetes.settings import KubernetesSettings
from clusterdns.plugins.kubernetes.status import kind_rows
from clusterdns.telemetry.metrics import Registry

if TYPE_CHECKING:
    from clusterdns.cluster.manifests.source import ManifestSource
    from clusterdns.plugins.kubernetes.snapshot import FeedSnapshot

MOVE_SECONDS = 0.05  # a controller moves an endpoint to another slice in two writes, which are closer than this


def feed_key(settings: KubernetesSettings) -> tuple[Hashable, ...]:
    """Extract the settings that decide which objects are read, indexed and saved; equal keys share a feed."""
    api = replace(settings.api, startup_timeout_seconds=0.0)
    return (api, settings.manifests, settings.endpoint_pod_names, settings.zonal, settings.snapshot)


def _snapshot_of(settings: KubernetesSettings, registry: Registry) -> "FeedSnapshot | None":
    if not settings.snapshot:
        return None
    from clusterdns.plugins.kubernetes.snapshot import FeedSnapshot  # not loaded where none is kept

    return FeedSnapshot(settings, registry)


def _call_later(call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(MOVE_SECONDS, call)


class Feed:
    """One source and its index. The first `start` starts the source, and the last `stop` stops it."""

    def __init__(self, settings: KubernetesSettings, registry: Registry) -> None:
        self.index = Index(
            namespaces=Namespaces(settings.api.namespaces),
            use_pod_names=settings.endpoint_pod_names,
            zonal=settings.zonal,
            call_later=_call_later,
        )
        self.imports: Index | None = None
        if settings.api.imports:
            self.imports = Index(
                namespaces=self.index.namespaces,
                pods=self.index.pods,
                use_pod_names=settings.endpoint_pod_names,
                call_later=_call_later,
            )
        self.changes = ObjectChanges()
        self._settings = settings
        self._registry = registry
        self.source: ApiSource | ManifestSource | None = None
        self._manifests: ManifestSource | None = None  # the source, where it is files
        self._import_source: ApiSource | None = None
        self._snapshot = _snapshot_of(settings, registry)
        self._identification: asyncio.Task[None] | None = None
        self._freshness = Freshness()
        self._users = 0
        self._latency = ProgrammingLatency(self.index, registry)

    async def prepare(self) -> None:
        """Restore the snapshot, if there is one, before the first start."""
        if self._snapshot is None or self._users or self._snapshot.is_restored:
            return
        if not await self._snapshot.restore(self._apply_object):
            self._clear()
        self._note_stale()

    async def start(self) -> None:
        """Start the source if it is not running. Raises StartError."""
        self._users += 1
        if self.source is None:
            if self._settings.manifests:
                await self._start_manifests()
                return
            self._follow()

    async def wait_synced(self, patience_seconds: float) -> None:
        """Wait for the first full state, at most `patience_seconds`; not at all where a snapshot was restored."""
        if self._is_from_snapshot:
            return
        sources = (self.source, self._import_source)
        await asyncio.gather(*(one.wait_synced(patience_seconds) for one in sources if isinstance(one, ApiSource)))

    async def drain(self) -> None:
        """Save the snapshot for the last time."""
        if self._snapshot is not None:
            await self._snapshot.stop()

    async def stop(self) -> None:
        """Stop the source if this is the last user. The objects in the index stay."""
        self._users -= 1
        if not self._users and self._identification is not None:
            self._identification.cancel()
            await asyncio.gather(self._identification, return_exceptions=True)
        if not self._users and self.source is not None:
            await self._leave()

    def subscribe(self, subscriber: Subscriber) -> None:
        """Subscribe to every index of the feed."""
        for index in self._indexes:
            index.subscribe(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Undo one `subscribe`."""
        for index in self._indexes:
            index.unsubscribe(subscriber)

    def doubt(self) -> str:
        """Return why a name that is not known may exist: the index is not synced, or kinds are stale."""
        return self.not_synced() or self.lapse()

    def lapse(self) -> str:
        """Return which kinds are stale, and why where it is known; empty while all is current."""
        if self._snapshot is not None and self._is_from_snapshot:
            return f"answering from the snapshot of {self._snapshot.saved_text}: {self.not_synced()}"
        if not self._freshness.stale:
            return ""
        return "; ".join([f"not known to be current: {self._freshness.ages_text()}", *self._failures()])

    def unready(self) -> str:
        """Return the reason why the feed cannot answer: it is not synced, and no snapshot was restored."""
        return "" if self._is_from_snapshot else self.not_synced()

    def not_synced(self) -> str:
        """Return the reason why the index is not synced; empty where it is."""
        if not self.index.synced:
            return self.source.reason if self.source is not None else "not started yet"
        imports = self._import_source
        if imports is None or self.imports is None or self.imports.synced or imports.is_refused:
            return ""
        return imports.reason

    def warning(self) -> str:
        """Return what is wrong with a feed that is ready: manifests, stale kinds, or missing ServiceImports."""
        if self._manifests is not None:
            return self._manifests.warning
        imports = self._import_source
        refusal = imports.reason if imports is not None and imports.is_refused else ""
        return "; ".join(filter(None, (self.lapse(), refusal)))

    def status(self) -> dict[str, Any]:
        """Return what /status shows of the feed."""
        reason = self.not_synced()
        row: dict[str, Any] = {"state": "not synced" if reason else "stale" if self._freshness.stale else CURRENT}
        if reason := self.warning() or reason or "; ".join(self._failures()):
            row["reason"] = reason
        if isinstance(self.source, ApiSource):
            row["server"] = self.source.server
            if math.isfinite(self._freshness.limit_seconds):
                row["stale_after_seconds"] = self._freshness.limit_seconds
            row["kinds"] = kind_rows(self._freshness, self._registry, asyncio.get_running_loop().time)
            if self._snapshot is not None:
                row["snapshot"] = self._snapshot.status()
        elif self._manifests is not None:
            row["manifests"] = list(self._settings.manifests)
        return row

    @property
    def _indexes(self) -> tuple[Index, ...]:
        return (self.index,) if self.imports is None else (self.index, self.imports)

    def _failures(self) -> list[str]:
        sources = (self.source, self._import_source)
        return [one.failure for one in sources if isinstance(one, ApiSource) and one.failure]

    def _note_stale(self) -> None:
        """Tell the indexes which kinds are not known to be current: all of them while they are of a snapshot."""
        for index in self._indexes:
            index.restored = self._is_from_snapshot
            index.set_stale(frozenset(KINDS) if index.restored else self._freshness.stale)

    @property
    def _is_from_snapshot(self) -> bool:
        return self._snapshot is not None and self._snapshot.is_restored and not self.index.synced

    def _follow(self) -> None:
        """Start the sources at the API server."""
        limit_seconds, loop = self._settings.api.stale_after_seconds, asyncio.get_running_loop()
        self._freshness = Freshness(limit_seconds, loop.time, loop.call_later, self._note_stale)
        self._registry.computed(WatchMetrics).follow(self._freshness)
        self.source = source = ApiSource(
            self._settings.api, self._apply, self._note_synced, self._registry,
            freshness=self._freshness, on_listed=self._identify,
        )  # fmt: skip
        self._import_source = self._make_import_source()
        sources = [source] if self._import_source is None else [source, self._import_source]
        if self._snapshot is not None:
            self._snapshot.start(sources, lambda: not self._freshness.stale)
        for one in sources:
            one.start()

    async def _leave(self) -> None:
        """Stop the sources. The objects in the index stay."""
        await self.drain()
        if self._manifests is None:
            self._registry.computed(WatchMetrics).leave(self._freshness)
        self._freshness.stop()
        sources = (self.source, self._import_source)
        self.source = self._manifests = self._import_source = None
        for source in sources:
            if source is not None:
                await source.stop()

    async def _start_manifests(self) -> None:
        # not loaded where objects come from an API server
        from clusterdns.plugins.kubernetes.manifests import load, manifest_source

        manifests = manifest_source(self._settings, self._apply_object, self._note_synced, self._registry)
        self.source = self._manifests = manifests
        await load(manifests)
        manifests.start()

    def _make_import_source(self) -> ApiSource | None:
        """Make a source for ServiceImports alone, so that an API server without them does not delay the others."""
        if self.imports is None:
            return None
        return ApiSource(
            self._settings.api,
            self._apply_import,
            self._note_synced,
            self._registry,
            collections=import_collections,
            freshness=self._freshness,
        )

    def _identify(self) -> None:
        """Check the restored objects against the cluster, at each of the first lists until that is done."""
        if self._is_from_snapshot and (self._identification is None or self._identification.done()):
            self._identification = asyncio.create_task(self._drop_if_other_cluster(), name="identify the cluster")

    async def _drop_if_other_cluster(self) -> None:
        """Drop everything and begin again where the snapshot is of another cluster."""
        assert self._snapshot is not None
        reason = await self._snapshot.reason_to_drop()
        if reason and not self.index.synced:
            await self._leave()
            self._clear()
            self._snapshot.drop(reason)
            self._follow()
            self._note_stale()

    def _clear(self) -> None:
        for index in self._indexes:
            index.clear()

    def _note_synced(self) -> None:
        """Mark the indexes whose sources are synced; the one of ServiceImports needs the cluster's namespaces, too."""
        if self.source is None or self.source.synced:
            self.index.synced = True
        imports_synced = self._import_source is None or self._import_source.synced
        if self.imports is not None and self.index.synced and imports_synced:
            self.imports.synced = True
        self._note_stale()
        self._note_change()

    def _note_change(self) -> None:
        if self._snapshot is not None and self.index.synced:
            self._snapshot.note_change()

    def _apply_object(self, change: Change) -> Iterator[None]:
        """Apply a change to the index that its kind belongs to, in steps."""
        is_import = isinstance(change.new or change.old, ServiceImport | ImportedSlice)
        index = self.imports if is_import and self.imports is not None else self.index
        return self.changes.reported(change, index.steps(change), self._freshness)

    def _apply_import(self, change: Change) -> Iterator[None]:
        self._note_change()
        return self._apply_object(change)

    def _apply(self, change: Change) -> Iterator[None]:
        """Apply a change of the API server in steps (see `Index.steps`)."""
        self._note_change()
        yield from self._apply_object(change)
        if self.index.synced and isinstance(change.new, EndpointSlice) and change.new.triggered_at:
            self._latency.observe(change.new)
