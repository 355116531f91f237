"""Go's formats of floating-point numbers for the verbs of printf, without sign and padding."""

import math
from decimal import Decimal


def digits(value: float, verb: str, precision: int | None) -> str:
    """Format the magnitude of a finite number for a verb of eEfgGxXb; precision None: the shortest exact form."""
    value = abs(value)
    match verb:
        case "f" | "e" | "E":
            return f"{value:.{precision}{verb}}"
        case "g" | "G":
            text = _shortest(value) if precision is None else f"{value:.{precision or 1}g}"
            return text.upper() if verb == "G" else text
        case "b":
            scale = max(math.frexp(value)[1] - 53, -1074) if value else -1074  # the smallest exponent
            numerator, denominator = value.as_integer_ratio()
            mantissa = (numerator << max(-scale, 0)) // (denominator << max(scale, 0))
            return f"{mantissa}p{scale:+d}"
    text = _hexadecimal(value, precision)
    return text.upper() if verb == "X" else text


def _shortest(value: float) -> str:
    """Format the fewest digits that parse to the value, with an exponent from 1e-05 down and from 1e+06 up."""
    _, mantissa, scale = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(scale, int)
    exponent = len(mantissa) + scale - 1
    if value and not -4 <= exponent < 6:
        return f"{value:.{len(mantissa) - 1}e}"
    return f"{value:.{max(-scale, 0)}f}"


def _hexadecimal(value: float, precision: int | None) -> str:
    fraction, exponent = math.frexp(value)
    mantissa = int(fraction * 2**53)  # 53 bits: one digit before the point, 13 after
    exponent -= 1
    if not mantissa:
        tail, exponent, lead = "0" * (precision or 0), 0, 0
    elif precision is None:
        lead, tail = 1, f"{mantissa & (2**52 - 1):013x}".rstrip("0")
    else:
        if precision < 13:
            unit = 1 << (52 - 4 * precision)
            half, rest = unit // 2, mantissa % unit
            mantissa -= rest
            if rest > half or (rest == half and (mantissa // unit) & 1):
                mantissa += unit
            if mantissa >= 2**53:
                mantissa, exponent = mantissa // 2, exponent + 1
        lead, tail = 1, f"{mantissa & (2**52 - 1):013x}"[:precision].ljust(precision, "0")
    return f"0x{lead}{'.' if tail else ''}{tail}p{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def with_point(text: str, verb: str, precision: int | None) -> str:
    """Add what the flag `#` requires: a decimal point, and trailing zeros up to the precision."""
    if verb == "b":
        return text
    marks = "pP" if verb in ("x", "X") else "eEpP"
    cut = next((at for at, one in enumerate(text) if one in marks), len(text))
    mantissa, tail = text[:cut], text[cut:]
    wanted = 0
    if verb in ("g", "G", "x"):
        wanted = 6 if precision is None else precision
    significant = len(mantissa.replace(".", "").lstrip("0"))
    if "." not in mantissa:
        wanted -= mantissa == "0"
        mantissa += "."
    return mantissa + "0" * (wanted - significant) + tail
