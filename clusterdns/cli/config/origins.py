"""Where the lines of an effective Corefile come from: comments behind them, or fields of JSON."""

from collections.abc import Iterable, Iterator
from typing import Any

from clusterdns.cli.config.writing import WrittenLine
from clusterdns.corefile.directive import ServerBlock, Statement
from clusterdns.corefile.lexer import Token
from clusterdns.telemetry.printable import one_line

MAX_COLUMN = 72  # of comments; those of longer lines stand two blanks behind them


def with_origins(lines: Iterable[WrittenLine]) -> Iterator[tuple[str, str]]:
    """Yield the text of each line with the comment to put behind it; the comments of a block are aligned."""
    block: list[WrittenLine] = []
    for line in lines:
        block.append(line)
        if not line.text:
            yield from _aligned(block)
            block = []
    yield from _aligned(block)


def _aligned(block: list[WrittenLine]) -> Iterator[tuple[str, str]]:
    widths = [len(line.text.rpartition("\n")[2]) for line in block]
    fitting = [width for width, line in zip(widths, block, strict=True) if line.first and width <= MAX_COLUMN]
    column = max(fitting, default=0)
    for width, line in zip(widths, block, strict=True):
        if line.first is None:
            yield line.text, ""
        else:
            yield f"{line.text}{' ' * max(0, column - width)}  ", f"# {origin(line.first)}"


def origin(word: Token) -> str:
    """Write the place of a word, and those of the imports by which it is read: `a.conf:3 via Corefile:7`."""
    return one_line(" via ".join([word.place, *word.imported_at]))


def blocks_tree(blocks: Iterable[ServerBlock], *, hides_env: bool) -> list[dict[str, Any]]:
    """Write server blocks for JSON."""

    def text(word: Token) -> str:
        return word.written if hides_env and word.written is not None else word.text

    def place(word: Token) -> dict[str, Any]:
        imports = []
        importer = word.importer
        while importer is not None:
            imports.append({"file": importer.file, "line": importer.line})
            importer = importer.importer
        return {"file": word.file, "line": word.line, "imported_at": imports}

    def statement(one: Statement) -> dict[str, Any]:
        return {"name": text(one.words[0]), "arguments": list(map(text, one.args)), **place(one.words[0])}

    return [
        {
            "keys": list(map(text, block.words)),
            "zones": list(block.zones_text),
            **place(block.words[0]),
            "directives": [{**statement(one), "block": list(map(statement, one.block))} for one in block.directives],
        }
        for block in blocks
    ]
