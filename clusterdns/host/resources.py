"""The memory and the file descriptors of this process: how much it may use, and how much memory it uses.

`server.memory` decides which stores evict under memory pressure.
"""

import ctypes
import os
import resource
import time
from pathlib import Path
from typing import NamedTuple

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MANY_DESCRIPTORS = 1 << 20
_OWN_DESCRIPTORS = 64  # listeners, event loop, log, files, API connections: some 30 with kubeadm's Corefile
_MAX_ADMIN = 128
_UNLIMITED_BYTES = 1 << 60  # control groups of version 1 show 2^63 or so where no limit is set, version 2 "max"


def memory_limit_bytes(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return the lowest memory limit of the process's control groups, version 2 or 1; None where none is set."""
    found = []
    for path in _limit_files(proc, root):
        try:
            text = path.read_text(encoding="ascii").strip()
        except OSError:  # the file of the other version, or one that is not visible inside a container
            continue
        if text.isdigit() and int(text) < _UNLIMITED_BYTES:
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
    """Return the resident set size of the process (RSS)."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * _PAGE_BYTES


def process_started_at() -> float:
    """Return when the process was started, in seconds since 1970, to a hundredth of a second."""
    with open("/proc/self/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()  # the program's name, in parentheses, may hold anything
    since_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot)


def raise_open_file_limit() -> None:
    """Raise the soft limit of open files to the hard one: thousands of TCP clients need more than the usual 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class DescriptorShares(NamedTuple):
    """How many file descriptors each use may take, so that none of them takes those of another."""

    clients: int  # connections of DNS clients
    admin: int  # connections to the admin listeners
    upstream: int  # sockets to upstream servers


def descriptor_shares(limit: int | None = None) -> DescriptorShares:
    """Divide the descriptors of the process, `limit` or else RLIMIT_NOFILE; at least one for each use.

    Reserved for the process itself are listeners, files, and connections to the API server. Upstream sockets and
    clients get half of the rest each.
    """
    if limit is None:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        limit = _MANY_DESCRIPTORS
    own = min(_OWN_DESCRIPTORS, limit // 4)
    admin = min(_MAX_ADMIN, max(1, limit // 16))
    half = max(1, (limit - own - admin) // 2)
    return DescriptorShares(half, admin, half)


def return_free_memory() -> None:
    """Have the C library return freed memory to the system; only glibc keeps much of it, and has malloc_trim."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
