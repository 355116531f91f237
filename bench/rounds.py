"""The measurements with dnsperf: cost, throughput, tail latency, random names, large Services.

Servers take turns within each round (A B C, A B C, …), so that other work of the machine affects all of them alike.
Each measurement first asks every question once, unmeasured: the cost of a first question is another figure.
"""

import itertools
import random
import string
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench import load, objects
from bench.results import Figures
from bench.servers import COREDNS, KNOT, MeasuredServer

OFFERED_SHARE = 0.6  # of CoreDNS's maximum rate
LATENCY_SECONDS = 5


@dataclass(frozen=True)
class Effort:
    """The size of a run: rounds, and questions per server and round."""

    rounds: int
    questions: int


def cluster_names(runners: list[MeasuredServer], folder: Path, effort: Effort, figures: Figures) -> None:
    """Measure every name with A, AAAA and SRV, as fast as answers arrive."""
    path = folder / "names"
    count = load.write_questions(path, shuffled(objects.questions()))
    for runner in runners:
        load.flat_out(runner.port, path, 1, "NOERROR")
    for runner in turns(runners, effort):
        per_cpu_second, per_second = throughput(runner, path, max(1, effort.questions // count), "NOERROR")
        figures.add("names_per_cpu_second", runner.name, per_cpu_second)
        figures.add("names_per_second", runner.name, per_second)


def tail(runners: list[MeasuredServer], folder: Path, effort: Effort, figures: Figures) -> None:
    """Measure the latency of each answer at a rate that every server sustains; needs the figures of `cluster_names`."""
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


def random_names(runners: list[MeasuredServer], folder: Path, effort: Effort, figures: Figures) -> None:
    """Measure names under svc.cluster.local that do not exist, all different."""
    rng = random.Random(5)
    path = folder / "random"
    for _ in range(effort.rounds):
        load.write_questions(path, itertools.islice(_random_questions(rng), effort.questions // 2))
        for runner in runners:
            per_cpu_second, _ = throughput(runner, path, 1, "NXDOMAIN")
            figures.add("random_per_cpu_second", runner.name, per_cpu_second)


def large_services(runners: list[MeasuredServer], folder: Path, effort: Effort, figures: Figures) -> None:
    """Measure the names of pods and of their Service, with 10 and with 10,000 endpoints."""
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
                per_cpu_second, _ = throughput(runner, path, 1, "NOERROR")
                figures.add(f"{case}_{size}_us", runner.name, 1e6 / per_cpu_second)


def throughput(
    runner: MeasuredServer, questions: Path, times: int, expected_code: str, seconds: int = load.LIMIT_SECONDS
) -> tuple[float, float]:
    """Measure, and return (answers per CPU-second of the server, answers per second)."""
    before = runner.server.cpu_seconds()
    found = load.flat_out(runner.port, questions, times, expected_code, seconds)
    return found.completed / (runner.server.cpu_seconds() - before), found.answers_per_second


def turns(runners: list[MeasuredServer], effort: Effort) -> Iterator[MeasuredServer]:
    """Yield each server once per round."""
    for _ in range(effort.rounds):
        yield from runners


def shuffled(questions: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Put the questions into a random order, which is the same in every run."""
    found = list(questions)
    random.Random(1).shuffle(found)
    return found


def _random_questions(rng: random.Random) -> Iterator[tuple[str, str]]:
    """Yield random names, half of them in namespaces that exist, with A or AAAA as stub resolvers ask."""
    seen: set[str] = set()
    while True:
        label = "".join(rng.choices(string.ascii_lowercase + string.digits, k=12))
        if label in seen:
            continue
        seen.add(label)
        namespace = rng.choice(objects.NAMESPACES) if rng.random() < 0.5 else f"no-{label[:6]}"
        yield f"{label}.{namespace}.svc.{objects.ZONE}.", rng.choice(("A", "AAAA"))
