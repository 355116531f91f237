"""The protocol, rule by rule: each row names the rule it pins, and is asked over real UDP and TCP sockets.

Rows of `RESPONSES` and `REFUSALS` are packets that no handler sees; rows of `RULES` are queries whose replies `verify`
(conftest) checks in general and the row in particular. What needs many queries or large answers stands below the
tables.
"""

import asyncio
import logging
import random
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import pytest
from server.misbehaving import MisbehavingHandler

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.server.dispatch import Dispatch, LargeReply, ListenerContext
from clusterdns.telemetry.metrics import Series
from clusterdns.wire import name
from testing.waiting import PATIENCE_SECONDS, until

Send = Callable[[bytes, str], Awaitable[bytes | None]]
IsIgnored = Callable[[bytes, str], Awaitable[bool]]
Ask = Callable[[bytes, str], Awaitable[dns.message.Message]]
Verify = Callable[[bytes, bytes, str], dns.message.Message]
Check = Callable[[dns.message.Message], bool]

both_transports = pytest.mark.parametrize("transport", ["udp", "tcp"])

WEB = "web.prod.svc.cluster.local."
HEADER = struct.Struct(">HHHHHH")
QUESTION = b"\x03web\x04prod\x03svc\x07cluster\x05local\0\0\1\0\1"
OPT = b"\0\0\x29\x10\0\0\0\0\0\0\0"


def packet(*, flags: int = 0x0100, counts: tuple[int, int, int, int] = (1, 0, 0, 0), body: bytes = QUESTION) -> bytes:
    return HEADER.pack(0x1234, flags, *counts) + body


def query(qname: str = WEB, qtype: str | int = "A", qclass: str = "IN", **edns: int) -> bytes:
    return dns.message.make_query(qname, qtype, qclass, **edns).to_wire()  # type: ignore[arg-type]


def header_only(rcode: int, flags: int = 0x8100) -> bytes:
    return HEADER.pack(0x1234, flags | rcode, 0, 0, 0, 0)


def with_opt(message: bytes, *, do: bool = False) -> bytes:
    """The response with our OPT, which has no options."""
    return message[:10] + b"\0\1" + message[12:] + b"\0\0\x29\x04\xd0\0\0" + (b"\x80" if do else b"\0") + b"\0\0\0"


def with_question(rcode: int, flags: int = 0x8100) -> bytes:
    return HEADER.pack(0x1234, flags | rcode, 1, 0, 0, 0) + QUESTION


FORMERR, NOTIMP = dns.rcode.FORMERR, dns.rcode.NOTIMP
SRV_WITH_LOOP = QUESTION + b"\xc0\x35\0\x01\0\1\0\0\0\0\0\0"
SOME_RECORD = b"\xc0\x0c\0\1\0\xfe\0\0\0\0\0\0"
DO_OPT = b"\0\0\x29\x10\0\0\0\x80\x01\0\0"
LONG_NAME = (b"\x3f" + b"a" * 63) * 4 + b"\0"

