"""The output of `names`: kubectl's table, names alone, YAML or JSON; and the choice of rows by a pattern.

A table has one line per record, columns three spaces apart, and is never wrapped, so that it can be searched by line.
"""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

TABLE, WIDE, NAME, YAML, JSON = "", "wide", "name", "yaml", "json"  # the forms of output


class Row(NamedTuple):
    """One record as text."""

    name: str
    type: str
    ttl: int
    data: str
    zone: str = ""
    namespace: str = ""


def chosen(rows: Iterable[Row], patterns: Collection[str]) -> list[Row]:
    """Return the rows whose names match a pattern, or all without patterns.

    A pattern is a name, some whole labels of it in a row (`web`, `web.prod`), or a glob of the name (`web*`).
    """
    wanted = [pattern.lower().strip(".") for pattern in patterns]
    return [row for row in rows if not wanted or any(_matches(row.name.lower(), pattern) for pattern in wanted)]


def _matches(name: str, pattern: str) -> bool:
    name = name.rstrip(".")
    if any(sign in pattern for sign in "*?["):
        return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")
    return f".{pattern}." in f".{name}."


def output(rows: Sequence[Row], form: str, *, has_header: bool) -> str:
    """Write the rows in a form, each line ended."""
    return _FORMS[form](rows, has_header)


def _table(rows: Sequence[Row], has_header: bool) -> str:
    lines = [(row.name, row.type, row.data) for row in rows]
    return _aligned([("NAME", "TYPE", "DATA"), *lines] if has_header else lines)


def _wide(rows: Sequence[Row], has_header: bool) -> str:
    lines = [(row.namespace or "<none>", row.name, row.type, str(row.ttl), row.data, row.zone) for row in rows]
    header = ("NAMESPACE", "NAME", "TYPE", "TTL", "DATA", "ZONE")
    return _aligned([header, *lines] if has_header else lines)


def _names(rows: Sequence[Row], _has_header: bool) -> str:
    return "".join(f"{name}\n" for name in dict.fromkeys(row.name for row in rows))


def _json(rows: Sequence[Row], _has_header: bool) -> str:
    return json.dumps([_object(row) for row in rows], indent=2) + "\n"


def _yaml(rows: Sequence[Row], _has_header: bool) -> str:
    import yaml  # slow to import, and needed for this form alone

    return str(yaml.safe_dump([_object(row) for row in rows], sort_keys=False, width=4096, allow_unicode=True))


def _object(row: Row) -> dict[str, object]:
    return {"name": row.name, "type": row.type, "ttl": row.ttl, "data": row.data}


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    if not lines:
        return ""
    widths = [max(map(len, column)) + 3 for column in zip(*lines, strict=True)]
    texts = ("".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "".join(f"{text.rstrip()}\n" for text in texts)


_FORMS: dict[str, Callable[[Sequence[Row], bool], str]] = {
    TABLE: _table, WIDE: _wide, NAME: _names, YAML: _yaml, JSON: _json
}  # fmt: skip
