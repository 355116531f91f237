"""Go's built-in functions, apart from the formats of `printing` and `formats`.

All are pure. An error that Go reports for a call raises TemplateFailed. `and` and `or` get all their operands here;
`evaluation` stops at the operand that decides.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus

from clusterdns.gotemplate.errors import TemplateFailed
from clusterdns.gotemplate.fmt.formats import sprintf
from clusterdns.gotemplate.fmt.printing import sprint, sprintln
from clusterdns.gotemplate.values import (
    MISSING,
    Fields,
    Function,
    StringMap,
    Unsigned,
    is_true,
    to_bytes,
    to_text,
    type_name,
    whole,
)

_HTML = str.maketrans({'"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;", "\0": "\ufffd"})
_JS_SPECIAL = re.compile(r"[\\'\"<>&=\x00-\x1f]|[^\x00-\x7f]")
_JS_SHORT = {"\\": r"\\", "'": r"\'", '"': r"\""}


def invoke(function: Function, name: str, arguments: list[Any]) -> Any:
    """Call a function with converted arguments. Raises TemplateFailed where the function raises ValueError."""
    try:
        result = function.call(*arguments)
    except ValueError as error:
        raise TemplateFailed(f"{name}: {error}") from None
    return whole(result) if isinstance(result, str) else result


def converted(value: Any, wanted: type) -> Any:
    """Check that a value may be an argument of this type; as in Go, nothing is converted. Raises TemplateFailed."""
    if wanted is object:
        return None if value is MISSING else value
    fits = type(value) is int if wanted is int else isinstance(value, wanted)
    if not fits:
        name = {str: "string", int: "int", float: "float64", bool: "bool"}.get(wanted, wanted.__name__)
        raise TemplateFailed(f"expected {name}, got {type_name(value)}")
    return value


def all_true(*values: Any) -> Any:
    """Go's `and`: return the first operand that is false, or the last."""
    return next((value for value in values if not is_true(value)), values[-1])


def any_true(*values: Any) -> Any:
    """Go's `or`: return the first operand that is true, or the last."""
    return next((value for value in values if is_true(value)), values[-1])


def _not(value: Any) -> bool:
    return not is_true(value)


def _call(function: Any, *arguments: Any) -> Any:
    if not isinstance(function, Function):
        raise TemplateFailed(f"cannot call {type_name(function)}")
    fault = function.arity_fault("the function", len(arguments))
    if fault is not None:
        raise TemplateFailed(fault)
    return invoke(function, "call", [converted(one, function.parameter(at)) for at, one in enumerate(arguments)])


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(to_bytes(value))
    if isinstance(value, Fields) or not isinstance(value, list | tuple | Mapping):
        raise TemplateFailed(f"len of {type_name(value)}")
    return len(value)


def _index(value: Any, *keys: Any) -> Any:
    if value is None:
        raise TemplateFailed("index of nil")
    for key in keys:
        if isinstance(value, str):
            raw = to_bytes(value)
            value = Unsigned(raw[_position(key, len(raw) - 1)], 8)
        elif isinstance(value, list | tuple):
            value = value[_position(key, len(value) - 1)]
        elif isinstance(value, Mapping) and not isinstance(value, Fields):
            if not isinstance(key, str):
                raise TemplateFailed(f"a map's key is a string, not {type_name(key)}")
            value = value.get(key, "" if isinstance(value, StringMap) else None)
        else:
            raise TemplateFailed(f"cannot index {type_name(value)}")
    return value


def _position(key: Any, last: int) -> int:
    if not isinstance(key, int) or isinstance(key, bool):
        raise TemplateFailed(f"cannot index with {type_name(key)}")
    if not 0 <= key <= last:
        raise TemplateFailed(f"index out of range: {int(key)}")
    return int(key)


