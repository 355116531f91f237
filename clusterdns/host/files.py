"""Opening the files that a configuration names, without ever blocking on a named pipe.

Opening a pipe blocks until a process writes to it, and signals are not handled meanwhile. Files are therefore opened
with O_NONBLOCK and must turn out to be files. Only the Corefile itself may be a pipe (a shell's `-conf <(…)`), which is
read for at most PIPE_SECONDS.
"""

import errno
import os
import select
import stat
from time import monotonic
from typing import BinaryIO

PIPE_SECONDS = 5.0
_CHUNK_BYTES = 65_536


def open_file(path: str) -> BinaryIO:
    """Open a regular file or a device for reading. Raises OSError, also for a folder, pipe or socket."""
    return open(path, "rb", opener=_open_nonblocking)


def read_file_or_pipe(path: str, max_bytes: int) -> bytes:
    """Read at most `max_bytes` of a file, or of a pipe that is written and closed in PIPE_SECONDS. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return _read_pipe(descriptor, path, max_bytes)
    finally:
        os.close(descriptor)
    with open_file(path) as file:
        return file.read(max_bytes)


def _open_nonblocking(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or stat.S_ISCHR(mode) or stat.S_ISDIR(mode):  # `open` itself refuses folders
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "is a pipe or socket, not a file", path)


def _read_pipe(descriptor: int, path: str, max_bytes: int) -> bytes:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    deadline = monotonic() + PIPE_SECONDS
    content = b""
    while len(content) < max_bytes:
        # A pipe without a writer reads as empty, as one whose writer has closed it does; polling tells them apart.
        if not poll.poll(max(0.0, deadline - monotonic()) * 1000):
            raise OSError(errno.ETIMEDOUT, f"is a pipe that was not written to its end within {PIPE_SECONDS:g} s", path)
        chunk = os.read(descriptor, min(_CHUNK_BYTES, max_bytes - len(content)))
        if not chunk:
            break
        content += chunk
    return content