RESPONSES = {
    "RFC 1035 §4.1.1: a response is never answered": packet(flags=0x8100),
    "RFC 1035 §4.1.1: a response of an unknown opcode is never answered": packet(flags=0xF900),
}
REFUSALS: dict[str, tuple[bytes, bytes]] = {
    "RFC 8906 §3.1.4: another opcode is NOTIMP, and kept": (packet(flags=0x2900), header_only(NOTIMP, 0xA900)),
    "RFC 8906 §3.1.4: NOTIFY too": (packet(flags=0x2100), header_only(NOTIMP, 0xA100)),
    "RFC 8906 §3.1.4: whatever follows the header": (packet(flags=0x7800, body=b"\xff"), header_only(NOTIMP, 0xF800)),
    "RFC 6891 §7: NOTIMP has an OPT where the query has one": (
        packet(flags=0x2900, counts=(1, 0, 0, 1), body=QUESTION + OPT),
        with_opt(header_only(NOTIMP, 0xA900)),
    ),
    "RFC 6891 §7: an update's OPT comes after its other records": (
        packet(flags=0x2900, counts=(1, 1, 2, 2), body=QUESTION + SOME_RECORD * 4 + DO_OPT),
        with_opt(header_only(NOTIMP, 0xA900), do=True),
    ),
    "RFC 6891 §7: two questions and an OPT": (
        packet(counts=(2, 0, 0, 1), body=QUESTION * 2 + OPT),
        with_opt(header_only(FORMERR)),
    ),
    "RFC 6891 §7: no question and an OPT": (
        packet(counts=(0, 0, 0, 1), body=OPT),
        with_opt(header_only(FORMERR)),
    ),
    "RFC 6891 §7: a question that cannot be read, and an OPT": (
        packet(counts=(1, 0, 0, 1), body=b"\xc0\x0c\0\1\0\1" + OPT),
        with_opt(header_only(FORMERR)),
    ),
    "RFC 6891 §7: more records than any query has, and an OPT": (
        packet(counts=(1, 2, 0, 1), body=QUESTION + SOME_RECORD * 2 + OPT),
        with_opt(header_only(FORMERR)),
    ),
    "RFC 6891 §7: more records than are counted before an OPT is found": (
        packet(counts=(1, 0, 600, 1), body=QUESTION + SOME_RECORD * 2 + OPT),
        header_only(FORMERR),
    ),
    "RFC 9619: QDCOUNT 0 is FORMERR": (packet(counts=(0, 0, 0, 0)), header_only(FORMERR)),
    "RFC 9619: QDCOUNT 2 is FORMERR": (packet(counts=(2, 0, 0, 0), body=QUESTION * 2), header_only(FORMERR)),
    "RFC 1035 §4.1.1: FORMERR copies RD and CD": (
        packet(flags=0x0130, counts=(0, 0, 0, 0)),
        header_only(FORMERR, 0x8110),
    ),
    "RFC 1035 §4.1.2: no question after the header": (packet(body=b""), header_only(FORMERR)),
    "RFC 1035 §4.1.2: question cut inside the name": (packet(body=QUESTION[:9]), header_only(FORMERR)),
    "RFC 1035 §4.1.2: question cut before its type": (packet(body=QUESTION[:-4]), header_only(FORMERR)),
    "RFC 1035 §4.1.2: question cut inside its class": (packet(body=QUESTION[:-1]), header_only(FORMERR)),
    "RFC 1035 §4.1.4: a pointer to itself": (packet(body=b"\xc0\x0c\0\1\0\1"), header_only(FORMERR)),
    "RFC 1035 §4.1.4: a pointer into the header": (packet(body=b"\xc0\x04\0\1\0\1"), header_only(FORMERR)),
    "RFC 1035 §4.1.4: label types 01 and 10 are undefined": (packet(body=b"\x41a\0\0\1\0\1"), header_only(FORMERR)),
    "RFC 1035 §2.3.4: a name of 257 bytes": (packet(body=LONG_NAME + b"\0\1\0\1"), header_only(FORMERR)),
    "RFC 1035 §4.1.1: more answers than any query has": (packet(counts=(1, 2, 0, 0)), header_only(FORMERR)),
    "RFC 1035 §4.1.3: a record is announced and missing": (packet(counts=(1, 0, 0, 1)), with_question(FORMERR)),
    "RFC 1035 §4.1.3: a record cut short": (
        packet(counts=(1, 0, 0, 1), body=QUESTION + OPT[:-1]),
        with_question(FORMERR),
    ),
    "RFC 1035 §4.1.4: a record's name that points at itself": (
        packet(counts=(1, 1, 0, 0), body=SRV_WITH_LOOP),
        with_question(FORMERR),
    ),
    "RFC 6891 §6.1.1: two OPT": (
        packet(counts=(1, 0, 0, 2), body=QUESTION + OPT * 2),
        with_opt(with_question(FORMERR)),
    ),
    "RFC 6891 §6.1.1: an OPT elsewhere": (packet(counts=(1, 1, 0, 0), body=QUESTION + OPT), with_question(FORMERR)),
    "RFC 6891 §6.1.2: an OPT that is not the root's": (
        packet(counts=(1, 0, 0, 1), body=QUESTION + b"\xc0\x0c" + OPT[1:]),
        with_opt(with_question(FORMERR)),
    ),
    "RFC 6891 §6.1.2: an option cut short": (
        packet(counts=(1, 0, 0, 1), body=QUESTION + OPT[:-1] + b"\x05\0\x0a\0\x08a"),
        with_opt(with_question(FORMERR)),
    ),
    "RFC 6891 §6.1.2: an option's header cut short": (
        packet(counts=(1, 0, 0, 1), body=QUESTION + OPT[:-1] + b"\x03\0\x0a\0"),
        with_opt(with_question(FORMERR)),
    ),
}

SHORT = {"0 bytes": b"", "1 byte": b"\0", "11 bytes": packet()[:11]}


