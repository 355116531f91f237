"""Texts of master files, each a zone of its own, which CoreDNS and this server load and answer alike."""

import asyncio
import dataclasses
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import dns.message
import dns.rcode
import peers
import pytest
from plugins.serving import Running, running

from clusterdns.wire.decode import decode
from clusterdns.wire.name import ROOT
from clusterdns.wire.presentation.entries import ZoneTextError
from clusterdns.wire.presentation.zonetext import zone_from_text
from testing import dns_client
from testing.ports import LOOPBACK, free_ports
from testing.process import ServerProcess

HEAD = "$TTL 60\n@ IN SOA ns hm 1 7200 1800 86400 60\n@ IN NS ns\n"
LONG = "k" * 392  # the text of a DKIM key
TIMES = "20300101000000 20200101000000"

Answer = tuple[int, frozenset[tuple[int, int, bytes]]]  # rcode, and type, TTL and RDATA of the answer's records


@dataclasses.dataclass(frozen=True)
class Case:
    """Lines of a zone file below its head, and the question for them."""

    lines: str | bytes
    qtype: str
    qname: str = "x"
    head: str = HEAD

    @property
    def content(self) -> bytes:
        lines = self.lines if isinstance(self.lines, bytes) else self.lines.encode()
        return self.head.encode() + lines + b"\n"


def simple(*lines: str) -> list[Case]:
    """Return a case for each line, which has the owner name x."""
    return [Case(f"x {line}", line.split()[0]) for line in lines]


