"""The parts of a parsed Corefile: server blocks, directives, and the lines of their blocks.

Plugins read these: a statement checks the number of its arguments, and every argument is a `Token`, so that `values`
can name the place of a wrong one. All of it is immutable.
"""

import msgspec

from clusterdns.corefile.errors import CorefileError, ErrorList, hint_for
from clusterdns.corefile.keys import ServerKey
from clusterdns.corefile.lexer import Token

# Options that are gone: the name, the directives that had it (none: any), and what to do.
_REMOVED_OPTIONS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("upstream", (), "remove the line: CoreDNS has removed it; targets are looked up in any case"),
    ("resyncperiod", ("kubernetes",), "remove the line: CoreDNS has removed the option; objects are watched"),
    ("k8s_api", ("kubernetes",), "write 'endpoint URL', or remove the line inside a cluster"),
    ("federation", ("kubernetes",), "remove the line: Kubernetes has no federation any more"),
    ("cidrs", ("kubernetes",), "remove the line, and name the networks among the zones: kubernetes ZONE 10.0.0.0/8"),
    ("transfer", ("kubernetes", "file", "auto", "etcd"), "use the directive 'transfer' of the server block"),
    ("no_reload", ("file", "hosts", "auto"), "write 'reload 0'"),
    ("protocol", ("forward", "proxy"), "write the transport before the upstream: tls://, https://, or 'force_tcp'"),
    (
        "spray",
        ("forward", "proxy"),
        "remove the line: where all upstreams are down, one is asked at random in any case",
    ),
    ("fail_timeout", ("forward", "proxy"), "remove the line, or set 'health_check DURATION'"),
)


class Statement(msgspec.Struct, frozen=True):
    """A name and its arguments: a directive, or a line of its block."""

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
        """The file that contains the statement."""
        return self.words[0].file

    @property
    def line(self) -> int:
        """The line on which the statement begins, from 1."""
        return self.words[0].line

    @property
    def place(self) -> str:
        """`file:line`."""
        return self.words[0].place

    def error(self, text: str, hint: str = "") -> CorefileError:
        """Make an error that points at this statement."""
        return self.words[0].error(text, hint)

    def no_arguments(self) -> None:
        """Raise CorefileError where there are arguments."""
        self.arguments_between(0, 0)

    def one_argument(self, usage: str = "") -> Token:
        """Return the only argument. `usage` is its name in the error: `SECONDS` for `ttl`. Raises CorefileError."""
        return self.arguments_between(1, 1, usage)[0]

    def arguments_between(self, minimum: int, maximum: int | None = None, usage: str = "") -> tuple[Token, ...]:
        """Return the arguments. Raises CorefileError where there are fewer than `minimum` or more than `maximum`."""
        args = self.args
        if len(args) < minimum:
            wrong = self.words[-1]
        elif maximum is not None and len(args) > maximum:
            wrong = args[maximum]
        else:
            return args
        text = f"Wrong argument count or unexpected line ending after {wrong}"
        hint = f"'{self.name}' takes {_quantity(minimum, maximum)}"
        raise wrong.error(text, f"{hint}: {self.name} {usage}" if usage else hint)


class Line(Statement, frozen=True):
    """One line between a directive's braces."""


class Directive(Statement, frozen=True):
    """The statement of one plugin in a server block, with the lines between its braces, if any."""

    block: tuple[Line, ...] = ()

    def options(self, *known: str) -> tuple[Line, ...]:
        """Return the lines of the block. Raises CorefileErrors that names every line whose option is not known."""
        errors = ErrorList()
        for line in self.block:
            if line.name not in known and not errors.is_full:
                otherwise = "" if known else f"'{self.name}' takes no block"
                hint = _advice(self.name, line.name) or hint_for(line.name, known, otherwise)
                errors.add(line.error(f"unknown property '{line.name}'", hint))
        errors.raise_if_any()
        return self.block

    def no_block(self) -> None:
        """Raise CorefileErrors where there are lines in braces."""
        self.options()


class ServerBlock(msgspec.Struct, frozen=True):
    """The zones of a server block, and the directives that serve them, in file order."""

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
        """The zones as text, each once."""
        return tuple(dict.fromkeys(key.zone_text for key in self.keys))

    @property
    def directive_names(self) -> frozenset[str]:
        """The names of the directives in this block."""
        return frozenset(directive.name for directive in self.directives)

    def named(self, name: str) -> tuple[Directive, ...]:
        """Return the statements of one directive, in file order."""
        return tuple(directive for directive in self.directives if directive.name == name)


def _quantity(minimum: int, maximum: int | None) -> str:
    if maximum == 0:
        return "no argument"
    if minimum == maximum:
        return "exactly one argument" if minimum == 1 else f"exactly {minimum} arguments"
    if maximum is None:
        return f"at least {minimum} argument{'s' if minimum > 1 else ''}"
    return f"{minimum} to {maximum} arguments" if minimum else f"at most {maximum} argument{'s' if maximum > 1 else ''}"


def _advice(directive: str, option: str) -> str:
    """Return what to do about an option that this directive no longer has; empty where it never had it."""
    return next((text for name, had, text in _REMOVED_OPTIONS if name == option and (not had or directive in had)), "")
