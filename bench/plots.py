"""Bar charts as SVG, without a plotting library, readable on light and dark pages.

Bars show medians; the thin line through a bar's end spans the minimum and the maximum of the rounds.
"""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import NamedTuple

from bench.report import percentile, spread
from bench.results import Ratio, Results
from bench.servers import COREDNS, KNOT, OURS

WIDTH, LABEL_WIDTH, BAR, GAP, TOP = 720, 190, 22, 10, 52
_END_MARGIN = 90

_STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328 } .title { font-weight: 600; font-size: 15px }
.note { fill: #59636e; font-size: 12px } .ours { fill: #2f6fde } .coredns { fill: #9aa4af } .knot { fill: #c9b27c }
.spread { stroke: #1f2328; stroke-width: 1.2 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .note { fill: #9198a1 } .spread { stroke: #e6edf3 } }
"""
_CLASSES = {OURS: "ours", COREDNS: "coredns", KNOT: "knot"}


class Bar(NamedTuple):
    """A bar: its label, the server, and the value over the rounds."""

    label: str
    server: str
    value: Ratio


def chart(title: str, note: str, bars: list[Bar], decimals: int = 0) -> str:
    """Write a chart as SVG text."""
    most = max(bar.value.most for bar in bars) or 1
    scale = (WIDTH - LABEL_WIDTH - _END_MARGIN) / most
    height = TOP + len(bars) * (BAR + GAP) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<text class="title" x="8" y="20">{escape(title)}</text><text class="note" x="8" y="38">{escape(note)}</text>',
    ]
    for number, bar in enumerate(bars):
        y = TOP + number * (BAR + GAP)
        middle, text_y = y + BAR / 2, y + BAR / 2 + 4.5
        left, end, right = (f"{LABEL_WIDTH + value * scale:.1f}" for value in bar.value)
        width = f"{bar.value.middle * scale:.1f}"
        parts += [
            f'<text x="{LABEL_WIDTH - 8}" y="{text_y}" text-anchor="end">{escape(bar.label)}</text>',
            f'<rect class="{_CLASSES[bar.server]}" x="{LABEL_WIDTH}" y="{y}" width="{width}" height="{BAR}" rx="2"/>',
            f'<line class="spread" x1="{left}" x2="{right}" y1="{middle}" y2="{middle}"/>',
            f'<text x="{max(float(right), float(end)) + 8:.1f}" y="{text_y}">{bar.value.middle:,.{decimals}f}</text>',
        ]
    return "\n".join([*parts, "</svg>\n"])


def write(results: Results, folder: Path) -> list[Path]:
    """Write the charts of a run, and return the files."""
    note = f"{results.machine} · {results.finished[:10]}"
    charts = {
        "cost": ("Answers per CPU-second: 2,600 cluster names, UDP, EDNS", _bars(results, "names_per_cpu_second"), 0),
        "throughput": (
            "Answers per second, one process, load on the same machine",
            _bars(results, "names_per_second"),
            0,
        ),
        "tail": ("Latency at 60 % of CoreDNS's maximum, µs", list(_tail(results)), 0),
        "random-names": (
            "NXDOMAIN per CPU-second: random names, all different",
            _bars(results, "random_per_cpu_second"),
            0,
        ),
        "freshness": ("From a change's event to the right answer, ms", list(_freshness(results)), 2),
        "memory": ("Resident memory after load, MiB", _bars(results, "loaded_rss_mib"), 0),
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (title, bars, decimals) in charts.items():
        if bars:
            path = folder / f"{name}.svg"
            path.write_text(chart(title, note, bars, decimals))
            written.append(path)
    return written


def _bars(results: Results, figure: str) -> list[Bar]:
    values = results.figures.values.get(figure, {})
    return [Bar(server, server, spread(values[server])) for server in (OURS, COREDNS, KNOT) if values.get(server)]


def _tail(results: Results) -> Iterable[Bar]:
    for figure, label in (("p50_us", "p50"), ("p99_us", "p99"), ("p999_us", "p99.9")):
        for bar in _bars(results, figure):
            yield bar._replace(label=f"{bar.server} {label}")


def _freshness(results: Results) -> Iterable[Bar]:
    for percent in (50, 99):
        for server in (OURS, COREDNS):
            values = results.figures.values.get("stale_ms", {}).get(server)
            if values:
                reached = max(0.0, percentile(values, percent))
                yield Bar(f"{server} p{percent}", server, Ratio(reached, reached, reached))
