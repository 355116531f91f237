"""kubeadm's Corefile under dnsperf: cached external names, new ones, and its cost to the cluster's names.

Both servers forward to the same Knot, so that the upstream takes the same time for both. Each measurement first asks
all its questions once, unmeasured: `cache 30` drops an answer after 30 s, and other servers' turns may take as long.
"""

import itertools
import random
import string
from collections.abc import Iterator
from pathlib import Path

from bench import load, objects
from bench.results import Figures
from bench.rounds import OFFERED_SHARE, Effort, shuffled, throughput, turns
from bench.servers import COREDNS, EXTERNAL, MeasuredServer, external_names

SECONDS = 2  # of each measurement: they are many
LATENCY_SECONDS = 2
NEW_NAMES = 60_000  # more than either server forwards in that time
SIDES = ("plain", "kubeadm")
MIX_EXTERNAL_SHARE = 0.2


def cluster_names(
    plain: list[MeasuredServer], kubeadm: list[MeasuredServer], folder: Path, effort: Effort, figures: Figures
) -> None:
    """Measure the cluster's names on servers with and without forward, cache, loop and reload."""
    path = folder / "cluster"
    count = load.write_questions(path, shuffled(objects.questions()))
    times = max(1, effort.questions // count)
    sides = [
        (runner, side) for pair in zip(plain, kubeadm, strict=True) for runner, side in zip(pair, SIDES, strict=True)
    ]
    for runner, _ in sides:
        load.flat_out(runner.port, path, 1, "NOERROR")
    for number in range(effort.rounds):
        for runner, side in sides if number % 2 else reversed(sides):  # neither side always goes first
            per_cpu_second, per_second = throughput(runner, path, times, "NOERROR", SECONDS)
            figures.add(f"{side}_names_per_cpu_second", runner.name, per_cpu_second)
            figures.add(f"{side}_names_per_second", runner.name, per_second)


def cached(runners: list[MeasuredServer], folder: Path, effort: Effort, figures: Figures) -> None:
    """Measure 1,000 cached external names, alone and then as one in five among the cluster's names."""
    external = [(name, qtype) for name in external_names() for qtype in ("A", "AAAA")]
    cluster = objects.questions()
    count = round(len(cluster) * MIX_EXTERNAL_SHARE / (1 - MIX_EXTERNAL_SHARE))
    sets = {"cached": external, "mixed": [*cluster, *external[:count]]}
    for case, questions in sets.items():
        path = folder / case
        times = max(1, effort.questions // load.write_questions(path, shuffled(questions)))
        for runner in turns(runners, effort):
            load.flat_out(runner.port, path, 1, "NOERROR")
            per_cpu_second, per_second = throughput(runner, path, times, "NOERROR", SECONDS)
            figures.add(f"{case}_per_cpu_second", runner.name, per_cpu_second)
            figures.add(f"{case}_per_second", runner.name, per_second)
    for case in sets:
        offered = int(OFFERED_SHARE * figures.median(f"{case}_per_second", COREDNS))
        for runner in turns(runners, effort):
            load.flat_out(runner.port, folder / case, 1, "NOERROR")
            found = load.at_rate(runner.port, folder / case, offered, LATENCY_SECONDS, "NOERROR")
            figures.add(f"{case}_lost", runner.name, found.lost)
            figures.add(f"{case}_p99_us", runner.name, found.percentile_seconds(99) * 1e6)


def misses(runners: list[MeasuredServer], folder: Path, effort: Effort, figures: Figures) -> None:
    """Measure external names that were never asked before, each of which is forwarded."""
    new = new_names()
    path = folder / "new"
    for runner in turns(runners, effort):
        load.write_questions(path, itertools.islice(new, NEW_NAMES))
        per_cpu_second, per_second = throughput(runner, path, 1, "NOERROR", SECONDS)
        figures.add("forwarded_us", runner.name, 1e6 / per_cpu_second)
        figures.add("forwarded_per_second", runner.name, per_second)


def new_names(zone: str = f"new.{EXTERNAL}") -> Iterator[tuple[str, str]]:
    """Yield random names of the zone, with type A: they were never asked before."""
    rng = random.Random()
    while True:
        yield f"{''.join(rng.choices(string.ascii_lowercase + string.digits, k=14))}.{zone}.", "A"
