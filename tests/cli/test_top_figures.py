"""Numbers of `top` as people read them."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.cli.top.figures import age, bar, duration, rate, share, size, sparkline

TEXTS: list[tuple[Callable[..., str], Any, str]] = [
    (rate, 0.0, "0.0/s"), (rate, 99.94, "99.9/s"), (rate, 99.96, "100/s"), (rate, 1234567.8, "1,234,568/s"),
    (share, None, "-"), (share, 0.0, "0 %"), (share, 0.0001, "0.01 %"), (share, 0.5, "50 %"),
    (share, 0.9999, "99.99 %"), (share, 1.0, "100 %"),
    (duration, None, "-"), (duration, 0.00004, "0.04 ms"), (duration, 0.0004, "0.4 ms"), (duration, 0.5, "500.0 ms"),
    (duration, 0.9996, "1.00 s"), (duration, 12.3, "12.30 s"),
    (age, -1.0, "0.0 s"), (age, 2.14, "2.1 s"), (age, 12.4, "12 s"), (age, 59.6, "1 min 0 s"),
    (age, 3_700, "1 h 1 min"), (age, 100_000, "1 d 3 h"),
    (size, 0, "0 B"), (size, 1023, "1023 B"), (size, 1024, "1.0 KiB"), (size, 120 << 20, "120 MiB"),
    (size, 1 << 40, "1.0 TiB"), (size, 5 << 50, "5120 TiB"),
]  # fmt: skip


@pytest.mark.parametrize(("write", "value", "text"), TEXTS, ids=lambda one: getattr(one, "__name__", str(one)))
def test_a_figure(write: Callable[..., str], value: Any, text: str) -> None:
    assert write(value) == text


@pytest.mark.parametrize(
    ("values", "width", "line"),
    [
        ([], 5, ""),
        ([1, 2], 0, ""),
        ([1, 2], -3, ""),
        ([0, 0], 5, "▁▁"),
        ([None, 0, 7, None], 5, " ▁█ "),
        ([1, 2, 4, 8], 3, "▃▅█"),
        ([-4, 8], 5, "▁█"),
    ],
)
def test_a_sparkline(values: list[float | None], width: int, line: str) -> None:
    assert sparkline(values, width, has_blocks=True) == line


@given(st.lists(st.none() | st.floats(-1e15, 1e15)), st.integers(-5, 80), st.booleans())
def test_a_sparkline_has_a_character_for_each_of_the_last_values(
    values: list[float | None], width: int, has_blocks: bool
) -> None:
    line = sparkline(values, width, has_blocks=has_blocks)
    assert len(line) == min(len(values), max(width, 0))
    assert has_blocks or line.isascii()


@pytest.mark.parametrize(
    ("part", "text"), [(-1, "...."), (0, "...."), (0.5, "##.."), (1, "####"), (9, "####")]
)  # fmt: skip
def test_a_bar(part: float, text: str) -> None:
    assert bar(part, 4, has_blocks=False) == text