STRINGS = simple(
    f'TXT "{LONG}"', f"TXT {LONG}", 'TXT ""', 'TXT "" "" a', 'TXT "a""b"', 'TXT a"b"c', 'TXT "a\\\\b"',
    'TXT a\\010b\\"c\\;d', 'TXT "a\nb"', 'TXT ("a"\n "b" ; c\n "d")', "TXT ü", "TXT \u3000", "HINFO PC",
    'HINFO "PC Linux"', "HINFO", "HINFO a b c", "SPF a", "CAA 0 issue ca.test", 'CAA 0 issue "a b"',
    'NAPTR 1 2 "S" "SIP" "" .',
)  # fmt: skip
RARE = simple(
    "SSHFP 1 1 ab", "SSHFP 1 1", "SMIMEA 1 1 1 ab", "SMIMEA 3 0 1", "TLSA 3 1 1 abcd ef", "DS 1 RSASHA256 2 abcd",
    "DLV 1 8 2 abcd", "CDS 0 0 0 00", "ZONEMD 1 1 1 abcd", "DNSKEY 256 3 8 AwEAAQ==", "KEY 256 3 8 AwEAAQ==",
    "MD y", "MF y", "MB y", "MG y", "MR y", "MINFO y z", "X25 311061700956", "ISDN 150862028003217 004", "ISDN 15",
    "RT 10 y", "NSAP-PTR y", "PX 10 a b", "GPOS -32.6882 116.8652 10.0", "KX 1 y", "AFSDB 1 y", "RP a b",
    "LP 1 y", "NID 1 0014:4fff:ff20:ee64", "L32 1 10.1.2.3", "L64 1 2001:0DB8:1140:1000",
    "EUI48 00-00-5e-00-53-2a", "EUI64 00-00-5e-ef-10-00-00-2a", 'URI 1 2 "https://a/b"', "URI 1 2 https://a",
    "OPENPGPKEY AAAA", "DHCID AAIBY2/A", "LOC 1 N 1 E 0", "APL 1:10.0.0.0/8", "CERT PKIX 1 RSASHA256 AAAA",
    "CSYNC 1 3 A NS", "IPSECKEY 10 3 2 gw AQNR", "AMTRELAY 10 0 1 1.2.3.4", "SVCB 1 y port=53", "SVCB 0 y",
    'HTTPS 1 . alpn="h2,h3"', "HTTPS 1 ü.test. alpn=h2", 'SVCB 1 . key667="a b"', "NSEC y A TYPE1234", "NXT y A",
    f"RRSIG A 8 3 60 {TIMES} 1 t. AAAA", f"SIG A 8 3 60 {TIMES} 1 t. AAAA", "TYPE65280 \\# 2 01ff",
    "TYPE65280 \\# 0", "TYPE1 \\# 4 01020304", "A \\# 4 01020304", "TYPE1 1.2.3.4", "MX \\# 3 000a00",
    "TXT \\# 3 02 61 62", "TYPE44 \\# 2 0101", "TYPE15 10 y", "AAAA ::ffff:1.2.3.4",
) + [
    Case(f"x {name} {rest}", f"TYPE{number}")
    for number, name, rest in (
        (31, "EID", "ab cd"), (32, "NIMLOC", "abcd"), (56, "NINFO", "a b"), (57, "RKEY", "0 3 5 AAAA"),
        (58, "TALINK", "a b"), (100, "UINFO", "hello world"), (101, "UID", "5"), (102, "GID", "5"), (258, "AVC", "a"),
        (261, "RESINFO", "qnamemin"),
    )
]  # fmt: skip
NAMES = [
    Case("Jörg’s\\032Drucker A 192.0.2.1", "A", "J\\195\\182rg\\226\\128\\153s\\032Drucker"),
    Case("a。b A 192.0.2.1", "A", "a\\227\\128\\130b"),
    Case("x\u00a0y A 192.0.2.1", "A", "x\\194\\160y"),
    *simple("CNAME ☃.😀", "PTR a。b", "MX 5 zoë", "SRV 1 2 3 ß", "MX 5 東京"),
    Case("q\\032x A 192.0.2.1", "A", "q\\032x"),
    Case("q\\.x A 192.0.2.1", "A", "q\\.x"),
    Case("\\042 A 192.0.2.1", "A", "*"),
    Case("* A 192.0.2.1", "A", "y"),
    Case("$FOO A 192.0.2.1", "A", "$FOO"),
    Case("X.Y A 192.0.2.1", "A", "x.y"),
]
LINES = [
    Case("$GENERATE 1-3 h$ A 192.0.2.$", "A", "h2"),
    Case("$GENERATE 1-3 h$ 300 A 192.0.2.$", "A", "h2"),
    Case("$GENERATE 1-3 h$ 300 IN A 192.0.2.$", "A", "h2"),
    Case('$GENERATE 0-9/3 h${1,3,x} IN TXT "a $ b"', "TXT", "h004"),
    Case("$GENERATE 1-2 h$$ A 192.0.2.1", "A", "h$"),
    Case("$GENERATE 1-2 h\\$x A 192.0.2.1", "A", "h$x"),
    Case("$GENERATE 1-3 ${0,2,d}.${0,0,o} CNAME ${1}.x", "CNAME", "02.2"),
    Case("$GENERATE 1-3 $ 300 PTR h$\nz A 192.0.2.1", "A", "z"),
    Case('x TXT "a\nb"\ny A 192.0.2.1', "A", "y"),
    Case('x (\n 60 IN\n TXT ) "a"', "TXT"),
    Case("x\t60\tIN\tA\t192.0.2.1\t", "A"),
    Case("x 60 IN A 192.0.2.1\r\ny A 192.0.2.2\r", "A", "y"),
    Case("$TTL 1h30m\nx A 192.0.2.1", "A"),
    Case("x 1w2d A 192.0.2.1\nx IN 5 AAAA ::", "AAAA"),
    Case("x 4294967295 A 192.0.2.1", "A"),
    Case("x A 192.0.2.1;c", "A"),
    Case("$ORIGIN sub\n@ A 192.0.2.1", "A", "sub"),
    Case("$origin sub ; c\nx CNAME @", "CNAME", "x.sub"),
    Case("x a 192.0.2.1\n  TXT hi", "TXT"),
    Case(b"x A 192.0.2.1 ; caf\xe9", "A"),
    Case(b'x TXT "caf\xe9"', "TXT"),
    Case("@ IN SOA ns hm 1 2 3 4 5\n@ IN NS ns\nx IN A 192.0.2.1", "A", head=""),
    Case("@ 77 IN SOA ns hm 1 2 3 4 5\n@ NS ns\nx A 192.0.2.1", "A", head=""),
    Case("@ 60 SOA ns hm (1 2h\n 1d 1w\n 1m)\n@ NS ns\nx A 192.0.2.1", "SOA", "", head=""),
]  # fmt: skip
CASES = [*STRINGS, *RARE, *NAMES, *LINES]

