"""How `rewrite` recognises names, and what it makes of them: the five kinds of match, and answers mapped back.

Everything here works on names as text, absolute and lower-case, because the rules are written so: a suffix may begin in
the middle of a label, and a regular expression sees dots. As in CoreDNS all texts but regular expressions are made
absolute first, so that `prefix foo` means `foo.`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from clusterdns.corefile import values
from clusterdns.corefile.errors import shown
from clusterdns.corefile.lexer import Token

EXACT, PREFIX, SUFFIX, SUBSTRING, REGEX = "exact", "prefix", "suffix", "substring", "regex"
KINDS = (EXACT, PREFIX, SUFFIX, SUBSTRING, REGEX)
_MAX_GROUP = 100  # `{101}` is text, as in CoreDNS

Change = Callable[[str], str | None]  # the text that a name becomes; None: it does not match


def absolute(text: str) -> str:
    """A name as the rules compare it: lower-case, with its dot at the end."""
    return text.lower() if _is_absolute(text) else text.lower() + "."


def _is_absolute(text: str) -> bool:
    """Whether the last dot is one that ends a label: one behind an odd number of backslashes belongs to it."""
    if not text.endswith("."):
        return False
    before = text[:-1]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 0


def kind_of(word: Token, subject: str) -> str:
    """The kind of match that a word names, in any letter case. Raises CorefileError."""
    kind = word.text.lower()
    if kind not in KINDS:
        hint = f"write {subject} [{'|'.join(KINDS)}] …"
        raise word.error(f"{word} is no way to match a {subject}: {', '.join(KINDS)} are", hint)
    return kind


def matcher(kind: str, word: Token) -> Callable[[str], bool]:
    """Whether a name matches. Raises CorefileError."""
    if kind == REGEX:
        pattern = values.regex(word)
        return lambda text: pattern.search(text) is not None
    wanted = absolute(word.text)
    return {
        EXACT: wanted.__eq__,
        PREFIX: lambda text: text.startswith(wanted),
        SUFFIX: lambda text: text.endswith(wanted),
        SUBSTRING: lambda text: wanted in text,
    }[kind]


def changer(kind: str, before: str, after: str) -> Change:
    """What a match of any kind but a regular expression becomes, given both texts as they are to be compared."""

    def exact(text: str) -> str | None:
        return after if text == before else None

    def prefix(text: str) -> str | None:
        return after + text[len(before) :] if text.startswith(before) else None

    def suffix(text: str) -> str | None:
        return text[: len(text) - len(before)] + after if text.endswith(before) else None

    def substring(text: str) -> str | None:
        return text.replace(before, after) if before in text else None

    return {EXACT: exact, PREFIX: prefix, SUFFIX: suffix, SUBSTRING: substring}[kind]


def regex_changer(word: Token, replacement: Token) -> Change:
    """What a match of a regular expression becomes: the whole name. Raises CorefileError."""
    return filler(checked_pattern(word, replacement), absolute(replacement.text))


def checked_pattern(word: Token, replacement: Token) -> values.Pattern:
    """The pattern, which must have as many groups as the replacement has different `{n}`. Raises CorefileError."""
    pattern = values.regex(word)
    used = [f"{{{number}}}" for number in range(_MAX_GROUP + 1) if f"{{{number}}}" in replacement.text]
    if len(used) > pattern.groups:
        told = f"{replacement} uses {', '.join(used)}, and {word} has {pattern.groups or 'no'} groups in parentheses"
        raise replacement.error(told, "put parentheses around what is to be used, or take '{n}' out")
    return pattern


def filler(pattern: values.Pattern, replacement: str) -> Change:
    """The replacement with `{0}`, `{1}`, … replaced one after the other, from `{0}` on."""

    def change(text: str) -> str | None:
        found = pattern.search(text)
        if found is None:
            return None
        result = replacement
        for number, group in enumerate((found.group(0), *found.groups())):
            result = result.replace(f"{{{number}}}", group or "")
        return result

    return change


class Piece(NamedTuple):
    """A part of a replacement that takes metadata: text, a group of the match, or a label."""

    text: str = ""
    group: int = -1
    label: str = ""


def pieces(replacement: Token, pattern: values.Pattern) -> tuple[Piece, ...]:
    """The replacement of a rule with `metadata`, taken apart. Raises CorefileError."""
    found: list[Piece] = []
    rest = replacement.text if _is_absolute(replacement.text) else replacement.text + "."
    while rest:
        text, brace, rest = rest.partition("{")
        if "}" in text:
            raise replacement.error(f"{replacement} has a brace that nothing opens", "write {1} or {plugin/label}")
        if text:
            found.append(Piece(text=text.lower()))
        if not brace:
            break
        word, closed, rest = rest.partition("}")
        if not closed:
            raise replacement.error(f"{replacement} has a brace that nothing closes", "write {1} or {plugin/label}")
        found.append(_placeholder(word, replacement, pattern))
    return tuple(found)


def _placeholder(word: str, replacement: Token, pattern: values.Pattern) -> Piece:
    if word.isascii() and word.isdigit() and len(word) <= 4:
        if int(word) > pattern.groups:
            told = f"{replacement} uses {{{word}}}, and the pattern has {pattern.groups or 'no'} groups in parentheses"
            raise replacement.error(told, "put parentheses around what is to be used")
        return Piece(group=int(word))
    if not is_label(word) or "{" in word:
        raise replacement.error(f"{shown(word)} is no metadata label", "write one such as {kubernetes/namespace}")
    return Piece(label=word)


def is_label(word: str) -> bool:
    """Whether a word has the form of a metadata label: `plugin/name`."""
    plugin, slash, name = word.partition("/")
    return bool(plugin and slash and name)


def mapped_back(before: str, after: str) -> Callable[[str], str]:
    """What answers under `after` are called to a client that asked for `before`: the name and all below it."""
    below = "." + after

    def change(text: str) -> str:
        lower = text.lower()
        if lower == after:
            return before
        if lower.endswith(below):
            return text[: len(text) - len(after)] + before
        return text

    return change


def suffix_mapped_back(before: str, after: str) -> Callable[[str], str]:
    """Every answer whose text ends in `after` ends in `before` instead."""

    def change(text: str) -> str:
        return text[: len(text) - len(after)] + before if text.lower().endswith(after) else text

    return change


def answer_changer(words: Sequence[Token]) -> Callable[[str], str]:
    """What `answer name|value FROM TO` makes of a name. Raises CorefileError."""
    change = regex_changer(words[0], words[1])

    def changed(text: str) -> str:
        result = change(text)
        return text if result is None else result

    return changed
