"""What the views share: styles, the space to draw on, and the values of the rows of /status."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rich.text import Text  # texts of others are Text, in which rich reads no markup

from clusterdns.cli.top.figures import age

GOOD, BAD, DOUBTFUL, HEADING, FAINT = "green", "bold red", "yellow", "bold", "dim"


class ViewSpace(NamedTuple):
    """What a view is drawn on: columns, and whether the terminal can show block characters."""

    width: int
    has_blocks: bool


def kinds_line(row: Mapping[str, Any]) -> Text:
    """Write how old the knowledge of each kind may be, of one source of the cluster's objects."""
    limit = row.get("stale_after_seconds")
    parts = []
    for kind in rows_of(row, "kinds"):
        seconds = figure(kind, "staleness_seconds")
        is_late = isinstance(limit, int | float) and seconds > limit
        text = f"{cell(kind.get('kind'))} {age(seconds)}"
        if kind.get("connected") is False:
            text += " not connected"
        parts.append(Text(text, BAD if is_late else DOUBTFUL if kind.get("connected") is False else ""))
    if not parts:
        parts.append(Text(f"manifests {cell(row.get('manifests'))}" if "manifests" in row else "not read yet"))
    state = cell(row.get("state"))
    head = Text(f"{state}: ", GOOD if state == "current" else BAD) if state else Text()
    tail = Text(f"; {cell(row['reason'])}", DOUBTFUL) if row.get("reason") else Text()
    return head + Text(", ").join(parts) + tail


def rows_of(row: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the rows that a row has under a key."""
    found = row.get(key)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def figure(row: Mapping[str, Any], key: str) -> float:
    """Return the number that a row has under a key, or 0."""
    found = row.get(key)
    return float(found) if isinstance(found, int | float) else 0.0


def cell(value: Any) -> str:
    """Write a value of a row of /status."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case list():
            return ", ".join(map(cell, value))
        case dict():
            return ", ".join(f"{key} {cell(one)}" for key, one in value.items())
    return str(value)
