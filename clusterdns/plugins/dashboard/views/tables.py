"""Tables and lists of terms: rows of content under headings, with a caption for screen readers."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from clusterdns.plugins.dashboard.views.markup import Content, Markup, begin, element, join


class Column(NamedTuple):
    """A column of a table."""

    heading: str
    class_: str = ""  # one or more of the words below


# aligned at the right; most of the width; left out on phones; not broken within a word
NUMBER, WIDE, OPTIONAL, WORD = "number", "wide", "optional", "word"


def table(
    caption: str,
    columns: Sequence[Column],
    rows: Iterable[Sequence[Content]],
    empty: str,
    *,
    shows_caption: bool = False,
) -> Markup:
    """Write a table, the first cell of each row as its heading; a sentence where there are no rows.

    The caption is for screen readers, where the heading above the table says the same to the eye.
    """
    starts = [
        begin("td" if number else "th", scope=None if number else "row", class_=column.class_ or None)
        for number, column in enumerate(columns)
    ]
    body = [element("tr", *map(_cell, starts, row)) for row in rows]
    if not body:
        return element("p", empty, class_="empty")
    head = [element("th", one.heading, scope="col", class_=one.class_ or None) for one in columns]
    said = element("caption", caption, class_=None if shows_caption else "unseen")
    return element("table", said, element("thead", element("tr", head)), element("tbody", body))


def _cell(start: Markup, content: Content) -> Markup:
    return Markup(f"{start}{join(content)}{'</td>' if start.startswith('<td') else '</th>'}")


def terms(pairs: Iterable[tuple[str, Content]]) -> Markup:
    """Write terms with what they stand for; those without content are left out."""
    return element("dl", [[element("dt", name), element("dd", value)] for name, value in pairs if value])
