"""Readers for directives that CoreDNS reads leniently: arguments, lines and zones that it ignores without a word.

A Corefile that has them starts under CoreDNS, so it starts here; each one is logged as a warning, because its author
expected an effect. The strict readers are `directive.Statement`'s methods and `values`.
"""

import logging
from collections.abc import Sequence

from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Statement
from clusterdns.corefile.errors import CorefileError
from clusterdns.corefile.lexer import Token
from clusterdns.wire.name import from_text

log = logging.getLogger("clusterdns")


def ignore_arguments(statement: Statement) -> None:
    """Warn of arguments after a name that takes none."""
    _ignore(statement, "no argument", statement.args)


def first_argument(statement: Statement, usage: str) -> Token:
    """Return the first argument and warn of further ones. `usage` as for `one_argument`. Raises CorefileError."""
    first, *others = statement.arguments_between(1, None, usage)
    _ignore(statement, "one argument", others)
    return first


def ignore_block(directive: Directive) -> None:
    """Warn of each line in the braces of a directive that takes no block."""
    for line in directive.block:
        log.warning("%s: '%s' takes no block; '%s' is ignored", line.place, directive.name, line.name)


def zones(words: Sequence[Token], otherwise: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Read zones as `zones_text` does, in wire form."""
    return tuple(map(from_text, zones_text(words, ()))) if words else otherwise


def zones_text(words: Sequence[Token], otherwise: tuple[str, ...]) -> tuple[str, ...]:
    """Read zones, networks as their reverse zones; return `otherwise` where there are no words.

    A word that is not a domain name is ignored. Where all words are such, the result is empty and not `otherwise`: an
    unset variable must not turn a directive for one zone into one for all.
    """
    found: dict[str, None] = {}
    for word in words:
        try:
            found.update(dict.fromkeys(values.zones((word,))))
        except CorefileError as error:
            log.warning("%s: %s; the zone is ignored", error.place, error.text)
    return tuple(found) if words else otherwise


def _ignore(statement: Statement, taken: str, words: Sequence[Token]) -> None:
    if words:
        ignored = " ".join(word.text for word in words)
        log.warning("%s: '%s' takes %s; '%s' is ignored", words[0].place, statement.name, taken, ignored)
