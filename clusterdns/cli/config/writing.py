"""Server blocks written as a Corefile that is read as the same server blocks again.

A word is quoted where it was, or where it would be read as something else. A value of a variable that no word can
express, because it looks like a reference to a variable, is written as the reference that it stands for.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from clusterdns.corefile.braces import glued_brace
from clusterdns.corefile.directive import Directive, Line, ServerBlock
from clusterdns.corefile.environment import has_reference
from clusterdns.corefile.lexer import BYTE_ORDER_MARK, Token, lex

INDENT = "    "
_QUOTABLE = re.compile(r'(?:[^\\]|\\[^"])*+', re.DOTALL)


class WrittenLine(NamedTuple):
    """A statement as it is written, with its first word; without one for a closing brace and a blank line."""

    text: str
    first: Token | None = None


def written_lines(blocks: Iterable[ServerBlock], *, hides_env: bool = False) -> Iterator[WrittenLine]:
    """Write the blocks; with `hides_env` variables are not replaced.

    Raises CorefileError for a word that the grammar cannot express: a key that begins with a quote or ends in a brace,
    and has an escaped quote.
    """
    writer = _WordWriter(hides_env=hides_env)
    for number, block in enumerate(blocks):
        if number:
            yield WrittenLine("")
        keys = writer.keys(block.words)
        is_marked = not number and keys.startswith(BYTE_ORDER_MARK)  # which would be skipped at the beginning
        yield WrittenLine(f"{BYTE_ORDER_MARK if is_marked else ''}{keys} {{", block.words[0])
        for directive in block.directives:
            yield from writer.directive(directive)
        yield WrittenLine("}")


class _WordWriter:
    """Writes words so that they are read as the same words, in the places where they stand."""

    def __init__(self, *, hides_env: bool) -> None:
        self._hides_env = hides_env

    def keys(self, words: tuple[Token, ...]) -> str:
        is_alone = len(words) == 1
        return " ".join(self._word(word, lambda text: _is_unlike_key(text, is_alone=is_alone)) for word in words)

    def directive(self, directive: Directive) -> Iterator[WrittenLine]:
        first, *rest = directive.words
        words = [self._word(first, _is_unlike_name), *map(self._word, rest)]
        text = INDENT + " ".join(words)
        # a word that ends in a brace must not end the line; an empty block has no effect
        if not directive.block and glued_brace(words[-1]) is None:
            yield WrittenLine(text, first)
            return
        yield WrittenLine(f"{text} {{", first)
        for line in directive.block:
            yield WrittenLine(f"{INDENT * 2}{self.line(line)}", line.words[0])
        yield WrittenLine(f"{INDENT}}}")

    def line(self, line: Line) -> str:
        first, *rest = line.words
        return " ".join([self._word(first, _is_import), *map(self._word, rest)])

    def _word(self, token: Token, is_misread: Callable[[str], bool] = lambda _: False) -> str:
        for text in self._texts(token):
            if not (token.quoted or is_misread(text) or _needs_quotes(text)):
                return text
            if (quoted := quote(text)) is not None:
                return quoted
        raise token.error(f"{token} cannot be written as a word", "name the zone without quotes and braces")

    def _texts(self, token: Token) -> Iterator[str]:
        """Yield the texts that stand for a word, the preferred one first."""
        if token.written is None:
            yield token.text
            return
        if not self._hides_env and not has_reference(token.text) and _is_utf8(token.text):
            yield token.text
        yield token.written


def quote(text: str) -> str | None:
    """Write a text as a quoted word; None where there is none, as with a backslash before a quote or at the end."""
    return None if _QUOTABLE.fullmatch(text) is None else '"' + text.replace('"', '\\"') + '"'


def _is_import(text: str) -> bool:
    return text == "import"


def _is_unlike_name(text: str) -> bool:
    """Return whether a text, as the first word of a directive, would be an import or open a block."""
    return _is_import(text) or glued_brace(text) is not None


def _is_unlike_key(text: str, *, is_alone: bool) -> bool:
    """Return whether a text, as a key, would be several keys, or the head of a snippet."""
    return _is_unlike_name(text) or "," in text or (is_alone and text[:1] == "(" and text[-1:] == ")")


def _is_utf8(text: str) -> bool:
    return not re.search("[\ud800-\udfff]", text)


def _needs_quotes(text: str) -> bool:
    """Return whether a text, written without quotes, would not be read as this one word."""
    return text in ("{", "}") or lex(f". {text}", "").lines != [[Token(".", "", 1), Token(text, "", 1)]]
