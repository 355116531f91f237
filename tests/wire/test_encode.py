"""Records and replies on the wire: dnspython and dnslib read in them what was meant."""

import struct
from itertools import pairwise
from typing import Any

import dns.flags
import dns.message
import dns.rdatatype
import pytest
from dnslib import DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.answers.compiled import compile_answer
from clusterdns.chain import Query, Reply
from clusterdns.chain.query import read_query
from clusterdns.wire import codes, encode, name, rdata, record
from clusterdns.wire.decode import Edns, decode
from clusterdns.wire.header import AD, TC
from clusterdns.wire.record import Record
from clusterdns.wire.response import Serial

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
    st.builds(record.record, names, st.just(codes.MX), ttls, names.map(lambda target: b"\0\7" + target)),
    st.builds(record.record, names, st.just(codes.MINFO), ttls, st.tuples(names, names).map(b"".join)),
    st.builds(record.record, names, st.sampled_from([codes.MB, codes.DNAME]), ttls, names),
    st.builds(record.record, names, st.just(codes.NAPTR), ttls, names.map(lambda target: b"\0\1\0\2\1S\0\0" + target)),
    st.builds(lambda target, end: record.ptr(QNAME, 5, target[:-1] + end), names, st.just(b"\7eXAMPLE\0")).filter(
        lambda one: len(one.rdata) <= 255
    ),
)
sections = st.lists(records, max_size=6)
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


def make_query(qname: str = "www.Shop.example.", transport: str = "tcp", **edns: Any) -> Query:
    query = read_query(dns.message.make_query(qname, "A", **edns).to_wire())
    assert isinstance(query, Query)
    query.transport = transport
    return query


def read_back(query: Query, encoded: encode.EncodedMessage) -> dns.message.Message:
    return dns.message.from_wire(query.id + encoded.message(), one_rr_per_rrset=True)


def shape(one: Record) -> tuple[bytes, int, int]:
    return (one.name, one.rtype, one.ttl)


def shapes(section: list[dns.rrset.RRset]) -> list[tuple[bytes, int, int]]:
    # the question's spelling stands in for the name wherever the name ends like it
    return [(rrset.name.canonicalize().to_wire() or b"", rrset.rdtype, rrset.ttl) for rrset in section]


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


@given(sections, sections, sections, st.integers(0, 65535), st.booleans())
def test_a_message_is_truncated_at_whole_records(
    answer: list[Record], authority: list[Record], extra: list[Record], payload: int, has_edns: bool
) -> None:
    edns: dict[str, Any] = {"use_edns": 0, "payload": payload} if has_edns else {}
    query = make_query(transport="udp", **edns)
    encoded = encode.encode(query, Reply(0, answer, authority, extra))
    message = query.id + encoded.message()
    limit = min(max(payload, 512), 1232) if has_edns else 512
    assert len(message) <= limit
    reply = dns.message.from_wire(message, one_rr_per_rrset=True)
    kept = [*shapes(reply.answer), *shapes(reply.authority), *shapes(reply.additional)]
    everything = [shape(one) for one in (*answer, *authority, *extra)]
    assert kept == everything[: len(kept)]
    assert bool(reply.flags & dns.flags.TC) == (len(kept) < len(everything))
    assert (reply.edns >= 0) == has_edns


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


def test_an_soa_that_was_left_out_has_no_serial() -> None:
    serial = Serial()
    zone = "z" * 63
    apex = name.from_text(zone)
    server, mailbox = (name.from_text(".".join(letter * 60 for letter in letters)) for letters in ("abcd", "efgh"))
    query = make_query(f"{'a' * 63}.{zone}.", transport="udp")
    cname, soa = record.cname(query.name, 5, apex), record.soa(apex, 5, server, mailbox, 0, 5)
    for reply in (Reply(0, [cname, soa], serial=serial), Reply(0, [cname], [soa], serial=serial)):
        encoded = encode.encode(query, reply)
        found = read_back(query, encoded)
        assert found.flags & dns.flags.TC
        assert [rrset.rdtype for rrset in found.answer] == [dns.rdatatype.CNAME]
        assert encoded.serial_from_end == 0


