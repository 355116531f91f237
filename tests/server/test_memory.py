"""What is kept gives way to the limit of the container, and comes back when there is room again."""

import logging
from pathlib import Path

import pytest

from clusterdns.answers.table import Room as AnswerRoom
from clusterdns.plugins.cache.store import Room as CacheRoom
from clusterdns.server import memory
from clusterdns.server.memory import FILL, MIN_SHARE, MemoryWatch, Room, limit_bytes

MIB = 1 << 20


class FakeRoom:
    most_bytes = 80 * MIB

    def __init__(self, used_bytes: int = 0) -> None:
        self.used_bytes = used_bytes
        self.share = 0.0

    def scale(self, share: float) -> None:
        self.share = share
        self.used_bytes = min(self.used_bytes, int(self.most_bytes * share))


@pytest.mark.parametrize(
    ("resident_mib", "used_mib", "share"),
    [
        (50, 0, 1.0),  # 103 MiB left of 153: more than the rooms want
        (113, 0, 0.5),
        (133, 20, 0.5),  # the same: 20 of what is taken is theirs
        (153, 60, 0.75),  # full: what they hold they keep
        (163, 60, 0.625),  # over: they give way by as much
        (200, 80, 33 / 80),
        (300, 0, MIN_SHARE),
    ],
)
def test_the_rooms_take_what_is_left(resident_mib: int, used_mib: int, share: float) -> None:
    rooms: list[Room] = [room := FakeRoom(used_mib * MIB)]
    MemoryWatch(170 * MIB, lambda: rooms, lambda: resident_mib * MIB).look()
    assert room.share == pytest.approx(share, abs=0.001)


def test_nothing_runs_yet() -> None:
    MemoryWatch(MIB, lambda: ()).look()


def test_short_memory_is_told_once_each_time(caplog: pytest.LogCaptureFixture) -> None:
    taken = 500 * MIB
    watch = MemoryWatch(170 * MIB, lambda: [FakeRoom()], lambda: taken)
    with caplog.at_level(logging.WARNING, "clusterdns"):
        watch.look()
        watch.look()
        assert len(caplog.messages) == 1
        assert caplog.messages[0].startswith("memory is short: 500 MiB of the container's 170")
        taken = 20 * MIB
        watch.look()
        taken = 500 * MIB
        watch.look()
    assert len(caplog.messages) == 2


@pytest.mark.parametrize("room", [AnswerRoom(), CacheRoom()])
def test_the_rooms_there_are_fit(room: Room) -> None:
    assert room.used_bytes == 0
    assert room.most_bytes >= 40 * MIB
    room.scale(MIN_SHARE)
    assert room.most_bytes >= 40 * MIB


def test_the_usual_limit_is_enough_for_the_rooms_of_a_small_cluster() -> None:
    process_mib = 60
    assert (AnswerRoom().most_bytes + CacheRoom().most_bytes) / MIB <= 170 * FILL - process_mib + 1


@pytest.mark.parametrize(
    ("files", "groups", "limit"),
    [
        ({"memory.max": "178257920\n"}, "0::/\n", 178257920),
        ({"memory.max": "max\n"}, "0::/\n", None),
        ({"kube/pod/memory.max": "134217728\n", "kube/memory.max": "1\n"}, "0::/kube/pod\n", 134217728),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, "4:memory:/\n", None),
        ({"memory/a/memory.limit_in_bytes": "1000\n"}, "5:cpu:/b\n4:cpuset,memory:/a\n", 1000),
        ({"memory/memory.limit_in_bytes": "2000\n"}, "4:memory:/not/seen\n", 2000),
        ({"memory.max": "junk"}, "0::/\n", None),
        ({}, None, None),
    ],
)
def test_the_limit(tmp_path: Path, files: dict[str, str], groups: str | None, limit: int | None) -> None:
    root = tmp_path / "cgroup"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    if groups is not None:
        (tmp_path / "self").write_text(groups)
    assert limit_bytes(tmp_path / "self", root) == limit


def test_the_resident_set_is_that_of_a_python_process() -> None:
    assert 5 * MIB < memory.resident_bytes() < 4096 * MIB
