"""The tree of a template: bodies of statements, with pipelines of commands, with operands.

Positions are offsets into the template's text. A tree is immutable and has no state of an execution.
"""

from dataclasses import dataclass

from clusterdns.gotemplate.literals import Number


@dataclass(frozen=True, slots=True)
class Dot:
    """The dot, `.`."""


@dataclass(frozen=True, slots=True)
class Nil:
    """The constant `nil`."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A string, a boolean or a number, with its source text."""

    value: str | bool | Number
    source: str


@dataclass(frozen=True, slots=True)
class Field:
    """Fields of the dot, `.Group.name`."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """`$x` or `$x.Field`; the name has its `$`."""

    name: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a function."""

    name: str


@dataclass(frozen=True, slots=True)
class FieldChain:
    """Fields of an operand that is neither the dot nor a variable, `(index .List 1).Name`."""

    operand: "Operand"
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """An operand to evaluate, and the arguments for it."""

    head: "Operand"
    arguments: tuple["Operand", ...]
    position: int


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each given the value of the previous one; the last value may be assigned to variables."""

    targets: tuple[str, ...]
    assigns: bool  # `=`, not `:=`
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """Text outside actions."""

    text: str


@dataclass(frozen=True, slots=True)
class PipelineAction:
    """A pipeline whose value is printed, unless it is assigned to a variable."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Branches:
    """`if` or `with`: conditions with their bodies, tried in order."""

    sets_dot: bool
    branches: tuple[tuple[Pipeline, "Body"], ...]
    otherwise: "Body"


@dataclass(frozen=True, slots=True)
class Range:
    """`range`, and its `else` for an empty collection."""

    pipeline: Pipeline
    body: "Body"
    otherwise: "Body"
    position: int


@dataclass(frozen=True, slots=True)
class Leave:
    """`break`, or `continue` if `again`."""

    again: bool


@dataclass(frozen=True, slots=True)
class Invoke:
    """`template`, or a `block`, which is a definition and its invocation."""

    name: str
    pipeline: Pipeline | None
    position: int


Operand = Dot | Nil | Constant | Field | Variable | Name | FieldChain | Pipeline
Statement = Text | PipelineAction | Branches | Range | Leave | Invoke
Body = tuple[Statement, ...]


def is_blank(body: Body) -> bool:
    """Return whether the body is only white space; as in Go, such a definition may be replaced."""
    return all(isinstance(one, Text) and not one.text.strip() for one in body)
