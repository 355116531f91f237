"""The entries of a master file (RFC 1035 §5.1) as words: comments removed, parentheses resolved, line numbers kept.

`zonetext` reads records and directives from the entries. Bytes that are not UTF-8 are surrogates in
the text (PEP 383). `words` turns words into names, strings and numbers.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_SPECIAL = frozenset('();"\\\r')
_PLAIN_WORD = re.compile(r"[^ \t]+")
_TOKEN = re.compile(
    r'(?P<word>"(?:[^"\\]|\\.)*+"|(?:[^ \t\r\n;()"\\]|\\[^\r\n])++)'  # a quoted string may contain line ends
    r"|(?P<bracket>[()])|(?P<end>\n)|[ \t\r]+|;[^\n]*",
    re.DOTALL,
)


class ZoneTextError(ValueError):
    """An error in the text of a zone: file and line, problem, next step."""

    def __init__(self, problem: str, line: int, file: str = "") -> None:
        super().__init__(f"{file}:{line}: {problem}" if file else f"line {line}: {problem}")
        self.problem = problem
        self.line = line
        self.file = file


class Entry(NamedTuple):
    """One entry: its first line, whether blanks stand where the owner name would, and its words, at least one.

    A quoted word keeps its quotes, and every word its escapes.
    """

    line: int
    is_indented: bool
    words: list[str]


def entries(text: str, file: str) -> Iterator[Entry]:
    """Yield the entries of a text. Raises ZoneTextError."""
    start, line = 0, 1
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        content = text[start:end]
        if _SPECIAL.isdisjoint(content):
            entry = Entry(line, content[:1] in (" ", "\t"), _PLAIN_WORD.findall(content))
            start, line = end + 1, line + 1
        else:
            entry, start, line = _entry(text, start, line, file)
        if entry.words:
            yield entry


def _entry(text: str, start: int, line: int, file: str) -> tuple[Entry, int, int]:
    """Return the entry that begins at `start`, and where the next one begins: position and line."""
    words: list[str] = []
    first_line, depth, position = line, 0, start
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            problem = "an unclosed quote" if text[position] == '"' else "a backslash at the end of the line"
            raise ZoneTextError(problem, line, file)
        position = found.end()
        if found["word"]:
            words.append(found["word"])
            line += found["word"].count("\n")
        elif found["bracket"]:
            depth += 1 if found["bracket"] == "(" else -1
            if depth < 0:
                raise ZoneTextError("a closing parenthesis without an opening one", line, file)
        elif found["end"]:
            line += 1
            if not depth:
                break
    if depth:
        raise ZoneTextError("an unclosed parenthesis in the entry that begins here", first_line, file)
    is_indented = text[start:position].lstrip("(")[:1] in (" ", "\t")
    return Entry(first_line, is_indented, words), position, line
