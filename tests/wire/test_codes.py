"""Mnemonics to numbers and back."""

from collections.abc import Callable

import dns.edns
import dns.rdataclass
import dns.rdatatype
import pytest

from clusterdns.wire import codes


@pytest.mark.parametrize(
    ("read", "write", "names"),
    [
        (codes.type_from_text, codes.type_text, codes.TYPE_NAMES),
        (codes.class_from_text, codes.class_text, codes.CLASS_NAMES),
        (codes.rcode_from_text, codes.rcode_text, codes.RCODE_NAMES),
    ],
)
def test_every_mnemonic_is_read_as_its_number(
    read: Callable[[str], int], write: Callable[[int], str], names: dict[int, str]
) -> None:
    for number in (*names, 4000):
        assert read(write(number)) == read(write(number).lower()) == read(str(number)) == number


@pytest.mark.parametrize(
    ("read", "text", "number"),
    [
        (codes.type_from_text, "type65280", 65280),
        (codes.type_from_text, "https", 65),
        (codes.type_from_text, "*", 255),
        (codes.class_from_text, "Class42", 42),
        (codes.class_from_text, "any", codes.ANY_CLASS),
        (codes.class_from_text, "HS", codes.HS),
        (codes.rcode_from_text, "nxdomain", codes.NXDOMAIN),
        (codes.rcode_from_text, "BADSIG", 16),
    ],
)
def test_text_is_read_in_any_case(read: Callable[[str], int], text: str, number: int) -> None:
    assert read(text) == number


@pytest.mark.parametrize("text", ["", "AAAAA", "TYPE", "TYPE65536", "-1", "65536", "TYPE٣", "TYPE1_0", "CLASS1", "1.0"])
def test_other_text_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="is not a type"):
        codes.type_from_text(text)
    with pytest.raises(ValueError, match="is not a response code"):
        codes.rcode_from_text(text)


def test_numbers_are_those_of_dnspython() -> None:
    for word, value in vars(codes).items():
        if word.isupper() and isinstance(value, int) and word in dns.rdatatype.RdataType.__members__:
            assert value == dns.rdatatype.RdataType[word]
    for word, number in {"CH": codes.CH, "HS": codes.HS, "ANY": codes.ANY_CLASS}.items():
        assert dns.rdataclass.from_text(word) == number
    for option in ("NSID", "ECS", "COOKIE", "KEEPALIVE", "PADDING", "EDE"):
        if option in dns.edns.OptionType.__members__:
            assert getattr(codes, option) == dns.edns.OptionType[option]


def test_extended_errors_have_the_purposes_of_the_registry() -> None:
    for code in dns.edns.EDECode:
        words = code.name.replace("_", " ").lower()
        assert codes.ede_text(code).lower().startswith(words)
    assert codes.ede_text(codes.EDE_NO_AUTHORITY) == "No Reachable Authority"
    assert codes.ede_text(4711) == "EDE4711"
