"""The records of a cluster: its objects read once into an index, from the API server or from manifests.

`index.listing` lists what the zones made of the index contain; TTL and mode of pods are those of the command line.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clusterdns.cli.flags import FlagError
from clusterdns.cli.names.table import Row
from clusterdns.cluster.api.settings import ApiSettings
from clusterdns.cluster.api.source import ApiSource
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.listing import records
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.zone import MAX_ZONE_BYTES, ClusterZone
from clusterdns.cluster.manifests.source import ManifestError, ManifestSource
from clusterdns.cluster.namespaces import Namespaces
from clusterdns.cluster.objects import Change, Namespace
from clusterdns.corefile.errors import CorefileError
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.values import zones as zones_of
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire.codes import type_text
from clusterdns.wire.name import from_text, is_reverse, to_text
from clusterdns.wire.presentation.text import rdata_text

LIST_TIMEOUT_SECONDS = 15.0
POLL_SECONDS = 0.02  # how soon a failure is noticed


class SourceError(Exception):
    """A cluster, manifests or a Corefile that cannot be read; the text says why."""


@dataclass(frozen=True)
class ClusterListing:
    """What to list of a cluster."""

    zones: tuple[bytes, ...]
    namespaces: tuple[str, ...]
    pods: PodMode
    ttl_seconds: int

    def of_manifests(self, paths: Sequence[str]) -> Iterator[Row]:
        """List the records of manifests. Raises SourceError where a path does not exist or no file has an object."""
        index = Index(namespaces=Namespaces(self.namespaces))
        counted = _Counted(index)
        try:
            source = ManifestSource(
                paths, counted.apply, lambda: None, Registry(),
                pods=self.pods is PodMode.VERIFIED, namespaces=frozenset(self.namespaces) or None,
            )  # fmt: skip
            source.load()
        except ManifestError as error:
            raise SourceError(str(error)) from error
        if not counted.count:
            problem = source.reason or "no objects that make names (Service, Pod, workloads, …)"
            raise SourceError(f"{', '.join(paths)}: {problem}")
        return self._rows(index)

    def of_cluster(self, kubeconfig: str, context: str) -> Iterator[Row]:
        """List the records of the cluster that a kubeconfig names. Raises SourceError."""
        index = Index(namespaces=Namespaces(self.namespaces))
        settings = ApiSettings(
            kubeconfig=kubeconfig, context=context, namespaces=self.namespaces, pods=self.pods is PodMode.VERIFIED,
            startup_timeout_seconds=LIST_TIMEOUT_SECONDS,
        )  # fmt: skip
        logging.getLogger("clusterdns.plugin.kubernetes").setLevel(logging.ERROR)  # a failure is reported once, below
        asyncio.run(_read_cluster(settings, index))
        return self._rows(index)

    def _rows(self, index: Index) -> Iterator[Row]:
        primary = next(zone for zone in self.zones if not is_reverse(zone))
        for zone in self.zones:
            one = ClusterZone(zone, index, primary=primary, ttl_seconds=self.ttl_seconds, pods=self.pods)
            for listed in records(one, index):
                record = listed.record
                yield Row(
                    to_text(record.name), type_text(record.rtype), record.ttl, rdata_text(record), to_text(zone),
                    listed.namespace.decode("ascii", "replace"),
                )  # fmt: skip


class _Counted:
    """An index, and the number of objects other than namespaces that it has got."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.count = 0

    def apply(self, change: Change) -> None:
        """Count the change of an object that makes names, and pass it on."""
        self.count += not isinstance(change.new, Namespace)  # some namespaces exist always
        self._index.apply(change)


async def _read_cluster(settings: ApiSettings, index: Index) -> None:
    """Fill the index from the API server, once. Raises SourceError at the first failure, as kubectl does not retry."""
    source = ApiSource(settings, index.steps, lambda: None, Registry())
    source.start()
    waiting = asyncio.ensure_future(source.wait_synced())
    try:
        while not waiting.done():
            await asyncio.wait([waiting], timeout=POLL_SECONDS)
            if source.failure:
                break
        if not (waiting.done() and waiting.result()):
            raise SourceError(f"the cluster could not be read: {source.reason}")
    finally:
        waiting.cancel()
        await source.stop()


def zones_from(texts: Sequence[str]) -> tuple[bytes, ...]:
    """Read the zones of a cluster. Raises FlagError."""
    try:
        found = tuple(from_text(text) for text in zones_of(Token(text, "--zone", 0) for text in texts))
    except CorefileError as error:
        raise FlagError(f"--zone: {error.text}; {error.hint}") from error
    if max(map(len, found)) > MAX_ZONE_BYTES:
        raise FlagError(f"--zone: more than {MAX_ZONE_BYTES} bytes leave no room for names")
    if all(map(is_reverse, found)):
        raise FlagError("--zone: reverse zones point to names of a cluster's zone: name that zone as well")
    return found
