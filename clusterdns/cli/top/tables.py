"""The other views: names, clients, failures with their causes, upstreams and kinds, and changes as they come."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from rich.cells import cell_len
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from clusterdns.cli.top.cells import (
    BAD,
    DOUBTFUL,
    FAINT,
    GOOD,
    HEADING,
    ViewSpace,
    cell,
    figure,
    kinds_line,
    rows_of,
)
from clusterdns.cli.top.document import TopChange, TopPicture, TopQuestion
from clusterdns.cli.top.figures import age, duration, rate, share
from clusterdns.cli.top.overview import overview

FIRST_ROWS = 3
RATE_WIDTH, TYPE_WIDTH, INDENT = 9, 5, 2
MAX_TYPE = 10  # characters; TYPE65535 has nine
_NOT_DETAILS = ("to", "health")


def summary(picture: TopPicture, space: ViewSpace) -> Iterator[RenderableType]:
    """Draw the overview, and the first rows of what else is seen live."""
    yield from overview(picture, space)
    failing = [*picture.servfail[:FIRST_ROWS], *picture.nxdomain[:FIRST_ROWS]]
    yield Text()
    yield _heading(f"names asked most{_sampled(picture)}")
    yield from _questions(picture.names[:FIRST_ROWS], space, "none asked")
    yield _heading("failing")
    yield from _questions(failing, space, "none")
    yield from changes(msgspec.structs.replace(picture, changes=picture.changes[:FIRST_ROWS]), space)


def names(picture: TopPicture, space: ViewSpace) -> Iterator[RenderableType]:
    """Draw the names that are asked most."""
    yield _heading(f"names asked most{_sampled(picture)}")
    yield from _questions(picture.names, space, "none asked")


def clients(picture: TopPicture, space: ViewSpace) -> Iterator[RenderableType]:
    """Draw the clients that ask most, by pod where known, and those whose queries are not all answered."""
    yield _heading(f"clients that ask most{_sampled(picture)}")
    yield from _lines([(rate(one.per_second), one.address, one.name) for one in picture.clients], space, "none asks")
    if picture.shed:
        yield _heading("shed")
        yield from _lines([(rate(one.per_second), one.source, one.why) for one in picture.shed], space, "")


def errors(picture: TopPicture, space: ViewSpace) -> Iterator[RenderableType]:
    """Draw the names that fail most, each with the cause."""
    for code, rows in (("SERVFAIL", picture.servfail), ("NXDOMAIN", picture.nxdomain)):
        yield _heading(f"{code}{_sampled(picture)}")
        yield from _questions(rows, space, "none")


def sources(picture: TopPicture, space: ViewSpace) -> Iterator[RenderableType]:
    """Draw what answers come from: upstreams with their health, and kinds of objects with their age."""
    yield _heading("upstreams")
    rows = Table.grid(padding=(0, 1))
    rows.add_column(no_wrap=True)
    rows.add_column(overflow="fold")
    for row in picture.sections.get("upstreams", []):
        health = cell(row.get("health"))
        text = Text(cell(row.get("to"))).append("".join(_details(row)), FAINT)
        rows.add_row(Text(health or "?", GOOD if health == "up" else BAD), text)
    yield rows if rows.row_count else _none("none")
    for row in picture.sections.get("kubernetes", []):
        yield Text()
        yield _heading(f"kubernetes {cell(row.get('server'))}".rstrip())
        yield kinds_line(row)
        if rows_of(row, "kinds"):
            yield _kinds(row)


def _details(row: Mapping[str, Any]) -> Iterator[str]:
    for key, value in row.items():
        if key == "mean_seconds":
            yield f", {duration(value if isinstance(value, int | float) else None)}"
        elif key == "per_second":
            yield f", {rate(figure(row, key))}"
        elif key not in _NOT_DETAILS:
            yield f", {key.replace('_', ' ')} {cell(value)}"


def _kinds(row: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(overflow="ellipsis", no_wrap=True)
    for _ in range(3):
        table.add_column(justify="right", no_wrap=True)
    table.add_row(*(Text(title, FAINT) for title in ("kind", "objects", "age", "connected")))
    for kind in rows_of(row, "kinds"):
        is_connected = kind.get("connected") is not False
        table.add_row(
            Text(cell(kind.get("kind"))), Text(cell(kind.get("objects"))), Text(age(figure(kind, "staleness_seconds"))),
            Text("yes" if is_connected else "no", "" if is_connected else BAD),
        )  # fmt: skip
    return table


def changes(picture: TopPicture, space: ViewSpace) -> Iterator[RenderableType]:
    """Draw the changes of the cluster, the latest first."""
    yield _heading("changes, the latest first")
    if not picture.changes:
        yield _none("none since observation began")
    for one in picture.changes:
        yield change_line(one)


def change_line(one: TopChange) -> Text:
    """Write a change in a line: when, which object, what, and how soon answers had it."""
    text = Text(f"{one.at[11:19]} ", FAINT).append(one.object, HEADING).append(f": {one.text}")
    if one.seconds is not None:
        text.append(f", answered {duration(one.seconds)} later", FAINT)
    text.overflow = "fold"
    return text


def _questions(rows: Sequence[TopQuestion], space: ViewSpace, otherwise: str) -> Iterator[RenderableType]:
    """Draw a line per question; a name that it has no room for, and the cause, are on lines of their own."""
    if not rows:
        yield _none(otherwise)
    for one in rows:
        head = Text(f"{rate(one.per_second):>{RATE_WIDTH}} ").append(f"{one.type[:MAX_TYPE]:<{TYPE_WIDTH}} ", FAINT)
        if head.cell_len + cell_len(one.name) <= space.width:
            yield head.append(one.name)
        else:
            yield head
            yield Padding(Text(one.name, overflow="fold"), (0, 0, 0, INDENT))
        if one.why:
            yield Padding(Text(one.why, DOUBTFUL, overflow="fold"), (0, 0, 0, RATE_WIDTH + 1))


def _lines(rows: Sequence[tuple[str, str, str]], space: ViewSpace, otherwise: str) -> Iterator[RenderableType]:
    """Draw a rate, a text, and a second text, which is below the first one where the line has no room for it."""
    if not rows:
        yield _none(otherwise)
    width = min(max((cell_len(text) for _, text, _ in rows), default=0), space.width - RATE_WIDTH - 1)
    for number, text, more in rows:
        line = Text(f"{number:>{RATE_WIDTH}} {text}", overflow="fold")
        if line.cell_len + cell_len(more) < space.width:
            yield line.append(" " * max(0, RATE_WIDTH + 2 + width - line.cell_len)).append(more, FAINT)
            continue
        yield line
        if more:
            yield Padding(Text(more, FAINT, overflow="fold"), (0, 0, 0, RATE_WIDTH + 1))


def _sampled(picture: TopPicture) -> str:
    return "" if picture.looked_at >= 1 else f" ({share(picture.looked_at)} of replies)"


def _heading(text: str) -> Text:
    return Text(text, HEADING, no_wrap=True, overflow="ellipsis")


def _none(text: str) -> Text:
    return Text(f"  {text}", FAINT)
