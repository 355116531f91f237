"""Go's numeric, character and string constants, and strconv.ParseUint.

Errors are ValueErrors; the parser adds the position of the constant.
"""

import re
from typing import NamedTuple

from clusterdns.gotemplate.values import Unsigned, to_bytes, to_text

MAX_INT = 2**63 - 1
_MIN_INT = -(2**63)
_MAX_UNSIGNED = 2**64 - 1
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_HEX = r"[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*"
# Go allows an underscore between digits, and between a prefix and a digit.
_INTEGER = re.compile(
    r"([+-]?)(?:0[xX](?P<b16>(?:_?[0-9a-fA-F])+)|0[bB](?P<b2>(?:_?[01])+)|0[oO]?(?P<b8>(?:_?[0-7])+)"
    r"|(?P<b10>0|[1-9][0-9]*(?:_[0-9]+)*))\Z"
)
_FLOAT = re.compile(rf"[+-]?(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?\Z")
_HEX_FLOAT = re.compile(rf"[+-]?0[xX]_?(?:{_HEX}\.?(?:{_HEX})?|\.{_HEX})[pP][+-]?{_DIGITS}\Z")
_ESCAPE = re.compile(
    r"\\(?:(?P<simple>[abfnrtv\\'\"])|x(?P<byte>[0-9a-fA-F]{2})|(?P<octal>[0-7]{3})"
    r"|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|(?P<bad>.?))",
    re.DOTALL,
)
_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, '"': 34}
_SURROGATE = re.compile("[\ud800-\udfff]")


class Number(NamedTuple):
    """A numeric constant. `value` is its value where no type is required; None for one that overflows int."""

    value: int | float | None
    integer: int | None
    real: float


def number(text: str) -> Number:
    """Read a number as lexed, such as `0x1F`, `1_000`, `-2.5e3`."""
    whole_number = _integer(text)
    if whole_number is not None:
        if not _MIN_INT <= whole_number <= _MAX_UNSIGNED:
            raise ValueError(f"integer overflow: {text}")
        fits = whole_number <= MAX_INT
        return Number(whole_number if fits else None, whole_number if fits else None, float(whole_number))
    if text.endswith("i"):
        raise ValueError(f"complex numbers are not supported: {text}")
    plain = text.replace("_", "")
    try:
        if _HEX_FLOAT.match(text):
            real = float.fromhex(plain)
        elif _FLOAT.match(text) and re.search("[.eE]", text):
            real = float(plain)
        else:
            raise ValueError(f"illegal number syntax: {text}")
    except OverflowError:
        real = float("inf")
    if real in (float("inf"), float("-inf")):
        raise ValueError(f"number out of range: {text}")
    exact = int(real) if real.is_integer() and _MIN_INT <= real < MAX_INT else None
    return Number(real, exact, real)


def _integer(text: str) -> int | None:
    match = _INTEGER.match(text)
    if match is None:
        return None
    kind = match.lastgroup
    assert kind is not None
    value = int(match[kind].replace("_", ""), int(kind[1:]))
    return -value if match[1] == "-" else value


def character(text: str) -> int:
    """Read a character constant, quotes included, to its code point."""
    inner = text[1:-1]
    if "\\" not in inner:
        if len(inner) != 1:
            raise ValueError(f"malformed character constant: {text}")
        return 0xFFFD if _SURROGATE.match(inner) else ord(inner)
    match = _ESCAPE.match(inner)
    if match is None or match.end() != len(inner):
        raise ValueError(f"malformed character constant: {text}")
    return _escape(match, "'")[0]


def string(text: str) -> str:
    """Read a string constant, quotes included: "…" with escapes or `…` without."""
    inner = text[1:-1]
    if text[0] == "`":
        return inner.replace("\r", "")
    out = bytearray()
    end = 0
    for match in _ESCAPE.finditer(inner):
        out += _SURROGATE.sub("\ufffd", inner[end : match.start()]).encode()
        code, is_byte = _escape(match, '"')
        out += bytes((code,)) if is_byte else chr(code).encode()
        end = match.end()
    out += _SURROGATE.sub("\ufffd", inner[end:]).encode()
    return to_text(bytes(out))


def _escape(match: re.Match[str], quote: str) -> tuple[int, bool]:
    """Return the code of an escape sequence, and whether that is a byte rather than a character."""
    kind = match.lastgroup
    value = match[kind] if kind else ""
    if kind == "simple" and (value not in "'\"" or value == quote):
        return _SIMPLE[value], False
    if kind in ("byte", "octal"):
        code = int(value, 16 if kind == "byte" else 8)
        if code <= 0xFF:
            return code, True
    if kind in ("short", "long"):
        code = int(value, 16)
        if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
            return code, False
    raise ValueError(f"unknown escape sequence: {match[0]}")


def parse_uint(text: str, base: int, bits: int) -> Unsigned:
    """Read an integer as strconv.ParseUint does: base 0 reads the prefix, `bits` 0 means 64. Raises ValueError."""
    if (base != 0 and not 2 <= base <= 36) or not 0 <= bits <= 64:
        raise ValueError(f"invalid base {base} or bit size {bits}")
    if base == 0:
        value = None if text[:1] in ("+", "-") else _integer(text)
    else:
        # int() would also accept signs, spaces, underscores, prefixes and the digits of other scripts.
        value = int(text, base) if text.isascii() and text.isalnum() and _has_digits(text, base) else None
    if value is None:
        raise ValueError(f"not a number in base {base}: {to_text(to_bytes(text))!r}")
    if value >= 1 << (bits or 64):
        raise ValueError(f"out of range for {bits or 64} bits: {text}")
    return Unsigned(value, 64)


def _has_digits(text: str, base: int) -> bool:
    return len(text) <= 4096 and all(int(one, 36) < base for one in text)
