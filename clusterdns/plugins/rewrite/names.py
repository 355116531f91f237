"""How the rules of `rewrite` match and replace names: five kinds of match, and names in replies changed back.

Names are text here, absolute and in lower case, because rules are written so: a suffix may begin in the middle of a
label, and a regular expression sees dots. As in CoreDNS, all texts except regular expressions are made absolute first,
so `prefix foo` means `foo.`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from clusterdns.corefile import values
from clusterdns.corefile.errors import shown
from clusterdns.corefile.lexer import Token

EXACT, PREFIX, SUFFIX, SUBSTRING, REGEX = "exact", "prefix", "suffix", "substring", "regex"
KINDS = (EXACT, PREFIX, SUFFIX, SUBSTRING, REGEX)
_MAX_GROUP = 100  # `{101}` is text, as in CoreDNS

NameChange = Callable[[str], str | None]  # returns the changed name; None: the name does not match


def absolute(text: str) -> str:
    """Return a name as the rules compare it: in lower case, with a final dot."""
    return text.lower() if _is_absolute(text) else text.lower() + "."


def _is_absolute(text: str) -> bool:
    """Return whether the last dot ends a label; after an odd number of backslashes it is part of the label."""
    if not text.endswith("."):
        return False
    before = text[:-1]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 0


def kind_of(word: Token, subject: str) -> str:
    """Return the kind of match that a word names, in upper or lower case. Raises CorefileError."""
    kind = word.text.lower()
    if kind not in KINDS:
        raise word.error(f"{word} is not a kind of match for a {subject}", f"write one of {', '.join(KINDS)}")
    return kind


def matcher(kind: str, word: Token) -> Callable[[str], bool]:
    """Make the function that says whether a name matches. Raises CorefileError."""
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


def changer(kind: str, before: str, after: str) -> NameChange:
    """Make the change of a name by any kind of match except regular expressions."""

    def exact(text: str) -> str | None:
        return after if text == before else None

    def prefix(text: str) -> str | None:
        return after + text[len(before) :] if text.startswith(before) else None

    def suffix(text: str) -> str | None:
        return text[: len(text) - len(before)] + after if text.endswith(before) else None

    def substring(text: str) -> str | None:
        return text.replace(before, after) if before in text else None

    return {EXACT: exact, PREFIX: prefix, SUFFIX: suffix, SUBSTRING: substring}[kind]


def regex_changer(word: Token, replacement: Token) -> NameChange:
    """Make the change of a name that a regular expression matches in. Raises CorefileError."""
    return regex_replacer(checked_pattern(word, replacement), absolute(replacement.text))


def checked_pattern(word: Token, replacement: Token) -> values.Pattern:
    """Return the pattern. Raises CorefileError where it has fewer groups than the replacement has different `{n}`."""
    pattern = values.regex(word)
    used = [f"{{{number}}}" for number in range(_MAX_GROUP + 1) if f"{{{number}}}" in replacement.text]
    if len(used) > pattern.groups:
        problem = f"{replacement} uses {', '.join(used)}, but {word} has {pattern.groups or 'no'} groups in parentheses"
        raise replacement.error(problem, "put parentheses around the parts to use, or remove '{n}'")
    return pattern


def regex_replacer(pattern: values.Pattern, replacement: str) -> NameChange:
    """Make the change to the replacement, whose `{0}`, `{1}`, … become the groups of the match."""

    def change(text: str) -> str | None:
        found = pattern.search(text)
        if found is None:
            return None
        result = replacement
        for number, group in enumerate((found.group(0), *found.groups())):
            result = result.replace(f"{{{number}}}", group or "")
        return result

    return change


class ReplacementPart(NamedTuple):
    """A part of a replacement with metadata: text, a group of the match, or a label."""

    text: str = ""
    group: int = -1
    label: str = ""


def replacement_parts(replacement: Token, pattern: values.Pattern) -> tuple[ReplacementPart, ...]:
    """Split the replacement of a rule with `metadata`. Raises CorefileError."""
    found: list[ReplacementPart] = []
    rest = replacement.text if _is_absolute(replacement.text) else replacement.text + "."
    while rest:
        text, brace, rest = rest.partition("{")
        if "}" in text:
            raise replacement.error(f"{replacement} has '}}' without '{{'", "write {1} or {plugin/label}")
        if text:
            found.append(ReplacementPart(text=text.lower()))
        if not brace:
            break
        word, closed, rest = rest.partition("}")
        if not closed:
            raise replacement.error(f"{replacement} has '{{' without '}}'", "write {1} or {plugin/label}")
        found.append(_placeholder(word, replacement, pattern))
    return tuple(found)


def _placeholder(word: str, replacement: Token, pattern: values.Pattern) -> ReplacementPart:
    if word.isascii() and word.isdigit() and len(word) <= 4:
        if int(word) > pattern.groups:
            problem = (
                f"{replacement} uses {{{word}}}, but the pattern has {pattern.groups or 'no'} groups in parentheses"
            )
            raise replacement.error(problem, "put parentheses around the part to use")
        return ReplacementPart(group=int(word))
    if not is_label(word) or "{" in word:
        raise replacement.error(f"{shown(word)} is not a metadata label", "write one such as {kubernetes/namespace}")
    return ReplacementPart(label=word)


def is_label(word: str) -> bool:
    """Return whether a word has the form of a metadata label: `plugin/name`."""
    plugin, slash, name = word.partition("/")
    return bool(plugin and slash and name)


def restore_name(before: str, after: str) -> Callable[[str], str]:
    """Make the change of `after`, and of names below it, back to `before`."""
    below = "." + after

    def change(text: str) -> str:
        lower = text.lower()
        if lower == after:
            return before
        if lower.endswith(below):
            return text[: len(text) - len(after)] + before
        return text

    return change


def restore_suffix(before: str, after: str) -> Callable[[str], str]:
    """Make the change of names that end in `after` to the same names ending in `before`."""

    def change(text: str) -> str:
        return text[: len(text) - len(after)] + before if text.lower().endswith(after) else text

    return change


def answer_changer(words: Sequence[Token]) -> Callable[[str], str]:
    """Make the change of names in a reply by `answer name|value FROM TO`. Raises CorefileError."""
    change = regex_changer(words[0], words[1])

    def changed(text: str) -> str:
        result = change(text)
        return text if result is None else result

    return changed
