"""Replacing a file as a whole: a process that opens it reads the old or the new content, also after a power failure.

The new content is written to a file beside it, which then takes its name. The calls may block for as long as the disk
does; `daemon_worker` makes them where that must not matter.
"""

import fcntl
import os
from types import TracebackType

MODE = 0o600


class AtomicFile:
    """A new content for one file, as a context manager: `commit` replaces the file, and leaving without it does not.

    The file beside it has one name, which a lock guards: two processes do not mix their contents, and what a killed one
    has left is overwritten. Raises OSError; BlockingIOError while another process writes.
    """

    def __init__(self, path: str, mode: int = MODE) -> None:
        folder, name = os.path.split(path)
        self._mode = mode
        self._path = path
        self._folder = folder or "."
        self._fresh_path = os.path.join(folder, f".{name}.new")
        self._descriptor = -1

    def __enter__(self) -> "AtomicFile":
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.discard()

    def open(self) -> None:
        """Make the folder where it is missing, and an empty file in it."""
        os.makedirs(self._folder, exist_ok=True)
        while True:
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(self._fresh_path, flags, MODE)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._has_name(descriptor):
                    os.ftruncate(descriptor, 0)
                    os.fchmod(descriptor, self._mode)
                    self._descriptor = descriptor
                    return
            except OSError:
                os.close(descriptor)
                raise
            os.close(descriptor)  # another process has just given this file its final name

    def _has_name(self, descriptor: int) -> bool:
        try:
            named = os.stat(self._fresh_path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(named, os.fstat(descriptor))

    def write(self, content: bytes) -> None:
        """Append to the new content."""
        left = memoryview(content)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def commit(self) -> None:
        """Give the file its name, once its content is on the disk; then the name, too."""
        os.fsync(self._descriptor)
        os.rename(self._fresh_path, self._path)
        self._close()
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def discard(self) -> None:
        """Remove the new content, unless it was committed."""
        if self._descriptor != -1:
            try:
                os.unlink(self._fresh_path)
            finally:
                self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)  # releases the lock
