"""`make bench-faults`: how right the servers are while the API server, or the way to it, fails, and how soon after.

    A real control plane with 1,000 headless Services (`--services`), of which some change all the time, clusterdns and
    CoreDNS beside each other, 500 queries a second to each (`--rate`) for names that exist. Each row (`--only`) breaks
    the servers' way to the API server; the benchmark's own watches know what was true when.

Everything runs in a network namespace of its own, in which packets can be dropped. The last run is in
bench/results/latest/faults.json; `--keep` also saves it under today's date.
"""

import argparse
import math
import os
import shlex
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.fault_bed import NAMESPACE, ChangingCluster, Contender, FaultBed
from bench.fault_rows import BEGIN, ROWS, FaultRow
from bench.restarts import RESTARTS
from bench.results import FOLDER, Figures, Results
from bench.servers import COREDNS, OURS
from testing import controlplane, packet_loss
from testing.peers import MissingPeer

SETTLE_SECONDS = 2.0
QUIET_SECONDS = 4.0  # without a late answer, until a server counts as right again
LATE_SECONDS = 0.1  # from which an answer is late, and not merely on its way, where the fault goes on
MEASURED = ("seconds", "requests", "cpu_seconds", "wrong", "lost", "failed")  # of each row
_IN_NAMESPACE = "BENCH_FAULTS_NAMESPACE"


def arguments(words: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=(*ROWS, *RESTARTS), action="append", help="measure this row; may be repeated")
    parser.add_argument("--services", type=int, default=1_000, help="Services of the cluster (1,000)")
    parser.add_argument("--rate", type=int, default=500, help="queries per second and server (500)")
    parser.add_argument("--seconds", type=float, help="how long each fault lasts, instead of 3 to 20 s")
    parser.add_argument("--ours", action="store_true", help="measure clusterdns alone")
    parser.add_argument("--keep", action="store_true", help="save the JSON under today's date")
    return parser.parse_args(words)


def measure(bed: FaultBed, row: FaultRow, rate: int, figures: Figures) -> None:
    """Run the servers through one fault."""
    key = row.key
    bed.token_file.write_text("old")
    with bed.running("        audit 30s\n" if row.audit else "", rate, over_http=row.over_http):
        idle = [one.measured.server.cpu_seconds() for one in bed.contenders]
        time.sleep(SETTLE_SECONDS)
        for one in bed.contenders:
            one.asker.forget()
        began = since = time.monotonic()
        requests = [one.requests() for one in bed.contenders]
        cpu = [one.measured.server.cpu_seconds() for one in bed.contenders]
        share = [(after - before) / SETTLE_SECONDS for before, after in zip(idle, cpu, strict=True)]
        with row.fault(bed):
            if row.since == BEGIN:
                _wait_recovered(bed, row, since)
            else:
                time.sleep(row.seconds)
            lasted = time.monotonic() - began
            for one, asked, used, usual in zip(bed.contenders, requests, cpu, share, strict=True):
                figures.add(f"{key}_requests", one.name, one.requests() - asked)
                more = one.measured.server.cpu_seconds() - used - usual * lasted
                figures.add(f"{key}_cpu_seconds", one.name, max(0.0, more))
        if row.since != BEGIN:
            since = time.monotonic()
            _wait_recovered(bed, row, since)
        bed.cluster.change_a_few()
        contenders = list(bed.contenders)
    for one in contenders:
        figures.add(f"{key}_seconds", one.name, _seconds_to_truth(one, row, since))
        figures.add(f"{key}_wrong", one.name, len(one.asker.wrong))
        figures.add(f"{key}_lost", one.name, len(one.asker.lost_at))
        figures.add(f"{key}_failed", one.name, one.asker.failed)
        row_values = {what: figures.median(f"{key}_{what}", one.name) for what in MEASURED}
        print(
            f"bench:   {one.name}: " + ", ".join(f"{what} {value:.3g}" for what, value in row_values.items()),
            file=sys.stderr,
        )
        for answer, why in one.asker.wrong[:3]:
            print(f"bench:   {answer.name} {answer.asked - since:+.3f} s: {why}", file=sys.stderr)


def _late_at(one: Contender, row: FaultRow, since: float) -> list[float]:
    """Return when answers came that show what had ceased to be true because of the fault."""
    if row.since == BEGIN:
        return [answer.asked for answer, ended in one.asker.late if answer.asked - ended > LATE_SECONDS]
    return [answer.asked for answer, ended in one.asker.late if ended < since < answer.asked]


