"""Options as rows: what parses the lines of a directive's block is also what its documentation is made of.

A plugin lists its options once, as `Option`s; `read_block` applies them to its settings and tells everything that is
wrong at once, and docs/corefile.md shows the same rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.errors import ErrorList

S = TypeVar("S")


@dataclass(frozen=True)
class Option(Generic[S]):
    """One line that a directive's block may hold."""

    usage: str  # as people write it, the name first: `ttl SECONDS`
    default: str  # what holds without the line, in words; empty where there is nothing to say
    meaning: str  # one sentence
    read: Callable[[S, Line], S]  # the settings with this line's part; raises CorefileError

    @property
    def name(self) -> str:
        """The word that the line begins with."""
        return self.usage.split(maxsplit=1)[0]

    @property
    def arguments(self) -> str:
        """The usage without the name, for errors."""
        return self.usage.partition(" ")[2]


def read_block(settings: S, directives: Sequence[Directive], options: Sequence[Option[S]]) -> S:
    """The settings with every line of the directives' blocks, in file order. Raises CorefileErrors with all errors."""
    errors = ErrorList()
    by_name = {option.name: option for option in options}
    for directive in directives:
        with errors.collect():
            directive.options(*by_name)
        for line in directive.block:
            option = by_name.get(line.name)
            if option is not None:  # an unknown one was told with all others
                with errors.collect():
                    settings = option.read(settings, line)
    errors.raise_if_any()
    return settings
