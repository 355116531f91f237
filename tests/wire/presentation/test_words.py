"""Words of master files: names and strings are bytes, whatever their encoding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.wire import codes
from clusterdns.wire.name import from_text, to_text
from clusterdns.wire.presentation.fields import rdata_from_words
from clusterdns.wire.presentation.words import name_from_word, seconds_from_word, text_bytes, unescaped
from clusterdns.wire.presentation.zonetext import record_from_text

ORIGIN = from_text("example.org")
labels = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5)


@given(labels)
def test_escaped_names_are_read_as_their_bytes(parts: list[bytes]) -> None:
    name = b"".join(bytes((len(part),)) + part for part in parts) + b"\0"
    assert name_from_word(to_text(name), ORIGIN) == name
    assert record_from_text(f"a. 5 CNAME {to_text(name)}").rdata == name


letters = st.characters(exclude_characters='.\\"();@ \t\r\n', exclude_categories=["Cs"])


@given(st.text(letters, min_size=1, max_size=15))
def test_names_in_any_letters_are_their_utf_8(label: str) -> None:
    raw = label.encode()
    assert name_from_word(label, ORIGIN) == bytes((len(raw),)) + raw + ORIGIN
    one = record_from_text(f"{label} 5 SRV 1 2 3 {label}", ORIGIN)
    assert one.name == bytes((len(raw),)) + raw.lower() + ORIGIN
    assert one.rdata[6:] == bytes((len(raw),)) + raw + ORIGIN


@given(st.binary(max_size=1200))
def test_strings_are_split_at_255_bytes(raw: bytes) -> None:
    word = '"' + "".join(f"\\{byte:03}" for byte in raw) + '"'
    wire = rdata_from_words(codes.TXT, [word], ORIGIN)
    found, position = [], 0
    while position < len(wire):
        found.append(wire[position + 1 : position + 1 + wire[position]])
        position += 1 + wire[position]
    assert position == len(wire)
    assert b"".join(found) == raw
    assert all(len(one) == 255 for one in found[:-1])


def test_bytes_that_are_not_utf_8_stay() -> None:
    assert text_bytes(b"caf\xe9".decode(errors="surrogateescape")) == b"caf\xe9"
    assert unescaped(b"a\\.b\\233\\\\") == b"a.b\xe9\\"


@pytest.mark.parametrize(
    ("word", "seconds"), [("0", 0), ("1h30m", 5400), ("2W", 1209600), ("1m5", 65), ("4294967295", 2**32 - 1)]
)
def test_durations(word: str, seconds: int) -> None:
    assert seconds_from_word(word) == seconds


@pytest.mark.parametrize("word", ["", "x", "1y", "-1", "4294967296", "٣", "9999999w"])
def test_text_that_is_not_a_duration_is_an_error(word: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        seconds_from_word(word)
