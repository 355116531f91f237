"""What CoreDNS passes over in silence: words and lines that mean nothing where they stand, zones that are none.

A Corefile that has them starts there, so it starts here; but whoever wrote them meant something, so they are told.
"""

import logging
from collections.abc import Sequence

from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Statement
from clusterdns.corefile.errors import CorefileError
from clusterdns.corefile.lexer import Token
from clusterdns.wire.name import from_text

log = logging.getLogger("clusterdns")


def no_arguments(statement: Statement) -> None:
    """None are needed; those that are there are left out."""
    _leave_out(statement, statement.args)


def first_argument(statement: Statement, usage: str) -> Token:
    """The only one that counts; further ones are left out. `usage` as for `one_argument`. Raises CorefileError."""
    first, *others = statement.arguments_between(1, None, usage)
    _leave_out(statement, others)
    return first


def no_block(directive: Directive) -> None:
    """None is needed; the lines of one that is there are left out."""
    for line in directive.block:
        log.warning("%s: '%s' takes no block: '%s' is left out", line.place, directive.name, line.name)


def zones(words: Sequence[Token], otherwise: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """As `zones_text`, in wire form."""
    return tuple(map(from_text, zones_text(words, ()))) if words else otherwise


def zones_text(words: Sequence[Token], otherwise: tuple[str, ...]) -> tuple[str, ...]:
    """The zones that are named, `otherwise` where no word is there; networks as their reverse zones.

    A word that is no domain name is left out. Where nothing else is there, no zone is meant: a variable that is not set
    must not turn a directive for one zone into one for all.
    """
    found: dict[str, None] = {}
    for word in words:
        try:
            found.update(dict.fromkeys(values.zones((word,))))
        except CorefileError as error:
            log.warning("%s: %s; it is left out, so no name is in it", error.place, error.text)
    return tuple(found) if words else otherwise


def _leave_out(statement: Statement, words: Sequence[Token]) -> None:
    if words:
        told = " ".join(word.text for word in words)
        log.warning("%s: '%s' does not take '%s', which is left out", words[0].place, statement.name, told)