@given(sections, sections, sections, st.integers(512, 1232), st.booleans(), st.booleans())
def test_every_message_reads_back_as_the_reply_unless_it_has_tc(
    answer: list[Record], authority: list[Record], extra: list[Record], payload: int, rotates: bool, for_reuse: bool
) -> None:
    query = make_query("www.shop.example.", transport="udp", use_edns=0, payload=payload)
    reply = Reply(0, answer * 3, authority, extra)
    reply.rotates, reply.is_upstream = rotates, True
    message = query.id + encode.encode(query, reply, for_reuse=rotates and for_reuse).message()
    assert len(message) <= payload
    dns.message.from_wire(message)
    found = decode(message)
    sent = [*found.answer, *found.authority, *found.additional]
    everything = [*reply.answer, *authority, *extra]
    if found.flags & TC:
        assert len(sent) < len(everything)
    if rotates:
        sent, everything = sorted(map(lowered, sent)), sorted(map(lowered, everything))
        assert set(sent) <= set(everything)
    if found.flags & TC:
        everything = everything[: len(sent)] if not rotates else sent
    assert list(map(lowered, sent)) == list(map(lowered, everything))


def lowered(one: Record) -> Record:
    """Without letter case where there are names: a compressed name takes on the spelling of an earlier one."""
    return Record(one.name, one.rtype, one.body.lower() if one.rtype in rdata.COMPRESSED_TYPES else one.body)


def test_names_in_rdata_are_compressed_where_it_is_needed_and_allowed_only() -> None:
    zone = name.from_text("a-rather-long-zone-name.cluster.local")
    hosts = [name.from_text("host-" + str(n) + ".a-rather-long-zone-name.cluster.local") for n in range(8)]
    query = make_query("x.other.", transport="udp")
    servers = [record.ns(zone, 5, host) for host in hosts]
    message = query.id + encode.encode(query, Reply(0, servers[:2])).message()
    assert message.count(hosts[0]) == message.count(hosts[1]) == 1  # there is space
    message = query.id + encode.encode(query, Reply(0, servers, (), [record.address(hosts[0], 5, bytes(4))])).message()
    assert message.count(zone) == 1
    assert message.count(b"\6host-0") == 1
    assert not decode(message).flags & TC
    for rtype, fixed in ((codes.SRV, bytes(6)), (codes.DNAME, b""), (codes.NAPTR, bytes(7)), (codes.KX, bytes(2))):
        others = [record.record(zone, rtype, 5, fixed + host) for host in hosts]
        message = query.id + encode.encode(query, Reply(0, others)).message()
        assert decode(message).flags & TC
        assert message.count(zone) == len(decode(message).answer) + 1  # an owner, and each target whole (RFC 3597 §4)


def test_no_pointer_has_an_offset_beyond_14_bits() -> None:
    query = make_query(transport="tcp")
    hosts = [name.from_text(f"h{n}.{n % 4000}.elsewhere.test") for n in range(4000)]
    reply = Reply(0, [record.ns(host, 5, host) for host in hosts])
    message = query.id + encode.encode(query, reply).message()
    found = decode(message)
    assert len(message) > 0x8000
    assert found.answer == tuple(reply.answer)[: len(found.answer)]
    assert bool(found.flags & TC) == (len(found.answer) < len(hosts))


def test_chains_of_pointers_are_bounded() -> None:
    query = make_query("example.", transport="udp", use_edns=0, payload=512)
    chain = [name.from_labels(*[b"x"] * count, b"y" * 12, b"example") for count in range(26)]
    cnames = [record.cname(one, 5, longer) for one, longer in pairwise(chain)]
    message = query.id + encode.encode(query, Reply(0, cnames)).message()
    assert len(dns.message.from_wire(message, ignore_trailing=False).answer) == len(decode(message).answer) > 10


@pytest.mark.parametrize("for_reuse", [True, False])
def test_of_an_upstream_answer_only_the_last_run_of_one_name_rotates(for_reuse: bool) -> None:
    other = name.from_text("a.much.longer.name.test")
    answer = [record.address(other, 5, bytes(4)), *(record.address(QNAME, 5, bytes((10, 0, 0, n))) for n in range(3))]
    reply = Reply(0, answer)
    reply.rotates = reply.is_upstream = True
    encoded = encode.encode(make_query(), reply, for_reuse=for_reuse)
    assert [len(one) for one in encoded.rotating] == ([16, 16, 16] if for_reuse else [])
    assert decode(b"\0\0" + encoded.message()).answer[0] == answer[0]


