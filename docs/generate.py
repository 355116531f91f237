"""Writes the part of docs/corefile.md that follows from the source: a section per directive, and the table of all.

`make docs` runs it; `tests/house/test_docs.py` fails where the page and the source differ. What stands above the mark
in the page is written by hand.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from clusterdns.chain import Doc, Plugin
from clusterdns.plugins.order import ORDER, REFUSED, plugin

PAGE = Path(__file__).parent / "corefile.md"
MARK = "<!-- from here on made by `make docs` from clusterdns/plugins -->\n"


def page(by_hand: str) -> str:
    """The whole page, given what is written by hand."""
    return by_hand + MARK + "\n" + "\n".join([*_directives(), *_all()])


def by_hand() -> str:
    """What stands above the mark now."""
    return PAGE.read_text(encoding="utf-8").partition(MARK)[0]


def _directives() -> Iterator[str]:
    yield "## Directives\n"
    yield "In the order in which they work, whatever their order in the file.\n"
    for name in ORDER:
        yield from _section(name, plugin(name).doc)


def _section(name: str, doc: Doc) -> Iterator[str]:
    yield f"### {name}\n"
    yield "```text\n" + "".join(f"{form}\n" for form in doc.usage) + "```\n"
    yield f"{doc.about}\n"
    if doc.options:
        yield "| option | without it | what |\n|---|---|---|"
        yield "".join(
            f"| `{_cell(one.usage)}` | {_cell(one.default)} | {_cell(one.meaning)} |\n" for one in doc.options
        )
    if doc.example:
        lines = doc.example.strip("\n").splitlines()
        yield "```corefile\n. {\n" + "".join(f"    {line}\n" for line in lines) + "}\n```\n"
    if doc.better:
        yield f"Better than CoreDNS: {doc.better}\n"


def _all() -> Iterator[str]:
    yield "## Every directive of CoreDNS\n"
    yield "| directive | same | better | refused |\n|---|---|---|---|"
    rows = [(name, _state(plugin(name))) for name in ORDER] + [(name, 2) for name in REFUSED] + [("import", 0)]
    yield "".join(f"| `{name}` | {' | '.join(_marks(state))} |\n" for name, state in sorted(rows))
    yield (
        "A Corefile with a refused directive does not start: the error names file, line and word. `import`\n"
        "is part of the grammar."
    )
    yield ""


def _state(one: Plugin) -> int:
    return 1 if one.doc.better else 0


def _marks(state: int) -> Iterable[str]:
    return ("x" if column == state else "" for column in range(3))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(by_hand()), encoding="utf-8")
