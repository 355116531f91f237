"""The tables of a run: every figure of every server as min / median / max, and the promised ratios, kept or not."""

from collections.abc import Iterator
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.field import COREDNS, KNOT, OURS
from bench.results import TARGETS, Ratio, Results

# figure → (what it says, decimals)
ROWS = {
    "names_per_cpu_second": ("answers per CPU-second, 2,600 names", 0),
    "names_per_second": ("answers per second, one process", 0),
    "offered_per_second": ("offered rate, questions per second", 0),
    "reached_per_second": ("  answered, per second", 0),
    "lost": ("  lost", 0),
    "p50_us": ("  latency p50, µs", 0),
    "p99_us": ("  latency p99, µs", 0),
    "p999_us": ("  latency p99.9, µs", 0),
    "p99_answered_us": ("  latency p99 of what was answered, µs", 0),
    "random_per_cpu_second": ("NXDOMAIN per CPU-second, random names", 0),
    "pod_10_us": ("CPU µs per answer: pod among 10", 2),
    "pod_10000_us": ("  pod among 10,000", 2),
    "service_10_us": ("  clusterIP Service of 10", 2),
    "service_10000_us": ("  clusterIP Service of 10,000", 2),
    "headless_10_us": ("  headless Service of 10", 2),
    "headless_10000_us": ("  headless Service of 10,000 (cut, TC)", 2),
    "stale_ms": ("right after a change, ms", 2),
    "first_answer_seconds": ("start to first right answer, s", 2),
    "start_cpu_seconds": ("  CPU seconds of the start", 2),
    "idle_cpu_ms_per_second": ("CPU ms per second, idle", 1),
    "idle_rss_mib": ("RSS MiB, full index, before load", 0),
    "loaded_rss_mib": ("RSS MiB, after load", 0),
    "version_rss_mib": ("RSS MiB of -version", 0),
    "version_cpu_seconds": ("CPU seconds of -version", 3),
}


def spread(values: list[float]) -> Ratio:
    """Least, middle and most."""
    return Ratio(min(values), median(values), max(values))


def percentile(values: list[float], percent: float) -> float:
    """The value that `percent` of the values stay within."""
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


def show(results: Results, console: Console) -> None:
    """Print both tables."""
    console.print(f"{results.machine}; Python {results.versions['python']}; {results.finished}")
    table = Table("figure (min / median / max of the rounds)", title="Figures")
    for server in (OURS, COREDNS, KNOT):
        table.add_column(server, justify="right")
    for row in _figure_rows(results):
        table.add_row(*row)
    console.print(table)
    promises = Table("ratio (min / median / max)", "measured", "must be", "", title="Promises")
    for title, measured, bound, verdict in promise_rows(results):
        promises.add_row(title, measured, bound, verdict)
    console.print(promises)


def _figure_rows(results: Results) -> Iterator[tuple[str, str, str, str]]:
    for figure, (title, decimals) in ROWS.items():
        if figure in results.figures.values:
            cells = [_cell(results, figure, server, decimals) for server in (OURS, COREDNS, KNOT)]
            yield title, cells[0], cells[1], cells[2]
        if figure == "stale_ms" and figure in results.figures.values:
            for percent in (50, 99):
                cells = [_stale(results, server, percent) for server in (OURS, COREDNS)]
                yield f"  p{percent}", cells[0], cells[1], ""


def _stale(results: Results, server: str, percent: float) -> str:
    values = results.figures.values["stale_ms"].get(server)
    return f"{percentile(values, percent):.2f}" if values else ""


def _cell(results: Results, figure: str, server: str, decimals: int) -> str:
    values = results.figures.values[figure].get(server)
    if not values:
        return ""
    return " / ".join(f"{value:,.{decimals}f}" for value in spread(values))


def promise_rows(results: Results) -> Iterator[tuple[str, str, str, str]]:
    """(what, measured, bound, kept or not) of each promise; what was not measured says so."""
    for target in TARGETS:
        ratio = results.figures.ratio(target.over, target.under)
        bound = f"{target.sign} {target.bound}"
        if ratio is None:
            yield target.title, "not measured", bound, ""
        else:
            measured = " / ".join(f"{value:.2f}" for value in ratio)
            yield target.title, measured, bound, "kept" if target.is_met(ratio) else "NOT kept"
    for server, percent, limit in ((OURS, 50, 1.0), (OURS, 99, 10.0)):
        values = results.figures.values.get("stale_ms", {}).get(server)
        if values:
            reached = percentile(values, percent)
            verdict = "kept" if reached <= limit else "NOT kept"
            yield f"right after a change, p{percent}, ms", f"{reached:.2f}", f"<= {limit:g}", verdict
