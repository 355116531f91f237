"""Numbers as people read them: rates, shares, times, sizes, ages, and a minute as a sparkline."""

from collections.abc import Sequence

UNKNOWN = "-"
_BLOCKS = "▁▂▃▄▅▆▇█"
_PLAIN_LEVELS = "_.,:-=+#"  # for a terminal without Unicode
_UNITS = ("KiB", "MiB", "GiB", "TiB")


def rate(per_second: float) -> str:
    """Write a rate, with a decimal where it is small."""
    return f"{per_second:,.1f}/s" if per_second < 99.95 else f"{per_second:,.0f}/s"


def share(part: float | None) -> str:
    """Write a part of one in per cent, with decimals where it is nearly all or nearly nothing."""
    if part is None:
        return UNKNOWN
    percent = 100 * part
    return f"{percent:.2f} %" if 99 < percent < 100 or 0 < percent < 1 else f"{percent:.0f} %"


def duration(seconds: float | None) -> str:
    """Write a short time."""
    if seconds is None:
        return UNKNOWN
    if seconds < 0.0001:
        return f"{1e3 * seconds:.2f} ms"
    return f"{1e3 * seconds:.1f} ms" if seconds < 0.9995 else f"{seconds:.2f} s"


def age(seconds: float) -> str:
    """Write how long ago something was, in its two largest units."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    for size, unit, below, small in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // below} {small}"
    return f"{whole} s"


def size(count: int) -> str:
    """Write a number of bytes."""
    if count < 1024:
        return f"{count} B"
    power = min((count.bit_length() - 1) // 10, len(_UNITS))
    value = count / 1024**power
    return f"{value:.1f} {_UNITS[power - 1]}" if value < 9.95 else f"{value:.0f} {_UNITS[power - 1]}"


def sparkline(values: Sequence[float | None], width: int, *, has_blocks: bool) -> str:
    """Draw the last values, one character each, from 0 to their maximum; what is not known is blank."""
    shown = values[-width:] if width > 0 else ()
    levels = _BLOCKS if has_blocks else _PLAIN_LEVELS
    most = max((one for one in shown if one is not None), default=0.0)
    top = len(levels) - 1
    return "".join(
        " " if one is None else levels[min(top, round(top * max(one, 0.0) / most)) if most > 0 else 0] for one in shown
    )


def bar(part: float, width: int, *, has_blocks: bool) -> str:
    """Draw a part of one as a bar."""
    full, empty = ("█", "░") if has_blocks else ("#", ".")
    count = round(width * min(max(part, 0.0), 1.0))
    return full * count + empty * (width - count)
