"""Replies on the wire: dnspython and dnslib read the records that were encoded."""

from typing import Any

import dns.flags
import pytest
from dnslib import DNSRecord
from hypothesis import given
from hypothesis import strategies as st
from wire.messages import QNAME, make_query, numbers, read_back, sections, shape, shapes, texts, ttls

from clusterdns.chain import Reply
from clusterdns.wire import codes, encode, name, record
from clusterdns.wire.decode import Edns, decode
from clusterdns.wire.header import AD
from clusterdns.wire.record import Record
from clusterdns.wire.response import Serial

# dnslib leaves pointers in MB and MINFO, and refuses labels that are not UTF-8, and records without RDATA
text_names = st.lists(st.text("abcß0-_ .", min_size=1, max_size=5), max_size=4).map(
    lambda parts: name.from_labels(*(part.encode() for part in parts), b"shop", b"example")
)
dnslib_records = st.one_of(
    st.builds(record.address, text_names, ttls, st.ip_addresses().map(lambda address: address.packed)),
    st.builds(record.srv, text_names, ttls, numbers, numbers, text_names),
    *(st.builds(make, text_names, ttls, text_names) for make in (record.ptr, record.cname, record.ns)),
    st.builds(record.txt, text_names, ttls, texts),
    st.builds(record.hinfo, text_names, ttls, texts, texts),
    st.builds(record.soa, text_names, ttls, text_names, text_names, st.integers(0, 2**32 - 1), ttls),
    st.builds(record.record, text_names, st.just(65280), ttls, st.binary(min_size=1, max_size=300)),
    st.builds(record.record, text_names, st.just(codes.MX), ttls, text_names.map(lambda target: b"\0\7" + target)),
)
dnslib_sections = st.lists(dnslib_records, max_size=6)


@given(sections, sections, sections, st.integers(0, 15))
def test_every_record_arrives(answer: list[Record], authority: list[Record], extra: list[Record], rcode: int) -> None:
    query = make_query()
    encoded = encode.encode(query, Reply(rcode, answer, authority, extra))
    reply = read_back(query, encoded)
    assert reply.rcode() == rcode
    assert shapes(reply.answer) == [shape(one) for one in answer]
    assert shapes(reply.authority) == [shape(one) for one in authority]
    assert shapes(reply.additional) == [shape(one) for one in extra]
    for rrset, one in zip(reply.answer, answer, strict=True):
        assert rrset[0].to_wire() == one.rdata
    whole = len(query.id + encoded.message())
    roots = sum(one.name == name.ROOT for one in (*answer, *authority, *extra))  # a pointer is longer than the root
    assert whole <= encode.uncompressed_size(query, Reply(rcode, answer, authority, extra)) + roots


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@given(dnslib_sections, dnslib_sections, dnslib_sections, st.integers(0, 15))
def test_dnslib_reads_the_same_records(
    transport: str, answer: list[Record], authority: list[Record], extra: list[Record], rcode: int
) -> None:
    query = make_query("www.shop.example", transport, use_edns=0)
    message = query.id + encode.encode(query, Reply(rcode, answer, authority, extra)).message()
    parsed = DNSRecord.parse(message)
    assert (parsed.header.rcode, parsed.header.id.to_bytes(2, "big")) == (rcode, query.id)
    found = [(one.rname.label, one.rtype, one.ttl) for one in (*parsed.rr, *parsed.auth, *parsed.ar)]
    expected = [(tuple(name.labels(one.name)), one.rtype, one.ttl) for one in (*answer, *authority, *extra)]
    assert found.pop()[1] == codes.OPT
    assert found == expected[: len(found)]
    assert bool(parsed.header.tc) == (len(found) < len(expected))
    assert decode(bytes(parsed.pack())) == decode(message)


@given(st.integers(2, 300))
def test_rotating_addresses_stay_behind_their_cname(count: int) -> None:
    target = name.from_text("t.example")
    addresses = [record.address(target, 5, bytes((10, 0, n >> 8, n & 255))) for n in range(count)]
    query = make_query(transport="udp")
    reply = Reply(0, [record.cname(QNAME, 5, target), *addresses])
    reply.rotates = True
    seen = set()
    for _ in range(8):
        found = read_back(query, encode.encode(query, reply))
        target_text, *shown = (rrset[0].to_text() for rrset in found.answer)
        assert target_text == "t.example."
        first = int(shown[0].split(".")[2]) * 256 + int(shown[0].split(".")[3])
        rotated = [f"10.0.{n >> 8}.{n & 255}" for n in (*range(first, count), *range(first))]
        assert shown == rotated[: len(shown)]
        assert bool(found.flags & dns.flags.TC) == (len(shown) < count)
        seen.add(first)
    assert len(seen) > 1 or count < 20


@pytest.mark.parametrize("is_answer", [True, False])
@pytest.mark.parametrize("edns", [{}, {"use_edns": 0}])
def test_the_serial_is_where_the_encoded_message_says(is_answer: bool, edns: dict[str, Any]) -> None:
    serial = Serial()
    serial.set(2**32 + 7)  # wraps (RFC 1982)
    soa = record.soa(QNAME, 5, QNAME, QNAME, 0, 5)
    query = make_query(**edns)
    reply = Reply(0, [soa] if is_answer else [], [] if is_answer else [soa], serial=serial)
    encoded = encode.encode(query, reply)
    message = encoded.message()
    assert message[len(message) - encoded.serial_from_end :][:4] == bytes((0, 0, 0, 7))
    found = read_back(query, encoded)
    assert (found.answer or found.authority)[0][0].serial == 7


@pytest.mark.parametrize("for_reuse", [True, False])
def test_of_an_upstream_answer_only_the_last_run_of_one_name_rotates(for_reuse: bool) -> None:
    other = name.from_text("a.much.longer.name.test")
    answer = [record.address(other, 5, bytes(4)), *(record.address(QNAME, 5, bytes((10, 0, 0, n))) for n in range(3))]
    reply = Reply(0, answer)
    reply.rotates = reply.is_upstream = True
    encoded = encode.encode(make_query(), reply, for_reuse=for_reuse)
    assert (encoded.rotating.total, encoded.rotating.shown_bytes) == ((3, 48) if for_reuse else (0, 0))
    assert decode(b"\0\0" + encoded.message()).answer[0] == answer[0]


@pytest.mark.parametrize("rcode", [0, 23, 31, 32, 4095])
def test_rcodes_and_options_are_in_our_opt(rcode: int) -> None:
    reply = Reply(rcode)
    reply.explain(codes.EDE_NOT_READY, "not synced")
    reply.is_authentic = True
    found = decode(b"\0\0" + encode.encode(make_query(use_edns=0, want_dnssec=True), reply).message())
    assert (found.rcode, found.flags & AD) == (rcode, AD)
    assert found.edns == Edns(1232, 0, True, b"\0\x0f\0\x0c\0\x0enot synced")
    found = decode(b"\0\0" + encode.encode(make_query(), reply).message())
    assert (found.rcode, found.edns) == (rcode if rcode < 16 else codes.SERVFAIL, None)


def test_an_overlong_string_is_refused() -> None:
    with pytest.raises(ValueError, match="255"):
        record.txt(QNAME, 5, "x" * 256)


def test_rcode_and_opt_of_badvers() -> None:
    query = make_query(use_edns=1)
    reply = read_back(query, encode.encode(query, Reply(codes.BADVERS)))
    assert (reply.rcode(), reply.edns, reply.payload) == (codes.BADVERS, 0, 1232)
