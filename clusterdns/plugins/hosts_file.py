"""The file of a `hosts` directive: looked at again and again, read when it is another, its last good content kept.

The content is read in a thread and turned into a table a few lines at a time, so that no query waits for it. A file is
told by its status, then by a hash of its content; links are followed, so a ConfigMap's swap is seen. What is wrong with
it is logged once, counted, and shown by /ready, and changes nothing that is answered.
"""

import asyncio
import logging
import os
import stat
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

from clusterdns.corefile.opening import open_file
from clusterdns.plugins.hosts_table import HostsTable
from clusterdns.telemetry.metrics import Family, Registry, Series

MAX_FILE_BYTES = 32 << 20  # a block list of 800,000 names, which takes some 130 MiB of memory

# Whoever writes a file in place may have emptied it a moment ago; such a file is left for the next look.
_BEING_WRITTEN_NS = 100_000_000
# A file system's clock may tick once in 2 s: until then, the same status does not mean the same content.
_SETTLED_NS = 2_000_000_000

log = logging.getLogger("clusterdns.plugin.hosts")


class _Read(NamedTuple):
    """What one look at the file found; `content` is None where the file is the same."""

    status: tuple[int, ...] | None
    modified_ns: int
    content: bytes | None


def modified(registry: Registry) -> Family[Series]:
    """When the file that is answered from was written."""
    return registry.gauge("coredns_hosts_reload_timestamp_seconds", "When the hosts file was written.")


class HostsFile:
    """One file and its table. Written by its own task alone, read by the handler."""

    def __init__(
        self,
        path: str,
        new_table: Callable[[], HostsTable],
        changed: Callable[[], None],
        registry: Registry,
        *,
        inline_count: int = 0,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`changed` is called after another table took the last one's place; `inline_count` is added to the entries."""
        self.path = path
        self.table = new_table()
        self.problem = ""  # why the content is not that of the file as it is
        self._new_table = new_table
        self._changed = changed
        self._inline_count = inline_count
        self._now_ns = now_ns
        self._status: tuple[int, ...] | None = None
        self._digest = b""
        self._is_first = True
        self._entries = registry.gauge("coredns_hosts_entries", "Entries of hosts files and Corefiles.", "hostsfile")
        self._modified = modified(registry)
        self._failures = registry.counter(
            "clusterdns_hosts_read_failures_total", "Hosts files that could not be read.", "hostsfile"
        )

    async def look(self) -> None:
        """Bring the table up to date with the file, if the file can be read."""
        is_first, self._is_first = self._is_first, False
        try:
            found = await asyncio.to_thread(self._read, is_first=is_first)
        except FileNotFoundError as error:
            if self._digest:  # that there has never been one was told when the Corefile was read
                self._fail(error)
        except OSError as error:
            self._fail(error)
        else:
            self._status = found.status
            if self.problem and (found.content is not None or found.status is not None):
                log.info("%s can be read again", self.path)
                self.problem = ""
            if found.content is not None:
                await self._take(found.content)
                self._modified.labels().value = found.modified_ns / 1e9

    async def look_forever(self, period_seconds: float) -> None:
        """Look at the file once per period, for as long as the server lives."""
        while True:
            await asyncio.sleep(period_seconds)
            try:
                await self.look()
            except Exception:  # a task's edge: a fault of ours must not end the looking
                log.exception("%s: cannot be looked at", self.path)

    async def _take(self, content: bytes) -> None:
        table = self._new_table()
        for _ in table.read(content):
            await asyncio.sleep(0)
        self.table = table
        self._entries.labels(self.path).value = table.entry_count + self._inline_count
        log.debug("%s: %d entries, %d skipped", self.path, table.entry_count, table.skipped_count)
        self._changed()

    def _fail(self, error: OSError) -> None:
        problem = f"{self.path}: {error.strerror or error}"
        if problem != self.problem:
            self.problem = problem
            self._failures.labels(self.path).value += 1
            answered = "its last content is still answered" if self._digest else "nothing of it is answered"
            log.error("%s; %s", problem, answered)

    def _read(self, *, is_first: bool) -> _Read:
        """In a thread: the content, if it is another. Raises OSError."""
        found = os.stat(self.path)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("is no file")
        status = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)
        age_ns = self._now_ns() - found.st_mtime_ns
        if status == self._status or (not is_first and 0 <= age_ns < _BEING_WRITTEN_NS):
            return _Read(self._status, found.st_mtime_ns, None)
        if found.st_size > MAX_FILE_BYTES:
            raise OSError(f"is larger than {MAX_FILE_BYTES >> 20} MiB")
        with open_file(self.path) as file:
            content = file.read(MAX_FILE_BYTES)
        if b"\0" in content:
            raise OSError("is no text: it holds NUL bytes")
        digest = blake2b(content).digest()
        is_same, self._digest = digest == self._digest, digest
        return _Read(status if age_ns >= _SETTLED_NS else None, found.st_mtime_ns, None if is_same else content)
