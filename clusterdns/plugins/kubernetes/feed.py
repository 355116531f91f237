"""A feed: a source of objects, and the index that it fills.

Blocks that read the same objects share a feed, and so do the configurations before and after a reload, so that a reload
mostly keeps the index. `handler` answers from the index; `api` and `manifests` are the sources.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clusterdns.chain import StartError
from clusterdns.chain.exports import CURRENT
from clusterdns.cluster.api.collection import import_collections
from clusterdns.cluster.api.source import ApiSource
from clusterdns.cluster.freshness import Freshness
from clusterdns.cluster.index.cluster import Index, Subscriber
from clusterdns.cluster.namespaces import Namespaces
from clusterdns.cluster.objects import Change, EndpointSlice, ImportedSlice, ServiceImport, label_of
from clusterdns.cluster.watch_metrics import watch_metrics
from clusterdns.plugins.kubernetes.settings import KubernetesSettings
from clusterdns.plugins.kubernetes.status import kind_rows
from clusterdns.telemetry.metrics import Registry

if TYPE_CHECKING:
    from clusterdns.cluster.manifests.source import ManifestSource

MOVE_SECONDS = 0.05  # a controller moves an endpoint to another slice in two writes, which are closer than this
PROGRAMMING_BOUNDS = tuple(0.001 * 2**i for i in range(20))  # seconds

log = logging.getLogger("clusterdns.plugin.kubernetes")


def feed_key(settings: KubernetesSettings) -> tuple[Hashable, ...]:
    """Extract the settings that decide which objects are read and indexed; blocks with equal keys share a feed."""
    api = replace(settings.api, startup_timeout_seconds=0.0)
    return (api, settings.manifests, settings.endpoint_pod_names, settings.zonal)


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
        self._settings = settings
        self._registry = registry
        self._source: ApiSource | ManifestSource | None = None
        self._manifests: ManifestSource | None = None  # the source, where it is files
        self._import_source: ApiSource | None = None
        self._freshness = Freshness()
        self._users = 0
        self._latency = registry.histogram(
            "coredns_kubernetes_dns_programming_duration_seconds",
            "Time from a pod's change to its being answered.",
            PROGRAMMING_BOUNDS,
            "service_kind",
        )

    async def start(self) -> None:
        """Start the source if it is not running. Raises StartError."""
        self._users += 1
        if self._source is None:
            if self._settings.manifests:
                await self._start_manifests()
                return
            self._freshness = self._make_freshness()
            watch_metrics(self._registry).follow(self._freshness)
            self._source = self._start_api()
            self._import_source = self._start_imports()

    async def wait_synced(self, patience_seconds: float) -> None:
        """Wait for the first full state, at most `patience_seconds`."""
        sources = (self._source, self._import_source)
        await asyncio.gather(*(one.wait_synced(patience_seconds) for one in sources if isinstance(one, ApiSource)))

    async def stop(self) -> None:
        """Stop the source if this is the last user. The objects in the index stay."""
        self._users -= 1
        if not self._users and self._source is not None:
            sources = (self._source, self._import_source)
            if self._manifests is None:
                watch_metrics(self._registry).leave(self._freshness)
            self._freshness.stop()
            self._source = self._manifests = self._import_source = None
            for source in sources:
                if source is not None:
                    await source.stop()

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
        return self.unready() or self.lapse()

    def lapse(self) -> str:
        """Return which kinds are stale, and why where it is known; empty while all is current."""
        if not self._freshness.stale:
            return ""
        sources = (self._source, self._import_source)
        failures = [one.failure for one in sources if isinstance(one, ApiSource) and one.failure]
        return "; ".join([f"not known to be current: {self._freshness.ages_text()}", *failures])

    def unready(self) -> str:
        """Return the reason why the index is not synced; empty where it is."""
        if not self.index.synced:
            return self._source.reason if self._source is not None else "not started yet"
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
        reason = self.unready()
        row: dict[str, Any] = {"state": "not synced" if reason else "stale" if self._freshness.stale else CURRENT}
        reason = reason or self.warning()
        if reason:
            row["reason"] = reason
        if isinstance(self._source, ApiSource):
            row["server"] = self._source.server
            if math.isfinite(self._freshness.limit_seconds):
                row["stale_after_seconds"] = self._freshness.limit_seconds
            row["kinds"] = kind_rows(self._freshness, self._registry, asyncio.get_running_loop().time)
        elif self._manifests is not None:
            row["manifests"] = list(self._settings.manifests)
        return row

    @property
    def _indexes(self) -> tuple[Index, ...]:
        return (self.index,) if self.imports is None else (self.index, self.imports)

    def _make_freshness(self) -> Freshness:
        loop = asyncio.get_running_loop()
        return Freshness(self._settings.api.stale_after_seconds, loop.time, loop.call_later, self._note_stale)

    def _note_stale(self) -> None:
        for index in self._indexes:
            index.set_stale(self._freshness.stale)

    def _start_api(self) -> ApiSource:
        source = ApiSource(
            self._settings.api, self._apply, self._note_synced, self._registry, freshness=self._freshness
        )
        source.start()
        return source

    async def _start_manifests(self) -> None:
        from clusterdns.cluster.manifests.source import (  # not loaded where objects come from an API server
            ManifestError,
            ManifestSource,
        )

        api = self._settings.api
        try:
            manifests = ManifestSource(
                self._settings.manifests,
                self._apply_manifest,
                self._note_synced,
                self._registry,
                pods=api.pods,
                noendpoints=not api.endpoints,
                namespaces=frozenset(api.namespaces) or None,
                labels=api.labels,
                namespace_labels=api.namespace_labels,
                imports=api.imports,
            )
            self._source = self._manifests = manifests
            await manifests.load_in_thread()
        except ManifestError as error:
            raise StartError(str(error)) from error
        manifests.start()

    def _start_imports(self) -> ApiSource | None:
        """Start a source for ServiceImports alone, so that an API server without them does not delay the others."""
        if self.imports is None:
            return None
        source = ApiSource(
            self._settings.api,
            self.imports.steps,
            self._note_synced,
            self._registry,
            collections=import_collections,
            freshness=self._freshness,
        )
        source.start()
        return source

    def _note_synced(self) -> None:
        """Mark the indexes whose sources are synced; the one of ServiceImports needs the cluster's namespaces, too."""
        if self._source is None or self._source.synced:
            self.index.synced = True
        imports_synced = self._import_source is None or self._import_source.synced
        if self.imports is not None and self.index.synced and imports_synced:
            self.imports.synced = True

    def _apply_manifest(self, change: Change) -> None:
        is_import = self.imports is not None and isinstance(change.new or change.old, ServiceImport | ImportedSlice)
        (self.imports if is_import and self.imports is not None else self.index).apply(change)

    def _apply(self, change: Change) -> Iterator[None]:
        """Apply a change of the API server in steps (see `Index.steps`)."""
        yield from self.index.steps(change)
        if self.index.synced and isinstance(change.new, EndpointSlice) and change.new.triggered_at:
            self._observe_latency(change.new)

    def _observe_latency(self, obj: EndpointSlice) -> None:
        entry = self.index.service(label_of(obj.namespace), label_of(obj.service))
        if entry is None or entry.service is None:
            return
        try:
            triggered = datetime.fromisoformat(obj.triggered_at).timestamp()
        except ValueError:
            log.debug("slice %s/%s: not a time: %r", obj.namespace, obj.name, obj.triggered_at)
            return
        kind = "headless_with_selector" if entry.service.headless else "cluster_ip"
        self._latency.labels(kind).observe(max(0.0, time.time() - triggered))


class Subscription:
    """One block's use of a feed: its answer tables are notified of changes from `start` to `stop`."""

    def __init__(self, feed: Feed, subscriber: Subscriber, patience_seconds: float) -> None:
        self._feed = feed
        self._subscriber = subscriber
        self._patience_seconds = patience_seconds
        self._is_started = False

    async def start(self) -> None:
        """Subscribe, and start the feed. Call `stop` also after a start that failed or was cancelled."""
        self._is_started = True
        self._feed.subscribe(self._subscriber)
        await self._feed.start()

    async def wait_synced(self) -> None:
        """Wait for the first full state of the feed, as long as the settings allow."""
        await self._feed.wait_synced(self._patience_seconds)

    async def stop(self) -> None:
        """Unsubscribe and stop the feed, where `start` was called."""
        if self._is_started:
            self._is_started = False
            self._feed.unsubscribe(self._subscriber)
            await self._feed.stop()
