"""The views of a picture, in the order of their keys, and a whole picture as plain text."""

from collections.abc import Callable, Iterator
from io import StringIO
from typing import NamedTuple

from rich.console import Console, Group, RenderableType
from rich.text import Text

from clusterdns.cli.top import tables
from clusterdns.cli.top.cells import ViewSpace
from clusterdns.cli.top.document import TopPicture
from clusterdns.cli.top.overview import overview

MIN_WIDTH = 20


class TopView(NamedTuple):
    """A view: its name, and what draws it."""

    name: str
    draw: Callable[[TopPicture, ViewSpace], Iterator[RenderableType]]


VIEWS = (
    TopView("Overview", tables.summary),
    TopView("Names", tables.names),
    TopView("Clients", tables.clients),
    TopView("Errors", tables.errors),
    TopView("Upstreams", tables.sources),
    TopView("Changes", tables.changes),
)


def headline(picture: TopPicture, server: str) -> str:
    """Write which server this is a picture of, and when it was made."""
    return f"clusterdns {picture.version}: {picture.state}, {server}, {picture.at}"


def as_text(picture: TopPicture, server: str, width: int, encoding: str) -> str:
    """Draw all views below each other, without colours, for a width in columns."""
    stream = StringIO()
    console = Console(file=stream, width=max(width, MIN_WIDTH), color_system=None, force_terminal=False)
    space = ViewSpace(console.width, has_blocks=has_blocks(encoding))
    console.print(Text(headline(picture, server)))
    for draw in (overview, *(view.draw for view in VIEWS[1:])):  # which have what the summary has
        console.print()
        console.print(Group(*draw(picture, space)))
    lines = (line.rstrip() for line in stream.getvalue().splitlines())
    return "".join(f"{line}\n" for line in lines).encode(encoding, "backslashreplace").decode(encoding)


def has_blocks(encoding: str) -> bool:
    """Return whether a stream of this encoding can have block characters."""
    return encoding.lower().replace("-", "").startswith("utf")
