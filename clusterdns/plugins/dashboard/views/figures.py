"""Numbers for people: rates, times, sizes, shares; and pictures of them."""

from collections.abc import Sequence

from clusterdns.plugins.dashboard.views.markup import Markup, element

UNKNOWN = "–"
_WIDTH, _HEIGHT = 240, 40  # of a sparkline, in units of its own
_MIB = 1 << 20


def rate(per_second: float) -> str:
    """Write a number per second with three digits or all of its integer part: 0.04, 1.2, 45.6, 12,345."""
    if per_second >= 100:
        return f"{per_second:,.0f}"
    if per_second >= 1:
        return f"{per_second:.1f}"
    return f"{per_second:.2f}" if per_second else "0"


def seconds(value: float | None) -> str:
    """Write a duration in µs, ms, s, minutes or hours."""
    if value is None:
        return UNKNOWN
    if value < 0.0001:
        return f"{value * 1e6:.0f} µs"
    if value < 1:
        return f"{_short(value * 1e3)} ms"
    if value < 120:
        return f"{_short(value)} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def share(value: float | None) -> str:
    """Write a share of 1 in percent; 100 % only where nothing is missing."""
    if value is None:
        return UNKNOWN
    percent = 100 * value
    return f"{min(percent, 99.9):.1f} %".replace(".0 ", " ") if 0 < percent < 100 else f"{percent:.0f} %"


def size(octets: int | None) -> str:
    """Write a size in MiB."""
    if octets is None:
        return UNKNOWN
    return f"{octets / _MIB:,.0f} MiB" if octets >= 10 * _MIB else f"{octets / _MIB:.1f} MiB"


def _short(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def bar(part: float, whole: float) -> Markup:
    """Draw a share as a bar; the number beside it says the same, so that screen readers skip the picture."""
    width = 0 if whole <= 0 else max(0.0, min(100.0, 100 * part / whole))
    filled = element("rect", width=f"{width:.1f}", height="6", class_="fill")
    track = element("rect", width="100", height="6", class_="track")
    return element(
        "svg", track, filled, class_="bar", viewBox="0 0 100 6", preserveAspectRatio="none", aria_hidden="true"
    )


def sparkline(values: Sequence[float | None], label: str) -> Markup:
    """Draw the values of the last seconds, the oldest at the left; gaps where there is none."""
    known = [one for one in values if one is not None]
    top = max(known, default=0.0) or 1.0
    step = _WIDTH / max(1, len(values) - 1)
    lines: list[list[str]] = [[]]
    for number, value in enumerate(values):
        if value is None:
            lines.append([])
        else:
            lines[-1].append(f"{number * step:.1f},{_HEIGHT - 2 - value / top * (_HEIGHT - 4):.1f}")
    drawn = [element("polyline", points=" ".join(line)) for line in lines if len(line) > 1]
    return element(
        "svg", drawn, class_="spark", viewBox=f"0 0 {_WIDTH} {_HEIGHT}", preserveAspectRatio="none",
        role="img", aria_label=label,
    )  # fmt: skip
