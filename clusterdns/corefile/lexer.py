"""Text to tokens, grouped into the logical lines that are the Corefile's statements.

A line ends at a newline outside quotes and nowhere else, so the lines of an import can be put in place of the import
and statements still begin where their author began them. Braces, imports and variables are ordinary words here;
`imports` and `parser` give them their meaning.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from clusterdns.corefile.errors import CorefileError, shown

MAX_TOKENS = 1_000_000
BYTE_ORDER_MARK = "\ufeff"
TOO_LARGE_HINT = "check that it is a Corefile, or split it into imported files"

# Unicode's White_Space without the newline. A carriage return does not separate words: it is removed, inside words too.
BLANKS = "\t\v\f \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
_TOKEN = re.compile(
    r"(?P<newline>\n)"
    rf"|(?P<blank>[{BLANKS}\r]+)"
    r"|(?P<comment>#[^\n]*)"
    r'|"(?P<string>(?:[^"\\]++|\\.)*+)(?P<quoted>"|\\?\Z)'  # a quote that is never closed runs to the end of the file
    rf"|(?P<word>[^\n{BLANKS}#]+)",
    re.DOTALL,
)
_HAS_BLANK = re.compile(f"[{BLANKS}]")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class Token(NamedTuple):
    """One word and its place.

    `importer` is the argument of the import by which the word is read; `written` is the word with its references to
    variables, where these were replaced.
    """

    text: str
    file: str
    line: int
    quoted: bool = False
    importer: "Token | None" = None
    written: str | None = None

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"

    @property
    def imported_at(self) -> tuple[str, ...]:
        """The places of the imports by which the word is read, that of the main file last."""
        places, importer = [], self.importer
        while importer is not None:
            places.append(importer.place)
            importer = importer.importer
        return tuple(places)

    @property
    def opens(self) -> bool:
        """Whether this is an unquoted `{`."""
        return self.text == "{" and not self.quoted

    @property
    def closes(self) -> bool:
        """Whether this is an unquoted `}`."""
        return self.text == "}" and not self.quoted

    def error(self, text: str, hint: str = "") -> CorefileError:
        """Make an error that points at this word."""
        return CorefileError(self.file, self.line, text, hint, self.imported_at)

    def __str__(self) -> str:
        return shown(self.text)


class Lexed(NamedTuple):
    """The logical lines of a text, none of them empty, and words that are probably mistakes.

    `unclosed` is the quoted word that is never closed. `commented` are the words with a comment glued to them that has
    blanks: CoreDNS ends such a comment at the first blank and reads the rest of the line.
    """

    lines: list[list[Token]]
    unclosed: Token | None
    token_count: int
    commented: list[Token]


def pieces(text: str) -> Iterator[re.Match[str]]:
    """Find the pieces of a text: matches whose `lastgroup` is newline, blank, comment, quoted or word."""
    return _TOKEN.finditer(text, 1 if text.startswith(BYTE_ORDER_MARK) else 0)


def lex(text: str, file: str) -> Lexed:
    """Split the text into lines of tokens, in linear time. Raises CorefileError beyond `MAX_TOKENS`."""
    lines: list[list[Token]] = []
    current: list[Token] = []
    unclosed: Token | None = None
    commented: list[Token] = []
    number = 1
    count = word_end = 0
    for match in pieces(text):
        kind = match.lastgroup
        if kind == "newline":
            number += 1
            if current:
                lines.append(current)
                current = []
        elif kind in ("word", "quoted"):
            count += 1
            if count > MAX_TOKENS:
                raise CorefileError(file, number, f"more than {MAX_TOKENS:,} words", TOO_LARGE_HINT)
            if kind == "word":
                current.append(Token(match["word"].replace("\r", ""), file, number))
                word_end = match.end()
            else:
                string = match["string"]
                current.append(Token(_ESCAPED.sub(_unescape, string), file, number, quoted=True))
                number += string.count("\n")
                if match["quoted"] != '"':
                    unclosed = current[-1]
        elif kind == "comment" and match.start() == word_end and current and _HAS_BLANK.search(match[0].rstrip()):
            commented.append(current[-1])
    if current:
        lines.append(current)
    return Lexed(lines, unclosed, count, commented)


def _unescape(match: re.Match[str]) -> str:
    """Replace `\\"` by a quote; every other backslash is kept."""
    return '"' if match[1] == '"' else match[0]
