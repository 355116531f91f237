"""The values of a template, and the Go types that they represent.

`str`, `bool`, `int` and `float` are Go's string, bool, int and float64; a plain list or mapping has elements of any
type. Go's strings are bytes: bytes that are not UTF-8 are lone surrogates here (`surrogateescape`). As in Go a nil
value (None) differs from the value of an absent map key (MISSING).
"""

import enum
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from clusterdns.gotemplate.errors import TemplateFailed

MAX_TEXT_BYTES = 65_536  # as long as the longest DNS message


class Nothing(enum.Enum):
    """MISSING: the value of an absent map key. ABSENT: the pipeline has no previous command."""

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
    """Go's map[string]string, whose absent keys have the empty string; a plain mapping is a map[string]any."""


class Fields(dict[str, Any]):
    """A Go struct, whose absent fields are errors. A `Function` in it is a method. `text` is printed for it."""

    def __init__(self, fields: Mapping[str, Any], type_name: str = "struct", text: str | None = None) -> None:
        super().__init__(fields)
        self.type_name = type_name
        self.text = text


class Function(NamedTuple):
    """A function for templates. A parameter is str, int, float, bool, or object for any type."""

    call: Callable[..., Any]
    parameters: tuple[type, ...]
    rest: bool = False  # the last parameter is variadic

    @classmethod
    def of(cls, call: Callable[..., Any]) -> "Function":
        """Wrap a Python function; parameters without one of the four types as annotation accept any type."""
        known = {name: kind for kind in (str, int, float, bool) for name in (kind, kind.__name__)}
        parameters = list(inspect.signature(call).parameters.values())
        rest = bool(parameters) and parameters[-1].kind is inspect.Parameter.VAR_POSITIONAL
        return cls(call, tuple(known.get(one.annotation, object) for one in parameters), rest)

    def arity_fault(self, name: str, count: int) -> str | None:
        """Return the error of a call with this many arguments, or None."""
        wanted = len(self.parameters) - self.rest
        if count == wanted or (self.rest and count > wanted):
            return None
        return f"{name} takes {'at least ' * self.rest}{wanted} argument{'s' * (wanted != 1)}, not {count}"

    def parameter(self, position: int) -> type:
        """Return the type of the argument at this position, from 0."""
        return self.parameters[min(position, len(self.parameters) - 1)]


def type_name(value: object) -> str:
    """Return Go's name for the type of a value."""
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
    """Return Go's truth of a value: zero, empty and nil are false; a struct or a function is always true."""
    if value is None or value is MISSING:
        return False
    if isinstance(value, Fields | Function):
        return True
    if isinstance(value, str | int | float | list | tuple | Mapping):
        return bool(value)
    return True


def to_bytes(text: str) -> bytes:
    """Return the bytes of a Go string. Raises TemplateFailed."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise TemplateFailed("text with an unpaired surrogate") from None


def to_text(raw: bytes) -> str:
    """Return the Go string of these bytes."""
    return raw.decode("utf-8", "surrogateescape")


def whole(text: str) -> str:
    """Decode bytes that make a character after a concatenation. Raises TemplateFailed for too long a text."""
    if len(text) > MAX_TEXT_BYTES:
        raise TemplateFailed(f"text of more than {MAX_TEXT_BYTES} bytes")
    if text.isascii():
        return text
    raw = to_bytes(text)
    if len(raw) > MAX_TEXT_BYTES:
        raise TemplateFailed(f"text of more than {MAX_TEXT_BYTES} bytes")
    return to_text(raw)
