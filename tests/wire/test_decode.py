"""Messages from upstreams: dnspython and dnslib read the same in them, and any bytes are a Message or Malformed."""

import itertools
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from dnslib import DNSError, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.wire import codes, name, rdata, record
from clusterdns.wire.decode import MAX_NAME_LABELS, STEP_RECORDS, Edns, Message, decode, decode_in_steps
from clusterdns.wire.header import Malformed
from clusterdns.wire.record import Record

QUESTION = b"\3wWw\4Shop\7eXample\0\0\1\0\1"
QNAME = QUESTION[:-4].lower()
LATER = struct.pack(">HHI", 1, 1, 60)  # type A, class IN, TTL

labels = st.binary(min_size=1, max_size=10)
mixed_names = st.one_of(  # in any case, as in RDATA
    st.lists(labels, max_size=4),
    st.lists(labels, max_size=3).map(lambda parts: [*parts, b"eXample"]),
    st.lists(labels, max_size=2).map(lambda parts: [*parts, b"Shop", b"eXample"]),
).map(lambda parts: b"".join(bytes((len(part),)) + part for part in parts) + b"\0")
names = mixed_names.map(bytes.lower)
text_names = st.lists(st.text("aBcÄß0-_ .", min_size=1, max_size=5), max_size=4).map(  # names that dnslib reads too
    lambda parts: b"".join(bytes((len(part.encode()),)) + part.encode() for part in parts) + b"\4Shop\7eXample\0"
)
strings = st.binary(max_size=40).map(lambda raw: bytes((len(raw),)) + raw)
ttls = st.integers(0, 2**31 - 1)


def content(
    layout: tuple[int, ...], any_name: st.SearchStrategy[bytes] = mixed_names
) -> st.SearchStrategy[list[bytes]]:
    """Strategy for RDATA of this layout, part by part."""
    parts = {
        rdata.NAME: any_name,
        rdata.STRING: strings,
        rdata.STRINGS: st.lists(strings, min_size=1, max_size=4).map(b"".join),
        rdata.REST: st.binary(max_size=40),
    }
    return st.tuples(*(parts[part] if part <= 0 else st.binary(min_size=part, max_size=part) for part in layout)).map(
        list
    )


class Packet:
    """A message with all compression that RFC 3597 allows; each pointer leads to the nearest earlier name."""

    def __init__(self) -> None:
        self.wire = bytearray(b"\xab\xcd" + struct.pack(">HHHHH", 0x8180, 1, 0, 0, 0) + QUESTION)
        self.offsets: dict[bytes, int] = {}
        self.learn(QUESTION[:-4], 12)

    def learn(self, full: bytes, at: int) -> None:
        start = 0
        while (size := full[start]) and at + start < 0x4000:
            self.offsets[full[start:]] = at + start  # the latest one, so that pointers lead to pointers
            start += 1 + size

    def name(self, full: bytes) -> None:
        at, start = len(self.wire), 0
        while size := full[start]:
            if (offset := self.offsets.get(full[start:])) is not None:
                self.wire += full[:start] + (0xC000 | offset).to_bytes(2, "big")
                break
            start += 1 + size
        else:
            self.wire += full
        written = full[:start]
        position = 0
        while position < len(written) and at + position < 0x4000:
            self.offsets[full[position:]] = at + position
            position += 1 + written[position]
        if start < len(full) - 1 and at + start < 0x4000 and full[start:] in self.offsets:
            self.offsets[full[start:]] = at + start  # the pointer itself may be pointed at

    def add(self, owner: bytes, rtype: int, ttl: int, parts: list[bytes], layout: tuple[int, ...]) -> None:
        self.name(owner)
        self.wire += struct.pack(">HHIH", rtype, codes.IN, ttl, 0)
        start = len(self.wire)
        for part, kind in zip(parts, layout, strict=True):
            if kind == rdata.NAME:
                self.name(part)
            else:
                self.wire += part
        self.wire[start - 2 : start] = (len(self.wire) - start).to_bytes(2, "big")
        self.wire[7] += 1


@given(st.data())
def test_compressed_names_are_expanded(data: st.DataObject) -> None:
    packet = Packet()
    expected = []
    for rtype in data.draw(st.lists(st.sampled_from(sorted(rdata.LAYOUTS)), min_size=1, max_size=12)):
        layout = rdata.LAYOUTS[rtype]
        owner, ttl, parts = data.draw(mixed_names), data.draw(ttls), data.draw(content(layout))
        packet.add(owner, rtype, ttl, parts, layout)
        expected.append(record.record(owner.lower(), rtype, ttl, b"".join(parts)))
    found = decode(bytes(packet.wire))
    assert found == Message(b"\xab\xcd", 0x8180, QUESTION, 0, tuple(expected), (), (), None)
    assert decode(memoryview(packet.wire)) == found


