"""Master files: dnspython reads the same zones, and every error names its line."""

import re
import subprocess
import sys
from pathlib import Path
from time import process_time

import dns.zone
import dns.zonefile
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.wire import codes, record
from clusterdns.wire.name import ROOT, from_text
from clusterdns.wire.presentation import zonetext
from clusterdns.wire.presentation.entries import ZoneTextError
from clusterdns.wire.presentation.text import rdata_text
from clusterdns.wire.presentation.zonetext import record_from_text, zone_from_text
from clusterdns.wire.record import Record

ORIGIN = from_text("example.org")
OWNER = from_text("a.b.example.org")

ONE = {
    "a.B.Example.Org. 60 IN A 1.2.3.4": record.address(OWNER, 60, bytes((1, 2, 3, 4))),
    "  a.b.example.org.\t60  A\t1.2.3.4  \n\n": record.address(OWNER, 60, bytes((1, 2, 3, 4))),
    "a.b.example.org. IN 1h30m A 1.2.3.4 ; said": record.address(OWNER, 5400, bytes((1, 2, 3, 4))),
    "a.b AAAA fd00::1": record.address(OWNER, 3600, bytes.fromhex("fd000000000000000000000000000001")),
    "@ 5 CH TXT 1.0": record.record(ORIGIN, codes.TXT, 5, b"\0031.0", codes.CH),
    "a.b 5 CNAME Web": record.record(OWNER, codes.CNAME, 5, b"\3Web\7example\3org\0"),
    "a.b 5 TYPE65280 \\# 2 01ff": record.record(OWNER, 65280, 5, b"\x01\xff"),
    "a.b 5 TYPE1 \\# 4 01020304": record.address(OWNER, 5, bytes((1, 2, 3, 4))),
    'a.b 5 TXT "a ; ( b" c': record.record(OWNER, codes.TXT, 5, b"\7a ; ( b\1c"),
    "a\\.b 5 MX 10 mx.": record.record(b"\3a.b" + ORIGIN, codes.MX, 5, b"\0\x0a\2mx\0"),
    "a.b 5 IN SOA ns hostmaster ( ; timers\n 1 2h\n 3 ) 4 5": record.record(
        OWNER, codes.SOA, 5, b"\2ns" + ORIGIN + b"\x0ahostmaster" + ORIGIN + bytes.fromhex("1".zfill(8))
        + (7200).to_bytes(4, "big") + bytes((0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5)),
    ),
    "a.b 5 CAA 0 issue \"ca.example\"": record.record(OWNER, codes.CAA, 5, b"\0\5issueca.example"),
    "a.b 5 RESINFO qnamemin": record.record(OWNER, 261, 5, b"\x08qnamemin"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), ONE.items(), ids=ONE.keys())
def test_one_record(text: str, expected: Record) -> None:
    assert record_from_text(text, ORIGIN) == expected


