"""`python -m bench.churn`: answers while Services and slices are created, updated, deleted and moved all the time.

150 changes a second (`--changes`) for 60 s (`--seconds`) through a real API server, made by a process of their own.
The benchmark's own watches know what was true when; the names that changed last are asked first. Exit code 1 if
clusterdns gives a wrong answer.
"""

import argparse
import itertools
import multiprocessing
import os
import random
import shlex
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from ipaddress import IPv4Address
from pathlib import Path

from bench.asking import Asker
from bench.objects import ZONE, endpoint_slice, service
from bench.results import FOLDER, Figures, Results
from bench.servers import COREDNS, OURS, kubernetes_server
from bench.truth import Truth
from testing import controlplane
from testing.api import ApiClient
from testing.peers import MissingPeer

NAMESPACE = "bench-churn"
STEADY = 40  # headless Services of two slices, between which endpoints move
PER_SLICE = 3
CHANGERS = 6
NICENESS = 10  # of those that run on other machines in a cluster: the control plane, and who makes the changes
YOUNG = 8  # Services of a thread that are not deleted yet: those of about the last second
ASKED_PER_SECOND = 1_000
_SETTLE_SECONDS = 1.0
_FIRST_ADDRESS = IPv4Address("10.80.0.1")

Step = Callable[[], None]


class Churn:
    """One thread's share of the objects, and the changes that it makes to them, in random order."""

    def __init__(self, api: ApiClient, number: int, seed: int) -> None:
        self._api = api
        self._random = random.Random(f"{seed} {number}")
        self._prefix = f"churn-{number}"
        self._count = itertools.count()
        self._addresses = (str(_FIRST_ADDRESS + (number << 16) + step) for step in itertools.count())
        self._born: list[tuple[str, bool]] = []  # Services that will be deleted: name, and whether it is headless
        self._steady: dict[str, tuple[list[str], list[str]]] = {}  # the addresses in the two slices
        for name in steady_names(number):
            self._steady[name] = ([next(self._addresses) for _ in range(PER_SLICE)], [next(self._addresses)])

    def create(self) -> None:
        """Create the Services that stay."""
        for name in self._steady:
            self._api.apply(service(NAMESPACE, name, headless=True))
            self._apply(name, 0)
            self._apply(name, 1)

    def changes(self) -> Iterator[Step]:
        """Yield changes endlessly, each of one object."""
        kinds = (self._update, self._move, self._birth, self._death)
        while True:
            yield from self._random.choice(kinds)()

    def _update(self) -> Iterator[Step]:
        """Give an endpoint another address."""
        name, slices = self._random.choice(list(self._steady.items()))
        which = self._random.randrange(2)
        if slices[which]:
            slices[which][self._random.randrange(len(slices[which]))] = next(self._addresses)
            yield lambda: self._apply(name, which)

    def _move(self) -> Iterator[Step]:
        """Move an endpoint to the other slice of its Service; either slice changes first."""
        name, slices = self._random.choice(list(self._steady.items()))
        source = self._random.randrange(2)
        if slices[source]:
            slices[1 - source].append(slices[source].pop())
            order = self._random.sample((0, 1), 2)
            yield lambda: self._apply(name, order[0])
            yield lambda: self._apply(name, order[1])

    def _birth(self) -> Iterator[Step]:
        """Create a Service with a clusterIP, or a headless one with its slice."""
        name, is_headless = f"{self._prefix}-{next(self._count)}", self._random.random() < 0.5
        yield lambda: self._create(name, headless=is_headless)
        if is_headless:
            one = endpoint_slice(NAMESPACE, name, f"{name}-0", [next(self._addresses)], ["pod-0"])
            yield lambda: self._apply_object(one)
        self._born.append((name, is_headless))

    def _death(self) -> Iterator[Step]:
        """Delete a Service that was created on the way, and its slice."""
        if len(self._born) > YOUNG:  # the two watches of the benchmark would see a shorter life in another order
            name, is_headless = self._born.pop(self._random.randrange(len(self._born) - YOUNG))
            yield lambda: self._api.delete("Service", name, NAMESPACE)
            if is_headless:
                yield lambda: self._api.delete("EndpointSlice", f"{name}-0", NAMESPACE)

    def _create(self, name: str, *, headless: bool) -> None:
        self._apply_object(service(NAMESPACE, name, headless=headless))

    def _apply(self, name: str, which: int) -> None:
        addresses = self._steady[name][which]
        hostnames = [f"pod-{address.replace('.', '-')}" for address in addresses]
        self._apply_object(endpoint_slice(NAMESPACE, name, f"{name}-{which}", addresses, hostnames))

    def _apply_object(self, manifest: dict[str, object]) -> None:
        self._api.apply(manifest)