@pytest.mark.parametrize("payload", [512, 1232])
def test_rotating_addresses_read_back_behind_a_compressed_chain(payload: int) -> None:
    """Each rotation of a fully compressed message reads back: no pointer leads to a rotating record."""
    chain = [name.from_text(f"hop-{n}.a-rather-long-zone-name.cluster.local") for n in range(12)]
    cnames = [record.cname(owner, 5, target) for owner, target in pairwise((QNAME, *chain))]
    addresses = [record.address(chain[-1], 5, bytes((10, 0, 0, n))) for n in range(4)]
    authority, extra = [record.ns(chain[-1], 5, chain[-1])], [record.address(chain[-1], 5, bytes(4))]
    reply = Reply(0, [*cnames, *addresses], authority, extra)
    reply.rotates = True
    query = make_query(transport="udp", use_edns=0, payload=payload)
    answer = compile_answer(encode.encode(query, reply, for_reuse=True), None, None, (), False)
    for _ in range(8):
        found = decode(query.id + answer.message())
        assert len(query.id + answer.message()) <= payload
        shown = found.answer[len(cnames) :]
        assert set(shown) <= set(addresses)
        assert found.answer[: len(cnames)] == tuple(cnames)
        assert bool(found.flags & TC) == (len(shown) < 4 or len(found.additional) < 1)
        if not found.flags & TC:
            assert (found.authority, found.additional) == (tuple(authority), tuple(extra))


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


@pytest.mark.parametrize(("count", "kept"), [(25, "all"), (28, "no extended error"), (40, "fewer records")])
def test_extended_errors_are_left_out_before_records(count: int, kept: str) -> None:
    reply = Reply(0, [record.address(QNAME, 5, bytes((10, 0, 0, n))) for n in range(count)])
    reply.options = struct.pack(">HH", codes.NSID, 2) + b"ns"
    plain = reply.options
    reply.explain(codes.EDE_STALE, "the upstream is away")
    query = make_query(transport="udp", use_edns=0, payload=512)
    message = query.id + encode.encode(query, reply).message()
    found = decode(message)
    assert len(message) <= 512
    assert found.edns is not None
    assert found.edns.options == (reply.options if kept == "all" else plain)
    assert (len(found.answer) == count) == (kept != "fewer records")
    assert bool(found.flags & TC) == (kept != "all")  # RFC 8914 §3


def test_options_that_do_not_fit_are_left_out() -> None:
    reply = Reply(0)
    reply.options = struct.pack(">HH", codes.NSID, 600) + bytes(600)
    found = decode(b"\0\0" + encode.encode(make_query(transport="udp", use_edns=0, payload=512), reply).message())
    assert found.edns == Edns(1232, 0, False, b"")
    assert found.flags & TC


def test_an_overlong_string_is_refused() -> None:
    with pytest.raises(ValueError, match="255"):
        record.txt(QNAME, 5, "x" * 256)


def test_rcode_and_opt_of_badvers() -> None:
    query = make_query(use_edns=1)
    reply = read_back(query, encode.encode(query, Reply(codes.BADVERS)))
    assert (reply.rcode(), reply.edns, reply.payload) == (codes.BADVERS, 0, 1232)


def test_glue_points_at_srv_targets_where_the_message_would_not_fit_otherwise() -> None:
    targets = [name.from_text(f"10-77-0-{n}.db.prod.svc.cluster.local") for n in range(6)]
    answer = [record.srv(QNAME, 5, 16, 5432, target) for target in targets]
    glue = [record.address(target, 5, bytes((10, 77, 0, n))) for n, target in enumerate(targets)]
    query = make_query(transport="udp")
    message = query.id + encode.encode(query, Reply(0, answer, (), glue)).message()
    reply = dns.message.from_wire(message, one_rr_per_rrset=True)
    assert len(message) <= 512 < sum(len(one.name) + len(one.body) for one in (*answer, *glue)) - 5 * len(QNAME)
    assert not reply.flags & dns.flags.TC
    assert shapes(reply.additional) == [shape(one) for one in glue]
