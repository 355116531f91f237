"""kubeadm's Corefile under dnsperf: cached and new external names, and what it costs the cluster's own.

Both servers forward to the same Knot, so that what an upstream takes is the same for both. Each measurement first asks
its questions once, uncounted: `cache 30` lets an answer go after 30 s, which other servers' turns may take.
"""

import itertools
import random
import string
from collections.abc import Iterator
from pathlib import Path

from bench import load, objects
from bench.field import COREDNS, EXTERNAL, Runner, external_names
from bench.results import Figures
from bench.rounds import OFFERED_SHARE, Effort, pace, shuffled, turns

SECONDS = 2  # of each measurement: they are many
LATENCY_SECONDS = 2
NEW_NAMES = 60_000  # more than either server forwards in that time
SIDES = ("plain", "kubeadm")
MIX_EXTERNAL_SHARE = 0.2


def cluster_names(plain: list[Runner], kubeadm: list[Runner], folder: Path, effort: Effort, figures: Figures) -> None:
    """The cluster's names, from a server without and one with forward, cache, loop and reload."""
    path = folder / "cluster"
    count = load.write_questions(path, shuffled(objects.questions()))
    times = max(1, effort.questions // count)
    sides = [
        (runner, side) for pair in zip(plain, kubeadm, strict=True) for runner, side in zip(pair, SIDES, strict=True)
    ]
    for runner, _ in sides:
        load.flat_out(runner.port, path, 1, "NOERROR")
    for number in range(effort.rounds):
        for runner, side in sides if number % 2 else reversed(sides):  # neither is always the first
            per_cpu_second, per_second = pace(runner, path, times, "NOERROR", SECONDS)
            figures.add(f"{side}_names_per_cpu_second", runner.name, per_cpu_second)
            figures.add(f"{side}_names_per_second", runner.name, per_second)


def cached(runners: list[Runner], folder: Path, effort: Effort, figures: Figures) -> None:
    """1,000 external names that are in the cache; then one of those among four of the cluster's."""
    external = [(name, qtype) for name in external_names() for qtype in ("A", "AAAA")]
    cluster = objects.questions()
    count = round(len(cluster) * MIX_EXTERNAL_SHARE / (1 - MIX_EXTERNAL_SHARE))
    sets = {"cached": external, "mixed": [*cluster, *external[:count]]}
    for case, questions in sets.items():
        path = folder / case
        times = max(1, effort.questions // load.write_questions(path, shuffled(questions)))
        for runner in turns(runners, effort):
            load.flat_out(runner.port, path, 1, "NOERROR")
            per_cpu_second, per_second = pace(runner, path, times, "NOERROR", SECONDS)
            figures.add(f"{case}_per_cpu_second", runner.name, per_cpu_second)
            figures.add(f"{case}_per_second", runner.name, per_second)
    for case in sets:
        offered = int(OFFERED_SHARE * figures.median(f"{case}_per_second", COREDNS))
        for runner in turns(runners, effort):
            load.flat_out(runner.port, folder / case, 1, "NOERROR")
            found = load.at_rate(runner.port, folder / case, offered, LATENCY_SECONDS, "NOERROR")
            figures.add(f"{case}_lost", runner.name, found.lost)
            figures.add(f"{case}_p99_us", runner.name, found.percentile_seconds(99) * 1e6)


def misses(runners: list[Runner], folder: Path, effort: Effort, figures: Figures) -> None:
    """External names that were never asked: each is forwarded."""
    new = new_names()
    path = folder / "new"
    for runner in turns(runners, effort):
        load.write_questions(path, itertools.islice(new, NEW_NAMES))
        per_cpu_second, per_second = pace(runner, path, 1, "NOERROR", SECONDS)
        figures.add("forwarded_us", runner.name, 1e6 / per_cpu_second)
        figures.add("forwarded_per_second", runner.name, per_second)


def new_names(zone: str = f"new.{EXTERNAL}") -> Iterator[tuple[str, str]]:
    """Names of the zone that nobody has asked yet."""
    rng = random.Random()
    while True:
        yield f"{''.join(rng.choices(string.ascii_lowercase + string.digits, k=14))}.{zone}.", "A"