def steady_names(number: int) -> list[str]:
    """Return the names of the Services of one thread that stay."""
    return [f"steady-{one}" for one in range(STEADY) if one % CHANGERS == number]


def change_objects(kubeconfig: Path, seed: int, per_second: float, seconds: float) -> None:
    """Create the objects and change them: the program of the process that makes the changes."""
    os.nice(NICENESS)
    with ApiClient(kubeconfig) as api:
        ready = threading.Barrier(CHANGERS)

        def run(number: int) -> None:
            churn = Churn(api, number, seed)
            churn.create()
            ready.wait()
            began = time.monotonic()
            for count, change in enumerate(churn.changes()):
                due = began + count * CHANGERS / per_second
                if due > began + seconds or time.monotonic() > began + seconds:
                    return
                time.sleep(max(0.0, due - time.monotonic()))
                change()

        with ThreadPoolExecutor(CHANGERS) as pool:
            for _ in pool.map(run, range(CHANGERS)):
                pass


def measure(
    kubeconfig: Path, folder: Path, names: tuple[str, ...], options: argparse.Namespace, figures: Figures
) -> list[str]:
    """Churn, and ask the servers; returns the wrong answers of ours, in words."""
    with ApiClient(kubeconfig) as api, ExitStack() as running:
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        truth = Truth(NAMESPACE)
        truth.follow(api)
        time.sleep(_SETTLE_SECONDS)  # the watches are open before the first object
        wanted = f"kubernetes.default.svc.{ZONE}."
        servers = [
            running.enter_context(kubernetes_server(name, kubeconfig, folder, wanted=(wanted,))) for name in names
        ]
        arguments = (kubeconfig, options.seed, options.changes, options.seconds)
        changing = multiprocessing.get_context("spawn").Process(target=change_objects, args=arguments)
        changing.start()
        while truth.count < STEADY:  # the askers have something to ask
            time.sleep(0.1)
        askers = {one.name: Asker(one.port, truth, truth.recent_name, ASKED_PER_SECOND) for one in servers}
        began, before = time.monotonic(), truth.count
        changing.join()
        lasted = time.monotonic() - began
        for name, asker in askers.items():
            asker.stop()
            lateness = sorted(asker.lateness)
            figures.add("changes_per_second", name, (truth.count - before) / lasted)
            figures.add("answers", name, len(lateness))
            figures.add("wrong", name, len(asker.wrong))
            figures.add("lost", name, len(asker.lost_at))
            figures.add("failed", name, asker.failed)
            figures.add("late_p99_ms", name, lateness[int(len(lateness) * 0.99)] * 1000)
            figures.add("late_longest_ms", name, lateness[-1] * 1000)
        return [f"{answer.name}: {why}" for answer, why in askers[OURS].wrong]


def main() -> int:
    """Run the benchmark; returns 1 for a wrong answer of clusterdns, and where a program is missing."""
    parser = argparse.ArgumentParser(prog="python -m bench.churn", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="duration (60)")
    parser.add_argument("--changes", type=float, default=150.0, help="changes per second (150)")
    parser.add_argument("--seed", type=int, default=1, help="of the random changes (1)")
    parser.add_argument("--ours", action="store_true", help="measure clusterdns alone")
    options = parser.parse_args()
    figures = Figures()
    try:
        with tempfile.TemporaryDirectory(prefix="clusterdns-bench-") as name:
            folder = Path(name)
            with controlplane.shared(folder / "control-plane", niceness=NICENESS) as running:
                names = (OURS,) if options.ours else (OURS, COREDNS)
                wrong = measure(running.kubeconfig, folder, names, options, figures)
    except MissingPeer as missing:
        print(f"bench: {missing}", file=sys.stderr)
        return 1
    results = Results.of(figures, shlex.join(["python", "-m", "bench.churn", *sys.argv[1:]]))
    results.write(FOLDER / "latest" / "churn.json")
    for figure, servers in figures.values.items():
        print(f"{figure:20}" + "".join(f"{server:>12} {values[0]:10.4g}" for server, values in servers.items()))
    print(*wrong[:10], sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
