"""The document of /status as text, for people: what the server writes, and `clusterdns status` prints.

The document is a tree of texts, numbers, mappings and lists, as JSON has it. Sections that are lists of mappings become
tables with a column for each key; the module knows no section by name. All texts are escaped, because a command shows
them on a terminal.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from clusterdns.telemetry.printable import one_line

MAX_CELL = 1000  # characters; a longer text is cut
_GAP = "   "


def timestamp(seconds: float) -> str:
    """Write a time since 1970 as RFC 3339 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def as_text(document: Mapping[str, Any]) -> str:
    """Write the document: its single values first, then each section under its name."""
    return "\n".join([*_lines(document), ""])


def _lines(content: Mapping[str, Any]) -> list[str]:
    lines = [f"{_words(key)}: {_cell(value)}" for key, value in content.items() if not _is_section(value)]
    for key, value in content.items():
        if _is_section(value):
            lines += ["", _words(key), *(_map_lines(value) if isinstance(value, Mapping) else _section_lines(value))]
    return lines


def _map_lines(section: Mapping[str, Any]) -> list[str]:
    return [f"  {one_line(key)}: {_cell(value)}" for key, value in section.items()]


def _section_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write rows as a table; rows that have a table of their own each begin with their single values."""
    if not any(_is_section(value) for row in rows for value in row.values()):
        return _table(rows)
    lines = []
    for row in rows:
        lines.append(
            "  " + ", ".join(f"{_words(key)} {_cell(one)}" for key, one in row.items() if not _is_section(one))
        )
        for key, value in row.items():
            if isinstance(value, Mapping) and _is_section(value):
                lines.append(
                    f"  {_words(key)}: " + ", ".join(f"{_words(name)} {_cell(one)}" for name, one in value.items())
                )
            elif _is_section(value):
                lines += _table(value)
    return lines


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_words(key).upper() for key in columns]]
    cells += [[_cell(row[key]) if key in row else "-" for key in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        ("  " + _GAP.join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True))).rstrip()
        for line in cells
    ]


def _is_section(value: Any) -> bool:
    """Return whether a value needs lines of its own: a mapping of texts, or a list of mappings."""
    if isinstance(value, Mapping):
        return any(isinstance(one, str) for one in value.values())
    return isinstance(value, list) and any(isinstance(one, Mapping) for one in value)


def _words(key: str) -> str:
    return one_line(key.removesuffix("_seconds").replace("_", " "), MAX_CELL)


def _cell(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}s"
        case Mapping():
            return one_line(", ".join(f"{key} {one}" for key, one in value.items()), MAX_CELL) or "-"
        case list():
            return one_line(", ".join(map(str, value)), MAX_CELL)
    return one_line(str(value), MAX_CELL)
