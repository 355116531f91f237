"""A file is replaced as a whole, or not at all."""

import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterdns.host.disk.atomic_file import AtomicFile


def replace(path: Path, *contents: bytes) -> None:
    with AtomicFile(str(path)) as file:
        for content in contents:
            file.write(content)
        file.commit()


def test_the_folder_is_made_and_the_content_is_that_of_all_writes(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "name"
    replace(path, b"one ", b"", b"two" * 100_000)
    assert path.read_bytes() == b"one " + b"two" * 100_000
    assert os.listdir(path.parent) == ["name"]


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_only_the_owner_may_read_it(tmp_path: Path, mask: int) -> None:
    path = tmp_path / "name"
    path.write_bytes(b"old")
    path.chmod(0o644)
    before = os.umask(mask)
    try:
        replace(path, b"new")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


def test_without_commit_the_old_content_stays(tmp_path: Path) -> None:
    path = tmp_path / "name"
    replace(path, b"old")
    with AtomicFile(str(path)) as file:
        file.write(b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["name"]


def test_what_a_killed_process_has_left_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".name.new").write_bytes(b"longer than the new content")
    replace(tmp_path / "name", b"new")
    assert (tmp_path / "name").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["name"]


def test_two_writers_do_not_mix_their_contents(tmp_path: Path) -> None:
    path = tmp_path / "name"
    with AtomicFile(str(path)) as first:
        first.write(b"first")
        with pytest.raises(BlockingIOError):
            replace(path, b"second")
        first.commit()
    assert path.read_bytes() == b"first"
    replace(path, b"second")
    assert path.read_bytes() == b"second"


def test_a_writer_that_opened_the_file_of_another_never_writes_into_the_final_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real_open = tmp_path / "name", os.open
    opened: list[str] = []

    def open_before_the_other_commits(name: str, *arguments: int) -> int:
        descriptor = real_open(name, *arguments)
        if name.endswith(".new") and not opened:
            opened.append(name)
            monkeypatch.setattr(os, "open", real_open)
            replace(path, b"of the other")
            monkeypatch.setattr(os, "open", open_before_the_other_commits)
        return descriptor

    monkeypatch.setattr(os, "open", open_before_the_other_commits)
    with AtomicFile(str(path)) as file:
        assert opened
        assert path.read_bytes() == b"of the other"
        file.write(b"own")
        file.commit()
    assert path.read_bytes() == b"own"


def full(path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        replace(path, b"x" * 9_000, b"x" * 9_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def into_a_file(path: Path) -> None:
    replace(path / "below", b"new")


def beside_a_folder(path: Path) -> None:
    (path.parent / ".name.new").mkdir()
    replace(path, b"new")


def beside_a_pipe(path: Path) -> None:
    os.mkfifo(path.parent / ".name.new")
    replace(path, b"new")


def beside_a_link(path: Path) -> None:
    (path.parent / ".name.new").symlink_to(path)
    replace(path, b"new")


@pytest.mark.parametrize("fail", [full, into_a_file, beside_a_folder, beside_a_pipe, beside_a_link])
def test_a_failure_is_an_error_and_the_old_content_stays(tmp_path: Path, fail: Callable[[Path], None]) -> None:
    path = tmp_path / "name"
    replace(path, b"old")
    with pytest.raises(OSError, match=r".+"):
        fail(path)
    assert path.read_bytes() == b"old"


def test_a_file_that_could_not_be_written_takes_no_room(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="File too large"):
        full(tmp_path / "name")
    assert os.listdir(tmp_path) == []
