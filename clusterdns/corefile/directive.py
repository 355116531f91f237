"""What a parsed Corefile is made of: server blocks, directives and the lines of their nested blocks.

This is the face plugins read: a statement checks its own argument count and names itself in the error, and every value
is a `Token`, so `values` can say where a wrong one stands. All of it is immutable.
"""

from dataclasses import dataclass

from clusterdns.corefile.errors import CorefileError, ErrorList
from clusterdns.corefile.keys import ServerKey
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.suggest import hint_for


@dataclass(frozen=True, slots=True)
class Statement:
    """A name and its arguments: what directives and the lines inside them share."""

    words: tuple[Token, ...]

    @property
    def name(self) -> str:
        """The first word."""
        return self.words[0].text

    @property
    def args(self) -> tuple[Token, ...]:
        """The words after the name."""
        return self.words[1:]

    @property
    def file(self) -> str:
        """The file this stands in."""
        return self.words[0].file

    @property
    def line(self) -> int:
        """The line this starts on, from 1."""
        return self.words[0].line

    @property
    def place(self) -> str:
        """`file:line`."""
        return self.words[0].place

    def error(self, text: str, hint: str = "") -> CorefileError:
        """An error about this statement as a whole."""
        return self.words[0].error(text, hint)

    def no_arguments(self) -> None:
        """Raises CorefileError where there are arguments."""
        self.arguments_between(0, 0)

    def one_argument(self, usage: str = "") -> Token:
        """The only argument. `usage` names it in the error, as in `ttl SECONDS`. Raises CorefileError."""
        return self.arguments_between(1, 1, usage)[0]

    def arguments_between(self, minimum: int, maximum: int | None = None, usage: str = "") -> tuple[Token, ...]:
        """The arguments, of which there must be this many; no maximum means any number. Raises CorefileError."""
        args = self.args
        if len(args) < minimum:
            wrong = self.words[-1]
        elif maximum is not None and len(args) > maximum:
            wrong = args[maximum]
        else:
            return args
        told = f"Wrong argument count or unexpected line ending after {wrong}"
        hint = f"'{self.name}' takes {_quantity(minimum, maximum)}"
        raise wrong.error(told, f"{hint}: {self.name} {usage}" if usage else hint)


@dataclass(frozen=True, slots=True)
class Line(Statement):
    """One option inside a directive's braces."""


@dataclass(frozen=True, slots=True)
class Directive(Statement):
    """One plugin's statement in a server block, with the lines between its braces; an empty block is like none."""

    block: tuple[Line, ...] = ()

    def options(self, *known: str) -> tuple[Line, ...]:
        """The lines of the block, each naming a known option. Raises CorefileErrors telling all that do not."""
        errors = ErrorList()
        for line in self.block:
            if line.name not in known and not errors.is_full:
                otherwise = "" if known else f"'{self.name}' takes no block"
                errors.add(line.error(f"unknown property '{line.name}'", hint_for(line.name, known, otherwise)))
        errors.raise_if_any()
        return self.block

    def no_block(self) -> None:
        """Raises CorefileErrors where there are lines in braces."""
        self.options()


@dataclass(frozen=True, slots=True)
class ServerBlock:
    """Zones and the directives that serve them, in file order."""

    words: tuple[Token, ...]  # the keys as written, variables replaced; never empty
    keys: tuple[ServerKey, ...]  # what they mean, one per zone; empty only where every key was wrong
    directives: tuple[Directive, ...]

    @property
    def file(self) -> str:
        """The file of the first key."""
        return self.words[0].file

    @property
    def line(self) -> int:
        """The line of the first key, from 1."""
        return self.words[0].line

    @property
    def zones_text(self) -> tuple[str, ...]:
        """The zones in text form, each once."""
        return tuple(dict.fromkeys(key.zone_text for key in self.keys))

    @property
    def directive_names(self) -> frozenset[str]:
        """Every directive in this block."""
        return frozenset(directive.name for directive in self.directives)

    def named(self, name: str) -> tuple[Directive, ...]:
        """All statements of one directive, in file order."""
        return tuple(directive for directive in self.directives if directive.name == name)


def _quantity(minimum: int, maximum: int | None) -> str:
    if maximum == 0:
        return "no argument"
    if minimum == maximum:
        return "exactly one argument" if minimum == 1 else f"exactly {minimum} arguments"
    if maximum is None:
        return f"at least {minimum} argument{'s' if minimum > 1 else ''}"
    return f"{minimum} to {maximum} arguments" if minimum else f"at most {maximum} argument{'s' if maximum > 1 else ''}"
