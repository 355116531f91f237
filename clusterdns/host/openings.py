"""How files that a configuration names are opened: never in a way that waits.

Opening a named pipe waits until somebody writes, which may be never, and no signal is heard meanwhile. So everything is
opened without waiting and must turn out to be a file; only the Corefile itself may come through a pipe (a shell's
`-conf <(…)`), for a few seconds. Which errors a user reads is the caller's business.
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
    """A file opened for reading. Raises OSError, also for what is neither a file nor a device."""
    return open(path, "rb", opener=_opener)


def read_file_or_pipe(path: str, max_bytes: int) -> bytes:
    """At most so many bytes of a file, or of a pipe that is written and closed within PIPE_SECONDS. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return _from_pipe(descriptor, path, max_bytes)
    finally:
        os.close(descriptor)
    with open_file(path) as file:
        return file.read(max_bytes)


def _opener(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or stat.S_ISCHR(mode) or stat.S_ISDIR(mode):  # `open` itself refuses folders
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "is a pipe or socket, not a file", path)


def _from_pipe(descriptor: int, path: str, max_bytes: int) -> bytes:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    deadline = monotonic() + PIPE_SECONDS
    content = b""
    while len(content) < max_bytes:
        # a pipe nobody has opened for writing looks like one that has ended, unless it is polled first
        if not poll.poll(max(0.0, deadline - monotonic()) * 1000):
            raise OSError(errno.ETIMEDOUT, f"is a pipe that was not written to its end within {PIPE_SECONDS:g} s", path)
        chunk = os.read(descriptor, min(_CHUNK_BYTES, max_bytes - len(content)))
        if not chunk:
            break
        content += chunk
    return content
