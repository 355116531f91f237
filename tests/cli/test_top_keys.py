"""The keys of a terminal, in whatever pieces they come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.cli.top.keys import MAX_SEQUENCE_BYTES, KeyReader

KEYS = {
    "letters": (b"qp?1", ["q", "p", "?", "1"]),
    "tab and arrows": (b"\t\x1b[C\x1b[D\x1b[A\x1b[B\x1b[Z", ["tab", "right", "left", "up", "down", "back tab"]),
    "arrows of the application mode": (b"\x1bOC\x1bOD", ["right", "left"]),
    "pages": (b"\x1b[5~\x1b[6~ ", ["page up", "page down", "page down"]),
    "ends": (b"\x1b[H\x1b[F\x1b[1~\x1bOF", ["home", "end", "home", "end"]),
    "sequences of other keys": (b"\x1b[15~\x1b[1;5C\x1b[200~\x1bOPq", ["q"]),
    "a report of the mouse": (b"\x1b[<0;10;20Mq", ["q"]),
    "Escape, and then a letter": (b"\x1bq", ["q"]),
    "bytes of UTF-8": ("ä日q".encode(), ["q"]),
    "control characters": (b"\x00\x01\x7fq", ["q"]),
    "Ctrl-D and Ctrl-L": (b"\x04\x0c", ["quit", "redraw"]),
}  # fmt: skip


@pytest.mark.parametrize(("received", "keys"), KEYS.values(), ids=KEYS)
def test_keys(received: bytes, keys: list[str]) -> None:
    assert KeyReader().read(received) == keys


@pytest.mark.parametrize("received", [b"\x1b[C", b"\x1bOC", b"\x1b[6~", b"\x1b[1;5C"])
def test_a_sequence_may_come_in_pieces(received: bytes) -> None:
    whole = KeyReader().read(received)
    reader = KeyReader()
    assert [key for byte in received for key in reader.read(bytes([byte]))] == whole
    assert reader.read(b"q") == ["q"]


@given(st.binary(max_size=200))
def test_whatever_comes_the_next_keys_are_read(received: bytes) -> None:
    reader = KeyReader()
    reader.read(received)
    for _ in range(MAX_SEQUENCE_BYTES):
        reader.read(b"x")
    assert reader.read(b"qp") == ["q", "p"]
