"""The layout of a Corefile: four spaces per open brace, one space between words, at most one blank line.

The words are those of `corefile.lexer`, written as they were read, with quotes and references to variables; so are
comments. A line is divided behind `{` and at `}`, and the brace of a server block is put behind its keys; otherwise
line ends stay where they are, because a statement ends with its line. A text with misplaced braces is laid out as well
as possible: `syntax` refuses it.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from clusterdns.corefile.lexer import BLANKS, BYTE_ORDER_MARK, pieces

INDENT = "    "
MAX_DEPTH = 32  # of indentation: only a snippet that is not used has more than two levels, and may have thousands


class LayoutLine(NamedTuple):
    """One line to write: words, and the comment behind them; neither for a blank line."""

    words: tuple[str, ...] = ()
    comment: str = ""
    is_glued: bool = False  # the comment begins without a blank, where CoreDNS may read what follows its first blank

    @property
    def opens(self) -> bool:
        """Whether the following lines are in a block of this one."""
        return self.words[-1:] == ("{",)

    @property
    def closes(self) -> bool:
        """Whether this line ends a block."""
        return self.words == ("}",)

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing in this line."""
        return not self.words and not self.comment

    @property
    def text(self) -> str:
        """The line, without its indentation."""
        words = " ".join(self.words)
        return f"{words}{'' if self.is_glued or not words else ' '}{self.comment}" if self.comment else words


def laid_out(text: str) -> str:
    """Write a Corefile, or a part of one, in the usual layout."""
    lines: list[str] = []
    depth = 0
    is_after_brace = True  # also at the beginning: no blank line follows
    has_blank = False
    for line in _joined(_lines(text)):
        if line.is_blank:
            has_blank = True
            continue
        depth -= line.closes and depth > 0
        if has_blank and not is_after_brace and not line.closes:
            lines.append("")
        lines.append(f"{INDENT * min(depth, MAX_DEPTH)}{line.text}")
        depth += line.opens
        is_after_brace, has_blank = line.opens, False
    found = "\n".join(lines)
    if lines and not _is_unclosed(text):
        found += "\n"
    # a mark is no part of the text, unless a word begins with one
    return f"{BYTE_ORDER_MARK}{found}" if found.startswith(BYTE_ORDER_MARK) else found


def _is_unclosed(text: str) -> bool:
    """Return whether the last word is a quoted one without an end, to which a newline would be added."""
    return any(last.lastgroup == "quoted" and last["quoted"] != '"' for last in deque(pieces(text), maxlen=1))


def _lines(text: str) -> Iterator[LayoutLine]:
    """Yield the lines of the text, divided at braces."""
    words: list[str] = []
    comment, is_glued, word_end = "", False, -1
    for match in pieces(text):
        kind = match.lastgroup
        if kind == "word":
            words.append(match["word"].replace("\r", ""))
            word_end = match.end()
        elif kind == "quoted":
            words.append(match[0])
        elif kind == "comment":
            comment = match[0].rstrip(f"{BLANKS}\r")
            is_glued = match.start() == word_end
        elif kind == "newline":
            yield from _divided(words, comment, is_glued=is_glued)
            words, comment, is_glued = [], "", False
    if words or comment:
        yield from _divided(words, comment, is_glued=is_glued)


def _divided(words: list[str], comment: str, *, is_glued: bool) -> Iterator[LayoutLine]:
    """Divide a line behind each `{` and around each `}`; `{ }` is left together. The last part has the comment."""
    parts: list[list[str]] = [[]]
    for word in words:
        before = parts[-1][-1] if parts[-1] else ""
        if before == "}" or (before == "{" and word != "}") or (word == "}" and before not in ("", "{")):
            parts.append([])
        parts[-1].append(word)
    for part in parts[:-1]:
        yield LayoutLine(tuple(part))
    yield LayoutLine(tuple(parts[-1]), comment, is_glued)


def _joined(lines: Iterator[LayoutLine]) -> Iterator[LayoutLine]:
    """Put an opening brace on the line of the keys above it, where nothing but blank lines is between."""
    depth = 0
    keys: LayoutLine | None = None  # not yet yielded
    blanks: list[LayoutLine] = []  # after the keys
    for line in lines:
        if keys is not None and line.is_blank:
            blanks.append(line)
            continue
        if keys is not None and line.words[:1] == ("{",):
            line = line._replace(words=keys.words + line.words)
        elif keys is not None:
            yield keys
            yield from blanks
        keys, blanks = None, []
        if depth == 0 and _may_be_keys(line):
            keys = line
            continue
        yield line
        depth = max(0, depth + line.opens - line.closes)
    if keys is not None:
        yield keys


def _may_be_keys(line: LayoutLine) -> bool:
    """Return whether a brace on the next line belongs to this one: not to an import, and not after a comma."""
    if not line.words or line.comment or line.words[0] == "import":
        return False
    return line.words[-1] not in ("{", "}") and not line.words[-1].endswith(",")
