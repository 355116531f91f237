"""Names between text, labels, addresses and wire, with dnspython as the oracle."""

import ipaddress

import dns.exception
import dns.name
import dns.reversename
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.wire import name

labels = st.lists(st.binary(min_size=1, max_size=63), max_size=8).filter(lambda ls: sum(map(len, ls)) + len(ls) < 255)
addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(lambda address: address.packed)
MAPPED = b"\0" * 10 + b"\xff\xff"  # which dnspython reads as IPv4


@given(labels)
def test_labels_to_wire_to_text_and_back(parts: list[bytes]) -> None:
    wire = name.from_labels(*parts)
    theirs = dns.name.Name([part.lower() for part in parts] + [b""])
    assert wire == theirs.to_wire()
    assert name.labels(wire) == [part.lower() for part in parts]
    assert dns.name.from_text(name.to_text(wire)) == theirs
    assert name.from_text(theirs.to_text()) == wire
    assert name.from_text(name.to_text(wire)) == wire


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_raises_value_error(text: str) -> None:
    try:
        wire = name.from_text(text)
    except ValueError:
        return
    assert name.from_text(name.to_text(wire)) == wire
    assert len(wire) <= 255


@pytest.mark.parametrize(
    "text", ["a..b", ".a", "..", "a\\", "a\\256", "a" * 64, ".".join(["a" * 63] * 4), "bb." + ".".join(["a" * 62] * 4)]
)
def test_text_that_is_not_a_name_is_an_error(text: str) -> None:
    with pytest.raises((dns.exception.DNSException, ValueError)):
        dns.name.from_text(text)
    with pytest.raises(ValueError, match=r"label|name|escape"):
        name.from_text(text)


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        (".", b"\0"),
        ("", b"\0"),
        ("A.b", b"\1a\1b\0"),
        ("a.b.", b"\1a\1b\0"),
        ("a\\.b.c", b"\3a.b\1c\0"),
        ("\\065\\010", b"\2a\x0a\0"),
        ("ä", b"\2\xc3\xa4\0"),
    ],
)
def test_text_to_wire(text: str, wire: bytes) -> None:
    assert name.from_text(text) == wire


@given(addresses.filter(lambda packed: not packed.startswith(MAPPED)))
def test_addresses_and_their_reverse_names(packed: bytes) -> None:
    wire = name.from_address(packed)
    assert wire == dns.reversename.from_address(str(ipaddress.ip_address(packed))).to_wire()
    assert name.to_address(wire) == packed
    assert name.to_address(b"\1x" + wire) is None
    assert name.to_address(wire[1 + wire[0] :]) is None


@pytest.mark.parametrize(
    "text",
    [
        "01.2.3.4.in-addr.arpa",
        "256.2.3.4.in-addr.arpa",
        "a.2.3.4.in-addr.arpa",
        "1.2.3.4.in-addr.arpa.x",
        "1\\.2.3.4.5.in-addr.arpa",
        "+1.2.3.4.in-addr.arpa",
        "\\226\\145\\160.2.3.4.in-addr.arpa",
        ".".join(["g"] + ["0"] * 31 + ["ip6.arpa"]),
        ".".join(["00"] + ["0"] * 31 + ["ip6.arpa"]),
        ".".join(["00"] + ["0"] * 30 + ["ip6.arpa"]),
    ],
)
def test_other_names_have_no_address(text: str) -> None:
    assert name.to_address(name.from_text(text)) is None


@given(labels, labels)
def test_is_under_agrees_with_dnspython(left: list[bytes], right: list[bytes]) -> None:
    one, other = name.from_labels(*left), name.from_labels(*right)
    theirs, other_theirs = (dns.name.Name([*map(bytes.lower, parts), b""]) for parts in (left, right))
    assert name.is_under(one, other) == theirs.is_subdomain(other_theirs)


def test_a_zone_ends_at_a_label() -> None:
    assert not name.is_under(name.from_text("xa.b"), name.from_text("a.b"))
    assert not name.is_under(b"\x04\x01a\x01b\0", b"\x01a\x01b\0"), "a label that looks like a name"


@given(labels, st.data())
def test_suffixes_are_the_name_and_its_parents(parts: list[bytes], data: st.DataObject) -> None:
    wire = name.from_labels(*parts)
    suffixes = name.suffixes(wire)
    assert suffixes == [name.from_labels(*parts[start:]) for start in range(len(parts) + 1)]
    assert name.end_of(b"xy" + wire + b"z", 2) == 2 + len(wire)
    among = frozenset(data.draw(st.lists(st.sampled_from([*suffixes, b"\3not\0"]))))
    assert name.longest_suffix(wire, among) == next((one for one in suffixes if one in among), None)
