"""A template's text to tokens: the text outside actions, and the words inside `{{ }}`.

Trim markers and comments are applied and dropped. A token has a mark for the white space before it, because it matters
in Go: `.A .B` is two operands and `.A.B` one.
"""

import re
from typing import NamedTuple

from clusterdns.gotemplate.errors import error_at

KEYWORDS = frozenset(
    ("block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with", "true", "false")
)
_BLANK = " \t\r\n"
_OPEN = re.compile(r"\{\{(?:-[ \t\r\n])?(/\*)?")
_COMMENT_END = re.compile(r"(?:[ \t\r\n]-)?\}\}")
_NUMBER = r"""(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?
    |0[oObB][0-9_]*
    |[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?"""
_WORD = re.compile(
    rf"""
    (?P<close>[ \t\r\n]+-\}}\}}|\}}\}})
    |(?P<blank>[ \t\r\n]+)
    |(?P<sign>:=|[=|(),])
    |(?P<string>"(?:[^"\\\n]|\\[^\n])*+"|`[^`]*`)
    |(?P<character>'(?:[^'\\\n]|\\[^\n])*+')
    |(?P<number>[+-]?(?=[0-9]|\.[0-9]){_NUMBER})
    |(?P<variable>\$\w*)
    |(?P<field>\.\w+)
    |(?P<dot>\.)
    |(?P<name>\w+)
    """,
    re.VERBOSE,
)
_TERMINATOR = re.compile(r"[ \t\r\n.,|:()]|\}\}|\Z")
_UNTERMINATED = {'"': "unterminated string", "`": "unterminated raw string", "'": "unterminated character constant"}


class TemplateToken(NamedTuple):
    """One word. The kind of a keyword or sign is the word itself."""

    kind: str
    text: str
    position: int
    spaced: bool = False


def lex(text: str) -> list[TemplateToken]:
    """Split a template into tokens, the last of kind `eof`, in linear time. Raises TemplateError."""
    tokens: list[TemplateToken] = []
    position = 0
    trims = False  # the previous action ends in a trim marker
    while (start := text.find("{{", position)) >= 0:
        opening = _OPEN.match(text, start)
        assert opening is not None
        _add_text(tokens, text[position:start], position, trims, opening[0].startswith("{{-"))
        position = opening.end()
        if opening[1]:
            position, trims = _skip_comment(text, start, position)
        else:
            tokens.append(TemplateToken("open", "{{", start))
            position, trims = _lex_action(tokens, text, start, position)
    _add_text(tokens, text[position:], position, trims, trims_right=False)
    tokens.append(TemplateToken("eof", "", len(text)))
    return tokens


def _add_text(tokens: list[TemplateToken], text: str, position: int, trims_left: bool, trims_right: bool) -> None:
    if trims_left:
        text = text.lstrip(_BLANK)
    if trims_right:
        text = text.rstrip(_BLANK)
    if text:
        tokens.append(TemplateToken("text", text, position))


def _skip_comment(text: str, start: int, position: int) -> tuple[int, bool]:
    end = text.find("*/", position)
    if end < 0:
        raise error_at(text, start, "unclosed comment")
    closing = _COMMENT_END.match(text, end + 2)
    if closing is None:
        raise error_at(text, end, "a comment must end directly before '}}'")
    return closing.end(), "-" in closing[0]


def _lex_action(tokens: list[TemplateToken], text: str, start: int, position: int) -> tuple[int, bool]:
    """Append the tokens of one action; return its end, and whether it trims the text after it."""
    spaced = False
    while True:
        if position >= len(text):
            raise error_at(text, start, "unclosed action: '}}' is missing")
        match = _WORD.match(text, position)
        if match is None:
            problem = _UNTERMINATED.get(text[position], f"unexpected {text[position]!r} in an action")
            raise error_at(text, position, problem)
        kind, word = match.lastgroup, match[0]
        assert kind is not None
        position = match.end()
        if kind == "blank":
            spaced = True
            continue
        if kind in ("variable", "field", "name", "number"):
            _check_end(text, match, kind)
        if kind == "sign" or word in KEYWORDS:
            kind = word
        tokens.append(TemplateToken(kind, word, match.start(), spaced))
        if kind == "close":
            return position, "-" in word
        spaced = False


def _check_end(text: str, match: re.Match[str], kind: str) -> None:
    """Check that a word ends where Go would end it, and that it is made of Go's letters and digits."""
    word, end = match[0], match.end()
    if kind == "number":
        following = text[end : end + 1]
        if following in ("+", "-"):
            raise error_at(text, match.start(), "complex numbers are not supported")
        if following == "_" or following.isalnum():
            raise error_at(text, match.start(), f"unexpected {following!r} after a number")
        return
    if not word.isascii():
        for odd in word.lstrip("$."):
            if not (odd == "_" or odd.isalpha() or odd.isdecimal()):
                raise error_at(text, match.start(), f"unexpected {odd!r} in an action")
    if _TERMINATOR.match(text, end) is None:
        raise error_at(text, end, f"unexpected {text[end]!r} after '{word}'")
