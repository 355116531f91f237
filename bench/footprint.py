"""What a server costs before the first question: the program itself, the start, and standing by with a full index."""

import time
from pathlib import Path

from bench.field import COREDNS, OURS, Runner, kubernetes_server
from bench.results import Figures
from testing import peers
from testing.process import cost_of

SETTLE_SECONDS = 2
IDLE_SECONDS = 5
_MIB = 1 << 20


def program(rounds: int, figures: Figures) -> None:
    """What `-version` costs: loading the program and nothing else."""
    for _ in range(rounds):
        for name, path in ((COREDNS, peers.coredns()), (OURS, peers.clusterdns())):
            cost = cost_of([path, "-version"])
            figures.add("version_cpu_seconds", name, cost.cpu_seconds)
            figures.add("version_rss_mib", name, cost.max_rss_bytes / _MIB)


def starts(rounds: int, kubeconfig: Path, folder: Path, figures: Figures) -> None:
    """From start to the first right answer, several times over, with the CPU that it took and standing by takes."""
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


def memory(figure: str, runners: list[Runner], figures: Figures) -> None:
    """The resident sets of the moment."""
    for runner in runners:
        figures.add(figure, runner.name, runner.server.rss_bytes() / _MIB)
