"""The tree of a template: bodies of statements, which hold pipelines of commands, which hold operands.

Positions are offsets into the template's text. A tree holds no values of an execution and never changes.
"""

from dataclasses import dataclass

from clusterdns.gotemplate.literals import Number


@dataclass(frozen=True, slots=True)
class Dot:
    """`.`"""


@dataclass(frozen=True, slots=True)
class Nil:
    """`nil`"""


@dataclass(frozen=True, slots=True)
class Constant:
    """A string, a boolean or a number, and how it was written."""

    value: str | bool | Number
    source: str


@dataclass(frozen=True, slots=True)
class Field:
    """`.Group.name`"""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """`$x` or `$x.Field`; the name has its `$`."""

    name: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Name:
    """A function's name."""

    name: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Fields of something else than the dot or a variable: `(index .List 1).Name`"""

    operand: "Operand"
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """What is evaluated, and what is handed to it."""

    head: "Operand"
    arguments: tuple["Operand", ...]
    position: int


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each given the value of the one before; the last one's value may go to variables."""

    targets: tuple[str, ...]
    assigns: bool  # `=`, not `:=`
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """Text outside actions."""

    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """A pipeline whose value is printed unless it goes to a variable."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Branches:
    """`if` or `with`, each condition with its body, tried in order."""

    sets_dot: bool
    branches: tuple[tuple[Pipeline, "Body"], ...]
    otherwise: "Body"


@dataclass(frozen=True, slots=True)
class Range:
    """`range`, and what stands for an empty one."""

    pipeline: Pipeline
    body: "Body"
    otherwise: "Body"
    position: int


@dataclass(frozen=True, slots=True)
class Leave:
    """`break`, or `continue` where `again`."""

    again: bool


@dataclass(frozen=True, slots=True)
class Invoke:
    """`template`, or the place of a `block`."""

    name: str
    pipeline: Pipeline | None
    position: int


Operand = Dot | Nil | Constant | Field | Variable | Name | Chain | Pipeline
Statement = Text | Action | Branches | Range | Leave | Invoke
Body = tuple[Statement, ...]


def is_blank(body: Body) -> bool:
    """Whether nothing but white space is in it: Go lets such a definition be replaced."""
    return all(isinstance(one, Text) and not one.text.strip() for one in body)