WRONG = {
    "": (1, "expected a record, found none"),
    "$TTL 5": (1, "expected a record, found a directive"),
    "a": (1, "entry is incomplete"),
    "a 5 IN": (1, "entry is incomplete"),
    "a 5 A": (1, "is not an address"),
    "a 5 A 1.2.3": (1, "is not an address"),
    "a 5 A 1.2.3.4 5": (1, "is not an address"),
    "a 5 A \x00": (1, "is not an address"),
    "a 5 AAAA 1.2.3.4": (1, "is not an address"),
    "a 5 MX ten mx.": (1, "MX record"),
    "a 5 AAAAA ::": (1, "TYPE<n>"),
    "a 5 OPT \\# 0": (1, "not a record type"),
    "a 5 ANY \\# 0": (1, "not a record type"),
    "a 4294967296 A 1.2.3.4": (1, "TTL"),
    "a 5x A 1.2.3.4": (1, "TTL"),
    "a 5 CLASS70000 A 1.2.3.4": (1, "is not a class"),
    "a..b 5 A 1.2.3.4": (1, "label of 0 bytes"),
    f"{'a' * 64} 5 A 1.2.3.4": (1, "label of 64 bytes"),
    f"{'a.' * 125} 5 CNAME {'b.' * 130}": (1, "CNAME record"),
    ".".join("a" * 61 for _ in range(4)) + " 5 A 1.2.3.4": (1, "with its origin"),
    'a 5 TXT "open': (1, "quote"),
    "a 5 TXT trailing\\": (1, "backslash"),
    "a 5 SOA ns host (\n1 2\n": (1, "unclosed parenthesis"),
    "a 5 A (\n1.2.3.4 ) )": (2, "without an opening one"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line", "problem"), [(text, *rest) for text, rest in WRONG.items()], ids=WRONG.keys())
def test_text_that_is_not_a_record_is_an_error_with_line_and_problem(text: str, line: int, problem: str) -> None:
    with pytest.raises(ZoneTextError, match=re.escape(problem)) as caught:
        record_from_text(text, ORIGIN)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"line {line}: ")


ZONE = """
$TTL 1h
@       IN SOA ns1 hostmaster.example.org. (
            2024010101 ; serial
            7200 3600 1209600
            300 )
        NS   ns1
        NS   ns2.other.test.
$ORIGIN sub
www 60  A     192.0.2.1
        AAAA  2001:db8::1
        TXT   "a b" "c;d" e
$ORIGIN example.org.
*.wild  CNAME www.sub
_sip._udp SRV 1 2 5060 www.sub
$GENERATE 1-5/2 host-$ 30 A 192.0.2.$
$GENERATE 10-11 ${-10,3,d} CNAME x${0,4,x}.test.
mail    IN 5m MX 10 mail
x       CAA 0 issue "ca.test"
"""


def test_a_zone_is_read_as_by_dnspython() -> None:
    found = {(one.name, one.rtype, one.ttl, one.rdata) for one in zone_from_text(ZONE, ORIGIN, "/").records}
    zone = dns.zone.from_text(ZONE, "example.org.", relativize=False)
    expected = {
        (owner.canonicalize().to_wire(), int(rdata.rdtype), ttl, rdata.to_wire())
        for owner, ttl, rdata in zone.iterate_rdatas()
    }
    assert found == expected
    assert len(found) == 15


def test_ttls_without_a_directive() -> None:
    text = "@ SOA ns host 1 2 3 4 5\n@ NS ns\nns 7 A 1.2.3.4\nns AAAA ::"
    found = zone_from_text(text, ORIGIN, "/")
    assert [one.ttl for one in found.records] == [0, 0, 7, 7]  # as in CoreDNS
    assert list(found.without_ttl) == [0, 1]


def test_windows_line_ends() -> None:
    text = "$TTL 5\r\na CNAME b\r\n\r\na A 1.2.3.4\r\n"
    assert [rdata_text(one) for one in zone_from_text(text, ORIGIN, "/").records] == ["b.example.org.", "1.2.3.4"]


def test_an_included_file_changes_neither_origin_nor_owner_name(tmp_path: Path) -> None:
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "one").write_text("$TTL 9\n$ORIGIN deep\nx A 1.2.3.4\n$INCLUDE two\n")
    (tmp_path / "hosts" / "two").write_text("y A 1.2.3.5\n")
    text = "$TTL 5\na A 1.2.3.3\n$INCLUDE hosts/one sub\n  AAAA ::\n$INCLUDE hosts/two\n"
    assert [(one.name, one.ttl) for one in zone_from_text(text, ORIGIN, str(tmp_path)).records] == [
        (b"\1a" + ORIGIN, 5),
        (b"\1x\4deep\3sub" + ORIGIN, 9),
        (b"\1y\4deep\3sub" + ORIGIN, 9),
        (b"\1a" + ORIGIN, 5),
        (b"\1y" + ORIGIN, 5),
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("$TTL 5\n\na A 1.2.3\n", "db.example:3: '1.2.3' is not an address"),
        (" 5 A 1.2.3.4", "db.example:1: the first record has no owner name"),
        ("$TTL 5\na SOA ns host (\n1 2\n3 4 five )\nb A 1.2.3.4", "db.example:2: cannot read the fields of this SOA"),
        ("$INCLUDE nothing", "db.example:1: $INCLUDE {}/nothing: not a regular file"),
        ("$INCLUDE bad", "{}/bad:2: unknown record type 'B'"),
        ("$INCLUDE latin1", "{}/latin1:1: the entry is incomplete"),
        ("$INCLUDE itself", "{}/itself:1: $INCLUDE is nested more than 7 deep"),
        ("$TTL 5 6", "db.example:1: $TTL with 2 arguments"),
        ("$ORIGINS a", "db.example:1: unknown directive $ORIGINS"),
        ("$GENERATE 1-262145 a$ 5 A 1.2.3.4", "db.example:1: $GENERATE makes more than 262144 records"),
        ("$GENERATE 5-1 a$ 5 A 1.2.3.4", "db.example:1: $GENERATE: the range '5-1' must ascend"),
        ("$GENERATE 1 a$ 5 A 1.2.3.4", "db.example:1: $GENERATE: '1' is not a range"),
        ("$GENERATE 1-2", "db.example:1: the entry is incomplete"),
        ("$GENERATE 1-2 a${-5} 5 A 1.2.3.4", "db.example:1: $GENERATE cannot write '${{-5}}"),
        ("$GENERATE 1-2 a${0,3,z} 5 A 1.2.3.4", "db.example:1: $GENERATE cannot write"),
    ],
)
def test_errors_in_zones_have_file_and_line(text: str, place: str, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("$TTL 5\na B c\n")
    (tmp_path / "latin1").write_bytes(b"\xe9")
    (tmp_path / "itself").write_text("$INCLUDE itself\n")
    with pytest.raises(ZoneTextError, match="^" + re.escape(place.format(tmp_path))):
        zone_from_text(text, ORIGIN, str(tmp_path), "db.example")


def test_a_zone_that_is_too_large_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZoneTextError, match="larger than 100 MiB"):
        zone_from_text("\n" * (100 * 2**20 + 1), ORIGIN, "/")
    monkeypatch.setattr(zonetext, "MAX_ZONE_BYTES", 2**20)
    (tmp_path / "part").write_text("\n" * 2**19)
    with pytest.raises(ZoneTextError, match="larger than 1 MiB"):
        zone_from_text("$INCLUDE part\n$INCLUDE part\n", ORIGIN, str(tmp_path))


