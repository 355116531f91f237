"""The source without a cluster: reports the changes between one state of manifest files and the next.

`files` reads them and `controllers` computes the objects; this module compares these with the objects reported before.
Reading, computing and comparing run in a thread; the changes are reported on the event loop in steps (see `turns`),
additions before removals, so that no name is missing for a moment.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from clusterdns.cluster.manifests import selectors
from clusterdns.cluster.manifests.controllers import ObjectsByKey, Selection, desired_objects
from clusterdns.cluster.manifests.documents import Document
from clusterdns.cluster.manifests.files import ManifestError, ManifestFiles
from clusterdns.cluster.manifests.problems import Problem, ProblemReport
from clusterdns.cluster.objects import Change, EndpointSlice, Namespace, Object, Pod, Service, ServiceImport, key_of
from clusterdns.cluster.turns import LoopTurns
from clusterdns.telemetry.metrics import Registry

__all__ = ["ManifestError", "ManifestSource"]

DEFAULT_POLL_SECONDS = 1.0
_ORDER: tuple[type[Object], ...] = (Namespace, Service, ServiceImport, EndpointSlice, Pod)

log = logging.getLogger("clusterdns.plugin.kubernetes")


class ManifestSource:
    """The source of one `manifests PATH…`. Call `load`, then `start`, and `stop` at the end."""

    def __init__(
        self,
        paths: Sequence[str],
        on_change: Callable[[Change], Iterable[None] | None],
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
        """The options from `pods` to `imports` are those of `kubernetes` with these names. Raises ManifestError."""
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
        self._reported: ObjectsByKey = {}
        self._is_behind = True  # the reported objects differ from the files
        self.documents: Sequence[Document] = ()  # of the last reading
        self._object_problems: tuple[Problem, ...] = ()
        self._problems = ProblemReport(registry)
        self._turns = LoopTurns()
        self._logged_error = ""  # of the last poll
        self._task: asyncio.Task[None] | None = None

    @property
    def reason(self) -> str:
        """Why it is not synced; or empty."""
        return "" if self.synced else "manifests have not been read yet"

    @property
    def warning(self) -> str:
        """The problems with the manifests, none of which prevents serving the others; or empty."""
        return self._problems.summary

    def load(self) -> None:
        """Read every file and report every object. Raises ManifestError where a path does not exist."""
        for change in self._read():
            for _ in self._report(change):
                pass
        self._end_load()

    async def load_in_thread(self) -> None:
        """Do the same while the event loop answers queries. Raises ManifestError."""
        await self._report_all(await asyncio.to_thread(self._read))
        self._end_load()

    def _end_load(self) -> None:
        self._report_problems()
        self._is_behind = False
        self.synced = True
        log.info("%d objects of %d manifest files", len(self._reported), self._files.count)
        self._on_synced()

    def start(self) -> None:
        """Start to poll the files, in a task of the running loop."""
        self._task = asyncio.create_task(self._poll_forever(), name="manifests")

    async def stop(self) -> None:
        """Stop polling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        self._problems.close()

    async def poll(self) -> None:
        """Read the files once, and report the changes."""
        changes = await asyncio.to_thread(self._read)
        self._report_problems()
        await self._report_all(changes)
        self._is_behind = False

    async def _report_all(self, changes: list[Change]) -> None:
        """Report changes, and take them out of the list, so that not all that is gone is freed at once."""
        self._turns.begin()
        changes.reverse()
        while changes:
            await self._turns.take(self._report(changes.pop()))

    async def _poll_forever(self) -> None:
        while True:
            await asyncio.sleep(self._poll_seconds)
            try:
                await self.poll()
            except Exception as error:  # the outermost frame of the task: an error must not end the polling
                if repr(error) != self._logged_error:
                    self._logged_error = repr(error)
                    log.exception("manifests: internal error while applying a change; retrying")
            else:
                if self._logged_error:
                    log.info("manifests: changes are applied again, after: %s", self._logged_error)
                    self._logged_error = ""

    def _read(self) -> list[Change]:
        """Compute the changes since the last report. Runs in a thread, one call at a time."""
        self._is_behind |= self._files.read()
        if not self._is_behind:
            return []
        self.documents = self._files.documents()
        state, self._object_problems = desired_objects(self.documents, self._selection)
        return differences(self._reported, state)

    def _report_problems(self) -> None:
        self._problems.update((*self._files.problems, *self._object_problems))

    def _report(self, change: Change) -> Iterator[None]:
        """Report a change, and take the steps in which it is applied."""
        yield from self._on_change(change) or ()
        old, new, _ = change
        if new is not None:
            self._reported[type(new), key_of(new)] = new
        elif old is not None:
            del self._reported[type(old), key_of(old)]


def differences(old: ObjectsByKey, new: ObjectsByKey) -> list[Change]:
    """List the changes from one state to another: additions first, and the slices of a Service in a row."""
    changed = [Change(old.get(key), obj) for key, obj in new.items() if old.get(key) != obj]
    gone = [Change(obj, None) for key, obj in old.items() if key not in new]
    slices = [change for change in (*changed, *gone) if _is_slice(change)]
    return [
        *sorted((one for one in changed if not _is_slice(one)), key=_rank),
        *sorted(slices, key=_service_of),
        *sorted((one for one in gone if not _is_slice(one)), key=_rank, reverse=True),
    ]


def _is_slice(change: Change) -> bool:
    return isinstance(change.new or change.old, EndpointSlice)


def _rank(change: Change) -> tuple[int, str, str]:
    obj = change.new or change.old
    assert obj is not None
    return (_ORDER.index(type(obj)), *key_of(obj))


def _service_of(change: Change) -> tuple[str, str]:
    """Return the Service of a slice, between whose slices endpoints move."""
    obj = change.new or change.old
    assert isinstance(obj, EndpointSlice)
    return (obj.namespace, obj.service)
