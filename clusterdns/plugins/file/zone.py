"""A zone's master file: read in a thread, looked at again and again, its last good content kept.

As in CoreDNS another content counts when its SOA has another serial, or with `reload_by_mtime` always. What is wrong
with a file is logged once, counted, and shown by /ready, and changes nothing that is answered. Links are followed, so
that a ConfigMap's swap is seen. A `ZoneFile` lives through reloads of the Corefile that leave its directive alone.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable

from clusterdns.host.followed_file import FollowedFile
from clusterdns.plugins.file.tree import ZoneTree
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire.name import to_text
from clusterdns.wire.zonetext import zone_from_text

MAX_FILE_BYTES = 32 << 20  # 500,000 records, which take 300 MiB of memory
MISSING_SECONDS = 5.0  # at most between two looks for a file that has not been read yet

log = logging.getLogger("clusterdns.plugin.file")


class ZoneFile:
    """One file as one zone. `tree` is None while it could never be read."""

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
        self.problem = ""  # why the zone is not that of the file as it is
        self._by_mtime = by_mtime
        self._file = FollowedFile(path, now_ns)
        self._told: list[Callable[[], None]] = []
        self._digest = b""  # of the last good content
        self._looking = asyncio.Lock()
        self._failures = registry.counter(
            "clusterdns_file_read_failures_total", "Zone files that could not be read.", "file"
        )

    def tell(self, changed: Callable[[], None]) -> None:
        """Call this, too, when another tree has taken the last one's place."""
        self._told.append(changed)

    def tell_no_more(self, changed: Callable[[], None]) -> None:
        """Take back one `tell`."""
        if changed in self._told:
            self._told.remove(changed)

    async def load(self) -> None:
        """The first reading of a configuration; a file that is missing is told and waited for.

        Raises ValueError or OSError for a file that is there and cannot be served, unless it could be before.
        """
        try:
            await self._read_in_thread(is_first=True)
        except FileNotFoundError as error:
            self._fail(error, logging.WARNING)
        except (OSError, ValueError) as error:
            if self.tree is None:
                raise
            self._fail(error)

    async def look(self) -> None:
        """Bring the tree up to date with the file, if the file can be read."""
        try:
            await self._read_in_thread(is_first=False)
        except (OSError, ValueError) as error:
            self._fail(error)

    async def look_forever(self, period_seconds: float) -> None:
        """Look at the file once per period, for as long as the configuration lives."""
        while True:
            await asyncio.sleep(min(period_seconds, MISSING_SECONDS) if self.tree is None else period_seconds)
            try:
                await self.look()
            except Exception:  # a task's edge: a fault of ours must not end the looking
                log.exception("%s: cannot be looked at", self.path)

    async def _read_in_thread(self, *, is_first: bool) -> None:
        async with self._looking:
            is_another, tree = await asyncio.to_thread(self._read, is_first=is_first)
        if not is_another:
            return
        if self.problem:
            log.info("%s can be read again", self.path)
            self.problem = ""
        if tree is None:
            return
        self._take(tree)

    def _take(self, tree: ZoneTree) -> None:
        before, self.tree = self.tree, tree
        zone_text = to_text(self.origin)
        if tree.outside:
            log.warning(
                "%s: %d records that are not in zone %s are left out, the first at %s",
                self.path, len(tree.outside), zone_text, to_text(tree.outside[0]),
            )  # fmt: skip
        if before is not None:
            log.info("zone %s was read again from %s, its serial is %d now", zone_text, self.path, tree.serial)
        for changed in tuple(self._told):
            changed()

    def _fail(self, error: OSError | ValueError, level: int = logging.ERROR) -> None:
        problem = self.told(error)
        if problem != self.problem:
            self.problem = problem
            self._failures.labels(self.path).value += 1
            stays = "SERVFAIL is answered until it can be read" if self.tree is None else "the last zone stays"
            log.log(level, "%s: %s", problem, stays)

    def told(self, error: OSError | ValueError) -> str:
        """What is wrong, in words."""
        text = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        return text if text.startswith(self.path) else f"{self.path}: {text}"

    def _read(self, *, is_first: bool) -> tuple[bool, ZoneTree | None]:
        """In a thread: whether the file is another than at the last look, and its zone where that is another, too.

        Raises OSError or ValueError.
        """
        found = self._file.read(MAX_FILE_BYTES, skip_recent=not is_first)
        if found is None:
            return False, None
        if found.digest == self._digest:
            return True, None
        tree = self._parse(found.raw)
        self._digest = found.digest
        before = self.tree
        if before is not None and before.serial == tree.serial and not self._by_mtime:
            log.warning(
                "%s: is another, but its serial is still %d, so the last zone stays; raise it", self.path, tree.serial
            )
            return True, None
        return True, tree

    def _parse(self, content: bytes) -> ZoneTree:
        text = content.decode(errors="surrogateescape")  # comments may be in any encoding
        records = zone_from_text(text, self.origin, os.path.dirname(self.path), self.path)
        return ZoneTree(self.origin, records)