@both_transports
@pytest.mark.parametrize("rule", REFUSALS)
async def test_malformed_queries_are_refused(rule: str, transport: str, send: Send) -> None:
    sent, expected = REFUSALS[rule]
    assert await send(sent, transport) == expected


@both_transports
@pytest.mark.parametrize("rule", RESPONSES)
async def test_responses_are_ignored(rule: str, transport: str, is_ignored: IsIgnored) -> None:
    assert await is_ignored(RESPONSES[rule], transport)


@pytest.mark.parametrize("sent", SHORT.values(), ids=SHORT)
async def test_packets_shorter_than_a_header_are_ignored(sent: bytes, send: Send, is_ignored: IsIgnored) -> None:
    """RFC 1035 §4.1.1. TCP closes the connection while no time passes: what follows is not to be trusted either."""
    assert await is_ignored(sent, "udp")
    assert await send(sent, "tcp") is None


def has(rcode: str, answers: int = 0, authority: int = 0) -> Check:
    def check(reply: dns.message.Message) -> bool:
        found = (dns.rcode.to_text(reply.rcode()), len(reply.answer), len(reply.authority))
        assert found == (rcode, answers, authority)
        return True

    return check


def no_data(reply: dns.message.Message) -> bool:
    return has("NOERROR", 0, 1)(reply) and reply.authority[0].rdtype == dns.rdatatype.SOA


def no_name(reply: dns.message.Message) -> bool:
    return has("NXDOMAIN", 0, 1)(reply) and reply.authority[0].rdtype == dns.rdatatype.SOA


def is_canonical_ttl(reply: dns.message.Message) -> bool:
    soa = reply.authority[0]
    return no_name(reply) and soa.ttl == min(soa.ttl, soa[0].minimum)


def flagged(flags: int, sent: bytes) -> bytes:
    return sent[:2] + struct.pack(">H", flags) + sent[4:]


def option(code: int, content: bytes) -> dns.edns.Option:
    return dns.edns.GenericOption(dns.edns.OptionType.make(code), content)


def with_options(*options: dns.edns.Option) -> bytes:
    return dns.message.make_query(WEB, "A", use_edns=0, options=list(options)).to_wire(max_size=65535)


COOKIE = option(10, b"12345678")

