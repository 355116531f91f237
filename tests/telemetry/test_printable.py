"""Text of others on a terminal: whatever it holds, it is one line of characters that are seen."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.telemetry.printable import one_line, several_lines

TEXTS = {
    "plain": ("web.prod.svc.cluster.local.", "web.prod.svc.cluster.local."),
    "HTML stays text": ("<b>&amp;</b>", "<b>&amp;</b>"),
    "a backslash": ("a\\010b", "a\\010b"),
    "other alphabets": ("größe 日本 ไม่ é", "größe 日本 ไม่ é"),
    "a letter and its mark": ("e\u0301", "e\u0301"),
    "ends of lines": ("a\nb\r\nc\x85d\u2028e\u2029f\x0bg", "a\\nb\\r\\nc\\x85d\\u2028e\\u2029f\\x0bg"),
    "CSI": ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
    "CSI in one character": ("\x9b2J", "\\x9b2J"),
    "OSC: title and hyperlink": ("\x1b]8;;http://x\x1b\\", "\\x1b]8;;http://x\\x1b\\"),
    "NUL, backspace, delete": ("\0\b\x7f", "\\x00\\x08\\x7f"),
    "bidi overrides and isolates": ("\u202ea\u2066b\u200f", "\\u202ea\\u2066b\\u200f"),
    "zero width": ("a\u200bb\u200cc\u200dd\u2060e\ufeff", "a\\u200bb\\u200cc\\u200dd\\u2060e\\ufeff"),
    "soft hyphen, no-break space": ("a\xadb\xa0c", "a\\xadb\\xa0c"),
    "fillers": ("\u115fa\u3164b\u2800c\uffa0", "\\u115fa\\u3164b\\u2800c\\uffa0"),
    "variation selectors": ("a\ufe0fb\U000e0100", "a\\ufe0fb\\U000e0100"),
    "tags": ("a\U000e0041", "a\\U000e0041"),
    "a heap of marks": ("a" + "\u0301" * 4, "a\u0301\u0301\\u0301\\u0301"),
    "a mark without a letter": ("\u0301a\n\u0301", "\\u0301a\\n\\u0301"),
    "a lone surrogate": ("\udc80", "\\udc80"),
    "private use": ("\ue000", "\\ue000"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "shown"), TEXTS.values(), ids=TEXTS.keys())
def test_what_is_shown_of_a_text(text: str, shown: str) -> None:
    assert one_line(text) == shown


@given(st.text())
def test_each_character_is_seen_or_is_a_mark_on_one_that_is(text: str) -> None:
    shown = one_line(text)
    assert shown.isprintable()
    assert not {"Cc", "Cf", "Cs", "Zl", "Zp"} & {unicodedata.category(one) for one in shown}
    marks = 2
    for one in shown:
        marks = marks + 1 if unicodedata.category(one)[0] == "M" else 0
        assert marks <= 2
    assert one_line(shown) == shown


@given(st.text(), st.integers(1, 20))
def test_a_long_text_is_cut(text: str, limit: int) -> None:
    shown = one_line(text, limit)
    assert shown == one_line(text) if len(text) <= limit else shown.endswith("…")
    assert len(shown) <= limit + 1 or len(text) <= limit


def test_lines_stay_lines() -> None:
    assert several_lines("a\x1b\nb\u202e\n") == "a\\x1b\nb\\u202e"
