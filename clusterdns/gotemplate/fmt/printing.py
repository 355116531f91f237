"""Go's fmt: print, println and the verbs of printf, including its output for a verb that does not fit the value.

Widths and precisions count characters. A text longer than MAX_TEXT_BYTES is an error, raised before it is built.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clusterdns.gotemplate.errors import TemplateFailed
from clusterdns.gotemplate.fmt import floats
from clusterdns.gotemplate.fmt.quoting import quote, quote_character, raw_quote
from clusterdns.gotemplate.values import MAX_TEXT_BYTES, Fields, Function, Unsigned, to_bytes, type_name, whole

_BASES = {"d": "d", "v": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}


@dataclass(frozen=True, slots=True)
class FormatFlags:
    """The flags, width and precision before a verb. `%#v` and `%+v` have flags of their own."""

    minus: bool = False
    plus: bool = False
    sharp: bool = False
    space: bool = False
    zero: bool = False
    go_syntax: bool = False
    names: bool = False
    width: int | None = None
    precision: int | None = None

    def pad(self, text: str, zeros: bool = True) -> str:
        """Pad the text to the width, with zeros if the flag `0` is set, which Go obeys even for strings."""
        missing = (self.width or 0) - len(text)
        if missing <= 0:
            return text
        if max(self.width or 0, self.precision or 0) > MAX_TEXT_BYTES:
            raise TemplateFailed(f"width of {self.width}")
        if self.minus:
            return text + " " * missing
        return ("0" if zeros and self.zero else " ") * missing + text

    def cut(self, text: str) -> str:
        """Cut a string to the precision."""
        return text if self.precision is None else text[: self.precision]


PLAIN = FormatFlags()


def sprint(values: Sequence[object]) -> str:
    """Go's Sprint: a space only between two operands that are not strings."""
    pieces: list[str] = []
    before_is_text = True
    for value in values:
        is_text = isinstance(value, str)
        if not is_text and not before_is_text:
            pieces.append(" ")
        pieces.append(render(value, "v", PLAIN))
        before_is_text = is_text
    return joined(pieces)


def sprintln(values: Sequence[object]) -> str:
    """Go's Sprintln."""
    return joined([" ".join(render(value, "v", PLAIN) for value in values), "\n"])


def joined(pieces: Sequence[str]) -> str:
    """Join the pieces. Raises TemplateFailed for too long a text, before it is built."""
    if sum(map(len, pieces)) > MAX_TEXT_BYTES:
        raise TemplateFailed(f"text of more than {MAX_TEXT_BYTES} bytes")
    return whole("".join(pieces))


def render(value: Any, verb: str, flags: FormatFlags) -> str:
    """Format one operand of a printing function."""
    if value is None:
        return flags.pad("<nil>") if verb in ("T", "v") else f"%!{verb}(<nil>)"
    if verb == "T":
        return flags.pad(flags.cut(type_name(value)))
    # %w is for errors; %p would reveal an address of the server's memory.
    return _misfit(value, verb, flags) if verb in ("w", "p") else _render(value, verb, flags)


def _render(value: Any, verb: str, flags: FormatFlags) -> str:
    match value:
        case bool():
            return flags.pad("true" if value else "false") if verb in ("t", "v") else _misfit(value, verb, flags)
        case int():
            return _integer(value, verb, flags)
        case float():
            return _float(value, verb, flags)
        case str():
            return _string(value, verb, flags)
        case Fields(text=str(text)) if verb in ("v", "s", "q", "x", "X") and not flags.go_syntax:
            return _string(text, verb, flags)
        case Fields():
            named = flags.names or flags.go_syntax
            fields = [(name, one) for name, one in value.items() if not isinstance(one, Function)]
            inner = [(f"{name}:" if named else "") + _nested(one, verb, flags) for name, one in fields]
            return _enclosed(value, inner, ("{", "}"), flags)
        case Mapping():
            pairs = [f"{_nested(key, verb, flags)}:{_nested(value[key], verb, flags)}" for key in sorted_keys(value)]
            return _enclosed(value, pairs, ("map[", "]"), flags)
        case list() | tuple():
            return _enclosed(value, [_nested(one, verb, flags) for one in value], ("[", "]"), flags)
    return _misfit(value, verb, flags)


def sorted_keys(mapping: Mapping[str, Any]) -> list[str]:
    """Return the keys in the order in which Go prints and iterates over a map."""
    return sorted(mapping, key=to_bytes)


