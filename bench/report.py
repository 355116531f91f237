"""The tables of a run: every figure of every server as min / median / max, and the targets, met or not."""

from collections.abc import Iterator
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.results import LIMITS, TARGETS, Ratio, Results
from bench.servers import COREDNS, KNOT, OURS

# figure → (title, decimals)
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
    "plain_names_per_cpu_second": ("answers per CPU-second, Corefile without forward", 0),
    "kubeadm_names_per_cpu_second": ("  kubeadm's Corefile", 0),
    "plain_names_per_second": ("  answers per second, without forward", 0),
    "kubeadm_names_per_second": ("  answers per second, kubeadm's", 0),
    "cached_per_cpu_second": ("answers per CPU-second, cached external names", 0),
    "cached_per_second": ("  answers per second", 0),
    "cached_p99_us": ("  latency p99 at 60 %, µs", 0),
    "cached_lost": ("  lost", 0),
    "mixed_per_cpu_second": ("answers per CPU-second, one in five cached external", 0),
    "mixed_per_second": ("  answers per second", 0),
    "mixed_p99_us": ("  latency p99 at 60 %, µs", 0),
    "mixed_lost": ("  lost", 0),
    "forwarded_us": ("CPU µs per forwarded query", 1),
    "forwarded_per_second": ("  forwarded per second", 0),
    "stampede_upstream_queries": ("upstream queries for 1,000 of one name", 0),
    "stampede_unanswered": ("  unanswered", 0),
    "stampede_ms": ("  last answer after, ms (upstream: 50)", 1),
    "forged_accepted": ("forged replies accepted, of 100,000", 0),
    "forged_undelivered": ("  genuine reply not delivered", 0),
    "live_p99_us": ("cluster names, p99, µs: 500 external/s, answered", 0),
    "dead_p99_us": ("  500 external/s, upstream dead", 0),
    "live_lost": ("  lost, answered", 0),
    "dead_lost": ("  lost, upstream dead", 0),
    "reload_lost": ("lost in 20 reloads at 5,000/s", 0),
    "reload_wrong": ("  wrong", 0),
    "reload_p999_us": ("  latency p99.9, µs", 0),
    "reload_ms": ("  slowest reload, ms", 0),
    "stream_connections": ("connections for 1,000 questions over TCP", 0),
    "stream_in_flight": ("  open at the upstream at one time", 0),
    "stream_unanswered": ("  unanswered", 0),
    "stream_ms": ("  last answer after, ms (upstream: 500)", 1),
    "stale_ms": ("correct after a change, ms", 2),
    "first_answer_seconds": ("start to first correct answer, s", 2),
    "start_cpu_seconds": ("  CPU seconds of the start", 2),
    "idle_cpu_ms_per_second": ("CPU ms per second, idle", 1),
    "idle_rss_mib": ("RSS MiB, full index, before load", 0),
    "loaded_rss_mib": ("RSS MiB, after load", 0),
    "cached_rss_mib": ("RSS MiB, kubeadm's Corefile, after cached names", 0),
    "kubeadm_rss_mib": ("RSS MiB, kubeadm's Corefile, at the end", 0),
    "version_rss_mib": ("RSS MiB of -version", 0),
    "version_cpu_seconds": ("CPU seconds of -version", 3),
}


def spread(values: list[float]) -> Ratio:
    """Return the minimum, median and maximum."""
    return Ratio(min(values), median(values), max(values))


def percentile(values: list[float], percent: float) -> float:
    """Return the value that `percent` of the values do not exceed."""
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
    targets = Table("ratio (min / median / max)", "measured", "target", "", title="Targets")
    for title, measured, bound, verdict in target_rows(results):
        targets.add_row(title, measured, bound, verdict)
    console.print(targets)


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


def target_rows(results: Results) -> Iterator[tuple[str, str, str, str]]:
    """Yield (title, measured, bound, verdict) of each target; `measured` says where there is no measurement."""
    for target in TARGETS:
        ratio = results.figures.ratio(target.over, target.under)
        bound = f"{target.sign} {target.bound}" if target.sign else ""
        if ratio is None:
            yield target.title, "not measured", bound, ""
        else:
            measured = " / ".join(f"{value:.2f}" for value in ratio)
            verdict = "met" if target.is_met(ratio) else "NOT met"
            yield target.title, measured, bound, verdict if target.sign else ""
    for one in LIMITS:
        values = results.figures.values.get(one.figure, {}).get(OURS)
        if values:
            verdict = "met" if max(values) <= one.bound else "NOT met"
            yield f"{one.title}, at most", f"{max(values):g}", f"<= {one.bound:g}", verdict
    for server, percent, limit in ((OURS, 50, 1.0), (OURS, 99, 10.0)):
        values = results.figures.values.get("stale_ms", {}).get(server)
        if values:
            reached = percentile(values, percent)
            verdict = "met" if reached <= limit else "NOT met"
            yield f"correct after a change, p{percent}, ms", f"{reached:.2f}", f"<= {limit:g}", verdict
