"""Following a file: polling it, and reading it when it may have changed.

Two statuses (times, size, inode, device) tell whether the file was written or replaced; `Content.digest` then tells
whether the content differs. Symbolic links are followed, so that the kubelet's swap of a mounted ConfigMap is seen.
There is no inotify: it sees neither that swap, nor NFS, nor a folder that is made later. `/dev/null` counts as an empty
file: `hosts /dev/null` is how one leaves the machine's own /etc/hosts out.

The period, the meaning of the content and the handling of errors are each user's own: hosts, zone and weights files,
manifests, certificates.
"""

import errno
import os
import stat
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

from clusterdns.host.files import open_file

# A program that rewrites a file in place truncates it first; a file modified this recently may be half written.
_RECENT_NS = 100_000_000
# The clock of a file system may tick once in 2 s; within a tick, content can change and the status stay the same.
_TICK_NS = 2_000_000_000


class Content(NamedTuple):
    """The content of a file that may have changed."""

    raw: bytes
    digest: bytes
    modified_ns: int


class FollowedFile:
    """One file that is polled by one thread at a time."""

    def __init__(self, path: str, now_ns: Callable[[], int] = time.time_ns) -> None:
        self.path = path
        self._now_ns = now_ns
        self._status: tuple[int, ...] | None = None  # None: what the file holds now is not known for certain

    def has_changed(self) -> bool:
        """Return whether the file may have changed since the last call. Raises OSError; the next call is then True."""
        return self._poll(skip_recent=False) is not None

    def read(self, max_bytes: int, *, skip_recent: bool) -> Content | None:
        """Read the file if it may have changed since the last call; blocks, so it belongs in a thread.

        With `skip_recent` a file that was modified within the last 100 ms is left for the next call, because its writer
        may not have finished. Raises OSError, also for a file of more than `max_bytes`; the next call then reads again.
        """
        found = self._poll(skip_recent=skip_recent)
        if found is None:
            return None
        try:
            if found.st_size > max_bytes:
                raise OSError(errno.EFBIG, f"is larger than {max_bytes >> 20} MiB")
            with open_file(self.path) as file:
                raw = file.read(max_bytes)
        except OSError:
            self._status = None
            raise
        return Content(raw, blake2b(raw).digest(), found.st_mtime_ns)

    def _poll(self, *, skip_recent: bool) -> os.stat_result | None:
        """Return the file's status if it differs from the last one or does not exclude a change."""
        last, self._status = self._status, None
        found = os.stat(self.path)
        if not stat.S_ISREG(found.st_mode) and not os.path.samestat(found, os.stat(os.devnull)):
            raise OSError(errno.EINVAL, "is not a regular file")
        status = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)
        age_ns = self._now_ns() - found.st_mtime_ns
        if status == last or (skip_recent and 0 <= age_ns < _RECENT_NS):
            self._status = last
            return None
        self._status = status if age_ns >= _TICK_NS else None
        return found