def _seconds_to_truth(one: Contender, row: FaultRow, since: float) -> float:
    """Return the seconds until the last late answer; infinity where they went on to the limit."""
    last = max(_late_at(one, row, since), default=since) - since
    return math.inf if last > row.limit_seconds - QUIET_SECONDS else last


def _wait_recovered(bed: FaultBed, row: FaultRow, since: float) -> None:
    """Wait until no server has given a late answer for some time, or until the limit."""
    while time.monotonic() < since + row.limit_seconds:
        time.sleep(0.5)
        for one in bed.contenders:
            one.asker.judge()
        last = max((max(_late_at(one, row, since), default=since) for one in bed.contenders), default=since)
        if time.monotonic() > last + QUIET_SECONDS:
            return


def show(figures: Figures, keys: list[str], console: Console) -> None:
    """Print the tables."""
    table = Table(
        title="Seconds to the truth; API requests (connections where these are TLS), CPU-seconds in the fault"
    )
    for column in ("fault", "must"):
        table.add_column(column)
    for name in (OURS, COREDNS):
        for column in ("s", "requests", "CPU s", "wrong", "lost", "failed"):
            table.add_column(f"{name} {column}" if column == "s" else column, justify="right")
    for key in keys:
        if key not in ROWS:
            continue
        cells = [
            f"{figures.median(f'{key}_{what}', name):.3g}" if figures.has(f"{key}_{what}", name) else ""
            for name in (OURS, COREDNS)
            for what in MEASURED
        ]
        table.add_row(ROWS[key].title, f"{ROWS[key].must_seconds:g}", *cells)
    console.print(table)
    more = Table(title="Restarts")
    for column in ("measurement", "must", OURS, COREDNS):
        more.add_column(column)
    for figure in (one for key in keys if key in RESTARTS for one in (key, f"{key}_seconds")):
        if figure in figures.values:
            row = RESTARTS[figure.removesuffix("_seconds")]
            title, must = (row.title, row.must) if figure in RESTARTS else ("  seconds until they are", "")
            values = (figures.median(figure, name) if figures.has(figure, name) else None for name in (OURS, COREDNS))
            more.add_row(title, must, *("" if value is None else f"{value:.3g}" for value in values))
    console.print(more)


def run(options: argparse.Namespace, folder: Path, figures: Figures, keys: list[str]) -> None:
    """Start the cluster, and measure the rows."""
    packet_loss.prepare()
    with controlplane.shared(folder / "control-plane") as control_plane:
        control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        cluster = ChangingCluster(control_plane, options.services)
        time.sleep(1.0)  # the watches are open before the first object
        print(f"bench: creating {options.services} Services", file=sys.stderr)
        cluster.create()
        bed = FaultBed(control_plane, cluster, folder, options.ours)
        try:
            for key in keys:
                print(f"bench: {(ROWS.get(key) or RESTARTS[key]).title}", file=sys.stderr)
                if key in RESTARTS:
                    RESTARTS[key].measure(bed, key, figures)
                    continue
                row = ROWS[key]._replace(**({"seconds": options.seconds} if options.seconds else {}))
                if not row.restarts_api:
                    measure(bed, row, options.rate, figures)
                    continue
                with control_plane.second_apiserver() as bed.further:
                    measure(bed, row, options.rate, figures)
                bed.further = None
        finally:
            cluster.stop()


def main() -> int:
    """Run the benchmark in a network namespace; returns 1 where a program is missing."""
    options = arguments(sys.argv[1:])
    keys = options.only or [*ROWS, *RESTARTS]
    figures = Figures()
    try:
        if _IN_NAMESPACE not in os.environ:
            command = [*packet_loss.in_namespace(), sys.executable, "-m", "bench.faults", *sys.argv[1:]]
            os.execve(command[0], [str(word) for word in command], {**os.environ, _IN_NAMESPACE: "1"})
        with tempfile.TemporaryDirectory(prefix="clusterdns-bench-") as name:
            run(options, Path(name), figures, keys)
    except MissingPeer as missing:
        print(f"bench: {missing}", file=sys.stderr)
        return 1
    results = Results.of(figures, shlex.join(["python", "-m", "bench.faults", *sys.argv[1:]]))
    results.write(FOLDER / "latest" / "faults.json")
    if options.keep:
        results.write(FOLDER / f"{date.today().isoformat()}-faults.json")
    show(figures, keys, Console(width=None if sys.stdout.isatty() else 150))
    return 0


if __name__ == "__main__":
    sys.exit(main())
