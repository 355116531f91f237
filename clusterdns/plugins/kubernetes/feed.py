"""What a cluster's objects flow through: a source, the index that it fills, and who uses them.

A feed lives as long as any configuration uses it: a reload that changes nothing of what is read keeps the index, and
two blocks that read the same share one. What is done with the index is `kubernetes_handler`'s concern.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Hashable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from clusterdns.chain import StartError
from clusterdns.cluster.api.source import ApiSource, import_collections
from clusterdns.cluster.index.cluster import Forget, Index
from clusterdns.cluster.index.service import label_of
from clusterdns.cluster.objects import Change, EndpointSlice, ImportedSlice, ServiceImport
from clusterdns.plugins.kubernetes.settings import KubernetesSettings
from clusterdns.telemetry.metrics import Registry

if TYPE_CHECKING:
    from clusterdns.cluster.manifests.source import ManifestSource

MOVE_SECONDS = 0.05  # between the two writes by which a controller moves an endpoint to another slice of its Service
PROGRAMMING_BOUNDS = tuple(0.001 * 2**i for i in range(20))  # seconds

log = logging.getLogger("clusterdns.plugin.kubernetes")


def feed_key(settings: KubernetesSettings) -> tuple[Hashable, ...]:
    """What two settings must have in common for one feed to serve both: all that decides what is read and indexed."""
    api = replace(settings.api, startup_timeout_seconds=0.0)
    return (api, settings.manifests, settings.endpoint_pod_names, settings.zonal)


def _later(call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(MOVE_SECONDS, call)


class Feed:
    """One source and its index. Started by its first user and stopped with its last."""

    def __init__(self, settings: KubernetesSettings, registry: Registry) -> None:
        self.index = Index(
            namespaces=frozenset(settings.api.namespaces),
            use_pod_names=settings.endpoint_pod_names,
            zonal=settings.zonal,
            later=_later,
        )
        self.imports: Index | None = None
        if settings.api.imports:
            self.imports = Index(use_pod_names=settings.endpoint_pod_names, later=_later, beside=self.index)
        self._settings = settings
        self._registry = registry
        self._source: ApiSource | ManifestSource | None = None
        self._import_source: ApiSource | None = None
        self._users = 0
        self._latency = registry.histogram(
            "coredns_kubernetes_dns_programming_duration_seconds",
            "Time from a pod's change to its being answered.",
            PROGRAMMING_BOUNDS,
            "service_kind",
        )

    async def start(self, patience_seconds: float) -> None:
        """Begin to follow the source, or join those who do, and wait for the first full state for this long.

        Raises StartError.
        """
        self._users += 1
        if self._source is None:
            self._source = self._follow()
            self._import_source = self._follow_imports()
        sources = (self._source, self._import_source)
        await asyncio.gather(*(one.wait_synced(patience_seconds) for one in sources if isinstance(one, ApiSource)))

    async def stop(self) -> None:
        """One user less; without any nothing is followed, and what is known stays."""
        self._users -= 1
        if not self._users and self._source is not None:
            sources = (self._source, self._import_source)
            self._source = self._import_source = None
            for source in sources:
                if source is not None:
                    await source.stop()

    def tell(self, forget: Forget) -> None:
        """See `Index.tell`."""
        for index in self._indexes:
            index.tell(forget)

    def tell_no_more(self, forget: Forget) -> None:
        """See `Index.tell_no_more`."""
        for index in self._indexes:
            index.tell_no_more(forget)

    def unready(self) -> str:
        """Why the index does not hold the whole cluster yet."""
        if not self.index.synced:
            return self._source.reason if self._source is not None else "not started yet"
        imports = self._import_source
        if imports is None or self.imports is None or self.imports.synced or imports.is_refused:
            return ""
        return imports.reason

    def remark(self) -> str:
        """Why there are no ServiceImports, which do not have to be there for the cluster's own names."""
        imports = self._import_source
        return imports.reason if imports is not None and imports.is_refused else ""

    @property
    def _indexes(self) -> tuple[Index, ...]:
        return (self.index,) if self.imports is None else (self.index, self.imports)

    def _follow(self) -> "ApiSource | ManifestSource":
        if not self._settings.manifests:
            source = ApiSource(self._settings.api, self._take, self._note_synced, self._registry)
            source.start()
            return source
        return self._follow_manifests()

    def _follow_manifests(self) -> "ManifestSource":
        from clusterdns.cluster.manifests.source import ManifestError, ManifestSource  # most servers have an API server

        api = self._settings.api
        try:
            manifests = ManifestSource(
                self._settings.manifests,
                self._take_manifest,
                self._note_synced,
                self._registry,
                pods=api.pods,
                noendpoints=not api.endpoints,
                namespaces=frozenset(api.namespaces) or None,
                labels=api.labels,
                namespace_labels=api.namespace_labels,
                imports=api.imports,
            )
            manifests.load()
        except ManifestError as error:
            raise StartError(str(error)) from error
        manifests.start()
        return manifests

    def _follow_imports(self) -> ApiSource | None:
        """From an API server they come by themselves, so that their absence holds nothing else up."""
        if self.imports is None or self._settings.manifests:
            return None
        source = ApiSource(
            self._settings.api, self.imports.apply, self._note_synced, self._registry, collections=import_collections
        )
        source.start()
        return source

    def _note_synced(self) -> None:
        """One of the sources is; what stands beside the cluster's own objects needs their namespaces, too."""
        if self._source is None or self._source.synced:
            self.index.synced = True
        is_whole = self._import_source is None or self._import_source.synced
        if self.imports is not None and self.index.synced and is_whole:
            self.imports.synced = True

    def _take_manifest(self, change: Change) -> None:
        is_import = self.imports is not None and isinstance(change.new or change.old, ServiceImport | ImportedSlice)
        (self.imports if is_import and self.imports is not None else self.index).apply(change)

    def _take(self, change: Change) -> None:
        self.index.apply(change)
        if self.index.synced and isinstance(change.new, EndpointSlice) and change.new.triggered_at:
            self._measure(change.new)

    def _measure(self, obj: EndpointSlice) -> None:
        node = self.index.service(label_of(obj.namespace), label_of(obj.service))
        if node is None or node.service is None:
            return
        try:
            triggered = datetime.fromisoformat(obj.triggered_at).timestamp()
        except ValueError:
            log.debug("slice %s/%s: no moment: %r", obj.namespace, obj.name, obj.triggered_at)
            return
        kind = "headless_with_selector" if node.service.headless else "cluster_ip"
        self._latency.labels(kind).observe(max(0.0, time.time() - triggered))


class FeedUse:
    """One block's use of a feed: its answer tables are told of changes from `start` to `stop`."""

    def __init__(self, feed: Feed, forget: Forget, patience_seconds: float) -> None:
        self._feed = feed
        self._forget = forget
        self._patience_seconds = patience_seconds
        self._is_started = False

    async def start(self) -> None:
        """See `Feed.start`. A start that failed or was cancelled is to be stopped like any other."""
        self._is_started = True
        self._feed.tell(self._forget)
        await self._feed.start(self._patience_seconds)

    async def stop(self) -> None:
        """End it, if it was begun."""
        if self._is_started:
            self._is_started = False
            self._feed.tell_no_more(self._forget)
            await self._feed.stop()
