"""Loads the snapshot of one feed before its start, and saves it while the feed runs.

The event loop encodes, a part at a time, and a thread writes (`host.disk`), so that neither the size of the cluster nor
a hanging disk delays an answer. A file that cannot be used or written is logged once and counted; it stops nothing.
"""

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar

import clusterdns
from clusterdns.cluster.snapshot.contents import CollectionState, SavedCollection, SnapshotHeader
from clusterdns.cluster.snapshot.format import DIGEST_BYTES, SnapshotError, encode, layout, verify
from clusterdns.cluster.snapshot.metrics import SnapshotMetrics, SnapshotState
from clusterdns.host.disk.atomic_file import AtomicFile
from clusterdns.host.disk.daemon_worker import DaemonWorker
from clusterdns.host.files import open_file
from clusterdns.telemetry.metrics import Registry

PAUSE_SECONDS = 10.0  # between the beginnings of two saves
REFRESH_SECONDS = 300.0  # after which it is saved although nothing has changed, so that its age says it is kept
LOAD_SECONDS = 2.0  # for the disk to answer before a start without a snapshot
SAVE_SECONDS = 30.0
LAST_SAVE_SECONDS = 2.0  # at the end of the process
MAX_CLOCK_SKEW_SECONDS = 60.0
MAX_BYTES = 1 << 30
WRITE_BYTES = 1 << 17
SUFFIX = ".snapshot"

T = TypeVar("T")

log = logging.getLogger("clusterdns.plugin.kubernetes")


class LoadedSnapshot(NamedTuple):
    """A snapshot that belongs to this feed, verified but not decoded."""

    header: SnapshotHeader
    content: bytes


class SnapshotContents(NamedTuple):
    """What is to be saved: the UID of the cluster, empty where it is not known, and its objects."""

    cluster: str
    states: Sequence[CollectionState]


Take = Callable[[], Awaitable[SnapshotContents | None]]  # None while nothing should be saved


