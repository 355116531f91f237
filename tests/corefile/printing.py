"""Server blocks written as a Corefile that parses to the same blocks again, for the tests of the grammar."""

import re
from collections.abc import Iterable

from clusterdns.corefile.braces import glued_brace
from clusterdns.corefile.directive import Directive, Line, ServerBlock
from clusterdns.corefile.environment import has_reference
from clusterdns.corefile.errors import shown
from clusterdns.corefile.lexer import BYTE_ORDER_MARK, Token, lex

_INDENT = "    "
_QUOTABLE = re.compile(r'(?:[^\\]|\\[^"])*+', re.DOTALL)


def print_corefile(blocks: Iterable[ServerBlock]) -> str:
    """Write the blocks as a Corefile, imports and variables replaced.

    Raises ValueError for a word that the grammar cannot express: one that comes from the environment, or a key or a
    directive's name that begins with a quote or ends in a brace and has an escaped quote, which only a list of keys and
    a variable allow.
    """
    text = "\n".join(map(_block, blocks))
    return "\n" + text if text.startswith(BYTE_ORDER_MARK) else text


def _block(block: ServerBlock) -> str:
    alone = len(block.words) == 1
    keys = " ".join(_word(word, ambiguous=_misread_as_key(word.text, alone)) for word in block.words)
    lines = [f"{keys} {{"]
    for directive in block.directives:
        lines += _directive(directive)
    return "\n".join([*lines, "}", ""])


def _directive(directive: Directive) -> list[str]:
    first, *rest = directive.words
    words = [_word(first, ambiguous=_misread_as_name(first.text)), *map(_word, rest)]
    head = _INDENT + " ".join(words)
    # a word that ends in a brace must not end the line; an empty block has no effect
    if not directive.block and glued_brace(words[-1]) is None:
        return [head]
    return [f"{head} {{", *(_INDENT * 2 + _line(line) for line in directive.block), _INDENT + "}"]


def _line(line: Line) -> str:
    first, *rest = line.words
    return " ".join([_word(first, ambiguous=first.text == "import"), *(_word(word) for word in rest)])


def _misread_as_key(text: str, alone: bool) -> bool:
    is_snippet = alone and text[:1] == "(" and text[-1:] == ")"
    return is_snippet or "," in text or _misread_as_name(text)


def _misread_as_name(text: str) -> bool:
    return text == "import" or glued_brace(text) is not None


def _word(word: Token, ambiguous: bool = False) -> str:
    if has_reference(word.text):
        raise ValueError(f"{shown(word.text)} cannot be written: it would be read as a variable")
    return quote(word.text) if word.quoted or ambiguous or _needs_quotes(word.text) else word.text


def quote(text: str) -> str:
    """Write the text as a quoted string. Raises ValueError for the few texts that a string cannot express."""
    if _QUOTABLE.fullmatch(text) is None:
        raise ValueError(f"{shown(text)} cannot be written: it has a backslash before a quote, or at its end")
    return '"' + text.replace('"', '\\"') + '"'


def _needs_quotes(text: str) -> bool:
    """Return whether the text, written without quotes, would not be read as this one word."""
    return text in ("{", "}") or lex(f". {text}", "").lines != [[Token(".", "", 1), Token(text, "", 1)]]
