"""Records and replies on the wire: dnspython must read what was meant."""

from typing import Any

import dns.flags
import dns.message
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.wire import codes, encode, name, record
from clusterdns.wire.query import Query, read
from clusterdns.wire.record import Record
from clusterdns.wire.reply import Reply, Serial

QNAME = name.from_text("www.Shop.example")
labels = st.binary(min_size=1, max_size=12).map(bytes.lower)
names = st.one_of(
    st.lists(labels, max_size=4).map(lambda parts: name.from_labels(*parts)),
    st.lists(labels, max_size=3).map(lambda parts: name.from_labels(*parts, b"example")),
    st.lists(labels, max_size=2).map(lambda parts: name.from_labels(*parts, b"shop", b"example")),
    st.just(QNAME),
)
ttls = st.integers(0, 2**31 - 1)
texts = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=255)
numbers = st.integers(0, 65535)
records = st.one_of(
    st.builds(record.address, names, ttls, st.ip_addresses().map(lambda address: address.packed)),
    st.builds(record.srv, names, ttls, numbers, numbers, names),
    st.builds(record.ptr, names, ttls, names),
    st.builds(record.cname, names, ttls, names),
    st.builds(record.ns, names, ttls, names),
    st.builds(record.txt, names, ttls, texts),
    st.builds(record.hinfo, names, ttls, texts, texts),
    st.builds(record.soa, names, ttls, names, names, st.integers(0, 2**32 - 1), ttls),
    st.builds(record.record, names, st.just(65280), ttls, st.binary(max_size=300)),
)
sections = st.lists(records, max_size=6)


def make_query(qname: str = "www.Shop.example.", transport: str = "tcp", **edns: Any) -> Query:
    query = read(dns.message.make_query(qname, "A", **edns).to_wire())
    assert isinstance(query, Query)
    query.transport = transport
    return query


def read_back(query: Query, layout: encode.Layout) -> dns.message.Message:
    return dns.message.from_wire(query.id + layout.message(), one_rr_per_rrset=True)


def shape(one: Record) -> tuple[bytes, int, int]:
    return (one.name, one.rtype, one.ttl)


def shapes(section: list[dns.rrset.RRset]) -> list[tuple[bytes, int, int]]:
    # the question's spelling stands in for the name wherever the name ends like it
    return [(rrset.name.canonicalize().to_wire() or b"", rrset.rdtype, rrset.ttl) for rrset in section]


@given(sections, sections, sections, st.integers(0, 15))
def test_every_record_arrives(answer: list[Record], authority: list[Record], extra: list[Record], rcode: int) -> None:
    query = make_query()
    layout = encode.lay_out(query, Reply(rcode, answer, authority, extra))
    reply = read_back(query, layout)
    assert reply.rcode() == rcode
    assert shapes(reply.answer) == [shape(one) for one in answer]
    assert shapes(reply.authority) == [shape(one) for one in authority]
    assert shapes(reply.additional) == [shape(one) for one in extra]
    for rrset, one in zip(reply.answer, answer, strict=True):
        assert rrset[0].to_wire() == one.rdata
    whole = len(query.id + layout.message())
    roots = sum(one.name == name.ROOT for one in (*answer, *authority, *extra))  # a pointer is longer than the root
    assert whole <= encode.uncompressed_size(query, Reply(rcode, answer, authority, extra)) + roots


@given(sections, sections, sections, st.integers(0, 65535), st.booleans())
def test_what_does_not_fit_is_cut_on_whole_records(
    answer: list[Record], authority: list[Record], extra: list[Record], payload: int, has_edns: bool
) -> None:
    edns: dict[str, Any] = {"use_edns": 0, "payload": payload} if has_edns else {}
    query = make_query(transport="udp", **edns)
    layout = encode.lay_out(query, Reply(0, answer, authority, extra))
    message = query.id + layout.message()
    limit = min(max(payload, 512), 1232) if has_edns else 512
    assert len(message) <= limit
    reply = dns.message.from_wire(message, one_rr_per_rrset=True)
    kept = [*shapes(reply.answer), *shapes(reply.authority), *shapes(reply.additional)]
    everything = [shape(one) for one in (*answer, *authority, *extra)]
    assert kept == everything[: len(kept)]
    assert bool(reply.flags & dns.flags.TC) == (len(kept) < len(everything))
    assert (reply.edns >= 0) == has_edns


