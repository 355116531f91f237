"""`make bench`: all measurements of all servers in one run, with tables, JSON and plots as its results.

It starts a control plane (or uses the API server of a kubeconfig), creates the benchmark's objects, starts the three
name servers on loopback, and measures them in turns. The tables omit what was not measured. The last run is in
bench/results/latest/; `--keep` also saves its JSON under today's date.
"""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rich.console import Console

from bench import footprint, forwarding, freshness, plots, report, resilience, rounds, servers
from bench.results import FOLDER, Figures, Results
from bench.servers import COREDNS, OURS
from testing import controlplane
from testing.api import ApiClient
from testing.peers import MissingPeer
from testing.ports import LOOPBACK

FRESHNESS_ROUNDS = 100
PLAIN_PARTS = ("names", "tail", "random", "large", "freshness", "footprint")
KUBEADM_PARTS = ("kubeadm", "cached", "misses", "reload")
RESILIENCE_PARTS = ("stampede", "spoofing", "dead", "tcp_upstream")
PARTS = (*PLAIN_PARTS, *KUBEADM_PARTS, *RESILIENCE_PARTS)


def arguments(words: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds, each with every server once (5)")
    parser.add_argument("--questions", type=int, default=200_000, help="questions per server and round (200,000)")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure only this part; may be repeated")
    parser.add_argument("--kubeconfig", type=Path, help="use this API server instead of starting one; it must be empty")
    parser.add_argument(
        "--keep", action="store_true", help="save the JSON under today's date and the plots in results/"
    )
    return parser.parse_args(words)


@contextmanager
def control_plane(kubeconfig: Path | None, folder: Path) -> Iterator[Path]:
    """Yield the given kubeconfig, or start a control plane for this run and yield its kubeconfig."""
    if kubeconfig is not None:
        yield kubeconfig.absolute()
        return
    with controlplane.shared(folder / "control-plane") as running:
        yield running.kubeconfig


@dataclass(frozen=True)
class Run:
    """The context that all parts of a run share."""

    kubeconfig: Path
    folder: Path
    parts: frozenset[str]
    effort: rounds.Effort
    figures: Figures

    def begin(self, *parts: str, about: str = "") -> bool:
        """Return whether one of these parts is wanted, and print `about` as the progress if so."""
        is_wanted = not self.parts.isdisjoint(parts)
        if is_wanted and about:
            print(f"bench: {about}", file=sys.stderr)
        return is_wanted


def measure(kubeconfig: Path, folder: Path, options: argparse.Namespace) -> Figures:
    """Measure the parts that the options select, in order."""
    effort = rounds.Effort(options.rounds, options.questions)
    run = Run(kubeconfig, folder, frozenset(options.only or PARTS), effort, Figures())
    api = ApiClient(kubeconfig)
    print("bench: creating 1,304 Services and their slices", file=sys.stderr)
    servers.load_objects(api)
    if run.begin("footprint", about="the program and its start"):
        footprint.program(options.rounds, run.figures)
        footprint.starts(options.rounds, kubeconfig, folder, run.figures)
    if run.begin(*PLAIN_PARTS):
        measure_plain(run, api)
    if run.begin(*KUBEADM_PARTS):
        measure_kubeadm(run)
    if run.begin(*RESILIENCE_PARTS):
        measure_resilience(run)
    return run.figures


def measure_plain(run: Run, api: ApiClient) -> None:
    """Measure the cluster's names, with Knot as the third server."""
    kubeconfig, folder, effort, figures = run.kubeconfig, run.folder, run.effort, run.figures
    with ExitStack() as running:
        both = [running.enter_context(servers.kubernetes_server(name, kubeconfig, folder)) for name in (OURS, COREDNS)]
        every = [*both, running.enter_context(servers.knot(api, folder))]
        footprint.memory("idle_rss_mib", every, figures)
        if run.begin("names", "tail", about="2,600 names, as fast as the answers come"):
            rounds.cluster_names(every, folder, effort, figures)
        if run.begin("tail", about="latency at a fixed rate"):
            rounds.tail(every, folder, effort, figures)
        if run.begin("random", about="random names"):
            rounds.random_names(every, folder, effort, figures)
        if run.begin("large", about="Services of 10 and of 10,000 endpoints"):
            rounds.large_services(both, folder, effort, figures)
        if run.begin("freshness", about="freshness"):
            freshness.measure(api, both, FRESHNESS_ROUNDS, figures)
        footprint.memory("loaded_rss_mib", every, figures)


def measure_kubeadm(run: Run) -> None:
    """Measure kubeadm's Corefile, with Knot as its upstream."""
    folder, effort, figures = run.folder, run.effort, run.figures
    with servers.resolver(folder) as upstream:
        address = f"{LOOPBACK}:{upstream.port}"
        with servers.kubeadm_pair(run.kubeconfig, folder / "kubeadm", address) as both, ExitStack() as beside:
            if run.begin("kubeadm", about="2,600 names, with kubeadm's Corefile and without"):
                plain = [
                    beside.enter_context(servers.kubernetes_server(one.name, run.kubeconfig, folder / "plain"))
                    for one in both
                ]
                forwarding.cluster_names(plain, both, folder, effort, figures)
                beside.close()
            if run.begin("cached", about="external names from the cache"):
                forwarding.cached(both, folder, effort, figures)
                footprint.memory("cached_rss_mib", both, figures)
            if run.begin("misses", about="external names that are forwarded"):
                forwarding.misses(both, folder, effort, figures)
            if run.begin("reload", about="reloads under load"):
                resilience.reloads(both, folder, effort, figures)
            footprint.memory("kubeadm_rss_mib", both, figures)


def measure_resilience(run: Run) -> None:
    """Measure kubeadm's Corefile with upstreams that are slow, dead, reached over TCP only, or forge replies."""
    folder, effort, figures = run.folder, run.effort, run.figures
    with servers.resolver(folder) as upstream:
        address = f"{LOOPBACK}:{upstream.port}"
        with resilience.faulty_upstreams(run.kubeconfig, folder / "resilience", address) as faulty:
            if run.begin("stampede", about="1,000 questions for one name"):
                resilience.stampede(faulty, effort, figures)
            if run.begin("spoofing", about="forged replies"):
                resilience.spoofing(faulty, figures)
            if run.begin("tcp_upstream", about="1,000 questions over TCP"):
                resilience.streams(faulty, effort, figures)
            if run.begin("dead", about="a dead upstream"):
                resilience.dead(faulty, folder, effort, figures)


def main() -> int:
    """Run the benchmark; returns 1 where a program is missing."""
    options = arguments(sys.argv[1:])
    console = Console(width=None if sys.stdout.isatty() else 150)
    try:
        with tempfile.TemporaryDirectory(prefix="clusterdns-bench-") as name:
            folder = Path(name)
            with control_plane(options.kubeconfig, folder) as kubeconfig:
                figures = measure(kubeconfig, folder, options)
    except MissingPeer as missing:
        print(f"bench: {missing}", file=sys.stderr)
        return 1
    results = Results.of(figures, shlex.join(["python", "-m", "bench.run", *sys.argv[1:]]))
    results.write(FOLDER / "latest" / "results.json")
    plots.write(results, FOLDER / "latest")
    if options.keep:
        results.write(FOLDER / f"{date.today().isoformat()}.json")
        plots.write(results, FOLDER)
    report.show(results, console)
    console.print(f"written to {FOLDER / 'latest'}" + (" and saved" if options.keep else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
