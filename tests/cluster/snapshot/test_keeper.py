"""The file of a snapshot: when it is saved, what is logged and counted, and that no disk delays anything."""

import asyncio
import logging
import os
import resource
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from fakes.held_clock import HeldClock, turns
from fakes.metrics import collect
from fakes.snapshots import KEY, UID, samples, snapshot, states

from clusterdns.cluster.api.collection import cluster_collections, import_collections
from clusterdns.cluster.api.settings import ApiSettings
from clusterdns.cluster.objects import Namespace, Object
from clusterdns.cluster.snapshot.contents import snapshot_key
from clusterdns.cluster.snapshot.format import decode
from clusterdns.cluster.snapshot.keeper import (
    LAST_SAVE_SECONDS,
    LOAD_SECONDS,
    MAX_CLOCK_SKEW_SECONDS,
    PAUSE_SECONDS,
    REFRESH_SECONDS,
    SAVE_SECONDS,
    SnapshotContents,
    SnapshotKeeper,
)
from clusterdns.host.disk.daemon_worker import DaemonWorker
from clusterdns.telemetry.metrics import Registry

NOW = 1_000_000_000.0  # as in `fakes.snapshots`
NAME = f"cluster-{KEY}.snapshot"


class Disk(DaemonWorker):
    """Makes each call at once, in the caller's thread, or from `hang` on not until `release`."""

    def __init__(self) -> None:
        self.calls = 0
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] | None = None

    def submit(self, call: Callable[[], Any]) -> "Future[Any]":
        self.calls += 1
        future: Future[Any] = Future()
        if self._waiting is not None:
            if not self._waiting:
                future.set_running_or_notify_cancel()  # it is in the middle of this call
            self._waiting.append((future, call))
        else:
            self._make(future, call)
        return future

    def hang(self) -> None:
        self._waiting = deque()

    def release(self) -> None:
        waiting, self._waiting = self._waiting or deque(), None
        for future, call in waiting:
            self._make(future, call)

    def _make(self, future: "Future[Any]", call: Callable[[], Any]) -> None:
        if future.running() or future.set_running_or_notify_cancel():
            try:
                future.set_result(call())
            except Exception as error:  # noqa: BLE001  # raised where the future is awaited
                future.set_exception(error)


