"""`dns64`: which queries are translated, and what an answer is made of. tests/differential compares with CoreDNS."""

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.chain import BlockContext, Query, Reply, code_only, failure
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import dns64
from clusterdns.telemetry.metrics import Series
from clusterdns.wire import codes, record
from clusterdns.wire.name import from_text
from clusterdns.wire.record import Record
from clusterdns.wire.runs import RecordRun, joined, split_run

ReadDirectives = Callable[[str], Sequence[Directive]]
MakeQuery = Callable[..., Query]

NAME, TARGET = from_text("www.example.org"), from_text("real.example.org")
V4, V6 = bytes((192, 0, 2, 33)), bytes.fromhex("20010db8000000000000000000000001")
EMBEDDED = "64:ff9b::192.0.2.33"
SOA = record.soa(from_text("example.org"), 30, NAME, NAME, 1, 30)
OVER_V6 = ("2001:db8::9", 40222, 0, 0)


@pytest.mark.parametrize(
    ("prefix", "embedded"),
    [  # RFC 6052 §2.4
        ("2001:db8::/32", "2001:db8:c000:221::"),
        ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
        ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
        ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
        ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
        ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
        ("64:ff9b::/96", EMBEDDED),
    ],
)
def test_embedded_address(prefix: str, embedded: str) -> None:
    assert dns64.embed(IPv6Network(prefix), V4) == IPv6Address(embedded).packed


@given(st.sampled_from(dns64.PREFIX_BITS), st.ip_addresses(v=4))
def test_the_ipv4_address_can_be_extracted_again(bits: int, address: IPv4Address) -> None:
    made = dns64.embed(IPv6Network(("2001:db8::", bits)), address.packed)
    assert len(made) == 16
    assert not made[8]
    start = bits // 8
    assert (made[start:8] + made[max(9, start) :])[:4] == address.packed


async def ask(
    query: Query, native: Reply, found: Reply, settings: dns64.Dns64Settings | None = None
) -> tuple[Reply, float]:
    """Return the reply, and how many queries were translated."""
    translated = Series()

    async def following(query: Query) -> Reply:
        return native

    async def lookup(query: Query, name: bytes, qtype: int) -> Reply:
        assert (name, qtype) == (NAME, codes.A)
        return found

    query.lookup = lookup
    return await dns64.Dns64Handler(settings or dns64.Dns64Settings(), translated, following)(query), translated.value


def found_v4(ttl: int = 300) -> Reply:
    cname, address = record.cname(NAME, 60, TARGET), record.address(TARGET, ttl, V4)
    reply = Reply(codes.NOERROR, (cname, address), dependencies=("v4",), reusable=True)
    reply.recursion_available = reply.is_authentic = reply.is_upstream = True
    return reply


async def test_synthesised_reply(make_query: MakeQuery) -> None:
    below = Series()
    native = Reply(codes.NOERROR, authority=(SOA,), dependencies=("v6",), reusable=True)
    native.counted = (below,)
    reply, translated = await ask(make_query("www.example.org", "AAAA", client=OVER_V6), native, found_v4())
    synthesised = record.address(TARGET, 30, IPv6Address(EMBEDDED).packed)
    assert list(reply.answer) == [record.cname(NAME, 60, TARGET), synthesised]
    assert not any((reply.is_authoritative, reply.recursion_available, reply.is_authentic, reply.is_upstream))
    assert (reply.dependencies, reply.reusable, translated) == (("v6", "v4"), True, 1)
    assert reply.counted[0] is below
    assert len(reply.counted) == 2


@pytest.mark.parametrize("bits", dns64.PREFIX_BITS)
@pytest.mark.parametrize("before", [(), (record.cname(NAME, 60, TARGET),)])
async def test_the_addresses_of_a_large_service_stay_a_run(
    make_query: MakeQuery, bits: int, before: tuple[record.Record, ...]
) -> None:
    prefix = IPv6Network(f"2001:db8::/{bits}")
    several = [(0x0A000000 + number).to_bytes(4, "big") for number in range(100)]
    found = Reply(codes.NOERROR, joined(before, RecordRun(TARGET, codes.A, 900, several)))
    query = make_query("www.example.org", "AAAA", client=OVER_V6)
    reply, _ = await ask(query, Reply(codes.NOERROR, authority=(SOA,)), found, dns64.Dns64Settings(prefix))
    assert split_run(reply.answer) is not None
    expected = [record.address(TARGET, 30, dns64.embed(prefix, one)) for one in several]
    assert list(reply.answer) == [*before, *expected]


@pytest.mark.parametrize("count", [31, 32, 4000])
@pytest.mark.parametrize("before", [(), (record.cname(NAME, 60, TARGET),)])
async def test_the_addresses_of_a_large_reply_of_an_upstream_are_embedded(
    make_query: MakeQuery, count: int, before: tuple[Record, ...]
) -> None:
    owner = TARGET if before else NAME
    several = [(0x0A000000 + number).to_bytes(4, "big") for number in range(count)]
    found = Reply(codes.NOERROR, (*before, *[record.address(owner, 60, one) for one in several]))
    query = make_query("www.example.org", "AAAA", client=OVER_V6)
    reply, _ = await ask(query, Reply(codes.NOERROR, (), (SOA,)), found)
    prefix = dns64.Dns64Settings().prefix
    made = [record.address(owner, 30, dns64.embed(prefix, one)) for one in several]
    assert list(reply.answer) == [*before, *made]


