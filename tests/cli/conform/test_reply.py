"""Replies as the suite reads them: dnspython's messages read alike, any bytes read or refused, and never slow."""

import contextlib

import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.cli.conform.reply import MAX_ALL_LABELS, MalformedReply, WireReply

TEXTS = {
    "A": ("192.0.2.1",),
    "AAAA": ("2001:db8::1",),
    "SRV": ("0 100 80 _odd.web.test.", "5 0 65535 db-0.test."),
    "PTR": ("a\\.b.test.",),
    "CNAME": ("target.test.",),
    "NS": ("ns.test.",),
    "SOA": ("ns.test. hostmaster.test. 1 2 3 4 5",),
    "TXT": ('"1.1.0"', '"a" "b\\"c"'),
    "MX": ("10 mx.test.",),
    "TYPE65280": ("\\# 2 abcd",),
}


def response(*rrsets: dns.rrset.RRset) -> dns.message.Message:
    message = dns.message.make_response(dns.message.make_query("WEB.test.", "A", use_edns=0))
    message.answer += list(rrsets)
    return message


@pytest.mark.parametrize("rtype", TEXTS)
def test_records_have_the_text_of_dnspython(rtype: str) -> None:
    rrset = dns.rrset.from_text("web.test.", 30, "IN", rtype, *TEXTS[rtype])
    reply = WireReply(response(rrset).to_wire(), "udp")
    expected = [one.to_text() for one in rrset]
    if rtype == "MX":  # a type that the suite does not ask for is written as bytes
        expected = ["\\# 7 " + "000a026d78c010"]
    assert sorted(one.data for one in reply.of("answer")) == sorted(text.replace('\\"', "\\034") for text in expected)
    assert [(one.owner.folded, one.ttl, one.rclass) for one in reply.of("answer")] == [("web.test.", 30, 1)] * len(
        expected
    )
    assert reply.questions[0][0].text == "WEB.test."
    assert (reply.rcode, len(reply.opts)) == ("NOERROR", 1)


@given(st.binary(max_size=600))
def test_any_bytes_are_read_or_refused(packet: bytes) -> None:
    try:
        reply = WireReply(packet, "udp")
    except MalformedReply:
        return
    assert reply.summary.isprintable()


@given(st.integers(min_value=0, max_value=4000), st.binary(min_size=1, max_size=3))
def test_a_spoiled_message_is_read_or_refused(at: int, spoiled: bytes) -> None:
    wire = response(*(dns.rrset.from_text(f"web{n}.test.", 30, "IN", kind, *texts) for n, (kind, texts) in
                      enumerate(TEXTS.items()))).to_wire()  # fmt: skip
    at %= len(wire)
    with contextlib.suppress(MalformedReply):
        assert WireReply(wire[:at] + spoiled + wire[at + len(spoiled) :], "udp").summary.isprintable()


HEADER = b"\0\0\x80\0\0\0"
NAME = b"\3abc\0"
RECORD = b"\0\1\0\1\0\0\0\0\0\4\x0a\0\0\1"


@pytest.mark.parametrize(
    ("body", "count", "problem"),
    [
        (NAME + RECORD + b"x", 1, "1 bytes follow the last record"),
        (NAME + RECORD, 2, "are of more records than fit into 31 bytes"),
        (NAME + RECORD + b"\0\0\1\0\1\0\0\0\0\0", 2, "ends within a record"),
        (NAME + RECORD[:-2], 1, "ends within the RDATA of A"),
        (b"\xc0\x0c" + RECORD, 1, "does not point to an earlier name"),
        (b"\xc0\x00" + RECORD, 1, "does not point to an earlier name"),
        (b"\x80" + RECORD, 1, "label of an unknown kind"),
        ((b"\x3f" + b"a" * 63) * 4 + b"\0" + RECORD, 1, "too long"),
        (NAME + b"\0\1\0\1\0\0\0\0\0\3\x0a\0\0", 1, "RDATA of A"),
        (NAME + b"\0\x10\0\1\0\0\0\0\0\2\x05a", 1, "RDATA of TXT"),
        (NAME + b"\0\x21\0\1\0\0\0\0\0\6\0\0\0\0\0\0", 1, "cut off"),
    ],
)
def test_malformed_messages_are_named(body: bytes, count: int, problem: str) -> None:
    with pytest.raises(MalformedReply, match=problem):
        WireReply(HEADER + count.to_bytes(2, "big") + bytes(4) + body, "tcp")


def test_names_that_expand_without_end_are_refused() -> None:
    """64 KiB can name a million labels by pointers."""
    long_name = b"\1a" * 120 + b"\0"
    body = long_name + RECORD + (b"\xc0\x0c" + RECORD) * 4000
    wire = HEADER + (4001).to_bytes(2, "big") + bytes(4) + body
    assert len(wire) < 65_536
    with pytest.raises(MalformedReply, match=f"more than {MAX_ALL_LABELS:,} labels"):
        WireReply(wire, "tcp")