def _nested(value: object, verb: str, flags: FormatFlags) -> str:
    if value is None:
        return "interface {}(nil)" if flags.go_syntax else "<nil>"
    return _render(value, verb, flags)


def _enclosed(value: object, inner: list[str], brackets: tuple[str, str], flags: FormatFlags) -> str:
    if flags.go_syntax:
        return joined([type_name(value), "{", ", ".join(inner), "}"])
    return joined([brackets[0], " ".join(inner), brackets[1]])


def _misfit(value: object, verb: str, flags: FormatFlags) -> str:
    if callable(value):
        return f"%!{verb}({type_name(value)})"
    return f"%!{verb}({type_name(value)}={_render(value, 'v', flags)})"


def _integer(value: int, verb: str, flags: FormatFlags) -> str:
    if verb in ("c", "q", "U"):
        return _character(value, verb, flags)
    base = _BASES.get(verb)
    if base is None:
        return _misfit(value, verb, flags)
    sharp = flags.sharp
    if verb == "v" and flags.go_syntax and isinstance(value, Unsigned):
        base, sharp = "x", True
    text = format(abs(value), base)
    sign = "-" if value < 0 else "+" if flags.plus else " " if flags.space else ""
    if max(flags.width or 0, flags.precision or 0) > MAX_TEXT_BYTES:
        raise TemplateFailed(f"number of {max(flags.width or 0, flags.precision or 0)} digits")
    if flags.precision is not None:
        if not flags.precision and not value:
            return " " * (flags.width or 0)
        text = text.zfill(flags.precision)
    elif flags.zero and not flags.minus and flags.width:
        text = text.zfill(flags.width - len(sign))
    if sharp and (base in "bxX" or (base == "o" and text[0] != "0")):
        text = {"b": "0b", "o": "0", "x": "0x", "X": "0X"}[base] + text
    if verb == "O":
        text = f"0o{text}"
    return flags.pad(sign + text, zeros=False)


def _character(value: int, verb: str, flags: FormatFlags) -> str:
    code = value % 2**64  # as Go converts it
    is_character = code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF
    character = chr(code) if is_character else "\ufffd"
    if verb == "c":
        return flags.pad(character)
    if verb == "q":
        return flags.pad(quote_character(character, ascii_only=flags.plus))
    text = "U+" + format(code, "X").zfill(max(4, min(flags.precision or 0, MAX_TEXT_BYTES)))
    if flags.sharp and is_character and character.isprintable():
        text += f" '{character}'"
    return flags.pad(text, zeros=False)


def _float(value: float, verb: str, flags: FormatFlags) -> str:
    kind = {"v": "g", "F": "f"}.get(verb, verb)
    if kind not in ("b", "g", "G", "x", "X", "f", "e", "E"):
        return _misfit(value, verb, flags)
    sign = "-" if math.copysign(1.0, value) < 0 else "+" if flags.plus else " " if flags.space else ""
    if math.isnan(value):
        return flags.pad({True: "+", False: " " if flags.space else ""}[flags.plus] + "NaN", zeros=False)
    if math.isinf(value):
        return flags.pad((sign or "+") + "Inf", zeros=False)
    precision = flags.precision
    if precision is None and kind in ("f", "e", "E"):
        precision = 6
    if (precision or 0) > MAX_TEXT_BYTES:
        raise TemplateFailed(f"number of {precision} digits")
    text = floats.digits(value, kind, precision)
    if flags.sharp:
        text = floats.with_point(text, kind, precision)
    if sign and flags.zero and not flags.minus and flags.width:
        return sign + replace(flags, width=flags.width - len(sign)).pad(text)
    return flags.pad(sign + text)


def _string(value: str, verb: str, flags: FormatFlags) -> str:
    if verb == "v":
        verb = "q" if flags.go_syntax else "s"
    match verb:
        case "s":
            return flags.pad(flags.cut(value))
        case "q":
            value = flags.cut(value)
            raw = raw_quote(value) if flags.sharp else None
            return flags.pad(raw or quote(value, ascii_only=flags.plus))
        case "x" | "X":
            raw_bytes = to_bytes(value)[: flags.precision]
            if not raw_bytes:
                return flags.pad("")
            prefix = f"0{verb}" if flags.sharp else ""
            if flags.space:
                text = " ".join(f"{prefix}{one:02{verb}}" for one in raw_bytes)
            else:
                text = prefix + (raw_bytes.hex() if verb == "x" else raw_bytes.hex().upper())
            return flags.pad(text)
    return _misfit(value, verb, flags)
