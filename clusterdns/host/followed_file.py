"""A file that is looked at again and again: whether it is another than at the last look, and what it holds then.

A file is told by its status, then by a hash of its content; links are followed, so a ConfigMap's swap is seen. The null
device is an empty file: `hosts /dev/null` is how one leaves the machine's own /etc/hosts out. What the content means,
and what becomes of errors, is for those who follow it (`hosts_file`, `file_zone`).
"""

import os
import stat
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

from clusterdns.host.files import open_file

MAX_FILE_BYTES = 32 << 20  # hosts: 800,000 names in 130 MiB of memory; a zone: 500,000 records in 300 MiB

# Whoever writes a file in place may have emptied it a moment ago; such a file is left for the next look.
_BEING_WRITTEN_NS = 100_000_000
# A file system's clock may tick once in 2 s: until then, the same status does not mean the same content.
_SETTLED_NS = 2_000_000_000


class Content(NamedTuple):
    """What a look found."""

    raw: bytes
    digest: bytes
    modified_ns: int


class FollowedFile:
    """One file. Looked at by one task at a time."""

    def __init__(self, path: str, now_ns: Callable[[], int] = time.time_ns) -> None:
        self.path = path
        self._now_ns = now_ns
        self._status: tuple[int, ...] | None = None

    def read(self, *, is_first: bool) -> Content | None:
        """In a thread: the content, or None where nothing has happened to the file, or is happening just now.

        Raises OSError; the same file is then read anew should it come back.
        """
        last, self._status = self._status, None
        found = os.stat(self.path)
        if not stat.S_ISREG(found.st_mode) and not os.path.samestat(found, os.stat(os.devnull)):
            raise OSError("is no file")
        status = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)
        age_ns = self._now_ns() - found.st_mtime_ns
        if status == last or (not is_first and 0 <= age_ns < _BEING_WRITTEN_NS):
            self._status = last
            return None
        if found.st_size > MAX_FILE_BYTES:
            raise OSError(f"is larger than {MAX_FILE_BYTES >> 20} MiB")
        with open_file(self.path) as file:
            raw = file.read(MAX_FILE_BYTES)
        self._status = status if age_ns >= _SETTLED_NS else None
        return Content(raw, blake2b(raw).digest(), found.st_mtime_ns)
