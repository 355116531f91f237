"""What upstreams are asked, and which messages answer it."""

from hypothesis import given
from hypothesis import strategies as st

from clusterdns.upstream.question import Question, end_to_end, randomize_case
from clusterdns.wire import codes
from clusterdns.wire.decode import decode
from clusterdns.wire.edns import pack_option
from clusterdns.wire.header import CD, RD
from clusterdns.wire.name import from_text

NAME = from_text("www.example.org.")
A_IN = b"\0\1\0\1"
LABELS = st.lists(st.binary(min_size=1, max_size=20), max_size=8)


def test_the_message() -> None:
    question = Question(NAME, A_IN, RD | CD, b"\0\3\0\0", is_do=True, is_stream=False)
    message = decode(question.message(b"ab", NAME.upper().replace(b"ORG", b"org")))
    assert message.id == b"ab"
    assert message.flags == RD | CD
    assert message.question == b"\3WWW\7EXAMPLE\3org\0" + A_IN
    assert message.edns == (1232, 0, True, b"\0\3\0\0")
    assert decode(Question(NAME, A_IN, RD, is_stream=False).message(b"ab", NAME)).edns is None


def test_questions_with_the_same_key() -> None:
    def key(flags: int = RD, edns: bytes | None = b"", *, is_do: bool = False, is_stream: bool = False) -> object:
        return Question(NAME, A_IN, flags, edns, is_do=is_do, is_stream=is_stream).key

    assert key() == key()
    others = [key(0), key(RD | CD), key(edns=None), key(edns=b"\0\3\0\0"), key(is_do=True), key(is_stream=True)]
    assert len({key(), *others, Question(NAME, b"\0\1\0\3", RD, b"", is_stream=False).key}) == 8


def test_replies() -> None:
    question = Question(NAME, A_IN, RD, is_stream=False)
    good = b"ab\x81\x80\0\1\0\0\0\0\0\0" + NAME + A_IN
    assert question.is_answered_by(good)
    assert question.is_answered_by(good.upper())  # `exchange` compares the case
    for bad in (
        b"", good[:-1], good[:12], good.replace(b"\x81", b"\x01"), good.replace(b"\x81", b"\xa1"),
        good.replace(b"\0\1\0\0\0\0\0\0", b"\0\0\0\0\0\0\0\0", 1), good.replace(b"\0\1\0\0\0\0\0\0", bytes(8), 1),
        good.replace(b"www", b"wwx"), good[:-4] + b"\0\x1c\0\1", good[:-4] + b"\0\1\0\3",
    ):  # fmt: skip
        assert not question.is_answered_by(bad)


@given(LABELS, st.data())
def test_random_case_changes_letters_only(labels: list[bytes], data: st.DataObject) -> None:
    name = b"".join(bytes((len(label),)) + label.lower() for label in labels) + b"\0"
    random_bytes = data.draw(st.binary(min_size=len(name), max_size=len(name)))
    mixed = randomize_case(name, random_bytes)
    assert mixed.lower() == name
    raised = {place for place, byte in enumerate(mixed) if byte != name[place]}
    letters = {place for place, byte in enumerate(name) if 0x61 <= byte <= 0x7A}
    assert raised == {place for place in letters if random_bytes[place] & 0x20}


def test_options_that_concern_one_hop_are_dropped() -> None:
    ecs, ede = pack_option(codes.ECS, b"\0\1\x18\0\xc0\0\2"), pack_option(codes.EDE, b"\0\3")
    hop = [
        pack_option(codes.COOKIE, b"x" * 8),
        pack_option(codes.KEEPALIVE, b""),
        pack_option(codes.PADDING, b"\0" * 4),
    ]
    assert end_to_end(hop[0] + ecs + hop[1] + ede + hop[2]) == ecs + ede
    assert end_to_end(b"") == end_to_end(hop[0]) == b""
