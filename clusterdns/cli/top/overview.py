"""The first view: the state of the server in a row per subject, the important ones first."""

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from clusterdns.cli.top.cells import BAD, DOUBTFUL, FAINT, GOOD, HEADING, ViewSpace, cell, kinds_line
from clusterdns.cli.top.document import TopPicture
from clusterdns.cli.top.figures import bar, duration, rate, share, size, sparkline

LABEL_WIDTH, FIGURE_WIDTH = 10, 12
MOST_OF_MEMORY, MUCH_OF_MEMORY = 0.9, 0.75
BAR_WIDTH = 10
MAX_DOWN = 5  # upstreams that are named
_FAILURES = ("SERVFAIL", "REFUSED", "FORMERR", "NOTIMP")


def overview(picture: TopPicture, space: ViewSpace) -> Iterator[RenderableType]:
    """Draw the rates, the resources, and what is not as it should be."""
    rows = Table.grid(padding=(0, 1))
    rows.add_column(width=LABEL_WIDTH, no_wrap=True)
    rows.add_column(overflow="fold")
    for label, text in _rows(picture, space):
        rows.add_row(Text(label, HEADING), text)
    yield rows


def _rows(picture: TopPicture, space: ViewSpace) -> Iterator[tuple[str, Text]]:
    yield from _problems(picture)
    yield from _rates(picture, space)
    yield "memory", _memory(picture, space)
    process = picture.process
    workers = f", {process.workers} workers" if process.workers != 1 else ""
    yield "cpu", Text(f"{share(process.cpu_share)} of one core{workers}")
    for row in picture.sections.get("kubernetes", []):
        yield "kinds", kinds_line(row)
    if upstreams := picture.sections.get("upstreams"):
        yield "upstreams", _upstreams(upstreams)
    for one in picture.shed:
        yield "shed", Text(f"{one.source} {rate(one.per_second)}: {one.why}", DOUBTFUL)
    if picture.corefile_sha512:
        yield "Corefile", Text(f"sha512 {picture.corefile_sha512[:16]}…")


def _problems(picture: TopPicture) -> Iterator[tuple[str, Text]]:
    for name, reason in picture.not_ready.items():
        yield "not ready", Text(f"{name}: {reason}", BAD)
    for name, reason in picture.warnings.items():
        yield "warning", Text(f"{name}: {reason}", DOUBTFUL)


def _rates(picture: TopPicture, space: ViewSpace) -> Iterator[tuple[str, Text]]:
    rates, history = picture.rates, picture.history
    room = min(60, space.width - LABEL_WIDTH - FIGURE_WIDTH - 2)
    line = sparkline(history.questions, room, has_blocks=space.has_blocks)
    yield "questions", Text(f"{rate(rates.questions):<{FIGURE_WIDTH}}").append(line, "cyan")
    yield "p50", Text(duration(rates.p50_seconds))
    line = sparkline(history.p99_seconds, room, has_blocks=space.has_blocks)
    yield "p99", Text(f"{duration(rates.p99_seconds):<{FIGURE_WIDTH}}").append(line, "magenta")
    answers = Text(", ").join(
        Text(f"{code} {rate(count)}", _colour_of(code, count)) for code, count in rates.answers.items()
    )
    yield "answers", answers or Text("none yet" if picture.observed_seconds <= 0 else "none", FAINT)
    missing = [f"{cause} {rate(count)}" for cause, count in rates.unanswered.items() if count > 0]
    if missing:
        yield "unanswered", Text(", ".join(missing), BAD)
    yield "hit ratio", Text(f"answer table {share(rates.hit_ratio)}, cache {share(rates.cache_hit_ratio)}")


def _colour_of(code: str, count: float) -> str:
    if count <= 0:
        return FAINT
    return GOOD if code == "NOERROR" else BAD if code in _FAILURES else ""


def _memory(picture: TopPicture, space: ViewSpace) -> Text:
    process = picture.process
    text = Text(size(process.resident_bytes))
    if process.limit_bytes:
        part = process.resident_bytes / process.limit_bytes
        style = BAD if part > MOST_OF_MEMORY else DOUBTFUL if part > MUCH_OF_MEMORY else GOOD
        text.append(f" of {size(process.limit_bytes)} ({share(part)}) ")
        text.append(bar(part, BAR_WIDTH, has_blocks=space.has_blocks), style)
    else:
        text.append(", no limit")
    return text.append(f", answers {size(process.answers_bytes)} of {size(process.answers_limit_bytes)}")


def _upstreams(rows: list[dict[str, Any]]) -> Text:
    down = [row for row in rows if row.get("health") != "up"]
    text = Text(f"{len(rows) - len(down)} of {len(rows)} up", BAD if down else GOOD)
    return text.append("".join(f", {cell(row.get('to'))} {cell(row.get('health'))}" for row in down[:MAX_DOWN]), BAD)
