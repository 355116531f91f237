"""What is measured with dnsperf: cost, throughput, tail, random names, large Services; in turns, round after round.

Servers take turns within each round (A B C, A B C, …), so that what else the machine does falls on all of them alike.
Each measurement first asks every question once, uncounted: what a first question costs is another figure.
"""

import itertools
import random
import string
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench import load, objects
from bench.field import COREDNS, KNOT, Runner
from bench.results import Figures

OFFERED_SHARE = 0.6  # of what CoreDNS can answer at most
LATENCY_SECONDS = 5


@dataclass(frozen=True)
class Effort:
    """How much is measured: rounds, and questions per server and round."""

    rounds: int
    questions: int


def cluster_names(runners: list[Runner], folder: Path, effort: Effort, figures: Figures) -> None:
    """Every name with A, AAAA and SRV, as fast as the answers come."""
    path = folder / "names"
    count = load.write_questions(path, shuffled(objects.questions()))
    for runner in runners:
        load.flat_out(runner.port, path, 1, "NOERROR")
    for runner in turns(runners, effort):
        per_cpu_second, per_second = pace(runner, path, max(1, effort.questions // count), "NOERROR")
        figures.add("names_per_cpu_second", runner.name, per_cpu_second)
        figures.add("names_per_second", runner.name, per_second)


def tail(runners: list[Runner], folder: Path, effort: Effort, figures: Figures) -> None:
    """The latency of each answer, at a rate that every server can bear; after `cluster_names`, which says what that
    is."""
    per_second = int(OFFERED_SHARE * figures.median("names_per_second", COREDNS))
    for runner in turns([one for one in runners if one.name != KNOT], effort):
        found = load.at_rate(runner.port, folder / "names", per_second, LATENCY_SECONDS, "NOERROR")
        figures.add("offered_per_second", runner.name, per_second)
        figures.add("reached_per_second", runner.name, found.answers_per_second)
        figures.add("lost", runner.name, found.lost)
        answered = replace(found, latencies_seconds=found.latencies_seconds[: found.completed])
        figures.add("p99_answered_us", runner.name, answered.percentile_seconds(99) * 1e6)
        for percent in (50, 99, 99.9):
            figures.add(f"p{str(percent).replace('.', '')}_us", runner.name, found.percentile_seconds(percent) * 1e6)


def random_names(runners: list[Runner], folder: Path, effort: Effort, figures: Figures) -> None:
    """Names under svc.cluster.local that do not exist, no two alike."""
    rng = random.Random(5)
    path = folder / "random"
    for _ in range(effort.rounds):
        load.write_questions(path, itertools.islice(_random_questions(rng), effort.questions // 2))
        for runner in runners:
            per_cpu_second, _ = pace(runner, path, 1, "NXDOMAIN")
            figures.add("random_per_cpu_second", runner.name, per_cpu_second)


def large_services(runners: list[Runner], folder: Path, effort: Effort, figures: Figures) -> None:
    """A pod's name, and the Service's own, in a Service of 10 and in one of 10,000 endpoints."""
    cases: dict[str, tuple[Callable[[int], list[str]], bool]] = {
        "pod": (lambda size: [f"pod-{number}." for number in range(size)], True),
        "service": (lambda size: [""], False),
        "headless": (lambda size: [""], True),
    }
    for case, (labels, headless) in cases.items():
        paths = {size: folder / f"{case}-{size}" for size in objects.SIZES}
        for size, path in paths.items():
            name = f"{objects.large_name(size, headless=headless)}.{objects.LARGE}.svc.{objects.ZONE}."
            asked = labels(size)
            times = max(1, effort.questions // 2 // len(asked))
            load.write_questions(path, shuffled([(label + name, "A") for label in asked] * times))
            for runner in runners:
                load.flat_out(runner.port, path, 1, "NOERROR")
        for runner in turns(runners, effort):
            for size, path in paths.items():
                per_cpu_second, _ = pace(runner, path, 1, "NOERROR")
                figures.add(f"{case}_{size}_us", runner.name, 1e6 / per_cpu_second)


def pace(
    runner: Runner, questions: Path, times: int, expected_code: str, seconds: int = load.LIMIT_SECONDS
) -> tuple[float, float]:
    """Answers per CPU-second of the server, and per second."""
    before = runner.server.cpu_seconds()
    found = load.flat_out(runner.port, questions, times, expected_code, seconds)
    return found.completed / (runner.server.cpu_seconds() - before), found.answers_per_second


def turns(runners: list[Runner], effort: Effort) -> Iterator[Runner]:
    """Each server once per round."""
    for _ in range(effort.rounds):
        yield from runners


def shuffled(questions: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The questions in an order of their own, the same every time."""
    shuffled = list(questions)
    random.Random(1).shuffle(shuffled)
    return shuffled


def _random_questions(rng: random.Random) -> Iterator[tuple[str, str]]:
    """Half of them in namespaces that exist, half not; A and AAAA, as stub resolvers dns_client."""
    seen: set[str] = set()
    while True:
        label = "".join(rng.choices(string.ascii_lowercase + string.digits, k=12))
        if label in seen:
            continue
        seen.add(label)
        namespace = rng.choice(objects.NAMESPACES) if rng.random() < 0.5 else f"no-{label[:6]}"
        yield f"{label}.{namespace}.svc.{objects.ZONE}.", rng.choice(("A", "AAAA"))
