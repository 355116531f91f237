"""Text to tokens, grouped into the logical lines that are the Corefile's statements.

A line ends at a newline outside quotes and at nothing else, so where a statement begins is known here, once, and an
import that splices lines cannot blur it. Braces, imports and variables are words like any other at this level;
`imports` and `parser` give them their meaning.
"""

import re
from typing import NamedTuple

from clusterdns.corefile.errors import CorefileError, shown

MAX_TOKENS = 1_000_000
BYTE_ORDER_MARK = "\ufeff"

# Unicode's White_Space without the newline. A carriage return is no separator: it vanishes, inside words too.
_BLANK = "\t\v\f \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_TOKEN = re.compile(
    r"(?P<newline>\n)"
    rf"|(?P<blank>[{_BLANK}\r]+)"
    r"|(?P<comment>#[^\n]*)"
    r'|"(?P<string>(?:[^"\\]++|\\.)*+)(?P<quoted>"|\\?\Z)'  # a quote that is never closed runs to the end of the file
    rf"|(?P<word>[^\n{_BLANK}#]+)",
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class Token(NamedTuple):
    """One word and where it stands."""

    text: str
    file: str
    line: int
    quoted: bool = False

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"

    @property
    def opens(self) -> bool:
        """Whether this is a bare `{`."""
        return self.text == "{" and not self.quoted

    @property
    def closes(self) -> bool:
        """Whether this is a bare `}`."""
        return self.text == "}" and not self.quoted

    def error(self, text: str, hint: str = "") -> CorefileError:
        """An error about this word."""
        return CorefileError(self.file, self.line, text, hint)

    def __str__(self) -> str:
        return shown(self.text)


def glued_brace(text: str) -> tuple[str, bool] | None:
    """A word with a brace stuck to its end: what stands before it, and whether it is `{}`. None for any other word."""
    if text.endswith("{}"):
        return (text[:-2], True) if "{" not in text[:-2] else None
    # `{{` may end a template and `\{` a regular expression.
    if len(text) > 1 and text[-1] == "{" and text[-2] not in "{\\":
        return text[:-1], False
    return None


class Lexed(NamedTuple):
    """A text's logical lines, none of them empty, and the quote that was never closed."""

    lines: list[list[Token]]
    unclosed: Token | None
    token_count: int


def lex(text: str, file: str) -> Lexed:
    """Split the text into lines of tokens, in linear time. Raises CorefileError beyond `MAX_TOKENS`."""
    lines: list[list[Token]] = []
    current: list[Token] = []
    unclosed: Token | None = None
    number = 1
    count = 0
    for match in _TOKEN.finditer(text, 1 if text.startswith(BYTE_ORDER_MARK) else 0):
        kind = match.lastgroup
        if kind == "newline":
            number += 1
            if current:
                lines.append(current)
                current = []
        elif kind in ("word", "quoted"):
            count += 1
            if count > MAX_TOKENS:
                raise CorefileError(
                    file, number, f"more than {MAX_TOKENS:,} words", "this is no Corefile, or split it up"
                )
            if kind == "word":
                current.append(Token(match["word"].replace("\r", ""), file, number))
            else:
                string = match["string"]
                current.append(Token(_ESCAPED.sub(_unescape, string), file, number, quoted=True))
                number += string.count("\n")
                if match["quoted"] != '"':
                    unclosed = current[-1]
    if current:
        lines.append(current)
    return Lexed(lines, unclosed, count)


def _unescape(match: re.Match[str]) -> str:
    """Only `\\"` is an escape; every other backslash stays, with what follows it."""
    return '"' if match[1] == '"' else match[0]