RULES: dict[str, tuple[bytes, Check]] = {
    "RFC 1035 §4.1: an address": (query(), has("NOERROR", 1)),
    "RFC 1035 §4.1.1: without RD": (flagged(0, query()), has("NOERROR", 1)),
    "RFC 4035 §3.2.2: CD is copied": (flagged(0x0110, query()), has("NOERROR", 1)),
    "RFC 6840 §5.7: AD in a query is no reason to set it": (flagged(0x0120, query()), has("NOERROR", 1)),
    "RFC 1035 §4.1.1: Z, AA, TC and RA of a query are ignored": (flagged(0x07C0, query()), has("NOERROR", 1)),
    "RFC 1035 §4.1.1: a code in a query is ignored": (flagged(0x010F, query()), has("NOERROR", 1)),
    "RFC 4343 §3: capital letters": (query("WEB.PROD.SVC.CLUSTER.LOCAL."), has("NOERROR", 1)),
    "RFC 4343 §3: mixed letters, existing name": (query("wEb.PrOd.sVc.ClUsTeR.lOcAl."), has("NOERROR", 1)),
    "RFC 4343 §3: mixed letters, missing name": (query("nOnE.pRoD.sVc.cLuStEr.LoCaL."), no_name),
    "RFC 4343 §3: mixed letters, type 65 is an ASCII capital": (query("Web.prod.svc.cluster.local.", "HTTPS"), no_data),
    "RFC 2308 §2.2: no data has the SOA": (query(qtype="AAAA"), no_data),
    "RFC 2308 §2.1: no name has the SOA": (query("none.prod.svc.cluster.local."), no_name),
    "RFC 2308 §3: the SOA's TTL is the negative TTL": (
        query("none.prod.svc.cluster.local."),
        is_canonical_ttl,
    ),
    "RFC 3597 §2: an unknown type of an existing name": (query(qtype="TYPE65280"), no_data),
    "RFC 3597 §2: an unknown type of a missing name": (query("none.svc.cluster.local.", "TYPE65280"), no_name),
    "RFC 3597 §2: type 0": (query(qtype="TYPE0"), no_data),
    "RFC 8906 §3.1.3: meta types are types": (query(qtype="TYPE254"), no_data),
    "RFC 2181 §5: a whole RRset": (query("nine.prod.svc.cluster.local."), has("NOERROR", 9)),
    "RFC 6604 §2: the code of the last name in the chain": (
        query("loopx.prod.svc.cluster.local."),
        has("NXDOMAIN", 1, 1),
    ),
    "RFC 8020 §2: a name above an existing one exists": (query("_tcp.web.prod.svc.cluster.local."), no_data),
    "RFC 8020 §2: an empty node of the reverse tree": (query("1.10.in-addr.arpa.", "PTR"), no_data),
    "RFC 8482 §4.2: ANY": (query(qtype="ANY"), has("NOERROR", 1)),
    "RFC 8906 §3.1: names outside our zones": (query("example.com."), has("REFUSED")),
    "RFC 8906 §3.1: the root": (query(".", "NS"), has("REFUSED")),
    "RFC 1035 §3.2.4: class CH": (query(qclass="CH"), has("REFUSED")),
    "RFC 1035 §3.2.5: class ANY": (query(qclass="ANY"), has("REFUSED")),
    "RFC 3597 §2: an unknown class": (query(qclass="CLASS4711"), has("REFUSED")),
    "RFC 5936 §2.2: a transfer that is not allowed": (query("cluster.local.", "AXFR"), has("REFUSED")),
    "RFC 6891 §6.1.1: an OPT for an OPT": (query(use_edns=0), has("NOERROR", 1)),
    "RFC 6891 §6.1.1: an OPT in a negative answer": (query("none.svc.cluster.local.", use_edns=0), no_name),
    "RFC 6891 §6.1.1: an OPT with a refusal": (query("example.com.", use_edns=0), has("REFUSED")),
    "RFC 6891 §6.1.3: version 1": (query(use_edns=1), has("BADVERS")),
    "RFC 6891 §6.1.3: version 255": (query(use_edns=255), has("BADVERS")),
    "RFC 6891 §6.1.3: version 1 in class CH": (query(qclass="CH", use_edns=1), has("BADVERS")),
    "RFC 6891 §6.1.4: unknown flags": (query(use_edns=0, ednsflags=0x7FFF), has("NOERROR", 1)),
    "RFC 3225 §3: DO is copied": (query(use_edns=0, ednsflags=0x8000), has("NOERROR", 1)),
    "RFC 3225 §3: DO is copied with BADVERS too": (query(use_edns=1, ednsflags=0x8000), has("BADVERS")),
    "RFC 6891 §6.1.2: an unknown option": (with_options(option(65001, b"x")), has("NOERROR", 1)),
    "RFC 7873 §5.2.1: a cookie, which we do not do": (with_options(COOKIE), has("NOERROR", 1)),
    "RFC 5001 §2.1: NSID, which we do not do": (with_options(option(3, b"")), has("NOERROR", 1)),
    "RFC 7871 §7.1: a client subnet": (with_options(dns.edns.ECSOption("10.1.0.0", 16)), has("NOERROR", 1)),
    "RFC 6891 §6.1.2: the same option twice": (with_options(COOKIE, COOKIE), has("NOERROR", 1)),
    "RFC 1035 §4.2.1: queries above 512 bytes are read": (
        with_options(option(12, bytes(3_900))),
        has("NOERROR", 1),
    ),
    "RFC 1035 §4.1: bytes after the end": (query() + b"trailing", has("NOERROR", 1)),
    "RFC 8945 §5.3: a TSIG that we cannot check is left alone": (
        packet(counts=(1, 0, 0, 1), body=QUESTION + b"\1k\0\0\xfa\0\xff\0\0\0\0\0\0"),
        has("NOERROR", 1),
    ),
}


@both_transports
@pytest.mark.parametrize("rule", RULES)
async def test_a_query_is_answered_by_the_rules(rule: str, transport: str, ask: Ask) -> None:
    sent, check = RULES[rule]
    for _ in range(3):  # anew, then (from the second or third on) from the answer table
        assert check(await ask(sent, transport))


async def test_a_reply_is_the_same_whether_compiled_or_not(ask: Ask, send: Send) -> None:
    for sent, _ in RULES.values():
        replies = [await send(sent, "udp") for _ in range(3)]
        assert len({bytes(sorted(reply or b"")) for reply in replies}) == 1


