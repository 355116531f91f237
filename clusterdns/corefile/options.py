"""The options of a directive's block as rows, from which both the reader and the documentation are made.

A plugin lists its options once, as `Option`s. `read_block` applies them to the plugin's settings and raises all
mistakes together; docs/corefile.md shows the same rows.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.errors import ErrorList

S = TypeVar("S")


class Option(msgspec.Struct, Generic[S], frozen=True):
    """One line that a directive's block may contain."""

    usage: str  # as written in a Corefile: `ttl SECONDS`
    default: str  # the effect of leaving the line out, in words; may be empty
    meaning: str  # one sentence
    read: Callable[[S, Line], S]  # adds the line to the settings; raises CorefileError
    is_dead: bool = False  # accepted, and ignored by CoreDNS too

    @property
    def name(self) -> str:
        """The first word of the line."""
        return self.usage.split(maxsplit=1)[0]

    @property
    def arguments(self) -> str:
        """The usage without the name, for error messages."""
        return self.usage.partition(" ")[2]


def read_block(settings: S, directives: Sequence[Directive], options: Sequence[Option[S]]) -> S:
    """Add every line of the directives' blocks to the settings, in file order. Raises CorefileErrors."""
    errors = ErrorList()
    by_name = {option.name: option for option in options}
    for directive in directives:
        with errors.collect():
            directive.options(*by_name)
        for line in directive.block:
            option = by_name.get(line.name)
            if option is not None:  # an unknown one is in the error list already
                with errors.collect():
                    settings = option.read(settings, line)
    errors.raise_if_any()
    return settings
