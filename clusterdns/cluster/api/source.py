"""The API source: keeps the callback's owner in step with the Services, slices, Namespaces and Pods of a cluster.

Which collections are read, and with which selectors, is decided here; following one of them is `watch`'s business. The
API server being away, refusing or talking nonsense changes nothing that was learnt before: it is said once, shown in
`reason`, and tried again for ever. The source does not know the index.

With `namespaces`, each namespace is read on its own (a Role in each is then enough, and the server does the selecting)
at the price of a connection per namespace and kind.
"""

import asyncio
import logging
from collections.abc import Callable

from clusterdns.cluster.api.client import Client
from clusterdns.cluster.api.settings import Settings
from clusterdns.cluster.api.status import Status
from clusterdns.cluster.api.store import OnChange, Store
from clusterdns.cluster.api.watch import Place, Timing, Watch
from clusterdns.cluster.objects import (
    IMPORT_LABEL,
    EndpointSlice,
    ImportedSlice,
    Kind,
    Namespace,
    Pod,
    Service,
    ServiceImport,
)
from clusterdns.telemetry.metrics import Registry

log = logging.getLogger("clusterdns.plugin.kubernetes")

_COLLECTIONS: dict[Kind, tuple[str, str]] = {
    Service: ("/api/v1", "services"),
    EndpointSlice: ("/apis/discovery.k8s.io/v1", "endpointslices"),
    Namespace: ("/api/v1", "namespaces"),
    Pod: ("/api/v1", "pods"),
    ServiceImport: ("/apis/multicluster.x-k8s.io/v1alpha1", "serviceimports"),
    ImportedSlice: ("/apis/discovery.k8s.io/v1", "endpointslices"),
}
_UNSERVED = "this API server does not know ServiceImports: their CRD (multicluster.x-k8s.io/v1alpha1) is not installed"
_LIVING_PODS = "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown"


class ApiSource:
    """Everything one kubernetes block reads from its API server. Start it in a running loop; stop it once."""

    def __init__(
        self,
        settings: Settings,
        on_change: OnChange,
        on_synced: Callable[[], None],
        registry: Registry,
        timing: Timing | None = None,
        places: Callable[[Settings], list[tuple[Kind, Place]]] | None = None,
    ) -> None:
        """`places` says what to follow, `cluster_places` without it."""
        self._settings = settings
        self._on_synced = on_synced
        self._client = Client(settings, registry)
        self._status = Status()
        self._synced = asyncio.Event()
        self._settled = asyncio.Event()  # synced, or refused
        self._tasks: list[asyncio.Task[None]] = []
        self._watches = [
            Watch(
                place,
                self._client,
                Store(kind, on_change, registry),
                self._status,
                registry,
                self._note_progress,
                page_limit=settings.page_limit,
                intervals=settings.intervals,
                timing=timing or Timing(),
            )
            for kind, place in (places or cluster_places)(settings)
        ]

    @property
    def synced(self) -> bool:
        """Whether every kind was listed in full once. Never goes back."""
        return self._synced.is_set()

    @property
    def reason(self) -> str:
        """What is wrong, or what is being waited for; empty while all is well."""
        if self._status.reason or self.synced:
            return self._status.reason
        waiting = [watch.place.label for watch in self._watches if not watch.listed]
        return f"waiting for the first list of {', '.join(waiting)}"

    @property
    def is_refused(self) -> bool:
        """Whether it is not synced because the server does not have, or not let us have, what need not be there."""
        return not self.synced and any(watch.refused for watch in self._watches)

    def start(self) -> None:
        """Begin to follow the cluster."""
        self._tasks = [asyncio.create_task(watch.run(), name=watch.place.label) for watch in self._watches]

    async def wait_synced(self, patience_seconds: float | None = None) -> bool:
        """Wait for the first full lists, no longer than this or the settings' start-up timeout. Returns `synced`.

        What is refused and need not be there is not waited for.
        """
        try:
            async with asyncio.timeout(
                self._settings.startup_timeout_seconds if patience_seconds is None else patience_seconds
            ):
                await self._settled.wait()
        except TimeoutError:
            log.warning("not in step with the API server yet: %s", self.reason)
        return self.synced

    async def stop(self) -> None:
        """End every watch and close the session. What was learnt stays with those it was told to."""
        for task in self._tasks:
            task.cancel()
        await self._client.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # a connection broken off while it was being made is closed in the loop's next turn

    def _note_progress(self) -> None:
        if self.is_refused:
            self._settled.set()
        if self.synced or not all(watch.listed for watch in self._watches):
            return
        self._synced.set()
        self._settled.set()
        counts: dict[str, int] = {}
        for watch in self._watches:
            name = _COLLECTIONS[watch.store.kind][1]
            counts[name] = counts.get(name, 0) + len(watch.store.objects)
        log.info("in step with %s: %s", self._client.server, ", ".join(f"{n} {what}" for what, n in counts.items()))
        self._on_synced()


def cluster_places(settings: Settings) -> list[tuple[Kind, Place]]:
    """Every collection to follow, by kind and, with `namespaces`, by namespace."""
    kinds: list[Kind] = [Service, Namespace]
    if settings.endpoints:
        kinds.append(EndpointSlice)
    if settings.pods:
        kinds.append(Pod)
    return _everywhere(kinds, settings)


def import_places(settings: Settings) -> list[tuple[Kind, Place]]:
    """What several clusters share, in the same namespaces."""
    kinds: list[Kind] = [ServiceImport]
    if settings.endpoints:
        kinds.append(ImportedSlice)
    return _everywhere(kinds, settings)


def _everywhere(kinds: list[Kind], settings: Settings) -> list[tuple[Kind, Place]]:
    namespaces = tuple(dict.fromkeys(settings.namespaces)) or ("",)
    return [(kind, _place(kind, namespace, settings)) for kind in kinds for namespace in namespaces]


def _place(kind: Kind, namespace: str, settings: Settings) -> Place:
    group, collection = _COLLECTIONS[kind]
    selectors: dict[str, str] = {}
    path = f"{group}/{collection}"
    if kind is Namespace:
        if namespace:
            selectors["fieldSelector"] = f"metadata.name={namespace}"
        if settings.namespace_labels:
            selectors["labelSelector"] = settings.namespace_labels
    else:
        if namespace:
            path = f"{group}/namespaces/{namespace}/{collection}"
        wanted = (IMPORT_LABEL if kind is ImportedSlice else "", "" if kind is ServiceImport else settings.labels)
        if any(wanted):
            selectors["labelSelector"] = ",".join(filter(None, wanted))
        if kind is Pod:
            selectors["fieldSelector"] = _LIVING_PODS
    label = f"imported {collection}" if kind is ImportedSlice else collection
    unserved = _UNSERVED if kind is ServiceImport else ""
    return Place(f"{label} of {namespace}" if namespace else label, path, selectors, unserved)