@pytest.mark.parametrize(("soa", "ttl", "expected"), [((SOA,), 20, 20), ((SOA,), 300, 30), ((), 900, 600), ((), 9, 9)])
async def test_ttl_is_limited_by_the_negative_answer_for_aaaa(
    make_query: MakeQuery, soa: Sequence[record.Record], ttl: int, expected: int
) -> None:
    query = make_query("www.example.org", "AAAA", client=OVER_V6)
    reply, _ = await ask(query, Reply(codes.NOERROR, authority=soa), found_v4(ttl))
    assert reply.answer[1].ttl == expected


def native_v6() -> Reply:
    return Reply(codes.NOERROR, (record.address(NAME, 60, V6),), reusable=True)


def dropped() -> Reply:
    reply = code_only(codes.REFUSED)
    reply.is_dropped = True
    return reply


IPV4_TOO = dns64.Dns64Settings(for_ipv4_clients=True)
REPLACING = dns64.Dns64Settings(translates_all=True)


@pytest.mark.parametrize(
    ("qtype", "client", "native", "settings", "is_translated"),
    [
        ("AAAA", OVER_V6, Reply(codes.NOERROR), dns64.Dns64Settings(), True),
        ("AAAA", OVER_V6, Reply(codes.SERVFAIL), dns64.Dns64Settings(), True),
        ("AAAA", OVER_V6, code_only(codes.SERVFAIL), dns64.Dns64Settings(), False),
        ("AAAA", OVER_V6, Reply(codes.NXDOMAIN), dns64.Dns64Settings(), False),
        ("AAAA", OVER_V6, Reply(codes.NXDOMAIN), REPLACING, False),
        ("AAAA", OVER_V6, dropped(), REPLACING, False),
        ("AAAA", OVER_V6, native_v6(), dns64.Dns64Settings(), False),
        ("AAAA", OVER_V6, native_v6(), REPLACING, True),
        ("AAAA", ("10.0.0.9", 4022), Reply(codes.NOERROR), dns64.Dns64Settings(), False),
        ("AAAA", ("10.0.0.9", 4022), Reply(codes.NOERROR), IPV4_TOO, True),
        ("A", OVER_V6, Reply(codes.NOERROR), IPV4_TOO, False),
    ],
)
async def test_which_queries_are_translated(
    make_query: MakeQuery,
    qtype: str,
    client: tuple[object, ...],
    native: Reply,
    settings: dns64.Dns64Settings,
    is_translated: bool,
) -> None:
    reply, translated = await ask(make_query("www.example.org", qtype, client=client), native, found_v4(), settings)
    assert (reply is native, translated) == (not is_translated, float(is_translated))


@pytest.mark.parametrize(
    "found", [Reply(codes.NOERROR, (record.cname(NAME, 60, TARGET),)), failure(codes.SERVFAIL, "on fire")]
)
async def test_a_name_without_a_records_keeps_its_aaaa_records(make_query: MakeQuery, found: Reply) -> None:
    native = native_v6()
    native.dependencies, found.dependencies = ("v6",), ("v4",)
    reply, translated = await ask(make_query("www.example.org", "AAAA", client=OVER_V6), native, found, REPLACING)
    assert (reply.rcode, list(reply.answer), translated) == (codes.NOERROR, list(native.answer), 0)
    assert reply.dependencies == ("v6", "v4")  # A records that appear are translated
    assert reply.reusable is found.reusable


async def test_a_failed_look_up_of_a_is_the_reply(make_query: MakeQuery) -> None:
    query = make_query("www.example.org", "AAAA", client=OVER_V6)
    reply, _ = await ask(query, Reply(codes.NOERROR, reusable=True), failure(codes.SERVFAIL, "on fire"))
    assert (reply.rcode, list(reply.answer), reply.error, reply.reusable) == (codes.SERVFAIL, [], "on fire", False)


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("dns64", dns64.Dns64Settings()),
        ("dns64 2001:db8::1/96", dns64.Dns64Settings(IPv6Network("2001:db8::/96"))),
        ("dns64 fd00::/96 {\nprefix fd01::/64\ntranslate_all\n}", dns64.Dns64Settings(IPv6Network("fd01::/64"), True)),
        ("dns64 2001:db8::/96\ndns64 {\nallow_ipv4\n}", dns64.Dns64Settings(IPv6Network("2001:db8::/96"), False, True)),
    ],
)  # fmt: skip
def test_settings(
    read_directives: ReadDirectives, context: BlockContext, text: str, settings: dns64.Dns64Settings
) -> None:
    assert dns64.parse(read_directives(text), context) == settings


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        *((f"dns64 2001:db8::/{bits}", "length") for bits in (33, 72, 80, 88)),
        ("dns64 2001:db8::/24", "length"),
        ("dns64 2001:db8::/104", "length"),
        ("dns64 2001:db8::", "length"),
        ("dns64 10.0.0.0/8", "not an IPv6 prefix"),
        ("dns64 word", "not an IPv6 prefix"),
        ("dns64 64:ff9b::/96 64:ff9b::/96", "at most 1 argument"),
        ("dns64 {\nprefix\n}", "exactly one argument"),
        ("dns64 {\ntranslate_all yes\n}", "no argument"),
        ("dns64 {\nallow_ipv6\n}", "allow_ipv4"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors), match=problem):
        dns64.parse(read_directives(text), context)