# texts that CoreDNS loads and answers otherwise, with this server's answer as presentation text, or "" for none
OTHERWISE = [
    (Case("x TXT", "TXT"), '60 ""'),  # CoreDNS: RDATA of no bytes, which is malformed
    (Case(b"x\xe9 A 192.0.2.1", "A", "x\\233"), "60 192.0.2.1"),  # CoreDNS: the byte becomes U+FFFD
    (Case(b"x CNAME y\xe9.", "CNAME"), "60 y\\233."),
    (Case("\ufeff$TTL 60\n@ IN SOA ns hm 1 2 3 4 5\nx A 192.0.2.1", "A", head=""), "60 192.0.2.1"),  # CoreDNS: refused
]
REFUSED = [  # by both, or by this server where CoreDNS sends malformed messages
    ('"q x" A 192.0.2.1', '"q x" is quoted'),
    ("x A 01.2.3.4", "is not an address"),
    ("x A 192.0.2.1 garbage", "is not an address"),
    ("x MX 10", "1 of 2 fields"),
    ("x MX 70000 y", "not a number from 0 to 65535"),
    ("x SRV 1 2 3 y z", "unexpected 'z'"),
    ("x MX \\# 2 000a", "malformed for this type"),
    ("x A", "is not an address"),
    ("x TXT \\300", "more than a byte"),
    ("x SSHFP 1 1 abc", "pairs of hexadecimal digits"),
    ("x TLSA 3 1 1 zz", "pairs of hexadecimal digits"),
    ("x DNSKEY 256 3 8 A", "not base64"),
    (f'x X25 "{LONG}"', "a string of 392 bytes"),
]


def zone_name(number: int) -> str:
    return f"z{number}.test"


def packet_of(number: int, case: Case) -> bytes:
    return dns.message.make_query(f"{case.qname}.{zone_name(number)}".lstrip("."), case.qtype).to_wire()


def answer_of(raw: bytes) -> Answer:
    """Return the answer section; names in it are without compression."""
    reply = decode(raw)
    return raw[3] & 15, frozenset((one.rtype, one.ttl, one.rdata) for one in reply.answer)


@pytest.fixture
def coredns(tmp_path: Path) -> Iterator[int]:
    """Run CoreDNS with one zone per case; a text that it refuses leaves its own zone unanswered, not the others."""
    binary = peers.need("coredns")
    (port,) = free_ports(1)
    lines = [f"file db.{number} {zone_name(number)} {{\nreload 1s\n}}" for number in range(len(CASES))]
    (tmp_path / "Corefile").write_text(f".:{port} {{\nbind {LOOPBACK}\n" + "\n".join(lines) + "\n}\n")
    with ServerProcess("coredns", [binary, "-conf", "Corefile"], tmp_path / "log", cwd=tmp_path) as server:
        server.wait_until(lambda: ask(port, packet_of(0, CASES[0])) is not None, "answers")
        for number, case in reversed(list(enumerate(CASES))):  # a file that is missing at the start is read later
            (tmp_path / f"db.{number}").write_bytes(case.content)
        for number, case in enumerate(CASES):
            server.wait_until(partial(is_loaded, port, number, case), f"zone with {case.lines!r}")
        yield port


def is_loaded(port: int, number: int, case: Case) -> bool:
    reply = ask(port, packet_of(number, case))
    return reply is not None and reply[3] & 15 != dns.rcode.SERVFAIL


def ask(port: int, packet: bytes) -> bytes | None:
    return dns_client.reply_to(port, packet, timeout_seconds=30)


@pytest.mark.peer("coredns")
async def test_texts_are_loaded_and_answered_as_by_coredns(coredns: int, tmp_path: Path) -> None:
    block = "\n".join(f"file db.{number} {zone_name(number)}" for number in range(len(CASES)))
    different = []
    async with running(block, tmp_path) as server:
        for number, case in enumerate(CASES):
            packet = packet_of(number, case)
            theirs = await asyncio.to_thread(ask, coredns, packet)
            assert theirs is not None
            ours = await server.raw(packet, "tcp")
            if answer_of(theirs) != answer_of(ours) or answer_of(ours)[0] != 0 or not answer_of(ours)[1]:
                different.append((case.lines, answer_of(theirs), answer_of(ours)))
    assert different == []


async def one_zone(case: Case, folder: Path) -> dns.message.Message:
    (folder / "db.0").write_bytes(case.content)
    async with running(f"file db.0 {zone_name(0)}", folder) as server:
        return await text_answer(server, case)


async def text_answer(server: Running, case: Case) -> dns.message.Message:
    return dns.message.from_wire(await server.raw(packet_of(0, case), "tcp"))


@pytest.mark.parametrize(("case", "expected"), OTHERWISE, ids=repr)
async def test_texts_that_coredns_answers_otherwise(case: Case, expected: str, tmp_path: Path) -> None:
    reply = await one_zone(case, tmp_path)
    assert [f"{rrset.ttl} {one}" for rrset in reply.answer for one in rrset] == [expected]


@pytest.mark.parametrize(("text", "problem"), REFUSED)
def test_text_that_is_refused_is_an_error_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(ZoneTextError, match=f"^db:4: .*{re.escape(problem)}"):
        zone_from_text(HEAD + text, ROOT, "/", "db")
