"""The source without a cluster: manifest files → the changes an API server would have sent.

`files` reads them and `controllers` plays what a cluster would make of them; here the result is compared with what was
emitted before, so that only real differences become changes. Reading, playing and comparing are done in a thread, and
the changes are emitted on the loop, additions first: nothing is ever briefly missing.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from itertools import groupby

from clusterdns.cluster.api.store import skipped_objects
from clusterdns.cluster.manifests import selectors
from clusterdns.cluster.manifests.controllers import Desires, Remark, Selection, desired_objects
from clusterdns.cluster.manifests.files import ManifestError, ManifestFiles
from clusterdns.cluster.objects import Change, EndpointSlice, Namespace, Object, Pod, Service, ServiceImport, key_of
from clusterdns.telemetry.metrics import Registry

__all__ = ["ManifestError", "ManifestSource"]

DEFAULT_POLL_SECONDS = 1.0
MAX_TURN_SECONDS = 0.002  # of emitting changes before others on the loop get their turn
_MAX_SHOWN_REMARKS = 100  # of one reading
_ORDER: tuple[type[Object], ...] = (Namespace, Service, ServiceImport, EndpointSlice, Pod)

log = logging.getLogger("clusterdns.plugin.kubernetes")


class ManifestSource:
    """One `manifests PATH…`. `load` first, then `start`; `stop` ends it."""

    def __init__(
        self,
        paths: Sequence[str],
        on_change: Callable[[Change], None],
        on_synced: Callable[[], None],
        registry: Registry,
        *,
        pods: bool = False,
        noendpoints: bool = False,
        namespaces: frozenset[str] | None = None,
        labels: str = "",
        namespace_labels: str = "",
        imports: bool = False,
        poll_seconds: float = DEFAULT_POLL_SECONDS,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """The objects selected are those of the Corefile's options of these names. Raises ManifestError."""
        self.synced = False
        self._files = ManifestFiles(paths, now_ns=now_ns)
        self._on_change = on_change
        self._on_synced = on_synced
        try:
            self._selection = Selection(
                pods, noendpoints, namespaces, selectors.parse(labels), selectors.parse(namespace_labels), imports
            )
        except selectors.SelectorError as error:
            raise ManifestError(str(error)) from error
        self._poll_seconds = poll_seconds
        self._emitted: Desires = {}
        self._is_behind = True  # what was emitted does not match the files
        self._told_problems: set[str] = set()
        self._told_remarks: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._skipped = skipped_objects(registry)

    @property
    def reason(self) -> str:
        """Why it is not synced, or else what is wrong with a file whose last good content is served; or empty."""
        if not self.synced:
            return "manifests have not been read yet"
        return "; ".join(self._files.problems[:3])

    def load(self) -> None:
        """Read everything and emit it. Raises ManifestError, where a path does not exist."""
        for change in self._read():
            self._emit(change)
        self._is_behind = False
        self.synced = True
        log.info("%d objects of %d manifest files", len(self._emitted), self._files.count)
        self._on_synced()

    def start(self) -> None:
        """Follow the files from now on, in a task of the running loop."""
        self._task = asyncio.create_task(self._look_forever(), name="manifests")

    async def stop(self) -> None:
        """Follow them no longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def poll(self) -> None:
        """Look for changes once, and emit them."""
        changes = await asyncio.to_thread(self._read)
        turn_began = time.perf_counter()
        for _, together in groupby(changes, key=_whole):
            for change in together:
                self._emit(change)
            if time.perf_counter() - turn_began > MAX_TURN_SECONDS:
                await asyncio.sleep(0)
                turn_began = time.perf_counter()
        self._is_behind = False

    async def _look_forever(self) -> None:
        while True:
            await asyncio.sleep(self._poll_seconds)
            try:
                await self.poll()
            except Exception:  # the task's edge: one bad turn must not end the following of files
                log.exception("manifests: this change was not taken in full, trying again")

    def _read(self) -> list[Change]:
        """What differs from what was emitted. Runs in a thread, one at a time."""
        self._is_behind |= self._files.read()
        self._tell_problems()
        if not self._is_behind:
            return []
        state, remarks = desired_objects(self._files.documents(), self._selection)
        self._tell_remarks(remarks)
        return differences(self._emitted, state)

    def _emit(self, change: Change) -> None:
        self._on_change(change)
        old, new = change
        if new is not None:
            self._emitted[type(new), key_of(new)] = new
        elif old is not None:
            del self._emitted[type(old), key_of(old)]

    def _tell_problems(self) -> None:
        """Log what is wrong with files, once as long as it lasts."""
        problems = self._files.problems
        for text in problems:
            if text not in self._told_problems:
                log.error("%s; its last good content, if any, is served", printable(text))
        self._told_problems = set(problems)

    def _tell_remarks(self, remarks: Sequence[Remark]) -> None:
        """Log and count what is new about single objects."""
        new = [remark for remark in remarks if remark.text not in self._told_remarks]
        for number, remark in enumerate(new):
            if number < _MAX_SHOWN_REMARKS:
                log.warning("%s", printable(remark.text))
            if remark.is_skipped:
                self._skipped.labels(remark.kind).value += 1
        if len(new) > _MAX_SHOWN_REMARKS:
            log.warning("manifests: %d more remarks of this kind", len(new) - _MAX_SHOWN_REMARKS)
        self._told_remarks = {remark.text for remark in remarks}


def differences(old: Desires, new: Desires) -> list[Change]:
    """The changes from one state to another: what comes before what goes, and slices of one Service in a row."""
    changed = [Change(old.get(key), obj) for key, obj in new.items() if old.get(key) != obj]
    gone = [Change(obj, None) for key, obj in old.items() if key not in new]
    slices = [change for change in (*changed, *gone) if _is_slice(change)]
    return [
        *sorted((one for one in changed if not _is_slice(one)), key=_rank),
        *sorted(slices, key=_whole),
        *sorted((one for one in gone if not _is_slice(one)), key=_rank, reverse=True),
    ]


def _is_slice(change: Change) -> bool:
    return isinstance(change.new or change.old, EndpointSlice)


def _rank(change: Change) -> tuple[int, str, str]:
    obj = change.new or change.old
    assert obj is not None
    return (_ORDER.index(type(obj)), *key_of(obj))


def _whole(change: Change) -> tuple[str, ...]:
    """What must change in one turn of the loop: all slices of a Service, between which an endpoint may move."""
    obj = change.new or change.old
    assert obj is not None
    if isinstance(obj, EndpointSlice):
        return ("slice", obj.namespace, obj.service)
    return (type(obj).__name__, *key_of(obj))


def printable(text: str) -> str:
    """The text on one line, as a log can take it, whatever a manifest names its objects."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
