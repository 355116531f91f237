"""The file of a `hosts` directive: polled, read when it has changed; its last good content stays in use.

The content is read in a thread and turned into a table a few lines at a time, so that no query waits for it. A problem
with the file is logged once, counted and shown by /ready; the table stays as it was.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from clusterdns.host.followed_file import Content, FollowedFile
from clusterdns.plugins.hosts.table import HostsTable
from clusterdns.telemetry.metrics import Registry
from clusterdns.telemetry.unlabelled import hosts_modified

MAX_FILE_BYTES = 32 << 20  # 800,000 names, which take 130 MiB of memory

log = logging.getLogger("clusterdns.plugin.hosts")


class HostsFile:
    """One file and its table. Only the polling task changes the table; the handler reads it."""

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
        """Follow `path`; call `changed` after the table was replaced; add `inline_count` to the metric of entries."""
        self.path = path
        self.table = new_table()
        self.is_read = False  # whether the file was read once, or found missing
        self.problem = ""  # why the table differs from the file; empty: it does not
        self._new_table = new_table
        self._changed = changed
        self._inline_count = inline_count
        self._file = FollowedFile(path, now_ns)
        self._digest = b""  # of the content in `table`; empty: nothing was read yet
        self._is_first = True
        self._task: asyncio.Task[None] | None = None
        self._entries = registry.gauge("coredns_hosts_entries", "Entries of hosts files and Corefiles.", "hostsfile")
        self._modified = hosts_modified(registry)
        self._failures = registry.counter(
            "clusterdns_hosts_read_failures_total", "Hosts files that could not be read.", "hostsfile"
        )

    async def start(self, reload_seconds: float) -> None:
        """Read the file, and poll it from now on; with a period of 0 it is not read again."""
        await self.poll()
        if reload_seconds:
            self._task = asyncio.create_task(self._poll_forever(reload_seconds), name=f"hosts {self.path}")

    async def stop(self) -> None:
        """End the polling."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def poll(self) -> None:
        """Read the file if it has changed, and replace the table if the content differs."""
        is_first, self._is_first = self._is_first, False
        try:
            found = await asyncio.to_thread(self._read, is_first=is_first)
        except FileNotFoundError as error:
            if self._digest:  # for a file that never existed, parsing the Corefile has logged a warning
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
                await self._replace_table(found.raw)
                self._modified.labels().value = found.modified_ns / 1e9
        finally:
            self.is_read = True

    async def _poll_forever(self, period_seconds: float) -> None:
        while True:
            await asyncio.sleep(period_seconds)
            try:
                await self.poll()
            except Exception:  # a task's edge: an internal error must not end the polling
                log.exception("%s: polling failed; retrying", self.path)

    async def _replace_table(self, content: bytes) -> None:
        table = self._new_table()
        for _ in table.load(content):
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
            consequence = "serving its last good content" if self._digest else "no names of it are served"
            log.error("%s; %s", problem, consequence)

    def _read(self, *, is_first: bool) -> Content | None:
        """Read the file if it has changed; blocks. Raises OSError, also for a binary file."""
        found = self._file.read(MAX_FILE_BYTES, skip_recent=not is_first)
        if found is not None and b"\0" in found.raw:
            raise OSError("is not text: it contains NUL bytes")
        return found
