"""A followed file is read again exactly when its content may have changed."""

import os
from pathlib import Path

import pytest

from clusterdns.host.followed_file import Content, FollowedFile

MAX_BYTES = 1 << 20
SECOND_NS = 10**9


class Clock:
    """A clock that shows a time relative to a file's last modification."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.age_ns = 3600 * SECOND_NS

    def __call__(self) -> int:
        return self.path.stat().st_mtime_ns + self.age_ns


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("one")
    return path


@pytest.fixture
def clock(path: Path) -> Clock:
    return Clock(path)


@pytest.fixture
def followed(path: Path, clock: Clock) -> FollowedFile:
    return FollowedFile(str(path), clock)


def read(followed: FollowedFile) -> bytes | None:
    """What a poll after the first reads."""
    found = followed.read(MAX_BYTES, skip_recent=True)
    return found.raw if found is not None else None


def test_the_first_read_gives_the_content(followed: FollowedFile, path: Path) -> None:
    found = followed.read(MAX_BYTES, skip_recent=False)
    assert found == Content(b"one", found.digest if found else b"", path.stat().st_mtime_ns)


def test_a_file_is_read_again_when_it_is_written(followed: FollowedFile, path: Path) -> None:
    assert [read(followed), read(followed)] == [b"one", None]
    path.write_text("two")
    assert [read(followed), read(followed)] == [b"two", None]


def test_a_file_is_read_again_when_another_takes_its_place(followed: FollowedFile, path: Path) -> None:
    read(followed)
    new = path.with_name("new")
    new.write_text("two")
    status = path.stat()
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    new.rename(path)
    assert read(followed) == b"two"


def test_a_file_is_read_again_when_a_link_on_the_way_points_elsewhere(tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "file").write_text(version)
    (tmp_path / "data").symlink_to("v1")
    followed = FollowedFile(str(tmp_path / "data" / "file"))
    assert read(followed) in (b"v1", None)  # None: written a moment ago
    (tmp_path / "next").symlink_to("v2")
    (tmp_path / "next").rename(tmp_path / "data")
    found = followed.read(MAX_BYTES, skip_recent=False)
    assert found is not None
    assert found.raw == b"v2"


def test_a_file_that_was_written_a_moment_ago_is_left_for_the_next_poll(followed: FollowedFile, clock: Clock) -> None:
    clock.age_ns = SECOND_NS // 100
    assert read(followed) is None
    clock.age_ns = SECOND_NS // 2
    assert read(followed) == b"one"


def test_an_equal_status_counts_only_once_the_file_system_s_clock_has_ticked(
    followed: FollowedFile, clock: Clock
) -> None:
    clock.age_ns = SECOND_NS
    assert [read(followed), read(followed)] == [b"one", b"one"]
    clock.age_ns = 3 * SECOND_NS
    assert [read(followed), read(followed)] == [b"one", None]


def test_equal_content_has_an_equal_digest(followed: FollowedFile, path: Path) -> None:
    first = followed.read(MAX_BYTES, skip_recent=False)
    os.utime(path, (1, 1))
    second = followed.read(MAX_BYTES, skip_recent=False)
    assert first is not None
    assert second is not None
    assert first.digest == second.digest


def test_after_an_error_the_same_file_is_read_again(followed: FollowedFile, path: Path, clock: Clock) -> None:
    read(followed)
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    with pytest.raises(FileNotFoundError):
        read(followed)
    elsewhere.rename(path)
    assert [read(followed), read(followed)] == [b"one", None]


def test_a_file_that_is_too_large_is_an_error_each_time(followed: FollowedFile) -> None:
    for _ in range(2):
        with pytest.raises(OSError, match="is larger than 0 MiB"):
            followed.read(2, skip_recent=False)
    assert read(followed) == b"one"


def test_only_regular_files_are_followed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(OSError, match="is not a regular file"):
            FollowedFile(str(path)).read(MAX_BYTES, skip_recent=False)


def test_the_null_device_is_an_empty_file() -> None:
    assert read(FollowedFile(os.devnull)) == b""


def test_a_change_is_seen_without_reading(followed: FollowedFile, path: Path) -> None:
    assert [followed.has_changed(), followed.has_changed()] == [True, False]
    path.write_text("two")
    assert [followed.has_changed(), followed.has_changed()] == [True, False]
    path.unlink()
    with pytest.raises(FileNotFoundError):
        followed.has_changed()
