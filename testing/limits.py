"""Memory and CPU limits as a kubelet sets them: control groups of version 1 or 2, whichever the machine has.

Where no group can be made (not root, or no such controller) nothing is limited, and `Limits` reports that.
"""

import contextlib
import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
PERIOD_US = 100_000
MIB = 1 << 20

_numbers = itertools.count(1)


@dataclass
class Limits:
    """Control groups, and which limits they enforce."""

    folders: list[Path] = field(default_factory=list)
    holds_memory: bool = False
    holds_cpu: bool = False

    @property
    def entrances(self) -> list[str]:
        """The files that a process writes its own id to in order to join."""
        return [str(folder / "cgroup.procs") for folder in self.folders]

    def peak_bytes(self) -> int:
        """Return the peak memory of the group, page cache included; 0 where the kernel does not report it."""
        for folder in self.folders:
            for name in ("memory.max_usage_in_bytes", "memory.peak"):
                if (folder / name).exists():
                    return int((folder / name).read_text())
        return 0


@contextlib.contextmanager
def limited(*, memory_mib: int = 0, cores: float = 0.0) -> Iterator[Limits]:
    """Make groups with these limits (0: none), and remove them at the end."""
    name = f"clusterdns-test-{os.getpid()}-{next(_numbers)}"
    limits = Limits()
    is_version_2 = (CGROUPS / "cgroup.controllers").exists()
    try:
        if is_version_2:
            limits.holds_memory = bool(memory_mib) and _set(limits, CGROUPS / name, "memory.max", memory_mib * MIB)
            quota = f"{int(cores * PERIOD_US)} {PERIOD_US}"
            limits.holds_cpu = bool(cores) and _set(limits, CGROUPS / name, "cpu.max", quota)
        else:
            memory = CGROUPS / "memory" / name
            limits.holds_memory = bool(memory_mib) and _set(limits, memory, "memory.limit_in_bytes", memory_mib * MIB)
            quota_us = int(cores * PERIOD_US)
            limits.holds_cpu = bool(cores) and _set(limits, CGROUPS / "cpu" / name, "cpu.cfs_quota_us", quota_us)
        yield limits
    finally:
        for folder in limits.folders:
            _remove(folder)


def _set(limits: Limits, folder: Path, name: str, value: int | str) -> bool:
    """Set one limit of a group, which is made first; returns whether the kernel accepts it."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        return False
    if folder not in limits.folders:
        limits.folders.append(folder)
    try:
        (folder / name).write_text(str(value))
    except OSError:
        return False
    return True


def _remove(folder: Path) -> None:
    for _ in range(100):  # the last process may not have ended yet
        with contextlib.suppress(OSError):
            folder.rmdir()
            return
        time.sleep(0.02)