@given(st.integers(2, 300))
def test_addresses_that_turn_stay_behind_their_alias(count: int) -> None:
    target = name.from_text("t.example")
    addresses = [record.address(target, 5, bytes((10, 0, n >> 8, n & 255))) for n in range(count)]
    query = make_query(transport="udp")
    reply = Reply(0, [record.cname(QNAME, 5, target), *addresses])
    reply.rotates = True
    seen = set()
    for _ in range(8):
        found = read_back(query, encode.lay_out(query, reply))
        alias, *shown = (rrset[0].to_text() for rrset in found.answer)
        assert alias == "t.example."
        first = int(shown[0].split(".")[2]) * 256 + int(shown[0].split(".")[3])
        ring = [f"10.0.{n >> 8}.{n & 255}" for n in (*range(first, count), *range(first))]
        assert shown == ring[: len(shown)]
        assert bool(found.flags & dns.flags.TC) == (len(shown) < count)
        seen.add(first)
    assert len(seen) > 1 or count < 20


@pytest.mark.parametrize("is_answer", [True, False])
@pytest.mark.parametrize("edns", [{}, {"use_edns": 0}])
def test_the_serial_is_where_the_layout_says(is_answer: bool, edns: dict[str, Any]) -> None:
    serial = Serial()
    serial.set(2**32 + 7)  # wraps (RFC 1982)
    soa = record.soa(QNAME, 5, QNAME, QNAME, 0, 5)
    query = make_query(**edns)
    reply = Reply(0, [soa] if is_answer else [], [] if is_answer else [soa], serial=serial)
    layout = encode.lay_out(query, reply)
    message = layout.message()
    assert message[len(message) - layout.serial_at :][:4] == bytes((0, 0, 0, 7))
    found = read_back(query, layout)
    assert (found.answer or found.authority)[0][0].serial == 7


def test_an_soa_that_was_cut_off_has_no_serial() -> None:
    serial = Serial()
    zone = "z" * 63
    apex = name.from_text(zone)
    server, mailbox = (name.from_text(".".join(letter * 60 for letter in letters)) for letters in ("abcd", "efgh"))
    query = make_query(f"{'a' * 63}.{zone}.", transport="udp")
    alias, soa = record.cname(query.name, 5, apex), record.soa(apex, 5, server, mailbox, 0, 5)
    for reply in (Reply(0, [alias, soa], serial=serial), Reply(0, [alias], [soa], serial=serial)):
        layout = encode.lay_out(query, reply)
        found = read_back(query, layout)
        assert found.flags & dns.flags.TC
        assert [rrset.rdtype for rrset in found.answer] == [dns.rdatatype.CNAME]
        assert layout.serial_at == 0


def test_an_overlong_string_is_refused() -> None:
    with pytest.raises(ValueError, match="255"):
        record.txt(QNAME, 5, "x" * 256)


def test_rcode_and_opt_of_badvers() -> None:
    query = make_query(use_edns=1)
    reply = read_back(query, encode.lay_out(query, Reply(codes.BADVERS)))
    assert (reply.rcode(), reply.edns, reply.payload) == (codes.BADVERS, 0, 1232)


def test_addresses_beside_an_srv_answer_point_at_its_targets_where_they_must() -> None:
    targets = [name.from_text(f"10-77-0-{n}.db.prod.svc.cluster.local") for n in range(6)]
    answer = [record.srv(QNAME, 5, 16, 5432, target) for target in targets]
    glue = [record.address(target, 5, bytes((10, 77, 0, n))) for n, target in enumerate(targets)]
    query = make_query(transport="udp")
    message = query.id + encode.lay_out(query, Reply(0, answer, (), glue)).message()
    reply = dns.message.from_wire(message, one_rr_per_rrset=True)
    assert len(message) <= 512 < sum(len(one.name) + len(one.body) for one in (*answer, *glue)) - 5 * len(QNAME)
    assert not reply.flags & dns.flags.TC
    assert shapes(reply.additional) == [shape(one) for one in glue]
