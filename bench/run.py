"""`make bench`: everything, side by side, in one run; a table, JSON and plots.

It starts a control plane (or uses the API server of a kubeconfig), loads the generated cluster, starts the three name
servers on loopback and measures them in turns. What one server lacks is left out of the table, not guessed. The last
run is in bench/results/latest/; `--keep` also keeps its JSON under today's date.
"""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

from rich.console import Console

from bench import field, footprint, freshness, plots, report, rounds
from bench.api import Api
from bench.field import COREDNS, OURS
from bench.peers import MissingPeer
from bench.results import FOLDER, Figures, Results

FRESHNESS_ROUNDS = 100
PARTS = ("names", "tail", "random", "large", "freshness", "footprint")


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
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from controlplane import cluster

    if cluster.binaries() is None:
        raise MissingPeer(f"the control plane is missing: {cluster.HOW_TO_ENABLE}")
    with cluster.shared(folder / "control-plane") as running:
        yield running.kubeconfig


def measure(kubeconfig: Path, folder: Path, options: argparse.Namespace, say: Callable[[str], None]) -> Figures:
    """Everything that was asked for, in order."""
    figures = Figures()
    parts = options.only or PARTS
    effort = rounds.Effort(options.rounds, options.questions)
    api = Api(kubeconfig)
    say("loading 1,304 Services and their slices")
    field.load_objects(api)
    if "footprint" in parts:
        say("the program and its start")
        footprint.program(options.rounds, figures)
        footprint.starts(options.rounds, kubeconfig, folder, figures)
    with ExitStack() as running:
        both = [running.enter_context(field.kubernetes_server(name, kubeconfig, folder)) for name in (OURS, COREDNS)]
        every = [*both, running.enter_context(field.knot(api, folder))]
        footprint.memory("idle_rss_mib", every, figures)
        if {"names", "tail"} & set(parts):
            say("2,600 names, as fast as the answers come")
            rounds.cluster_names(every, folder, effort, figures)
        if "tail" in parts:
            say("latency at a fixed rate")
            rounds.tail(every, folder, effort, figures)
        if "random" in parts:
            say("random names")
            rounds.random_names(every, folder, effort, figures)
        if "large" in parts:
            say("Services of 10 and of 10,000 endpoints")
            rounds.large_services(both, folder, effort, figures)
        if "freshness" in parts:
            say("freshness")
            freshness.measure(api, both, FRESHNESS_ROUNDS, figures)
        footprint.memory("loaded_rss_mib", every, figures)
    return figures


def main() -> int:
    """Run it; 1 when something needed is missing."""
    options = arguments(sys.argv[1:])
    console = Console(width=None if sys.stdout.isatty() else 150)
    try:
        with tempfile.TemporaryDirectory(prefix="clusterdns-bench-") as name:
            folder = Path(name)
            with control_plane(options.kubeconfig, folder) as kubeconfig:
                figures = measure(kubeconfig, folder, options, lambda text: print(f"bench: {text}", file=sys.stderr))
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