class SnapshotKeeper:
    """The snapshot of one feed. Its file is named after the key, so that feeds of one folder have a file each."""

    def __init__(
        self,
        folder: str,
        key: str,
        registry: Registry,
        *,
        worker: DaemonWorker | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = os.path.join(folder, f"cluster-{key}{SUFFIX}")
        self._folder = folder
        self._key = key
        self._clock = clock
        self._worker = worker or DaemonWorker()
        self._metrics = registry.computed(SnapshotMetrics)
        self._state = SnapshotState(clock())
        self._changed = asyncio.Event()
        self._began_at = -PAUSE_SECONDS  # the last save, on the loop's clock
        self._task: asyncio.Task[None] | None = None
        self._last_call: Future[Any] | None = None  # to the disk
        self._problem = ""  # of the last save

    def status(self) -> dict[str, Any]:
        """Return what /status shows of the file. The age is the time since the start where it was never saved."""
        row: dict[str, Any] = {"file": self.path, "bytes": self._state.size_bytes}
        row["age_seconds"] = round(max(0.0, self._clock() - self._state.saved_at), 3)
        if self._problem:
            row["problem"] = self._problem
        return row

    # Loading

    async def load(self) -> LoadedSnapshot | None:
        """Read the file. Returns None, with a log line, where there is none that can be used."""
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                loaded = await self._call(self._read)
        except FileNotFoundError:
            await self._note_missing()
            return None
        except TimeoutError:
            self.ignore(f"the disk does not answer within {LOAD_SECONDS:g} s")
            return None
        except (OSError, SnapshotError) as error:
            self.ignore(_reason(error))
            return None
        self._state.saved_at = loaded.header.saved_at
        self._state.size_bytes = len(loaded.content)
        return loaded

    def ignore(self, reason: str) -> None:
        """Log and count a snapshot that is not used."""
        self._metrics.errors.value += 1
        log.warning("snapshot %s is ignored: %s; names are SERVFAIL until the API server's lists are read",
                    self.path, reason)  # fmt: skip

    def _read(self) -> LoadedSnapshot:
        with open_file(self.path) as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise SnapshotError(f"it has more than {MAX_BYTES} bytes")
        header = verify(content)
        if header.layout != layout():
            raise SnapshotError(f"version {header.program} saved it, whose objects have other fields")
        if header.key != self._key:
            raise SnapshotError("it was saved with other settings: API server, namespaces, labels or kinds")
        ahead_seconds = header.saved_at - self._clock()
        if not ahead_seconds <= MAX_CLOCK_SKEW_SECONDS:
            raise SnapshotError(f"it was saved {ahead_seconds:.0f} s in the future; check the clock")
        return LoadedSnapshot(header, content)

    async def _note_missing(self) -> None:
        """Log that the folder has snapshots of other settings only; a folder without any is that of a first start."""
        with suppress(OSError):
            async with asyncio.timeout(LOAD_SECONDS):
                names = await self._call(partial(os.listdir, self._folder))
            others = sum(name.endswith(SUFFIX) for name in names)
            if others:
                log.warning(
                    "snapshot %s does not exist, and %d of other settings (API server, namespaces, labels or kinds) "
                    "are ignored; names are SERVFAIL until the API server's lists are read",
                    self.path, others,
                )  # fmt: skip

    # Saving

    def start(self, take: Take, is_current: Callable[[], bool]) -> None:
        """Save what `take` returns after each `note_change`, at most every 10 s.

        While `is_current`, it is also saved without a change from time to time, and is known to be as old as it says.
        """
        self._metrics.followed.append(self._state)
        self._task = asyncio.create_task(self._run(take, is_current), name="snapshot")

    def note_change(self) -> None:
        """Note that an object has changed."""
        self._changed.set()

    async def stop(self, take: Take) -> None:
        """Save once more what has changed, as far as the disk is fast enough."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        self._metrics.followed.remove(self._state)
        if self._changed.is_set():
            await self._save(take, LAST_SAVE_SECONDS)

    async def _run(self, take: Take, is_current: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._changed.wait()
            if not self._changed.is_set() and not is_current():
                continue
            await asyncio.sleep(self._began_at + PAUSE_SECONDS - loop.time())
            self._began_at = loop.time()
            await self._save(take, SAVE_SECONDS)
            if self._problem:
                self._began_at = loop.time()

    async def _save(self, take: Take, limit_seconds: float) -> None:
        """Save, unless there is nothing to be saved; no call joins one that the disk has not answered."""
        problem = f"the disk does not answer within {limit_seconds:g} s"
        self._changed.clear()
        is_done = False
        try:
            async with asyncio.timeout(limit_seconds):
                await self._last_answer()
                contents = await take()
                if contents is not None:
                    await self._write(contents)
            is_done, problem = True, ""
        except TimeoutError:
            pass
        except OSError as error:
            problem = _reason(error)
        except Exception as error:  # an internal error must not end the saving
            problem = f"internal error: {error!r}"
            if problem != self._problem:
                log.exception("failed to save the snapshot %s", self.path)
        finally:
            if not is_done:
                self._changed.set()
        self._report(problem)

    async def _write(self, contents: SnapshotContents) -> None:
        """Write the file. Raises OSError."""
        saved_at = self._clock()
        collections = [SavedCollection(one.label, one.kind.__name__, len(one.objects)) for one in contents.states]
        header = SnapshotHeader(
            clusterdns.__version__, layout(), self._key, contents.cluster, saved_at, tuple(collections)
        )
        output = _Output(self.path)
        try:
            await self._call(output.file.open)
            ready = bytearray()
            for part in encode(header, contents.states):
                ready += part
                if len(ready) >= WRITE_BYTES:
                    await self._call(partial(output.write, bytes(ready)))
                    ready.clear()
                else:
                    await asyncio.sleep(0)
            await self._call(partial(output.finish, bytes(ready)))
        finally:
            self._last_call = self._worker.submit(output.file.discard)
        self._state.saved_at = saved_at
        self._state.size_bytes = output.size_bytes

    def _report(self, problem: str) -> None:
        before, self._problem = self._problem, problem
        if problem:
            self._metrics.errors.value += 1
        if problem and not before:
            log.warning(
                "cannot save the snapshot %s: %s; answers are not affected, but a restart without the API server finds "
                "an older snapshot or none; retrying",
                self.path, problem,
            )  # fmt: skip
        elif before and not problem:
            log.info("snapshot %s is saved again, after: %s", self.path, before)

    async def _last_answer(self) -> None:
        """Wait until the disk has answered the last call, whose failure is known already."""
        if self._last_call is not None and not self._last_call.done():
            with suppress(OSError):
                await asyncio.shield(asyncio.wrap_future(self._last_call))

    async def _call(self, call: Callable[[], T]) -> T:
        self._last_call = made = self._worker.submit(call)
        return await asyncio.wrap_future(made)


class _Output:
    """The new content of the file, and its checksum; used by the thread."""

    def __init__(self, path: str) -> None:
        self.file = AtomicFile(path)
        self.size_bytes = 0
        self._digest = hashlib.blake2b(digest_size=DIGEST_BYTES)

    def write(self, content: bytes) -> None:
        self._digest.update(content)
        self.file.write(content)
        self.size_bytes += len(content)

    def finish(self, content: bytes) -> None:
        """Write the last content and the checksum, and replace the file."""
        self.write(content)
        self.write(self._digest.digest())
        self.file.commit()


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower() if isinstance(error, OSError) else str(error)
