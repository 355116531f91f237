"""`make bench`: everything, side by side, in one run; a table, JSON and plots.

It starts a control plane (or uses the API server of a kubeconfig), loads the generated cluster, starts the three name
servers on loopback and measures them in turns. What one server lacks is left out of the table, not guessed. The last
run is in bench/results/latest/; `--keep` also keeps its JSON under today's date.
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

from bench import field, footprint, forwarding, freshness, plots, report, rounds, trouble
from bench.field import COREDNS, OURS
from bench.results import FOLDER, Figures, Results
from testing import controlplane
from testing.api import ApiClient
from testing.peers import MissingPeer
from testing.ports import LOOPBACK

FRESHNESS_ROUNDS = 100
PLAIN_PARTS = ("names", "tail", "random", "large", "freshness", "footprint")
KUBEADM_PARTS = ("kubeadm", "cached", "misses", "reload")
TROUBLE_PARTS = ("stampede", "spoofing", "dead", "tcp_upstream")
PARTS = (*PLAIN_PARTS, *KUBEADM_PARTS, *TROUBLE_PARTS)


def arguments(words: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds, each with every server once (5)")
    parser.add_argument("--questions", type=int, default=200_000, help="questions per server and round (200,000)")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure only this part; may be repeated")
    parser.add_argument("--kubeconfig", type=Path, help="use this API server instead of starting one; it must be empty")
    parser.add_argument(
        "--keep", action="store_true", help="keep the JSON under today's date and the plots in results/"
    )
    return parser.parse_args(words)


@contextmanager
def control_plane(kubeconfig: Path | None, folder: Path) -> Iterator[Path]:
    """The kubeconfig of an API server: the given one, or that of a control plane started for this run."""
    if kubeconfig is not None:
        yield kubeconfig.absolute()
        return
    with controlplane.shared(folder / "control-plane") as running:
        yield running.kubeconfig


@dataclass(frozen=True)
class Run:
    """What the parts of a run share."""

    kubeconfig: Path
    folder: Path
    parts: frozenset[str]
    effort: rounds.Effort
    figures: Figures

    def begin(self, *parts: str, about: str = "") -> bool:
        """Whether one of these is wanted; says so, for the one who waits."""
        is_wanted = not self.parts.isdisjoint(parts)
        if is_wanted and about:
            print(f"bench: {about}", file=sys.stderr)
        return is_wanted


def measure(kubeconfig: Path, folder: Path, options: argparse.Namespace) -> Figures:
    """Everything that was asked for, in order."""
    effort = rounds.Effort(options.rounds, options.questions)
    run = Run(kubeconfig, folder, frozenset(options.only or PARTS), effort, Figures())
    api = ApiClient(kubeconfig)
    print("bench: loading 1,304 Services and their slices", file=sys.stderr)
    field.load_objects(api)
    if run.begin("footprint", about="the program and its start"):
        footprint.program(options.rounds, run.figures)
        footprint.starts(options.rounds, kubeconfig, folder, run.figures)
    if run.begin(*PLAIN_PARTS):
        measure_plain(run, api)
    if run.begin(*KUBEADM_PARTS):
        measure_kubeadm(run)
    if run.begin(*TROUBLE_PARTS):
        measure_trouble(run)
    return run.figures


def measure_plain(run: Run, api: ApiClient) -> None:
    """Cluster names only, with Knot beside."""
    kubeconfig, folder, effort, figures = run.kubeconfig, run.folder, run.effort, run.figures
    with ExitStack() as running:
        both = [running.enter_context(field.kubernetes_server(name, kubeconfig, folder)) for name in (OURS, COREDNS)]
        every = [*both, running.enter_context(field.knot(api, folder))]
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
    """kubeadm's Corefile, with Knot as its upstream."""
    folder, effort, figures = run.folder, run.effort, run.figures
    with field.resolver(folder) as upstream:
        address = f"{LOOPBACK}:{upstream.port}"
        with field.kubeadm_pair(run.kubeconfig, folder / "kubeadm", address) as both, ExitStack() as beside:
            if run.begin("kubeadm", about="2,600 names, with kubeadm's Corefile and without"):
                plain = [
                    beside.enter_context(field.kubernetes_server(one.name, run.kubeconfig, folder / "plain"))
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
                trouble.reloads(both, folder, effort, figures)
            footprint.memory("kubeadm_rss_mib", both, figures)


def measure_trouble(run: Run) -> None:
    """kubeadm's Corefile with further upstreams that are slow, forged, dead or reached over TCP."""
    folder, effort, figures = run.folder, run.effort, run.figures
    with field.resolver(folder) as upstream:
        address = f"{LOOPBACK}:{upstream.port}"
        with trouble.field(run.kubeconfig, folder / "trouble", address) as troubled:
            if run.begin("stampede", about="1,000 questions for one name"):
                trouble.stampede(troubled, effort, figures)
            if run.begin("spoofing", about="forged replies"):
                trouble.spoofing(troubled, figures)
            if run.begin("tcp_upstream", about="1,000 questions over TCP"):
                trouble.streams(troubled, effort, figures)
            if run.begin("dead", about="a dead upstream"):
                trouble.dead(troubled, folder, effort, figures)


def main() -> int:
    """Run it; 1 when something needed is missing."""
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
    console.print(f"written to {FOLDER / 'latest'}" + (" and kept" if options.keep else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
