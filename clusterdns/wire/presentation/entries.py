"""The entries of a master file (RFC 1035 §5.1): comments removed, parentheses joined to one line, line numbers kept.

`zonetext` reads records and directives from the entries.
"""

import re
from collections.abc import Iterator

_SPECIAL = frozenset('();"\\')
_TOKEN = re.compile(r'\\.|"(?:\\.|[^"\\])*"|[();]|[^\\"();]+', re.DOTALL)


class ZoneTextError(ValueError):
    """An error in the text of a zone: file and line, problem, next step."""

    def __init__(self, problem: str, line: int, file: str = "") -> None:
        super().__init__(f"{file}:{line}: {problem}" if file else f"line {line}: {problem}")
        self.problem = problem
        self.line = line
        self.file = file


def entries(text: str, file: str) -> Iterator[tuple[int, str]]:
    """Yield the number of the first line of each entry, and its text, never blank. Raises ZoneTextError."""
    joined: list[str] = []
    first = depth = 0
    for number, line in enumerate(_lines(text), 1):
        if not depth and _SPECIAL.isdisjoint(line):
            if line and not line.isspace():
                yield number, line
            continue
        if not depth:
            first = number
        end = 0
        for match in _TOKEN.finditer(line):
            if match.start() != end:
                break
            token = match[0]
            if token == ";":
                end = len(line)
                break
            end = match.end()
            if token == "(":
                depth += 1
            elif token == ")":
                depth -= 1
            joined.append(" " if token in "()" else token)
            if depth < 0:
                raise ZoneTextError("a closing parenthesis without an opening one", number, file)
        if end != len(line):
            raise ZoneTextError("an unclosed quote, or a backslash at the end of the line", number, file)
        if depth:
            joined.append(" ")
            continue
        content = "".join(joined)
        joined.clear()
        if content and not content.isspace():
            yield first, content
    if depth:
        raise ZoneTextError("an unclosed parenthesis in the entry that begins here", first, file)


def _lines(text: str) -> Iterator[str]:
    """Yield the lines without their ends, one by one: a list would double the memory that a large zone takes."""
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield text[start:end].removesuffix("\r")
        start = end + 1