@given(st.data())
def test_messages_of_dnspython_are_read_as_written(data: st.DataObject) -> None:
    message = dns.message.make_response(dns.message.make_query(dns.name.from_wire(QNAME, 0)[0], "A"))
    sections: list[list[Record]] = [[], [], []]
    for number in data.draw(st.lists(st.integers(0, 2), max_size=10)):
        rtype = data.draw(st.sampled_from([codes.A, codes.AAAA, 65280, 65281, *sorted(rdata.LAYOUTS)]))
        layout = rdata.LAYOUTS.get(rtype, ({codes.A: 4, codes.AAAA: 16}.get(rtype, rdata.REST),))
        raw = b"".join(data.draw(content(layout, names)))
        owner, ttl = data.draw(names), data.draw(ttls)
        try:
            parsed = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RdataType.make(rtype), raw, 0, len(raw))
        except dns.exception.DNSException:
            continue  # it looks into bit maps and times, which are plain bytes to us
        if parsed.to_wire() != raw:
            continue
        rrset = dns.rrset.from_rdata(dns.name.from_wire(owner, 0)[0], ttl, parsed)
        message.section_from_number(number + 1).append(rrset)
        sections[number].append(record.record(owner, rtype, ttl, raw))
    found = decode(message.to_wire(max_size=65535))
    assert [list(found.answer), list(found.authority), list(found.additional)] == sections
    assert found.question == QUESTION.lower()


