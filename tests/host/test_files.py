"""Opening a file never blocks; only the Corefile may come through a pipe, within a time limit."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterdns.host import files
from clusterdns.host.files import open_file, read_file_or_pipe


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("make", [_pipe, _socket, _loop, Path.mkdir])
def test_pipes_sockets_and_folders_are_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "it")
    with pytest.raises(OSError, match=r"is a pipe or socket|No such device|symbolic links|directory"):
        open_file(str(tmp_path / "it"))


def test_files_and_devices_are_read(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(b"text")
    with open_file(str(path)) as file:
        assert file.read() == b"text"
    assert read_file_or_pipe(str(path), 3) == b"tex"
    assert read_file_or_pipe("/dev/zero", 3) == bytes(3)


def test_a_pipe_that_is_written_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    _pipe(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"x" * 200_000,))
    writer.start()
    assert read_file_or_pipe(str(path), 1 << 20) == b"x" * 200_000
    writer.join()


def test_a_pipe_without_a_writer_is_an_error_after_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PIPE_SECONDS", 0.05)
    path = tmp_path / "pipe"
    _pipe(path)
    with pytest.raises(TimeoutError, match="not written to its end"):
        read_file_or_pipe(str(path), 100)
    descriptor = os.open(path, os.O_RDWR)  # a writer that never closes
    try:
        os.write(descriptor, b"part")
        with pytest.raises(TimeoutError, match="not written to its end"):
            read_file_or_pipe(str(path), 100)
    finally:
        os.close(descriptor)