class Feed:
    """What is known of a cluster, and a keeper of its snapshot."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.objects: list[Object] | None = [Namespace("first")]
        self.is_current = True
        self.now = NOW
        self.disk = Disk()
        self.registry = Registry()
        self.taken = 0
        self.keeper = self.new_keeper()

    def new_keeper(self) -> SnapshotKeeper:
        return SnapshotKeeper(
            str(self.path.parent), KEY, self.registry, worker=self.disk, clock=lambda: self.now,
        )  # fmt: skip

    async def take(self) -> SnapshotContents | None:
        self.taken += 1
        return SnapshotContents(UID, states(self.objects)) if self.objects is not None else None

    def start(self) -> None:
        self.keeper.start(self.take, lambda: self.is_current)

    def change(self, name: str) -> None:
        assert self.objects is not None
        self.objects.append(Namespace(name))
        self.keeper.note_change()

    async def saved(self) -> list[Object]:
        """The objects in the file."""
        loaded = await self.new_keeper().load()
        assert loaded is not None
        return [one for _, group in decode(loaded.content) for one in group]

    def metric(self, name: str) -> float:
        return next(
            sample.value for family in collect(self.registry) for sample in family.samples if sample.name == name
        )

    @property
    def errors(self) -> float:
        return self.metric("clusterdns_snapshot_errors_total")


@pytest.fixture
def feed(tmp_path: Path) -> Feed:
    return Feed(tmp_path / "state")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """The lines since the last call, with their level."""
    caplog.set_level(logging.INFO)

    def take() -> list[str]:
        found = [f"{one.levelname} {one.getMessage()}" for one in caplog.records]
        caplog.clear()
        return found

    yield take
    assert take() == []


async def test_what_is_saved_is_loaded_with_its_time_and_cluster(feed: Feed, held_clock: HeldClock) -> None:
    feed.objects = samples()
    feed.start()
    feed.keeper.note_change()
    await turns()
    assert await feed.saved() == [one for state in states(samples()) for one in state.objects]
    assert feed.path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(feed.path.parent) == [NAME]
    loaded = await feed.new_keeper().load()
    assert loaded is not None
    assert (loaded.header.cluster, loaded.header.saved_at) == (UID, NOW)
    assert feed.metric("clusterdns_snapshot_bytes") == feed.path.stat().st_size
    await feed.keeper.stop(feed.take)


async def test_a_change_is_saved_at_once_and_the_next_ones_together_after_a_pause(
    feed: Feed, held_clock: HeldClock
) -> None:
    feed.start()
    await held_clock.pass_seconds(PAUSE_SECONDS)
    assert feed.taken == 0
    for name, expected in (("a", 1), ("b", 1), ("c", 1)):
        feed.change(name)
        await turns()
        assert feed.taken == expected
    await held_clock.pass_seconds(PAUSE_SECONDS - 0.1)
    assert feed.taken == 1
    assert await feed.saved() == [Namespace("first"), Namespace("a")]
    await held_clock.pass_seconds(0.1)
    assert feed.taken == 2
    assert await feed.saved() == feed.objects
    await held_clock.pass_seconds(REFRESH_SECONDS - 0.1)
    assert feed.taken == 2
    await feed.keeper.stop(feed.take)
    assert feed.taken == 2  # nothing has changed since


async def test_without_changes_it_is_saved_again_as_long_as_it_is_current(feed: Feed, held_clock: HeldClock) -> None:
    feed.start()
    await held_clock.pass_seconds(REFRESH_SECONDS)
    assert feed.taken == 1
    feed.now += REFRESH_SECONDS
    await held_clock.pass_seconds(REFRESH_SECONDS)
    assert feed.taken == 2
    loaded = await feed.new_keeper().load()
    assert loaded is not None
    assert loaded.header.saved_at == feed.now
    feed.is_current = False
    await held_clock.pass_seconds(10 * REFRESH_SECONDS)
    assert feed.taken == 2
    await feed.keeper.stop(feed.take)


async def test_a_change_is_saved_at_the_end(feed: Feed, held_clock: HeldClock) -> None:
    feed.start()
    feed.change("a")
    await turns()
    feed.change("b")
    await feed.keeper.stop(feed.take)
    assert await feed.saved() == feed.objects
    assert feed.metric("clusterdns_snapshot_bytes") == 0  # no longer followed
    await feed.keeper.stop(feed.take)


async def test_nothing_is_saved_before_there_is_something_to_save(feed: Feed, held_clock: HeldClock) -> None:
    feed.objects = None
    feed.start()
    feed.keeper.note_change()
    await turns()
    await feed.keeper.stop(feed.take)
    assert feed.taken == 1
    assert not feed.path.parent.exists()


async def test_a_save_that_is_interrupted_by_the_end_is_made_again(feed: Feed, held_clock: HeldClock) -> None:
    feed.objects = [Namespace(f"n{number}") for number in range(50_000)]
    feed.start()
    feed.keeper.note_change()
    await turns(3)
    await feed.keeper.stop(feed.take)
    assert feed.taken == 2
    assert await feed.saved() == feed.objects
    assert os.listdir(feed.path.parent) == [NAME]


async def test_other_tasks_run_between_the_parts_of_a_save(feed: Feed) -> None:
    feed.objects = [Namespace(f"n{number}") for number in range(20_000)]
    feed.start()
    feed.keeper.note_change()
    count = 0
    while not feed.path.exists():
        await asyncio.sleep(0)
        count += 1
    assert count > 20_000 / 256
    await feed.keeper.stop(feed.take)


# Disks


async def test_a_disk_that_hangs_delays_nothing_and_is_logged_once(
    feed: Feed, held_clock: HeldClock, lines: Callable[[], list[str]]
) -> None:
    feed.start()
    feed.disk.hang()
    feed.change("a")
    await held_clock.pass_seconds(SAVE_SECONDS)
    assert lines() == [
        f"WARNING cannot save the snapshot {feed.path}: the disk does not answer within 30 s; answers are not "
        "affected, but a restart without the API server finds an older snapshot or none; retrying"
    ]
    assert feed.errors == 1
    calls = feed.disk.calls
    await held_clock.pass_seconds(10 * PAUSE_SECONDS)
    assert feed.disk.calls == calls  # calls do not queue up behind the one that hangs
    assert feed.errors > 1
    feed.disk.release()
    await held_clock.pass_seconds(PAUSE_SECONDS)
    assert await feed.saved() == feed.objects
    assert lines() == [f"INFO snapshot {feed.path} is saved again, after: the disk does not answer within 30 s"]
    assert os.listdir(feed.path.parent) == [NAME]
    await feed.keeper.stop(feed.take)


async def test_a_disk_that_hangs_delays_the_end_by_two_seconds_at_most(
    feed: Feed, held_clock: HeldClock, caplog: pytest.LogCaptureFixture
) -> None:
    feed.start()
    feed.disk.hang()
    feed.change("a")
    await turns()
    before = held_clock.now
    await held_clock.pass_until(asyncio.ensure_future(feed.keeper.stop(feed.take)))
    assert held_clock.now - before <= LAST_SAVE_SECONDS
    assert len(caplog.records) == 1


async def test_a_disk_that_hangs_delays_the_start_by_two_seconds_at_most(
    feed: Feed, held_clock: HeldClock, lines: Callable[[], list[str]]
) -> None:
    feed.disk.hang()
    loading = asyncio.ensure_future(feed.keeper.load())
    await held_clock.pass_seconds(LOAD_SECONDS)
    assert loading.done()
    assert await loading is None
    assert feed.errors == 1
    assert lines() == [
        f"WARNING snapshot {feed.path} is ignored: the disk does not answer within 2 s; names are SERVFAIL until the "
        "API server's lists are read"
    ]


def remove(folder: Path) -> None:
    """A file where the folder was; tests may run as root, who may write everywhere."""
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.write_text("")


def bring_back(folder: Path) -> None:
    folder.unlink()


def fill(_: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def empty(_: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def deny(folder: Path) -> None:
    (folder / f".{NAME}.new").mkdir()


def allow(folder: Path) -> None:
    (folder / f".{NAME}.new").rmdir()


@pytest.mark.parametrize(
    ("break_folder", "repair", "reason"),
    [(remove, bring_back, "file exists"), (fill, empty, "file too large"), (deny, allow, "is a directory")],
)
async def test_a_folder_that_cannot_be_written_is_logged_once_and_retried(
    feed: Feed, held_clock: HeldClock, lines: Callable[[], list[str]],
    break_folder: Callable[[Path], None], repair: Callable[[Path], None], reason: str,
) -> None:  # fmt: skip
    feed.start()
    feed.change("a")
    await turns()
    break_folder(feed.path.parent)
    try:
        feed.change("b")
        await held_clock.pass_seconds(5 * PAUSE_SECONDS)
        (line,) = lines()
        assert line.startswith(f"WARNING cannot save the snapshot {feed.path}: {reason}; answers are not affected")
        assert feed.errors == 5
        assert feed.metric("clusterdns_snapshot_age_seconds") > 0
    finally:
        repair(feed.path.parent)
    await held_clock.pass_seconds(PAUSE_SECONDS)
    assert await feed.saved() == feed.objects
    assert lines() == [f"INFO snapshot {feed.path} is saved again, after: {reason}"]
    await feed.keeper.stop(feed.take)


async def test_an_internal_error_does_not_end_the_saving(
    feed: Feed, held_clock: HeldClock, caplog: pytest.LogCaptureFixture
) -> None:
    feed.start()
    feed.objects = [Namespace("\ud800")]  # is not Unicode text, and cannot be encoded
    feed.keeper.note_change()
    await held_clock.pass_seconds(3 * PAUSE_SECONDS)
    assert [one.levelname for one in caplog.records] == ["ERROR", "WARNING"]
    feed.objects = [Namespace("a")]
    await held_clock.pass_seconds(PAUSE_SECONDS)
    assert await feed.saved() == [Namespace("a")]
    await feed.keeper.stop(feed.take)


# Files that are not used


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is not a snapshot"),
        (snapshot(samples())[:-1], "it is incomplete or damaged; its checksum does not match"),
        (snapshot(samples()).replace(b"snapshot 1", b"snapshot 7"), "it has format 7, and this version reads 1"),
        (snapshot(samples(), fields="other"), "version 0.0 saved it, whose objects have other fields"),
        (
            snapshot(samples(), key="f" * 16),
            "it was saved with other settings: API server, namespaces, labels or kinds",
        ),
        (
            snapshot(samples(), saved_at=NOW + MAX_CLOCK_SKEW_SECONDS + 1),
            "it was saved 61 s in the future; check the clock",
        ),
        (snapshot(samples(), saved_at=float("nan")), "it was saved nan s in the future; check the clock"),
        (snapshot(samples(), saved_at=float("inf")), "it was saved inf s in the future; check the clock"),
    ],
)
async def test_a_file_that_cannot_be_used_is_ignored_with_the_reason(
    feed: Feed, lines: Callable[[], list[str]], content: bytes, reason: str
) -> None:
    feed.path.parent.mkdir()
    feed.path.write_bytes(content)
    assert await feed.keeper.load() is None
    assert feed.errors == 1
    assert lines() == [
        f"WARNING snapshot {feed.path} is ignored: {reason}; names are SERVFAIL until the API server's lists are read"
    ]


@pytest.mark.parametrize("saved_at", [0.0, -1e300, NOW, NOW + MAX_CLOCK_SKEW_SECONDS])
async def test_a_file_of_any_age_is_used(feed: Feed, lines: Callable[[], list[str]], saved_at: float) -> None:
    feed.path.parent.mkdir()
    feed.path.write_bytes(snapshot(samples(), saved_at=saved_at))
    assert await feed.keeper.load() is not None
    assert feed.errors == 0
    assert lines() == []


def make_folder(path: Path) -> None:
    path.mkdir(parents=True)


def make_pipe(path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)


def make_no_folder(path: Path) -> None:
    path.parent.write_text("")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_folder, "is a directory"),
        (make_pipe, "is a pipe or socket, not a file"),
        (make_no_folder, "not a directory"),
    ],
)
async def test_what_is_not_a_file_is_ignored(
    feed: Feed, lines: Callable[[], list[str]], make: Callable[[Path], object], reason: str
) -> None:
    make(feed.path)
    assert await feed.keeper.load() is None
    (line,) = lines()
    assert line.startswith(f"WARNING snapshot {feed.path} is ignored: {reason};")


async def test_a_first_start_is_silent_and_one_with_other_settings_is_not(
    feed: Feed, lines: Callable[[], list[str]]
) -> None:
    assert await feed.keeper.load() is None
    feed.path.parent.mkdir()
    (feed.path.parent / "last-good-corefile.json").write_text("{}")
    assert await feed.keeper.load() is None
    assert lines() == []
    (feed.path.parent / "cluster-00.snapshot").write_bytes(b"")
    assert await feed.keeper.load() is None
    assert feed.errors == 0
    assert lines() == [
        f"WARNING snapshot {feed.path} does not exist, and 1 of other settings (API server, namespaces, labels or "
        "kinds) are ignored; names are SERVFAIL until the API server's lists are read"
    ]


def key(**changes: Any) -> str:
    settings = ApiSettings(endpoint="http://a", **changes) if "endpoint" not in changes else ApiSettings(**changes)
    return snapshot_key(settings, [*cluster_collections(settings), *import_collections(settings)])


def test_the_key_is_made_of_what_decides_the_objects() -> None:
    other = [
        key(endpoint="http://b"), key(endpoint=""), key(kubeconfig="k"), key(kubeconfig="k", context="c"),
        key(namespaces=("a",)), key(namespaces=("a", "b")), key(labels="a=b"), key(namespace_labels="a=b"),
        key(endpoints=False), key(pods=True),
    ]  # fmt: skip
    assert len({key(), *other}) == len(other) + 1
    assert key(namespaces=("b", "a")) == key(namespaces=("a", "b"))
    assert key(startup_timeout_seconds=1.0, page_limit=7) == key()


async def test_the_last_save_waits_for_one_that_was_interrupted(feed: Feed) -> None:
    """With a real thread: the interrupted save's file is removed by the time the last one is written."""
    feed.keeper = SnapshotKeeper(str(feed.path.parent), KEY, feed.registry, clock=lambda: feed.now)
    feed.objects = [Namespace(f"n{number}") for number in range(20_000)]
    feed.start()
    feed.keeper.note_change()
    while not feed.path.parent.exists():  # noqa: ASYNC110  # another thread makes it
        await asyncio.sleep(0)
    feed.change("a")
    await feed.keeper.stop(feed.take)
    assert feed.errors == 0
    assert await feed.saved() == feed.objects
    assert os.listdir(feed.path.parent) == [NAME]