@pytest.mark.parametrize(
    ("options", "rcode"),
    [((), 0), ((), 16), ((dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678"),), 23), ((), 4095)],
)
def test_the_opt_is_read_apart_and_extends_the_rcode(options: tuple[dns.edns.Option, ...], rcode: int) -> None:
    query = dns.message.make_query("a.example", "A", use_edns=0, want_dnssec=True, payload=1400, options=list(options))
    message = dns.message.make_response(query, our_payload=1400)
    message.use_edns(0, dns.flags.DO, 1400, options=list(options))
    message.set_rcode(dns.rcode.Rcode.make(rcode))
    found = decode(message.to_wire())
    raw = b"".join(struct.pack(">HH", 10, 8) + b"12345678" for _ in options)
    assert (found.rcode, found.edns) == (rcode, Edns(1400, 0, True, raw))
    assert found.additional == ()


def test_a_ttl_with_the_top_bit_is_0() -> None:
    owner = b"\xc0\x0c"
    wire = header(answers=2) + QUESTION
    wire += owner + struct.pack(">HHIH", 1, 1, 2**31, 4) + bytes(4)
    wire += owner + struct.pack(">HHIH", 1, 1, 2**31 - 1, 4) + bytes(4)
    assert [one.ttl for one in decode(wire).answer] == [0, 2**31 - 1]  # RFC 2181 §8


def header(questions: int = 1, answers: int = 0, authorities: int = 0, additionals: int = 0) -> bytes:
    return b"\xab\xcd" + struct.pack(">HHHHH", 0x8180, questions, answers, authorities, additionals)


def one(owner: bytes, rtype: int, raw: bytes, length: int | None = None, rclass: int = 1) -> bytes:
    return owner + struct.pack(">HHIH", rtype, rclass, 60, len(raw) if length is None else length) + raw


POINTER = b"\xc0\x0c"
OPT = one(b"\0", codes.OPT, b"", rclass=1232)
AFTER = 12 + len(QUESTION)  # where the first record begins
# three labels of 63 bytes within 70, where a message without a question has the content of its first record
OVERLAPPING = (b"\x3f?" * 3).ljust(64, b"x") + b"\0x" + b"\xc0\x17" + b"\xc0\x19"
BROKEN = {
    "nothing": b"",
    "half a header": header()[:11],
    "two questions": header(2) + QUESTION * 2,
    "question cut short": header() + QUESTION[:-1],
    "question without an end": header() + QUESTION[:5],
    "question that is a pointer to itself": header() + b"\xc0\x0c\0\1\0\1",
    "question that points at the header": header() + b"\xc0\x00\0\1\0\1",
    "a record too few": header(answers=2) + QUESTION + one(POINTER, 1, bytes(4)),
    "record without a length": header(answers=1) + QUESTION + POINTER + LATER,
    "half a pointer": header(answers=1) + QUESTION + b"\xc0",
    "content cut short": header(answers=1) + QUESTION + one(POINTER, 1, bytes(3), 4),
    "address of three bytes": header(answers=1) + QUESTION + one(POINTER, 1, bytes(3)),
    "address of five bytes": header(answers=1) + QUESTION + one(POINTER, codes.AAAA, bytes(5)),
    "owner that points at itself": header(answers=1) + QUESTION + one(struct.pack(">H", 0xC000 | AFTER), 1, bytes(4)),
    "owner that points ahead": header(answers=1) + QUESTION + one(struct.pack(">H", 0xC002 | AFTER), 1, bytes(4)),
    "owner of a reserved kind": header(answers=1) + QUESTION + one(b"\x80\x0c", 1, bytes(4)),
    "owner of 256 bytes": header(answers=1) + QUESTION + one(b"\x3f" + b"x" * 63 + (b"\x3f" + b"x" * 63) * 3, 1, b""),
    "owner of 256 bytes through a pointer": (
        header(answers=1) + QUESTION + one((b"\x2f" + b"x" * 47) * 5 + POINTER, 1, bytes(4))
    ),
    "name longer than its record": header(answers=1) + QUESTION + one(POINTER, 5, b"\1a\0", 2) + b"\0",
    "name shorter than its record": header(answers=1) + QUESTION + one(POINTER, 5, b"\1a\0\0"),
    "CNAME without a name": header(answers=1) + QUESTION + one(POINTER, 5, b""),
    "SOA with a number too few": header(answers=1) + QUESTION + one(POINTER, 6, POINTER + POINTER + bytes(16)),
    "string longer than its record": header(answers=1) + QUESTION + one(POINTER, 16, b"\5abc"),
    "no string": header(answers=1) + QUESTION + one(POINTER, 16, b"") + OPT,
    "OPT in the answer": header(answers=1) + QUESTION + OPT,
    "OPT in the authority": header(authorities=1) + QUESTION + OPT,
    "two OPTs": header(additionals=2) + QUESTION + OPT + OPT,
    "OPT that is not at the root": header(additionals=1) + QUESTION + one(POINTER, codes.OPT, b""),
    "half an option": header(additionals=1) + QUESTION + one(b"\0", codes.OPT, b"\0\12\0"),
    "option longer than the OPT": header(additionals=1) + QUESTION + one(b"\0", codes.OPT, b"\0\12\0\5abc"),
    "content too large once whole": (
        header(0, 2) + one(b"\0", 65280, OVERLAPPING) + one(b"\0", codes.NSEC, b"\xc0\x1b" + bytes(65429))
    ),
    "message too large": header(answers=1) + QUESTION + one(POINTER, 16, bytes(65535 - AFTER)),
}


@pytest.mark.parametrize("wire", BROKEN.values(), ids=BROKEN.keys())
def test_broken_messages_are_malformed(wire: bytes) -> None:
    with pytest.raises(Malformed):
        decode(wire)


def test_a_message_without_question_or_with_trailing_bytes_is_read() -> None:
    assert decode(header(0)).question == b""
    assert decode(header() + QUESTION + b"junk") == decode(header() + QUESTION)


@given(st.data())
def test_any_changed_message_is_a_message_or_malformed(data: st.DataObject) -> None:
    packet = Packet()
    for rtype in data.draw(st.lists(st.sampled_from(sorted(rdata.LAYOUTS)), max_size=6)):
        layout = rdata.LAYOUTS[rtype]
        packet.add(data.draw(mixed_names), rtype, 60, data.draw(content(layout)), layout)
    wire = packet.wire + data.draw(st.binary(max_size=60))
    for at, value in data.draw(st.lists(st.tuples(st.integers(2, len(wire) - 1), st.integers(0, 255)), max_size=6)):
        wire[at] = value
    agrees_with_the_libraries(bytes(wire[: data.draw(st.integers(0, len(wire)))]))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_malformed(wire: bytes) -> None:
    agrees_with_the_libraries(wire)
    agrees_with_the_libraries(header(answers=3, additionals=1) + QUESTION + wire)


def agrees_with_the_libraries(wire: bytes) -> None:
    try:
        found = decode(wire)
    except Malformed:
        return
    agrees_with_dnslib(wire, found)
    try:
        other = dns.message.from_wire(wire, ignore_trailing=True, one_rr_per_rrset=True, question_only=False)
    except Exception:  # noqa: BLE001  # it refuses more than we do, in many ways: only where both read, they agree
        return
    for ours, theirs in ((found.answer, other.answer), (found.authority, other.authority)):
        assert shapes(ours) == [(rrset.name.canonicalize().to_wire(), rrset.rdtype) for rrset in theirs]


# the types in which dnslib expands compressed names, and some in which it leaves every byte alone
TYPES_OF_DNSLIB = frozenset(
    {codes.NS, codes.CNAME, codes.SOA, codes.PTR, codes.MX, codes.TXT, codes.RP, codes.SRV, codes.NAPTR, codes.RRSIG}
    | {codes.A, codes.AAAA, codes.HINFO, codes.OPT, 65280}
)  # fmt: skip


def agrees_with_dnslib(wire: bytes, found: Message) -> None:
    """Assert that dnslib writes the same message again, where it reads it and DEVIATIONS does not apply."""
    records = (*found.answer, *found.authority, *found.additional)
    if not all(one.rtype in TYPES_OF_DNSLIB for one in records):
        return
    if found.edns is not None and found.edns.options.endswith(b"\0\0"):
        return  # perhaps an empty option at the end
    try:
        parsed = DNSRecord.parse(wire)
    except Exception:  # noqa: BLE001  # it refuses more than we do, in several ways
        return
    assert decode(bytes(parsed.pack())) == found


@given(st.data())
def test_messages_written_again_by_dnslib_are_the_same(data: st.DataObject) -> None:
    packet = Packet()
    for rtype in data.draw(st.lists(st.sampled_from(sorted(TYPES_OF_DNSLIB & rdata.LAYOUTS.keys())), max_size=12)):
        layout = rdata.LAYOUTS[rtype]
        packet.add(data.draw(text_names), rtype, data.draw(ttls), data.draw(content(layout, text_names)), layout)
    wire = bytes(packet.wire)
    assert decode(bytes(DNSRecord.parse(wire).pack())) == decode(wire)


SPELLED_OUT = one(QUESTION[:-4], 1, bytes(4))  # dnslib writes a pointer in its place, and all that follows moves
OWN_NAME = struct.pack(">H", 0xC000 | AFTER + len(SPELLED_OUT))
# Messages in which dnslib reads something else, or which it refuses.
DEVIATIONS = {
    "a pointer stays in RDATA of KX": (
        header(answers=2) + QUESTION + SPELLED_OUT + one(b"\1k\0", codes.KX, bytes(2) + OWN_NAME)
    ),
    "a record without RDATA is refused": header(answers=1) + QUESTION + one(POINTER, 65280, b""),
    "a label that is not UTF-8 is refused": header(answers=1) + QUESTION + one(b"\1\xff\0", 1, bytes(4)),
    "a CAA value that is not UTF-8 is refused": (
        header(answers=1) + QUESTION + one(POINTER, codes.CAA, b"\0\5issue\xff")
    ),
    "an empty EDNS option at the end is lost": (
        header(additionals=1) + QUESTION + one(b"\0", codes.OPT, b"\0\x0b\0\0", rclass=1232)
    ),
}
# Messages that dnslib reads though they break the format.
READ_BY_DNSLIB = {
    "an address of 16 bytes of type A": header(answers=1) + QUESTION + one(POINTER, 1, bytes(16)),
    "a name longer than its RDATA": header(answers=1) + QUESTION + one(POINTER, 5, b"\1a\0", 2),
    "a name of more than 255 bytes": header(answers=1) + QUESTION + one((b"\x3f" + b"x" * 63) * 8 + b"\0", 1, bytes(4)),
    "a label of 128 bytes": header(answers=1) + QUESTION + one(b"\x80" + b"x" * 128 + b"\0", 1, bytes(4)),
    "two questions": header(2) + QUESTION * 2,
    "an OPT in the answer": header(answers=1) + QUESTION + OPT,
}  # fmt: skip


@pytest.mark.parametrize("wire", DEVIATIONS.values(), ids=DEVIATIONS.keys())
def test_deviations_of_dnslib(wire: bytes) -> None:
    found: Message | None = None
    with suppress(DNSError, UnicodeDecodeError, Malformed):
        found = decode(bytes(DNSRecord.parse(wire).pack()))
    assert found != decode(wire)


@pytest.mark.parametrize("wire", READ_BY_DNSLIB.values(), ids=READ_BY_DNSLIB.keys())
def test_malformed_messages_that_dnslib_reads(wire: bytes) -> None:
    with pytest.raises(Malformed):
        decode(wire)
    DNSRecord.parse(wire)


def shapes(records: tuple[Record, ...]) -> list[tuple[Any, int]]:
    return [(one.name, one.rtype) for one in records]


def filled(start: bytes, records: Iterable[bytes]) -> tuple[bytes, int]:
    """A message of up to 64 KiB with this question and as many of the records as fit, and their number."""
    wire, count = start, 0
    for found in records:
        if 12 + len(wire) + len(found) > 65535:
            break
        wire += found
        count += 1
    return header(answers=count) + wire, count


def chain_and_end(links: int) -> tuple[bytes, bytes]:
    """Labels of one letter, each followed by a pointer to the last, and a pointer to the longest name of them."""
    chain = b"\1a\0"
    offsets = [AFTER + 11]
    for _ in range(links):
        offsets.append(AFTER + 11 + len(chain))
        chain += b"\1a" + (0xC000 | offsets[-2]).to_bytes(2, "big")
    return one(b"\0", 65280, chain), (0xC000 | offsets[-1]).to_bytes(2, "big")


@pytest.mark.parametrize(
    "rdata_of",
    [
        lambda end: (codes.SOA, end * 2 + bytes(20)),
        lambda end: (codes.NS, b"\1b" + end),
        lambda end: (codes.MX, b"ab" + end),
    ],
)
def test_a_message_whose_names_expand_to_a_million_labels_is_malformed(
    rdata_of: Callable[[bytes], tuple[int, bytes]],
) -> None:
    chain, end = chain_and_end(120)
    wire, count = filled(QUESTION + chain, itertools.repeat(one(end, *rdata_of(end))))
    assert count > 1_500
    with pytest.raises(Malformed, match=f"names of more than {MAX_NAME_LABELS} labels"):
        decode(wire)


def test_a_message_whose_owner_names_alternate_between_long_names_is_malformed() -> None:
    long = b"".join([b"\1%c" % (97 + number % 26) for number in range(126)]) + b"\0"
    first, second = (0xC000 | AFTER).to_bytes(2, "big"), (0xC000 | AFTER + 2).to_bytes(2, "big")
    address = (codes.A, bytes(4))
    records = itertools.chain([one(long, *address)], itertools.cycle([one(first, *address), one(second, *address)]))
    with pytest.raises(Malformed, match=f"names of more than {MAX_NAME_LABELS} labels"):
        decode(filled(QUESTION, records)[0])


@pytest.mark.parametrize(
    "rdata_of",
    [
        lambda number: (codes.A, number.to_bytes(4, "big")),
        lambda number: (codes.AAAA, number.to_bytes(16, "big")),
        lambda number: (codes.TXT, b"\5%05d" % number),
        lambda number: (codes.PTR, b"\5%05d" % number + POINTER),
        lambda number: (codes.MX, b"\0\1\5%05d" % number + POINTER),
        lambda number: (codes.SRV, b"\0\1\0\1\0\1\5%05d" % number + POINTER),
    ],
)
@pytest.mark.parametrize("owner_labels", [3, 18])
def test_a_legitimate_message_of_64_kib_is_read_in_steps(
    rdata_of: Callable[[int], tuple[int, bytes]], owner_labels: int
) -> None:
    question = b"\1a" * (owner_labels - 3) + QUESTION
    wire, count = filled(question, (one(POINTER, *rdata_of(number)) for number in range(5_000)))
    *pauses, found = decode_in_steps(wire)
    assert pauses == [None] * ((count - 1) // STEP_RECORDS)
    assert found == decode(wire)
    assert found is not None
    assert len(found.answer) == count


def test_every_section_is_read_in_steps() -> None:
    record_wire = one(POINTER, codes.A, bytes(4))
    sizes = (STEP_RECORDS + 1, STEP_RECORDS, 2 * STEP_RECORDS)
    wire = header(answers=sizes[0], authorities=sizes[1], additionals=sizes[2]) + QUESTION + record_wire * sum(sizes)
    *pauses, found = decode_in_steps(wire)
    assert len(pauses) == 1 + 0 + 2
    assert found is not None
    assert tuple(map(len, (found.answer, found.authority, found.additional))) == sizes


def test_a_record_keeps_the_case_of_its_rdata_and_not_of_its_owner_name() -> None:
    wire = header(answers=1) + QUESTION + one(POINTER, codes.CNAME, b"\2Lb\xc0\x10")
    (found,) = decode(wire).answer
    assert found == record.cname(QNAME, 60, b"\2Lb\4Shop\7eXample\0")
    assert name.to_text(found.name) == "www.shop.example."
