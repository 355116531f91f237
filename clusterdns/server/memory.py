"""The process within its container's memory: what is kept to answer faster gives way before the kernel ends it.

Compiled answers and cached replies have bounds of their own, set for a small cluster under the usual limit of 170 MiB.
A large cluster leaves less for them: once a second the resident set is compared with the limit of the control group,
and the rooms are scaled so that what they hold and what is left of the limit stay in balance. Without a limit nothing
is ever scaled. Neither the index nor queries under way are touched: they are what the server is for.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

PERIOD_SECONDS = 1.0
FILL = 0.9  # of the limit: the rest is for bursts of queries under way, and for what the kernel counts beside
MIN_SHARE = 0.125  # of what the rooms may take otherwise: some 11 MiB, without which every query costs a whole pass
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

log = logging.getLogger("clusterdns")


class Room(Protocol):
    """What holds things that can be made again."""

    @property
    def used_bytes(self) -> int:
        """What it holds."""

    @property
    def most_bytes(self) -> int:
        """What it may hold where there is enough."""

    def scale(self, share: float) -> None:
        """Hold at most this share of `most_bytes` from now on, and let go of what is more."""


def limit_bytes(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """The lowest memory limit of the process's control groups, version 2 or 1; None where there is none."""
    found = []
    for path in _limit_files(proc, root):
        try:
            text = path.read_text(encoding="ascii").strip()
        except OSError:  # of the other version, or not to be seen from inside a container
            continue
        if text.isdigit() and int(text) < 1 << 60:  # version 1 says 2^63 for none, version 2 "max"
            found.append(int(text))
    return min(found, default=None)


def _limit_files(proc: Path, root: Path) -> list[Path]:
    files = [root / "memory.max", root / "memory" / "memory.limit_in_bytes"]
    try:
        lines = proc.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return files
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            files.append(root / group.lstrip("/") / "memory.max")
        elif "memory" in controllers.split(","):
            files.append(root / "memory" / group.lstrip("/") / "memory.limit_in_bytes")
    return files


def resident_bytes() -> int:
    """What the process takes of memory now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * _PAGE_BYTES


class MemoryWatch:
    """Keeps the rooms of the running configuration within what is left of the limit."""

    def __init__(
        self, limit: int, rooms: Callable[[], Iterable[Room]], resident: Callable[[], int] = resident_bytes
    ) -> None:
        self._limit = limit
        self._rooms = rooms
        self._resident = resident
        self._share = 1.0

    def look(self) -> None:
        """Scale the rooms to what there is."""
        rooms = tuple(self._rooms())
        most = sum(room.most_bytes for room in rooms)
        if not most:
            return
        left = int(self._limit * FILL) - self._resident()
        share = min(1.0, max(MIN_SHARE, (sum(room.used_bytes for room in rooms) + left) / most))
        for room in rooms:
            room.scale(share)
        if share == MIN_SHARE < self._share:
            log.warning(
                "memory is short: %d MiB of the container's %d are taken, so few answers are kept; raise the limit",
                self._resident() >> 20, self._limit >> 20,
            )  # fmt: skip
        self._share = share

    async def look_forever(self) -> None:
        """Look once a second for as long as the process lives."""
        while True:
            try:
                self.look()
            except Exception:  # a task's edge: a fault of ours must not end the looking
                log.exception("memory cannot be watched")
            await asyncio.sleep(PERIOD_SECONDS)
