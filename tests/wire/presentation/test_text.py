"""Records as text: as expected, and dnspython reads the same bytes in it."""

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest

from clusterdns.wire import codes, record
from clusterdns.wire.name import from_labels, from_text
from clusterdns.wire.presentation.text import rdata_text
from clusterdns.wire.record import Record

OWNER = from_text("web.prod.svc.cluster.local.")

RECORDS = {
    "A": (record.address(OWNER, 5, bytes([10, 96, 0, 10])), "10.96.0.10"),
    "AAAA": (record.address(OWNER, 5, bytes.fromhex("fd00") + bytes(13) + b"\x11"), "fd00::11"),
    "CNAME": (record.cname(OWNER, 5, from_text("example.com")), "example.com."),
    "NS": (record.ns(OWNER, 5, from_text("ns.dns.cluster.local")), "ns.dns.cluster.local."),
    "PTR": (record.ptr(OWNER, 5, OWNER), "web.prod.svc.cluster.local."),
    "SRV": (record.srv(OWNER, 5, 33, 5432, OWNER), "0 33 5432 web.prod.svc.cluster.local."),
    "TXT": (record.txt(OWNER, 5, "1.1.0"), '"1.1.0"'),
    "TXT, empty": (record.txt(OWNER, 5, ""), '""'),
    "TXT, special": (record.txt(OWNER, 5, 'a "b" \\ é;\n'), '"a \\"b\\" \\\\ \\195\\169;\\010"'),
    "HINFO": (record.hinfo(OWNER, 5, "RFC8482", ""), '"RFC8482" ""'),
    "SOA": (
        record.soa(OWNER, 5, from_text("ns.dns.z"), from_text("hostmaster.z"), 4294967295, 30),
        "ns.dns.z. hostmaster.z. 4294967295 7200 1800 86400 30",
    ),
    "DNAME": (record.record(OWNER, codes.DNAME, 5, from_text("example.com")), "example.com."),
    "MX": (record.record(OWNER, codes.MX, 5, b"\0\x0a" + from_text("mx.example.com")), "10 mx.example.com."),
    "NAPTR": (
        record.record(OWNER, codes.NAPTR, 5, b"\0\1\0\2\1S\7SIP+D2U\0" + from_text("_sip._udp.example.com")),
        '1 2 "S" "SIP+D2U" "" _sip._udp.example.com.',
    ),
    "CAA": (record.record(OWNER, codes.CAA, 5, b"\x80\5issueca.example"), '128 issue "ca.example"'),
    "to the root": (record.cname(OWNER, 5, b"\0"), "."),
    "special bytes in a name": (record.cname(OWNER, 5, from_labels(b"a.b", b'\x00"c')), 'a\\.b.\\000\\"c.'),
    "a type that the server does not make": (record.record(OWNER, 65280, 5, b"\x01\xff"), "\\# 2 01ff"),
    "without content": (record.record(OWNER, 65280, 5, b""), "\\# 0"),
}


@pytest.mark.parametrize(("one", "text"), RECORDS.values(), ids=RECORDS.keys())
def test_text_is_as_expected_and_read_back_to_the_same_bytes(one: Record, text: str) -> None:
    assert rdata_text(one) == text
    read = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.RdataType.make(one.rtype), text)
    assert read.to_wire() == one.rdata


def test_every_type_that_the_server_makes_has_its_own_form() -> None:
    made = {codes.A, codes.AAAA, codes.CNAME, codes.NS, codes.PTR, codes.SRV, codes.TXT, codes.HINFO, codes.SOA}
    written = {one.rtype for one, text in RECORDS.values() if not text.startswith("\\#")}
    assert written >= made


@pytest.mark.parametrize(
    ("rtype", "rdata"),
    [(codes.A, b"\1\2"), (codes.SRV, b"\0"), (codes.CAA, b"\0\2i\xff"), (codes.CAA, b""), (codes.NAPTR, b"\0\1\0\2")],
)
def test_malformed_rdata_is_written_as_bytes(rtype: int, rdata: bytes) -> None:
    text = rdata_text(record.record(OWNER, rtype, 5, rdata))
    assert text == f"\\# {len(rdata)} {rdata.hex()}".rstrip()
