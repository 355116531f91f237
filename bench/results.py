"""The results of a run: values per figure, server and round, and the targets that they are judged by.

A figure is a list of numbers per server, saved as JSON with the machine, the versions and the command, so that tables
and plots can be made again from it. `TARGETS` are the ratios that the project promises, `LIMITS` its absolute bounds.
"""

import contextlib
import json
import os
import platform
import subprocess
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Self

from bench.servers import COREDNS, KNOT, OURS
from testing import peers

FOLDER = Path(__file__).parent / "results"


class Ratio(NamedTuple):
    """A ratio, or a value, over the rounds: minimum, median, maximum."""

    least: float
    middle: float
    most: float


@dataclass
class Figures:
    """The values of a run: figure → server → one per round."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))

    def add(self, figure: str, server: str, value: float) -> None:
        """Add the value of a round."""
        self.values[figure][server].append(value)

    def has(self, figure: str, server: str) -> bool:
        """Return whether the figure was measured for a server."""
        return bool(self.values.get(figure, {}).get(server))

    def median(self, figure: str, server: str) -> float:
        """Return the median over the rounds."""
        return median(self.values[figure][server])

    def ratio(self, over: tuple[str, str], under: tuple[str, str]) -> Ratio | None:
        """Divide (figure, server) by (figure, server), round by round; None where one was not measured."""
        if not (self.has(*over) and self.has(*under)):
            return None
        pairs = zip(self.values[over[0]][over[1]], self.values[under[0]][under[1]], strict=False)
        ratios = [above / below for above, below in pairs]
        return Ratio(min(ratios), median(ratios), max(ratios))


class Target(NamedTuple):
    """A ratio, and its target: at least (`>=`) or at most (`<=`) the bound; `""` is a ratio without a target."""

    title: str
    over: tuple[str, str]
    under: tuple[str, str]
    sign: str = ""
    bound: float = 0

    def is_met(self, ratio: Ratio) -> bool:
        """Return whether the median ratio meets the target."""
        return ratio.middle >= self.bound if self.sign == ">=" else ratio.middle <= self.bound


class Limit(NamedTuple):
    """An upper bound of one of our figures, in every round."""

    title: str
    figure: str
    bound: float


_CPU, _RATE, _RANDOM = "names_per_cpu_second", "names_per_second", "random_per_cpu_second"


def _against_coredns(title: str, figure: str, sign: str = "", bound: float = 0) -> Target:
    return Target(f"{title}, against CoreDNS", (figure, OURS), (figure, COREDNS), sign, bound)


TARGETS = (
    Target("answers per CPU-second, against CoreDNS", (_CPU, OURS), (_CPU, COREDNS), ">=", 3),
    Target("answers per CPU-second, against Knot", (_CPU, OURS), (_CPU, KNOT), ">=", 0.6),
    Target("answers per second, against CoreDNS", (_RATE, OURS), (_RATE, COREDNS), ">=", 2),
    Target("p99 at 60 % of CoreDNS's maximum, against CoreDNS", ("p99_us", OURS), ("p99_us", COREDNS), "<=", 0.5),
    Target("random names per CPU-second, against CoreDNS", (_RANDOM, OURS), (_RANDOM, COREDNS), ">=", 1),
    Target("a pod's name among 10,000, against among 10", ("pod_10000_us", OURS), ("pod_10_us", OURS), "<=", 1.2),
    Target("a Service of 10,000, against one of 10", ("service_10000_us", OURS), ("service_10_us", OURS), "<=", 1.2),
    Target(
        "answers per CPU-second, kubeadm's Corefile, against the plain one",
        ("kubeadm_names_per_cpu_second", OURS),
        ("plain_names_per_cpu_second", OURS),
        ">=",
        0.97,
    ),
    _against_coredns("cached external names per CPU-second", "cached_per_cpu_second", ">=", 1.5),
    _against_coredns("cached external names per second", "cached_per_second"),
    _against_coredns("cached external names, p99 at 60 %", "cached_p99_us", "<=", 1),
    _against_coredns("four of the cluster's and a cached one, per CPU-second", "mixed_per_cpu_second", ">=", 1.5),
    _against_coredns("four of the cluster's and a cached one, p99 at 60 %", "mixed_p99_us", "<=", 1),
    _against_coredns("CPU per forwarded query", "forwarded_us"),
    _against_coredns("forwarded queries per second", "forwarded_per_second"),
    _against_coredns("last answer of a stampede", "stampede_ms"),
    Target(
        "p99 with a dead upstream, against with a live one", ("dead_p99_us", OURS), ("live_p99_us", OURS), "<=", 1.5
    ),
    _against_coredns("p99 with a dead upstream", "dead_p99_us", "<=", 1),
    _against_coredns("p99.9 during 20 reloads", "reload_p999_us", "<=", 1),
    _against_coredns("1,000 questions over TCP, last answer", "stream_ms"),
)

LIMITS = (
    Limit("upstream queries of a stampede", "stampede_upstream_queries", 1),
    Limit("unanswered in a stampede", "stampede_unanswered", 0),
    Limit("forged replies accepted", "forged_accepted", 0),
    Limit("genuine replies not delivered", "forged_undelivered", 0),
    Limit("lost during 20 reloads", "reload_lost", 0),
    Limit("wrong during 20 reloads", "reload_wrong", 0),
    Limit("connections for 1,000 questions over TCP", "stream_connections", 4),
    Limit("unanswered over TCP", "stream_unanswered", 0),
)


@dataclass
class Results:
    """The results of one run, and where they come from."""

    figures: Figures
    machine: str
    versions: dict[str, str]
    command: str
    finished: str

    @classmethod
    def of(cls, figures: Figures, command: str) -> Self:
        """Make the results of the run that ends now."""
        return cls(figures, machine(), versions(), command, datetime.now(UTC).isoformat(timespec="seconds"))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read results that were saved."""
        data: dict[str, Any] = json.loads(path.read_text())
        return cls(Figures(data.pop("figures")), **data)

    def write(self, path: Path) -> None:
        """Save the results."""
        path.parent.mkdir(parents=True, exist_ok=True)
        rounded = {
            figure: {server: [float(f"{value:.5g}") for value in values] for server, values in servers.items()}
            for figure, servers in self.figures.values.items()
        }
        data = {
            "finished": self.finished,
            "command": self.command,
            "machine": self.machine,
            "versions": self.versions,
            "figures": rounded,
        }
        path.write_text(json.dumps(data, indent=1) + "\n")


def machine() -> str:
    """Describe the machine in one line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores of {model}, {memory_gib:.0f} GiB, Linux {platform.release().partition('-')[0]}"


def versions() -> dict[str, str]:
    """Return the versions of the servers that are there, and of Python."""
    found = {OURS: _first_line([peers.clusterdns(), "-version"])}
    for name, program, flag in ((COREDNS, COREDNS, "-version"), (KNOT, "knotd", "--version")):
        with contextlib.suppress(peers.MissingPeer):
            found[name] = _first_line([peers.find(program), flag])
    return {**found, "python": platform.python_version()}


def _first_line(command: list[str | Path]) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.splitlines()[0].strip()
