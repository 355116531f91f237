"""CPU and memory without load: of the program itself, of the start, and of an idle server with a full index."""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.results import Figures
from bench.servers import COREDNS, OURS, MeasuredServer, kubernetes_server
from testing import peers

SETTLE_SECONDS = 2
IDLE_SECONDS = 5
_MIB = 1 << 20


class Cost(NamedTuple):
    """The CPU and memory that a command used from start to end."""

    cpu_seconds: float
    max_rss_bytes: int


def program(rounds: int, figures: Figures) -> None:
    """Measure `-version`, which loads the program and does nothing else."""
    for _ in range(rounds):
        for name, path in ((COREDNS, peers.find(COREDNS)), (OURS, peers.clusterdns())):
            cost = cost_of([path, "-version"])
            figures.add("version_cpu_seconds", name, cost.cpu_seconds)
            figures.add("version_rss_mib", name, cost.max_rss_bytes / _MIB)


def starts(rounds: int, kubeconfig: Path, folder: Path, figures: Figures) -> None:
    """Measure each start: seconds to the first correct answer, the CPU until then, and the CPU while idle."""
    for _ in range(rounds):
        for name in (COREDNS, OURS):
            with kubernetes_server(name, kubeconfig, folder) as runner:
                figures.add("first_answer_seconds", name, runner.first_answer_seconds)
                time.sleep(SETTLE_SECONDS)
                started = runner.server.cpu_seconds()
                figures.add("start_cpu_seconds", name, started)
                time.sleep(IDLE_SECONDS)
                figures.add(
                    "idle_cpu_ms_per_second", name, (runner.server.cpu_seconds() - started) / IDLE_SECONDS * 1000
                )


def memory(figure: str, runners: list[MeasuredServer], figures: Figures) -> None:
    """Add the resident set of each server now."""
    for runner in runners:
        figures.add(figure, runner.name, runner.server.rss_bytes() / _MIB)


def cost_of(command: Sequence[str | Path]) -> Cost:
    """Run a short command to its end, and measure it. Raises CalledProcessError."""
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
