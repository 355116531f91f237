"""The names that `rewrite` turns into listed ones: its rules for names, read backwards."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from clusterdns.corefile.directive import Directive, ServerBlock
from clusterdns.corefile.lexer import Token
from clusterdns.plugins.rewrite.names import EXACT, KINDS, PREFIX, REGEX, SUBSTRING, SUFFIX, absolute
from clusterdns.wire.name import from_text, to_text


class _NameRule(NamedTuple):
    """A rule `name [KIND] BEFORE AFTER` that can be turned round."""

    kind: str
    before: str
    after: str


def with_rewritten(block: ServerBlock, held: Iterable[tuple[bytes, int]]) -> Iterator[tuple[bytes, int]]:
    """Yield the questions, and those that a rule of `rewrite` turns into them."""
    rules = [rule for directive in block.named("rewrite") if (rule := _name_rule(directive)) is not None]
    for name, rtype in held:
        yield name, rtype
        text = to_text(name)
        for kind, before, after in rules:
            if kind == EXACT and text == after:
                yield from_text(before), rtype
            elif kind == SUFFIX and text.endswith(after):
                yield from _name(text.removesuffix(after) + before, rtype)
            elif kind == PREFIX and text.startswith(after):
                yield from _name(before + text.removeprefix(after), rtype)


def is_one_way(directive: Directive) -> bool:
    """Return whether a `rewrite` changes names by a rule that cannot be turned round, such as a regular expression."""
    return [word.text.lower() for word in _rule_words(directive)[:1]] == ["name"] and _name_rule(directive) is None


def _name(text: str, rtype: int) -> Iterator[tuple[bytes, int]]:
    """Yield a question, unless the text is not a name."""
    try:
        yield from_text(text), rtype
    except ValueError:
        return  # a rule's prefix or suffix may leave no label, or one that is too long


def _name_rule(directive: Directive) -> _NameRule | None:
    """Read a rule for names; None for other rules, and for those that cannot be turned round."""
    words = [word.text.lower() for word in _rule_words(directive)]
    if words[:1] != ["name"] or len(words) < 3:
        return None
    kind, *names = words[1:] if words[1] in KINDS else [EXACT, *words[1:]]
    if kind in (SUBSTRING, REGEX) or len(names) < 2:
        return None
    before, after = names[:2]
    return _NameRule(kind, before, after) if kind == PREFIX else _NameRule(kind, absolute(before), absolute(after))


def _rule_words(directive: Directive) -> tuple[Token, ...]:
    """Return the words of a rule without `stop` or `continue`; it is on the directive's line, or in braces."""
    words = directive.args
    if len(words) < 2:
        words = (*words, *(word for line in directive.block for word in line.words))
    return words[1:] if words and words[0].text.lower() in ("stop", "continue") else words