def _slice(value: Any, *bounds: Any) -> Any:
    if not isinstance(value, str | list | tuple):
        raise TemplateFailed(f"cannot slice {type_name(value)}")
    if len(bounds) > (2 if isinstance(value, str) else 3):
        raise TemplateFailed(f"too many slice indexes: {len(bounds)}")
    held = to_bytes(value) if isinstance(value, str) else value
    ends = [_position(one, len(held)) for one in bounds]
    start, end, *most = (*ends, *(0, len(held))[len(ends) :])
    if not start <= end <= (most[0] if most else len(held)):
        raise TemplateFailed(f"slice bounds out of order: {ends}")
    part = held[start:end]
    if isinstance(part, bytes):
        return to_text(part)
    return part if isinstance(part, tuple) else type(value)(part)


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float"
        case str():
            return "string"
    return "nil" if value is None else "other"


def _equal(first: Any, *others: Any) -> bool:
    if not others:
        raise TemplateFailed("missing argument for comparison")
    return any(_same(first, other) for other in others)


def _same(first: Any, other: Any) -> bool:
    kinds = {_kind(first), _kind(other)}
    if "nil" in kinds:
        return len(kinds) == 1
    if len(kinds) > 1:
        raise TemplateFailed(f"cannot compare {type_name(first)} with {type_name(other)}")
    if kinds != {"other"}:
        return bool(first == other)
    if isinstance(first, Fields) and isinstance(other, Fields):
        return first is other
    raise TemplateFailed(f"cannot compare {type_name(first)} with {type_name(other)}")


def _not_equal(first: Any, other: Any) -> bool:
    return not _same(first, other)


def _less(first: Any, other: Any) -> bool:
    kind = _kind(first)
    if kind != _kind(other) or kind not in ("int", "float", "string"):
        raise TemplateFailed(f"cannot order {type_name(first)} and {type_name(other)}")
    if kind == "string":
        return to_bytes(first) < to_bytes(other)
    return bool(first < other)


def _at_most(first: Any, other: Any) -> bool:
    return _less(first, other) or _same(first, other)


def _greater(first: Any, other: Any) -> bool:
    return not _at_most(first, other)


def _at_least(first: Any, other: Any) -> bool:
    return not _less(first, other)


def _escaper(escape: Callable[[str], str]) -> Callable[..., str]:
    def escape_all(*values: Any) -> str:
        return escape(sprint(["<no value>" if value is None else value for value in values]))

    return escape_all


def _escape_html(text: str) -> str:
    return text.translate(_HTML)


def _escape_js(text: str) -> str:
    def escape(match: re.Match[str]) -> str:
        one = match[0]
        if one in _JS_SHORT:
            return _JS_SHORT[one]
        if one >= "\x80" and (one.isprintable() or "\ud800" <= one <= "\udfff"):
            return one
        return f"\\u{ord(one):04X}"

    return _JS_SPECIAL.sub(escape, text)


def _escape_query(text: str) -> str:
    return quote_plus(to_bytes(text), safe="")


def _printf(template: str, *values: Any) -> str:
    return sprintf(template, values)


def _print(*values: Any) -> str:
    return sprint(values)


def _println(*values: Any) -> str:
    return sprintln(values)


_ANY = (object,)
_PAIR = (object, object)
BUILTINS: dict[str, Function] = {
    "and": Function(all_true, _PAIR, rest=True),
    "or": Function(any_true, _PAIR, rest=True),
    "not": Function(_not, _ANY),
    "call": Function(_call, _PAIR, rest=True),
    "len": Function(_length, _ANY),
    "index": Function(_index, _PAIR, rest=True),
    "slice": Function(_slice, _PAIR, rest=True),
    "eq": Function(_equal, _PAIR, rest=True),
    "ne": Function(_not_equal, _PAIR),
    "lt": Function(_less, _PAIR),
    "le": Function(_at_most, _PAIR),
    "gt": Function(_greater, _PAIR),
    "ge": Function(_at_least, _PAIR),
    "print": Function(_print, _ANY, rest=True),
    "println": Function(_println, _ANY, rest=True),
    "printf": Function(_printf, (str, object), rest=True),
    "html": Function(_escaper(_escape_html), _ANY, rest=True),
    "js": Function(_escaper(_escape_js), _ANY, rest=True),
    "urlquery": Function(_escaper(_escape_query), _ANY, rest=True),
}
