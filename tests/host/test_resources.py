"""Memory limits of control groups, the resident set size, and the limit of open files."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from clusterdns.host.resources import (
    descriptor_shares,
    memory_limit_bytes,
    raise_open_file_limit,
    resident_bytes,
)

MIB = 1 << 20


@pytest.mark.parametrize(
    ("files", "groups", "limit"),
    [
        ({"memory.max": "178257920\n"}, "0::/\n", 178257920),
        ({"memory.max": "max\n"}, "0::/\n", None),
        ({"kube/pod/memory.max": "134217728\n", "kube/memory.max": "1\n"}, "0::/kube/pod\n", 134217728),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, "4:memory:/\n", None),
        ({"memory/a/memory.limit_in_bytes": "1000\n"}, "5:cpu:/b\n4:cpuset,memory:/a\n", 1000),
        ({"memory/memory.limit_in_bytes": "2000\n"}, "4:memory:/not/seen\n", 2000),
        ({"memory.max": "junk"}, "0::/\n", None),
        ({}, None, None),
    ],
)
def test_the_lowest_limit_counts(tmp_path: Path, files: dict[str, str], groups: str | None, limit: int | None) -> None:
    root = tmp_path / "cgroup"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    if groups is not None:
        (tmp_path / "self").write_text(groups)
    assert memory_limit_bytes(tmp_path / "self", root) == limit


def test_the_resident_set_size_is_that_of_a_python_process() -> None:
    assert 5 * MIB < resident_bytes() < 4096 * MIB


def test_the_limit_of_open_files_is_raised_to_the_hard_one() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        raise_open_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("limit", "shares"),
    [
        (256, (88, 16, 88)),
        (1024, (448, 64, 448)),
        (20_000, (9904, 128, 9904)),
        (16, (5, 1, 5)),
        (1, (1, 1, 1)),
        (resource.RLIM_INFINITY, (524192, 128, 524192)),
    ],
)
def test_descriptors_are_divided(limit: int, shares: tuple[int, int, int]) -> None:
    assert descriptor_shares(limit) == shares
    assert limit < 16 or limit == resource.RLIM_INFINITY or sum(shares) + min(64, limit // 4) <= limit


def test_the_limit_of_the_process_is_divided() -> None:
    assert descriptor_shares() == descriptor_shares(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def test_freed_memory_is_returned_to_the_system() -> None:
    """In a fresh interpreter: blocks are freed below one that is kept, so that the heap cannot shrink by itself."""
    code = """
from clusterdns.host.resources import resident_bytes, return_free_memory
before = resident_bytes()
blocks = [bytearray(60_000) for _ in range(1_000)]
kept = blocks.pop()
during = resident_bytes()
del blocks
return_free_memory()
print(during - before, resident_bytes() - before)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    grown, left = map(int, run.stdout.split())
    assert grown > 40 * MIB
    assert left < 20 * MIB
