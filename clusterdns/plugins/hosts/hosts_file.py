"""The file of a `hosts` directive: looked at again and again, read when it is another, its last good content kept.

The content is read in a thread and turned into a table a few lines at a time, so that no query waits for it. What is
wrong with the file is logged once, counted, and shown by /ready, and changes nothing that is answered.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from clusterdns.host.followed_file import Content, FollowedFile
from clusterdns.plugins.hosts.table import HostsTable
from clusterdns.telemetry.metrics import Registry
from clusterdns.telemetry.unlabelled import hosts_modified

MAX_FILE_BYTES = 32 << 20  # 800,000 names, which take 130 MiB of memory

log = logging.getLogger("clusterdns.plugin.hosts")


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
        self._file = FollowedFile(path, now_ns)
        self._digest = b""  # of the content that is answered
        self._is_first = True
        self._entries = registry.gauge("coredns_hosts_entries", "Entries of hosts files and Corefiles.", "hostsfile")
        self._modified = hosts_modified(registry)
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
            if found is None:
                return
            if self.problem:
                log.info("%s can be read again", self.path)
                self.problem = ""
            if found.digest != self._digest:
                self._digest = found.digest
                await self._take(found.raw)
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

    def _read(self, *, is_first: bool) -> Content | None:
        """In a thread. Raises OSError."""
        found = self._file.read(MAX_FILE_BYTES, skip_recent=not is_first)
        if found is not None and b"\0" in found.raw:
            raise OSError("is no text: it holds NUL bytes")
        return found
