"""The values a template works on, and the Go types they stand for.

`str`, `bool`, `int` and `float` are Go's string, bool, int and float64; a plain list or mapping holds anything. Go's
strings are bytes: one that is not UTF-8 keeps its odd bytes as lone surrogates (`surrogateescape`). Two kinds of
nothing are told apart, as in Go: None is a nil that stands somewhere, MISSING is what an absent map key yields.
"""

import enum
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from clusterdns.gotemplate.errors import TemplateFailed

MAX_TEXT_BYTES = 65_536  # no reply is longer, so no part of one need be


class Nothing(enum.Enum):
    """MISSING: a value that is not there. ABSENT: no value came down the pipeline."""

    MISSING = enum.auto()
    ABSENT = enum.auto()


MISSING: Final = Nothing.MISSING
ABSENT: Final = Nothing.ABSENT


class Unsigned(int):
    """An unsigned Go integer: `Unsigned(98, 8)` is a uint8."""

    bits: int

    def __new__(cls, value: int, bits: int = 64) -> "Unsigned":
        self = super().__new__(cls, value)
        self.bits = bits
        return self


class StringList(list[str]):
    """Go's []string; a plain list is a []interface {}."""


class StringMap(dict[str, str]):
    """Go's map[string]string, whose absent keys index to the empty string; a plain mapping is a map[string]any."""


class Fields(dict[str, Any]):
    """A Go struct: asking for a field it lacks fails. A `Function` in it is a method. `text` is what it prints as."""

    def __init__(self, fields: Mapping[str, Any], type_name: str = "struct", text: str | None = None) -> None:
        super().__init__(fields)
        self.type_name = type_name
        self.text = text


class Function(NamedTuple):
    """Something to call. A parameter is str, int, float, bool, or object for anything."""

    call: Callable[..., Any]
    parameters: tuple[type, ...]
    rest: bool = False  # the last parameter stands for any number of arguments, none included

    @classmethod
    def of(cls, call: Callable[..., Any]) -> "Function":
        """Read the parameters off a Python function's annotations; whatever is not a plain type takes anything."""
        known = {name: kind for kind in (str, int, float, bool) for name in (kind, kind.__name__)}
        parameters = list(inspect.signature(call).parameters.values())
        rest = bool(parameters) and parameters[-1].kind is inspect.Parameter.VAR_POSITIONAL
        return cls(call, tuple(known.get(one.annotation, object) for one in parameters), rest)

    def arity_fault(self, name: str, count: int) -> str | None:
        """What is wrong with calling it with so many arguments, or None."""
        wanted = len(self.parameters) - self.rest
        if count == wanted or (self.rest and count > wanted):
            return None
        return f"{name} wants {'at least ' * self.rest}{wanted} argument{'s' * (wanted != 1)}, not {count}"

    def parameter(self, position: int) -> type:
        """The type wanted of the argument at this position, counted from 0."""
        return self.parameters[min(position, len(self.parameters) - 1)]


def type_name(value: object) -> str:
    """The name of the value's type as Go writes it."""
    match value:
        case bool():
            return "bool"
        case Unsigned():
            return f"uint{value.bits}"
        case int():
            return "int"
        case float():
            return "float64"
        case str():
            return "string"
        case StringList():
            return "[]string"
        case list() | tuple():
            return "[]interface {}"
        case Fields():
            return value.type_name
        case StringMap():
            return "map[string]string"
        case Mapping():
            return "map[string]interface {}"
        case None | Nothing():
            return "<nil>"
    return "func"


def is_true(value: object) -> bool:
    """Go's truth: zero, the empty and nil are false; a struct or a function is always true."""
    if value is None or value is MISSING:
        return False
    if isinstance(value, Fields | Function):
        return True
    if isinstance(value, str | int | float | list | tuple | Mapping):
        return bool(value)
    return True


def to_bytes(text: str) -> bytes:
    """A Go string's bytes."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise TemplateFailed("a text with half a surrogate pair") from None


def to_text(raw: bytes) -> str:
    """The Go string of these bytes."""
    return raw.decode("utf-8", "surrogateescape")


def whole(text: str) -> str:
    """The text with bytes that came together to a character written as that character, and within the limit."""
    if len(text) > MAX_TEXT_BYTES:
        raise TemplateFailed(f"a text of more than {MAX_TEXT_BYTES} bytes")
    if text.isascii():
        return text
    raw = to_bytes(text)
    if len(raw) > MAX_TEXT_BYTES:
        raise TemplateFailed(f"a text of more than {MAX_TEXT_BYTES} bytes")
    return to_text(raw)
