"""A zone's master file: polled, read in a thread when it has changed; its last good zone stays in use.

As in CoreDNS, changed content replaces the zone if its SOA has another serial, or with `reload_by_mtime` always. A
problem with the file is logged once, counted and shown by /ready. A `ZoneFile` survives reloads of the Corefile that
leave its `file` line unchanged.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence

from clusterdns.host.followed_file import FollowedFile
from clusterdns.plugins.file.content import UnusableZone
from clusterdns.plugins.file.tree import ZoneTree
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire.name import to_text
from clusterdns.wire.presentation.zonetext import zone_from_text

MAX_FILE_BYTES = 32 << 20  # 500,000 records, which take 300 MiB of memory
MISSING_SECONDS = 5.0  # at most between two polls of a file that has not been read yet

log = logging.getLogger("clusterdns.plugin.file")


class ZoneFile:
    """A zone file served as one zone; `tree` is None until the file has been read."""

    def __init__(
        self,
        path: str,
        origin: bytes,
        registry: Registry,
        *,
        by_mtime: bool = False,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.path = path
        self.origin = origin
        self.tree: ZoneTree | None = None
        self.problem = ""  # why the zone differs from the file; empty: it does not
        self._by_mtime = by_mtime
        self._file = FollowedFile(path, now_ns)
        self._subscribers: list[Callable[[], None]] = []
        self._digest = b""  # of the last good content; empty: nothing was read yet
        self._reading = asyncio.Lock()  # configurations that share the file poll it each
        self._failures = registry.counter(
            "clusterdns_file_read_failures_total", "Zone files that could not be read.", "file"
        )

    def subscribe(self, changed: Callable[[], None]) -> None:
        """Call `changed` each time the zone was replaced."""
        self._subscribers.append(changed)

    def unsubscribe(self, changed: Callable[[], None]) -> None:
        """Undo one `subscribe`."""
        if changed in self._subscribers:
            self._subscribers.remove(changed)

    async def load(self) -> None:
        """Read the file when a configuration starts; log a warning if it is missing.

        Raises ValueError or OSError if the file exists and cannot be served, unless it was served before.
        """
        try:
            await self._read_in_thread(is_first=True)
        except FileNotFoundError as error:
            self._fail(error, logging.WARNING)
        except (OSError, ValueError) as error:
            if self.tree is None:
                raise
            self._fail(error)

    async def poll(self) -> None:
        """Read the file if it has changed, and replace the zone; log the problem if it cannot be served."""
        try:
            await self._read_in_thread(is_first=False)
        except (OSError, ValueError) as error:
            self._fail(error)

    async def poll_forever(self, period_seconds: float) -> None:
        """Poll the file once per period, more often while it has never been read."""
        while True:
            await asyncio.sleep(min(period_seconds, MISSING_SECONDS) if self.tree is None else period_seconds)
            try:
                await self.poll()
            except Exception:  # a task's edge: an internal error must not end the polling
                log.exception("%s: polling failed; retrying", self.path)

    async def _read_in_thread(self, *, is_first: bool) -> None:
        async with self._reading:
            has_changed, loaded = await asyncio.to_thread(self._read, is_first=is_first)
        if not has_changed:
            return
        if self.problem:
            log.info("%s can be read again", self.path)
            self.problem = ""
        if loaded is not None:
            self._replace(*loaded)

    def _replace(self, tree: ZoneTree, warnings: Sequence[str]) -> None:
        before, self.tree = self.tree, tree
        zone_text = to_text(self.origin)
        for warning in warnings:
            log.warning("%s", warning)
        if before is not None:
            log.info("zone %s was reloaded from %s; its serial is %d", zone_text, self.path, tree.serial)
        for changed in tuple(self._subscribers):
            changed()

    def _fail(self, error: OSError | ValueError, level: int = logging.ERROR) -> None:
        problem = self.describe(error)
        if problem != self.problem:
            self.problem = problem
            self._failures.labels(self.path).value += 1
            consequence = "SERVFAIL until it can be read" if self.tree is None else "the last good zone stays in use"
            log.log(level, "%s; %s", problem, consequence)

    def describe(self, error: OSError | ValueError) -> str:
        """Return the path and what is wrong with the file."""
        text = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        return text if text.startswith(self.path) else f"{self.path}: {text}"

    def _read(self, *, is_first: bool) -> tuple[bool, tuple[ZoneTree, Sequence[str]] | None]:
        """Read the file if it has changed; blocks. Raises OSError or ValueError.

        Return whether it has changed, and the new zone with its warnings, or None if the last zone stays.
        """
        found = self._file.read(MAX_FILE_BYTES, skip_recent=not is_first)
        if found is None:
            return False, None
        if found.digest == self._digest:
            return True, None
        tree, warnings = self._parse(found.raw)
        self._digest = found.digest
        before = self.tree
        if before is not None and before.serial == tree.serial and not self._by_mtime:
            log.warning(
                "%s has changed, but its serial is still %d; the last zone stays in use; increment the serial",
                self.path,
                tree.serial,
            )
            return True, None
        return True, (tree, warnings)

    def _parse(self, content: bytes) -> tuple[ZoneTree, Sequence[str]]:
        """Return the zone, and its warnings with file and line, in the order of the lines. Raises ValueError."""
        text = content.decode(errors="surrogateescape")  # comments may have any encoding
        found = zone_from_text(text, self.origin, os.path.dirname(self.path), self.path)
        try:
            tree = ZoneTree(self.origin, found.records)
        except UnusableZone as error:
            if error.position is None:
                raise
            raise ValueError(f"{found.place(error.position)}: {error}") from error
        warnings = sorted(tree.warnings.found)
        texts = [f"{found.place(position)}: {text}" for position, text in warnings]
        if found.without_ttl:
            first = found.place(found.without_ttl[0])
            texts.append(
                f"{first}: {len(found.without_ttl)} records from here on state no TTL and get 0; add a $TTL line"
            )
        if tree.warnings.left_out:
            texts.append(f"{self.path}: {tree.warnings.left_out} more warnings")
        return tree, texts
