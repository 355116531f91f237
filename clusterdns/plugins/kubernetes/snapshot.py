"""The snapshot of a feed: restored before the start, checked against the cluster, saved while the feed runs.

`feed` calls it; `cluster.snapshot` has the file. Until the first synchronisation the restored objects are answered as
they are, although each may have changed.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from clusterdns.cluster.api.collection import cluster_collections, import_collections, plural_of
from clusterdns.cluster.api.errors import ApiError
from clusterdns.cluster.api.identity import cluster_uid
from clusterdns.cluster.api.source import ApiSource
from clusterdns.cluster.objects import Change
from clusterdns.cluster.snapshot.contents import CollectionState, SnapshotHeader, snapshot_key
from clusterdns.cluster.snapshot.format import SnapshotError
from clusterdns.cluster.snapshot.keeper import SnapshotContents, SnapshotKeeper
from clusterdns.cluster.snapshot.restoring import KnownObjects, count_by_kind, restore
from clusterdns.plugins.kubernetes.settings import KubernetesSettings
from clusterdns.telemetry.metrics import Registry
from clusterdns.telemetry.status_text import timestamp

IDENTITY_SECONDS = 5.0  # for the API server to say which cluster it is

log = logging.getLogger("clusterdns.plugin.kubernetes")


class FeedSnapshot:
    """The saved state of one feed, and which cluster it is of."""

    def __init__(self, settings: KubernetesSettings, registry: Registry) -> None:
        api = settings.api
        collections = [*cluster_collections(api), *(import_collections(api) if api.imports else ())]
        self._keeper = SnapshotKeeper(settings.snapshot, snapshot_key(api, collections), registry)
        self._known: KnownObjects = {}
        self._restored: SnapshotHeader | None = None
        self._cluster = ""
        self._is_cluster_hidden = False  # whether the server does not show us its identity
        self._sources: tuple[ApiSource, ...] = ()

    @property
    def is_restored(self) -> bool:
        """Whether the feed began with objects of a snapshot."""
        return self._restored is not None

    @property
    def saved_text(self) -> str:
        """The time at which the restored snapshot was saved."""
        return timestamp(self._restored.saved_at) if self._restored is not None else ""

    def status(self) -> dict[str, Any]:
        """Return what /status shows of the file; `restored` is the time of the snapshot that the feed began with."""
        return {**self._keeper.status(), **({"restored": self.saved_text} if self._restored is not None else {})}

    async def restore(self, apply: Callable[[Change], Iterable[None]]) -> bool:
        """Apply the objects of the snapshot, if it can be used. Where that fails, what was applied is to be dropped."""
        loaded = await self._keeper.load()
        if loaded is None:
            return False
        try:
            self._known = await restore(loaded.content, apply)
        except SnapshotError as error:
            self._keeper.ignore(str(error))
            return False
        self._restored = loaded.header
        counts = ", ".join(f"{count} {plural_of(kind)}" for kind, count in count_by_kind(self._known).items())
        log.info(
            "restored the snapshot of %s: %s; answering from it until the API server's lists are read",
            self.saved_text, counts or "no objects",
        )  # fmt: skip
        return True

    def start(self, sources: Sequence[ApiSource], is_current: Callable[[], bool]) -> None:
        """Have the first lists of the sources report differences from the snapshot, and begin to save what they know.

        The first source is that of the cluster.
        """
        for source in sources:
            source.prefill(self._known)
        self._known = {}
        self._sources = tuple(sources)
        self._keeper.start(self._take, is_current)

    def note_change(self) -> None:
        """Note that an object has changed."""
        self._keeper.note_change()

    async def stop(self) -> None:
        """Save what has changed, before the sources stop."""
        await self._keeper.stop(self._take)
        self._sources = ()

    async def reason_to_drop(self) -> str:
        """Ask the API server which cluster it is. Returns how the restored objects are of another one, or nothing."""
        cluster = await self._find_cluster()
        saved = self._restored.cluster if self._restored is not None else ""
        if not cluster or not saved or cluster == saved:
            return ""
        return f"it is of another cluster: kube-system has the UID {saved} there and {cluster} here"

    def drop(self, reason: str) -> None:
        """Log that the restored objects are dropped; the feed drops them."""
        self._keeper.ignore(reason)
        self._restored = None

    async def _take(self) -> SnapshotContents | None:
        if not self._sources or not self._sources[0].synced:
            return None
        cluster = await self._find_cluster()
        return SnapshotContents(
            cluster, [CollectionState(*state) for source in self._sources for state in source.states()]
        )

    async def _find_cluster(self) -> str:
        if not self._cluster and not self._is_cluster_hidden:
            try:
                async with asyncio.timeout(IDENTITY_SECONDS):
                    self._cluster = await cluster_uid(self._sources[0].client)
                self._is_cluster_hidden = not self._cluster
            except (ApiError, TimeoutError) as error:
                self._is_cluster_hidden = isinstance(error, ApiError) and bool(error.status)
                log.debug("the UID of kube-system is not known: %s; the snapshot is saved without it", error)
        return self._cluster
