"""Packets of clients: those that dnspython writes are read as meant, and no bytes raise."""

import dns.edns
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.chain import Query
from clusterdns.chain.query import read_query
from clusterdns.wire import name

labels = st.lists(st.binary(min_size=1, max_size=63), max_size=5).filter(lambda ls: sum(map(len, ls)) + len(ls) < 255)
options = st.lists(
    st.builds(dns.edns.GenericOption, st.integers(0, 65535).map(dns.edns.OptionType.make), st.binary(max_size=40)),
    max_size=3,
)


@given(labels, st.integers(0, 65535), st.integers(1, 65535), st.integers(0, 0xFFFF), st.integers(0, 65535))
def test_a_plain_query(parts: list[bytes], qtype: int, qclass: int, flags: int, number: int) -> None:
    flags &= 0x07FF
    question = b"".join(bytes((len(part),)) + part for part in parts) + b"\0"
    packet = number.to_bytes(2, "big") + flags.to_bytes(2, "big") + b"\0\1\0\0\0\0\0\0" + question
    packet += qtype.to_bytes(2, "big") + qclass.to_bytes(2, "big")
    query = read_query(packet)
    assert isinstance(query, Query)
    assert query.id == packet[:2]
    assert query.question == packet[12:]
    assert (query.name, query.qtype, query.qclass) == (name.from_labels(*parts), qtype, qclass)
    assert not query.has_edns
    assert query.is_canonical == (question == question.lower() and not flags & ~0x0130)


@given(options, st.integers(0, 65535), st.integers(0, 255), st.booleans())
def test_edns(found: list[dns.edns.Option], payload: int, version: int, do: bool) -> None:
    message = dns.message.make_query("a.example", "A", use_edns=0, payload=payload, options=found)
    message.use_edns(version, 0x8000 if do else 0, payload, options=found)
    query = read_query(message.to_wire())
    assert isinstance(query, Query)
    assert (query.has_edns, query.udp_bytes, query.version, query.do) == (True, payload, version, do)
    assert query.is_canonical == (not found)
    query.transport = "udp"
    assert query.size_limit == min(max(payload, 512), 1232)
    query.transport = "tcp"
    assert query.size_limit == 65535


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_or_dropped(packet: bytes) -> None:
    check(packet)


@given(st.binary(max_size=100), st.integers(0, 1), st.integers(0, 1), st.integers(0, 2))
def test_random_bytes_after_a_good_header_are_refused_or_dropped(
    body: bytes, answers: int, authorities: int, additionals: int
) -> None:
    check(b"id\1\0\0\1" + bytes((0, answers, 0, authorities, 0, additionals)) + body)


def check(packet: bytes) -> None:
    found = read_query(packet)
    if isinstance(found, bytes):
        assert found[:2] == packet[:2]
        assert found[2] & 0x80
        assert dns.message.from_wire(found).rcode() in (1, 4)
    elif found is not None:
        assert len(found.question) >= 5
        assert packet[12:].startswith(found.question)


@pytest.mark.parametrize(
    ("tail", "is_canonical"),
    [
        (b"", True),
        (b"\0", False),
    ],
)
def test_a_query_with_trailing_bytes_is_answered_but_not_canonical(tail: bytes, is_canonical: bool) -> None:
    query = read_query(b"id\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1" + tail)
    assert isinstance(query, Query)
    assert query.is_canonical == is_canonical


@pytest.mark.parametrize(
    ("fixed", "is_canonical"),
    [
        ("04d0 00 00 0000", True),
        ("04d0 00 00 8000", True),
        ("04d0 00 00 0001", False),
        ("04d0 00 00 c000", False),
        ("04d0 01 00 0000", False),
    ],
)
@pytest.mark.parametrize("others", [0, 1])
def test_a_query_with_odd_bits_in_its_opt_is_not_canonical(fixed: str, is_canonical: bool, others: int) -> None:
    opt = bytes.fromhex(f"00 0029 {fixed} 0000")
    other = b"\0\0\1\0\1\0\0\0\0\0\0" * others
    query = read_query(b"id\1\0\0\1\0\0\0\0\0" + bytes((1 + others,)) + b"\1a\0\0\1\0\1" + other + opt)
    assert isinstance(query, Query)
    assert query.has_edns
    assert query.is_canonical == (is_canonical and not others)
