"""Messages that do not fit: extended errors are left out first, then whole records from the end, and TC is set."""

import struct
from collections.abc import Iterator
from typing import Any

import dns.flags
import dns.message
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire.messages import QNAME, make_query, read_back, sections, shape, shapes

from clusterdns.chain import Reply
from clusterdns.wire import codes, encode, name, rdata, record
from clusterdns.wire.decode import Edns, decode
from clusterdns.wire.header import TC
from clusterdns.wire.record import Record
from clusterdns.wire.response import Serial


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


class CountedRecords(tuple[Record, ...]):
    """A section that counts the records read from it."""

    read = 0

    def __iter__(self) -> Iterator[Record]:
        for one in super().__iter__():
            type(self).read += 1
            yield one


def test_no_section_is_encoded_far_beyond_the_limit() -> None:
    query = make_query(transport="udp")
    several = [record.txt(query.name, 5, str(number)) for number in range(4_000)]
    for parts in ((several,), ((), several), ((), (), several), (several, several, several)):
        CountedRecords.read = 0
        encoded = encode.encode(query, Reply(0, *map(CountedRecords, parts)))
        assert encoded.is_truncated
        assert CountedRecords.read < 512