def test_a_large_zone_takes_less_than_5_seconds() -> None:
    text = "$TTL 60\n" + "".join(f"h{n} IN A 10.{n >> 16}.{n >> 8 & 255}.{n & 255}\n" for n in range(100_000))
    began = process_time()
    assert len(zone_from_text(text, ORIGIN, "/").records) == 100_000
    assert process_time() - began < 5  # 0.7 s measured


def test_addresses_are_read_without_dnspython() -> None:
    program = (
        "import sys; from clusterdns.wire.presentation.zonetext import record_from_text;"
        "record_from_text('a. 60 IN A 1.2.3.4'); print('dns' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )


words = st.sampled_from(
    ["a", "a.b.", "@", "60", "1h", "IN", "CH", "A", "1.2.3.4", "AAAA", "::1", "TXT", '"x y"', "(", ")", ";", "\\", "\n",
     "CNAME", "SRV", "1", "SOA", "\\#", "TYPE3", "$ORIGIN", "$GENERATE", "1-3", "$",
     "${1}", "\\\"", '"', "é", "\x00", "\t",
     "NSEC", "LOC", "HTTPS", "APL", "1:0/0", "DS", "IPSECKEY", "-", "65536", "ff"]
)  # fmt: skip


@given(st.one_of(st.text(max_size=60), st.lists(words, max_size=12).map(" ".join)))
def test_any_text_is_a_record_or_an_error_with_its_line(text: str) -> None:
    problems: list[ZoneTextError] = []
    records: list[Record] = []
    try:
        records = [record_from_text(text)]
    except ZoneTextError as error:
        problems.append(error)
    try:
        records += zone_from_text("$TTL 5\n" + text, ORIGIN, "/nowhere").records
    except ZoneTextError as error:
        problems.append(error)
    assert all(0 < problem.line <= text.count("\n") + 2 for problem in problems)
    for one in records:
        assert one.name == one.name.lower()
        assert one.name.endswith(ROOT)
        assert int.from_bytes(one.body[8:10], "big") == len(one.rdata)


@given(st.lists(st.sampled_from(["A 1.2.3.4", "AAAA ::5", "TXT a \"b c\"", "MX 5 mx", "CNAME .", "SRV 1 2 3 t.x."]),
                min_size=1, max_size=5), st.integers(0, 2**31 - 1))  # fmt: skip
def test_records_are_read_as_by_dnspython(contents: list[str], ttl: int) -> None:
    for content in contents:
        text = f"Some\\.thing.x {ttl} {content}"
        (rrset,) = dns.zonefile.read_rrsets(text, rdclass=None, origin="example.org.")
        one = record_from_text(text, ORIGIN)
        assert (one.name, one.ttl) == (rrset.name.canonicalize().to_wire(), rrset.ttl)
        assert one.rdata == rrset[0].to_wire()
