"""Messages that dnslib makes and reads: what dnspython reads in them, and hostile bytes, which do no harm."""

import struct
from contextlib import suppress
from time import thread_time

import dns.flags
import dns.message
import dns.opcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.upstream.messages import MAX_BYTES, make_probe, make_query, read_header, read_message
from clusterdns.upstream.question import Question
from clusterdns.wire import codes
from clusterdns.wire.header import RD, Malformed
from clusterdns.wire.name import ROOT, from_labels, from_text

NAME = from_text("www.example.org")
names = st.lists(st.binary(min_size=1, max_size=12), max_size=8).map(lambda parts: from_labels(*parts))


def header(answers: int) -> bytes:
    return b"\xab\xcd" + struct.pack(">HHHHH", 0x8180, 0, answers, 0, 0)


def record(owner: bytes, rtype: int, raw: bytes) -> bytes:
    return owner + struct.pack(">HHIH", rtype, codes.IN, 60, len(raw)) + raw


@given(names, st.integers(0, 65535))
def test_a_query_reads_back_as_it_was_meant(name: bytes, qtype: int) -> None:
    message = dns.message.from_wire(bytes(make_query(name, qtype, opcode=dns.opcode.NOTIFY, aa=1).pack()))
    assert (message.opcode(), message.flags & ~0x7800) == (dns.opcode.NOTIFY, dns.flags.AA)
    (question,) = message.question
    assert (question.name.to_wire(), question.rdtype, question.rdclass) == (name, qtype, codes.IN)


def test_ids_are_random() -> None:
    assert len({make_query(NAME, codes.SOA).header.id for _ in range(50)}) > 40


@pytest.mark.parametrize("recurses", [True, False])
@pytest.mark.parametrize("name", [ROOT, NAME])
def test_a_probe_is_the_question_of_a_plain_query(name: bytes, recurses: bool) -> None:
    probe = make_probe(name, codes.NS, recurses=recurses, is_stream=True)
    assert probe.key == Question(name, b"\0\2\0\1", RD if recurses else 0, is_stream=True).key


def test_a_reply_is_read() -> None:
    reply = dns.message.make_response(dns.message.make_query("www.example.org", "A"))
    reply.answer = [dns.rrset.from_text("www.example.org.", 60, "IN", "A", "192.0.2.1", "192.0.2.2")]
    message = read_message(reply.to_wire())
    assert {str(one.rdata) for one in message.rr} == {"192.0.2.1", "192.0.2.2"}
    assert read_header(reply.to_wire()).rcode == codes.NOERROR
    assert read_header(reply.to_wire()[:12] + b"\xff" * 9).id == reply.id  # what follows the header is not read


TWO_POINTERS_IN_A_RING = (
    header(2)
    + record(b"\0", 65280, bytes(617))
    + b"\4\1a\xc2\x80\xc2\x81"
    + struct.pack(">HHIH", 1, 1, 60, 4)
    + bytes(4)
)
HOSTILE = {
    "nothing": b"",
    "half a header": header(0)[:11],
    "a pointer to itself": header(1) + record(b"\xc0\x0c", 1, bytes(4)),
    "two pointers to each other": TWO_POINTERS_IN_A_RING,
    "a CAA record that is not text": header(1) + record(b"\0", codes.CAA, b"\0\5issue\xff"),
    "too many bytes": header(1) + record(b"\0", 65280, bytes(MAX_BYTES)),
}


@pytest.mark.parametrize("packet", HOSTILE.values(), ids=HOSTILE.keys())
def test_messages_that_dnslib_cannot_read_are_malformed(packet: bytes) -> None:
    with pytest.raises(Malformed):
        read_message(packet)


def test_a_header_that_is_cut_short_is_malformed() -> None:
    with pytest.raises(Malformed):
        read_header(header(0)[:11])


@given(st.binary(max_size=300), st.integers(0, 12))
def test_any_bytes_are_a_message_or_malformed(packet: bytes, answers: int) -> None:
    for wire in (packet, header(answers) + packet):
        with suppress(Malformed):
            assert read_message(wire).header.id == int.from_bytes(wire[:2], "big")


@pytest.mark.parametrize("depth", [60, 100, 150, 200, 260])
def test_long_chains_of_pointers_take_bounded_time(depth: int) -> None:
    chain, offset = b"\1a\0", 23
    pointer = b""
    for _ in range(depth):
        pointer = (0xC000 | offset).to_bytes(2, "big")
        offset = 23 + len(chain)
        chain += b"\1a" + pointer
    walk = record(pointer, codes.SOA, pointer * 2 + bytes(20))
    count = (MAX_BYTES - 12 - 11 - len(chain)) // len(walk)
    packet = header(1 + count) + record(b"\0", 65280, chain) + walk * count
    began = thread_time()
    assert len(read_message(packet).rr) == 1 + count
    assert thread_time() - began < 1  # 63 ms measured