async def test_the_case_of_the_question_is_returned(ask: Ask) -> None:
    """RFC 4343 §4.1, and what resolvers do against forgery."""
    generator = random.Random(20)
    for qname in (WEB, "none.prod.svc.cluster.local.", "9.9.9.10.in-addr.arpa.", "loopx.prod.svc.cluster.local."):
        for _ in range(40):
            mixed = "".join(generator.choice((letter.upper(), letter)) for letter in qname)
            reply = await ask(query(mixed), "udp")
            for rrset in reply.answer[:1]:
                assert rrset.name.to_text() == mixed


# Sizes and truncation


@pytest.mark.parametrize("payload", [None, 0, 1, 511, 512, 513, 700, 1231, 1232, 1233, 4096, 65535])
async def test_udp_replies_fit_and_are_truncated_at_whole_records(
    payload: int | None, large_index: Index, ask: Ask
) -> None:
    """RFC 1035 §4.2.1, RFC 2181 §9, RFC 6891 §6.2.3; 1,232 bytes is our own bound (DNS flag day 2020)."""
    qname = "four.prod.svc.cluster.local."
    sent = query(qname) if payload is None else query(qname, use_edns=0, payload=payload)
    limit = 512 if payload is None else min(max(payload, 512), 1232)
    overhead = 12 + len(qname) + 1 + 4 + (0 if payload is None else 11)
    for _ in range(3):
        reply = await ask(sent, "udp")
        assert reply.flags & dns.flags.TC
        assert len(reply.answer) == (limit - overhead) // 16, "as many whole records as fit"


async def test_a_truncated_reply_is_complete_over_tcp(large_index: Index, ask: Ask) -> None:
    """RFC 7766 §5."""
    for _ in range(3):  # anew, compiled, from the answer table
        reply = await ask(query("four.prod.svc.cluster.local.", use_edns=0), "tcp")
        assert not reply.flags & dns.flags.TC
        assert len({rrset[0].address for rrset in reply.answer}) == len(reply.answer) == 4_000


async def test_a_reply_larger_than_any_message_is_truncated_over_tcp(large_index: Index, ask: Ask) -> None:
    for _ in range(3):
        reply = await ask(query("ten.prod.svc.cluster.local."), "tcp")
        assert reply.flags & dns.flags.TC
        assert len(reply.answer) == (65535 - 12 - 33) // 16


async def test_additional_records_fill_a_message_and_no_more_are_made(large_index: Index, ask: Ask) -> None:
    qname = "ten.prod.svc.cluster.local."
    sent = query(qname, "SRV")
    reply = await ask(sent, "tcp")
    target_bytes = len(b"\x0a10-200-0-0") + 1 + len(qname)
    record_bytes = 12 + 6 + target_bytes
    assert reply.flags & dns.flags.TC
    assert not reply.additional
    assert len(reply.answer) > 65_000 // (record_bytes + 4), "as many as fit"
    zone = name.from_text("cluster.local.")
    found = ClusterZone(zone, large_index, primary=zone, ttl_seconds=5, pods=PodMode.DISABLED).find(
        name.from_text(qname), dns.rdatatype.SRV
    )
    assert len(reply.answer) < len(found.records) < 1.1 * len(reply.answer)
    assert {one.rdata[:4] for one in found.records} == {b"\0\0\0\1"}, "the weight is that of one of all"


async def test_truncated_replies_rotate_through_all_records(large_index: Index, ask: Ask) -> None:
    shown: set[str] = set()
    for _ in range(20):
        reply = await ask(query("four.prod.svc.cluster.local."), "udp")
        shown.update(rrset[0].address for rrset in reply.answer)
    assert len(shown) > 30


@pytest.mark.parametrize(("qname", "asked"), [("nine", 1), ("ten", 2), ("none", 2)])
async def test_large_and_negative_answers_are_compiled_at_the_second_query(
    qname: str, asked: int, large_index: Index, make_dispatch: Callable[..., Dispatch],
    make_listener: Callable[[str], ListenerContext],
) -> None:  # fmt: skip
    dispatch, listener = make_dispatch(), make_listener("udp")
    sent = query(f"{qname}.prod.svc.cluster.local.")
    kept = []
    for _ in range(3):
        reply = dispatch.miss(sent, ("127.0.0.1", 4), "127.0.0.1", listener)
        if isinstance(reply, LargeReply):
            await reply
        kept.append(sent[2:] in listener.answers.entries)
    assert kept.index(True) == asked - 1


@pytest.mark.parametrize("is_changed", [False, True], ids=["unchanged", "changed"])
async def test_a_large_answer_that_changes_before_it_is_encoded_is_not_kept(
    is_changed: bool, large_index: Index, make_dispatch: Callable[..., Dispatch],
    make_listener: Callable[[str], ListenerContext],
) -> None:  # fmt: skip
    dispatch, listener = make_dispatch(), make_listener("udp")
    sent = query("ten.prod.svc.cluster.local.")
    for _ in range(2):
        found = dispatch.miss(sent, ("127.0.0.1", 4), "127.0.0.1", listener)
        assert isinstance(found, LargeReply)
        if is_changed:
            listener.answers.forget([(b"prod", b"ten")])
        assert await found
    assert (sent[2:] in listener.answers.entries) is not is_changed


@pytest.mark.parametrize("sent", [query("nine.prod.svc.cluster.local."), with_options(COOKIE)], ids=["kept", "cookie"])
def test_every_address_comes_first_equally_often(
    sent: bytes, make_dispatch: Callable[..., Dispatch], make_listener: Callable[[str], ListenerContext]
) -> None:
    sent = sent.replace(b"\x03web", b"\x04nine")
    dispatch, listener = make_dispatch(), make_listener("udp")
    first: Counter[bytes] = Counter()
    for _ in range(9_000):
        answer = listener.answers.entries.get(sent[2:])
        reply = sent[:2] + answer.message() if answer else dispatch.miss(sent, ("127.0.0.1", 4), "127.0.0.1", listener)
        assert isinstance(reply, bytes)
        start = len(dns.message.from_wire(sent).question[0].name.to_wire() or b"") + 28
        first[reply[start : start + 4]] += 1
    assert len(first) == 9
    assert all(850 <= count <= 1150 for count in first.values())


# Handlers that fail or wait


@both_transports
@pytest.mark.parametrize("manner", ["boom", "unencodable", "lost"])
async def test_a_failing_handler_costs_one_servfail(
    manner: str, transport: str, ask: Ask, panics: Series, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "clusterdns"):
        reply = await ask(query(f"{manner}.test."), transport)
    assert reply.rcode() == dns.rcode.SERVFAIL
    assert panics.value == 1
    assert f"{manner}.test. A" in caplog.text
    assert (await ask(query(), transport)).rcode() == dns.rcode.NOERROR


@both_transports
@pytest.mark.parametrize(
    ("qname", "last"),
    [
        ("slow.test.", "192.0.2.1"),
        ("done.test.", "192.0.2.3"),
        ("rescued.test.", "192.0.2.2"),
        ("near.prod.svc.cluster.local.", "192.0.2.1"),
    ],
)
async def test_a_handler_may_wait(qname: str, last: str, transport: str, ask: Ask) -> None:
    for _ in range(2):
        reply = await ask(query(qname), transport)
        assert reply.answer[-1][0].to_text() == last


async def test_a_waiting_query_does_not_delay_others(send: Send, held_queries: MisbehavingHandler) -> None:
    late = asyncio.ensure_future(send(query("held.test."), "udp"))
    await until(lambda: held_queries.held, "the query to reach its handler")
    for _ in range(20):
        assert await send(query(), "udp")
    assert not late.done()
    held_queries.release()
    assert await late


# Addresses


async def test_a_wildcard_socket_replies_from_the_queried_address(
    serve: Callable[..., Awaitable[tuple[str, int]]], make_dispatch: Callable[..., Dispatch]
) -> None:
    """RFC 2181 §4: to a connected client a reply from elsewhere is no reply."""
    _, port = await serve(make_dispatch(), "0.0.0.0")
    loop = asyncio.get_running_loop()
    for host in ("127.0.0.2", "127.0.0.3", "127.0.0.1"):
        for sent in (query(), query(), query("slow.test.")):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
                sock.connect((host, port))
                await loop.sock_sendall(sock, sent)
                assert (await asyncio.wait_for(loop.sock_recv(sock, 4096), PATIENCE_SECONDS))[:2] == sent[:2]


@pytest.mark.parametrize("host", ["::1", "::"])
async def test_ipv6(
    host: str, serve: Callable[..., Awaitable[tuple[str, int]]], make_dispatch: Callable[..., Dispatch]
) -> None:
    try:
        port = (await serve(make_dispatch(), host))[1]
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.connect(("::1", port))
        for _ in range(2):
            await loop.sock_sendall(sock, query())
            reply = dns.message.from_wire(await asyncio.wait_for(loop.sock_recv(sock, 4096), PATIENCE_SECONDS))
            assert len(reply.answer) == 1
