"""`cache`: which replies of upstreams are cached, for how long, and what clients see of them."""

import asyncio
from collections.abc import Callable

import pytest
from fakes.aging import Bed, FakeUpstream, option, owners_text, said, ttls, unwritten

from clusterdns.chain import BlockContext, Handler, Query, Reply
from clusterdns.wire import codes
from clusterdns.wire.header import AD

MakeQuery = Callable[..., Query]
A = "a.org 300 A"
SOA = "org 300 SOA 300"
ECS_24 = option(codes.ECS, bytes((0, 1, 24, 24, 10, 1, 0)))
ECS_0 = option(codes.ECS, bytes((0, 1, 24, 0, 10, 1, 0)))
EDE = option(codes.EDE, b"\0\x16why")
COOKIE = option(codes.COOKIE, bytes(16))


async def bed_of(text: str, context: BlockContext, *says: Reply | Exception | None) -> Bed:
    bed = Bed(text, context, FakeUpstream(*says))
    await bed.cache.start()
    return bed


def zones_of_all(text: str) -> str:
    """Return the directive with the zone `.`, because the block of these tests has two zones only."""
    first, newline, rest = text.partition("\n")
    words = first.split()
    opening = " {" if words[-1] == "{" else ""
    return " ".join(word for word in words if word != "{") + " ." + opening + newline + rest


@pytest.mark.parametrize(
    ("text", "reply", "first_ttls", "is_cached"),
    [
        # caps, floors, one TTL for all
        ("cache", said(0, A), [300], True),
        ("cache 30", said(0, A), [30], True),
        ("cache 86400", said(0, "a.org 90000 A"), [86400], True),
        ("cache", said(0, "a.org 90000 A"), [3600], True),
        ("cache", said(0, "a.org 0 A"), [5], True),
        ("cache", said(0, "a.org 200 A,a.org 100 A"), [100], True),
        ("cache", said(0, A, "org 200 NS", "ns.org 77 A"), [77], True),
        ("cache {\nsuccess 10 3600 0\n}", said(0, "a.org 0 A"), [0], False),
        ("cache {\nsuccess 10 3600 0\n}", said(0, "a.org 2 A"), [2], True),
        ("cache {\nsuccess 10 10 20\n}", said(0, A), [10], True),
        # CNAME
        ("cache", said(0, "a.org 300 CNAME b.org,b.org 60 A"), [60], True),
        ("cache", said(0, "b.org 60 A,a.org 300 CNAME B.org"), [60], True),
        ("cache", said(0, "a.org 300 CNAME b.org"), [300], False),
        ("cache", said(0, "a.org 300 CNAME b.org", SOA), [300], True),
        ("cache", said(0, "a.org 300 CNAME b.org,b.org 60 AAAA"), [60], False),
        ("cache", said(0, "a.org 300 CNAME b.org,c.org 60 A"), [60], False),
        ("cache", said(0, "a.org 300 CNAME b.org,b.org 300 CNAME a.org"), [300], False),
        ("cache", said(0, "a.org 300 CNAME b.org,b.org 300 CNAME a.org,a.org 300 A"), [300], False),
        ("cache", said(0, "a.org 300 CNAME c.org,a.org 300 CNAME b.org,b.org 300 A"), [300], False),
        ("cache", said(0, "a.org 300 CNAME b.org,a.org 300 CNAME b.org,b.org 300 A"), [300], True),
        ("cache", said(0, "a.org 300 CNAME b.org,a.org 300 A"), [300], False),
        # negative answers
        ("cache", said(3, "", SOA), [300], True),
        ("cache", said(0, "", SOA), [300], True),
        ("cache", said(3, "", "org 300 SOA 20"), [20], True),
        ("cache", said(3, "", "org 20 SOA 300"), [20], True),
        ("cache", said(3, "", "org 300 SOA 0"), [5], True),
        ("cache", said(3, "", "org 90000 SOA 90000"), [1800], True),
        ("cache {\ndenial 10 7 6\n}", said(3, "", SOA), [7], True),
        ("cache {\ndenial 10 1800 0\n}", said(3, "", "org 300 SOA 0"), [0], False),
        ("cache", said(3, "", "org 300 NS"), [5], False),
        ("cache", said(3), [], False),
        ("cache", said(3, "a.org 300 CNAME b.org", SOA), [5], False),
        # neither positive nor negative
        ("cache", said(0), [], True),
        ("cache", said(0, "", "org 300 NS", "ns.org 300 A"), [5], True),
        ("cache {\nsuccess 10 3600 60\n}", said(0, "", "org 300 NS"), [60], True),
        ("cache", said(2), [], True),
        ("cache", said(2, "", SOA), [5], True),
        ("cache", said(4), [], True),
        ("cache {\nservfail 9s\n}", said(2, "", SOA), [9], True),
        ("cache {\nservfail 0\n}", said(2, "", SOA), [0], False),
        ("cache {\nservfail 500ms\n}", said(2), [], False),
        ("cache", said(2, is_written=False), [], False),
        ("cache", said(5, "", SOA), [5], False),
        ("cache", said(1), [], False),
        ("cache", said(0, A, is_truncated=True), [300], False),
        # by configuration
        ("cache {\ndisable success\n}", said(0, A), [300], False),
        ("cache {\ndisable success\n}", said(3, "", SOA), [300], True),
        ("cache {\ndisable success org\n}", said(0, A), [300], False),
        ("cache {\ndisable success b.org\n}", said(0, A), [300], True),
        ("cache {\ndisable denial\n}", said(3, "", SOA), [300], False),
        ("cache {\ndisable denial\n}", said(2), [], False),
        # replies for some clients only
        ("cache", said(0, A, options=ECS_24), [300], False),
        ("cache", said(0, A, options=ECS_0), [300], True),
    ],
)
async def test_which_replies_are_cached(
    context: BlockContext, make_query: MakeQuery, text: str, reply: Reply, first_ttls: list[int], is_cached: bool
) -> None:
    bed = await bed_of(zones_of_all(text), context, reply)
    first = await bed.handler(make_query("a.org"))
    assert (first.rcode, ttls(first)) == (reply.rcode, first_ttls)
    assert (first.is_authoritative, first.recursion_available, first.is_truncated) == (False, True, reply.is_truncated)
    assert not first.reusable
    second = await bed.handler(make_query("a.org"))
    assert (second.rcode, ttls(second)) == (reply.rcode, first_ttls)
    assert len(bed.upstream.asked) == (1 if is_cached else 2)
    assert (second.is_authoritative, second.recursion_available) == (False, True)
    assert second.reusable is is_cached
    assert [one.rdata for one in second.answer] == [one.rdata for one in reply.answer]


@pytest.mark.parametrize(
    ("since", "until", "do", "is_cached"),
    [(-9, 9, True, True), (-9, -1, True, False), (1, 9, True, False), (-9, -1, False, True)],
)
async def test_replies_with_signatures_out_of_time_are_not_cached(
    context: BlockContext, make_query: MakeQuery, since: int, until: int, do: bool, is_cached: bool
) -> None:
    bed = await bed_of("cache .", context, said(0, f"{A},a.org 300 RRSIG {since} {until}"))
    for _ in range(2):
        await bed.handler(make_query("a.org", edns_bytes=1232, do=do))
    assert len(bed.upstream.asked) == (1 if is_cached else 2)


async def test_ttls_count_down_in_whole_seconds(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of("cache .", context, said(0, "a.org 7 A", "org 9 NS"))
    await bed.handler(make_query("a.org"))
    seen = []
    for _ in range(27):
        bed.clock.pass_seconds(0.25)
        seen += ttls(await bed.handler(make_query("a.org")))
    assert seen == sorted([7] * 3 + [6, 5, 4, 3, 2, 1] * 4, reverse=True)
    assert len(bed.upstream.asked) == 1
    bed.clock.pass_seconds(0.25)
    assert ttls(await bed.handler(make_query("a.org"))) == [7]
    assert len(bed.upstream.asked) == 2


async def test_records_are_made_once_per_second(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of("cache .", context, said(0, A))
    await bed.handler(make_query("a.org"))
    bed.clock.pass_seconds(1.1)
    one, other = [await bed.handler(make_query("a.org")) for _ in range(2)]
    assert one is not other
    assert one.answer is other.answer


@pytest.mark.parametrize("aa", [False, True])
@pytest.mark.parametrize("ra", [False, True])
async def test_flags_are_those_of_the_upstream(
    context: BlockContext, make_query: MakeQuery, aa: bool, ra: bool
) -> None:
    bed = await bed_of("cache .", context, said(0, A, is_authoritative=aa, recursion_available=ra))
    for _ in range(2):
        reply = await bed.handler(make_query("a.org"))
        assert (reply.is_authoritative, reply.recursion_available) == (aa, ra)
    assert len(bed.upstream.asked) == 1


async def test_with_keepttl_ttls_do_not_count_down(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of("cache . {\nkeepttl\n}", context, said(0, "a.org 7 A"))
    for _ in range(7):
        assert ttls(await bed.handler(make_query("a.org"))) == [7]
        bed.clock.pass_seconds(1)
    assert len(bed.upstream.asked) == 1
    await bed.handler(make_query("a.org"))
    assert len(bed.upstream.asked) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"qtype": "AAAA"},
        {"edns_bytes": 1232, "do": True},
        {"checking_disabled": True},
    ],
)
async def test_other_questions_have_entries_of_their_own(
    context: BlockContext, make_query: MakeQuery, other: dict[str, object]
) -> None:
    bed = await bed_of("cache .", context, said(0, A))
    await bed.handler(make_query("a.org"))
    await bed.handler(make_query("a.org", **other))
    assert len(bed.upstream.asked) == 2


async def test_equal_questions_share_an_entry(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of("cache .", context, said(0, A))
    await bed.handler(make_query("a.org"))
    await bed.handler(make_query("A.oRg"))
    await bed.handler(make_query("a.org", edns_bytes=4096))
    await bed.handler(make_query("a.org", transport="tcp", client=("10.1.0.10", 1)))
    assert len(bed.upstream.asked) == 1


@pytest.mark.parametrize(
    ("name", "is_cached"), [("a.cluster.local", True), ("a.org", False), ("1.2.in-addr.arpa", True), ("local", False)]
)
async def test_names_outside_the_zones_are_not_cached(
    context: BlockContext, make_query: MakeQuery, name: str, is_cached: bool
) -> None:
    reply = said(0, f"{name} 300 A")
    bed = await bed_of("cache 30", context, reply)
    first = await bed.handler(make_query(name))
    await bed.handler(make_query(name))
    assert len(bed.upstream.asked) == (1 if is_cached else 2)
    assert ttls(first) == [30 if is_cached else 300]


async def test_transfers_are_not_cached(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of("cache .", context, said(0, A))
    for _ in range(2):
        assert ttls(await bed.handler(make_query("a.org", "AXFR"))) == [300]
    assert len(bed.upstream.asked) == 2


async def test_replies_of_our_own_are_not_cached_or_changed(context: BlockContext, make_query: MakeQuery) -> None:
    held = said(0, A, is_upstream=False, reusable=True)
    bed = await bed_of("cache 30 .", context, held)
    bed.handler = bed.wrap(giving(held))
    for _ in range(2):
        assert await bed.handler(make_query("a.org")) is held
    assert ttls(held) == [300]
    assert bed.counts() == {"entries.success": 0, "entries.denial": 0}


def giving(reply: Reply) -> Handler:
    async def handle(query: Query) -> Reply:
        return reply

    return handle


async def test_a_failed_exchange_is_not_cached(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of("cache .", context, unwritten(), said(0, A))
    assert (await bed.handler(make_query("a.org"))).error
    assert (await bed.handler(make_query("a.org"))).rcode == codes.NOERROR
    assert bed.counts()["misses"] == 2


# AD, options


@pytest.mark.parametrize(("do", "ad", "is_shown"), [(False, False, False), (True, False, True), (False, True, True)])
async def test_ad_is_asked_for_and_shown_to_clients_that_want_it(
    context: BlockContext, make_query: MakeQuery, do: bool, ad: bool, is_shown: bool
) -> None:
    bed = await bed_of("cache .", context, said(0, A, is_authentic=True))
    for _ in range(2):
        query = make_query("A.org", edns_bytes=1232 if do else None, do=do)
        query.flags |= AD if ad else 0
        before = query.flags
        assert (await bed.handler(query)).is_authentic is is_shown
        assert query.flags == before
    (asked,) = bed.upstream.asked
    assert asked.flags & AD
    assert asked.question == query.question


async def test_a_reply_without_ad_stays_without(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of("cache .", context, said(0, A))
    for _ in range(2):
        assert not (await bed.handler(make_query("a.org", edns_bytes=1232, do=True))).is_authentic


async def test_extended_errors_are_cached_and_cookies_are_not(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of("cache .", context, said(2, options=COOKIE + EDE + ECS_0))
    await bed.handler(make_query("a.org", edns_bytes=1232))
    assert (await bed.handler(make_query("a.org", edns_bytes=1232))).options == EDE


@pytest.mark.parametrize(("in_reply", "is_cached"), [(b"", False), (ECS_24, False), (ECS_0, True)])
async def test_queries_with_client_subnet_are_not_answered_from_the_cache(
    context: BlockContext, make_query: MakeQuery, in_reply: bytes, is_cached: bool
) -> None:
    bed = await bed_of("cache .", context, said(0, A, options=in_reply))
    naming = make_query("a.org", edns_bytes=1232)
    naming.options = ECS_24
    await bed.handler(naming)
    await bed.handler(naming)
    assert len(bed.upstream.asked) == 2, "it is never answered from the cache"
    assert bed.upstream.asked[0].options == ECS_24
    await bed.handler(make_query("a.org", edns_bytes=1232))
    assert len(bed.upstream.asked) == (2 if is_cached else 3)
    assert bed.counts().get("drops", 0) == (0 if is_cached else 2 + (in_reply == ECS_24))


# Two stores


async def test_negative_entries_go_first_and_positive_answers_end_them(
    context: BlockContext, make_query: MakeQuery
) -> None:
    bed = await bed_of("cache . {\nprefetch 1 1m 90%\n}", context, said(0, "a.org 20 A"), said(3, "", SOA), said(0, A))
    await bed.handler(make_query("a.org"))
    bed.clock.pass_seconds(3)
    assert (await bed.handler(make_query("a.org"))).rcode == codes.NOERROR
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (await bed.handler(make_query("a.org"))).rcode == codes.NXDOMAIN
    bed.clock.pass_seconds(31)
    await bed.handler(make_query("a.org"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (await bed.handler(make_query("a.org"))).rcode == codes.NOERROR
    assert bed.counts()["entries.denial"] == 0


async def test_the_oldest_of_the_unused_is_evicted_at_capacity(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of("cache . {\nsuccess 1\n}", context, said(0, A))
    bed.handler = bed.wrap(answering)
    for number in range(1030):
        await bed.handler(make_query(f"n{number}.org"))
    found = bed.counts()
    assert (found["entries.success"], found["evictions.success"]) == (1024, 6)
    assert ttls(await bed.handler(make_query("n0.org"))) == [300]
    assert bed.counts()["misses"] == 1031
    await bed.handler(make_query("n1029.org"))
    assert bed.counts()["hits.success"] == 1


async def answering(query: Query) -> Reply:
    reply = said(0, A)
    reply.answer = tuple(one.with_name(query.name) for one in reply.answer)
    return reply


async def test_queries_and_entries_are_counted(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of("cache .", context, said(0, A), said(3, "", SOA))
    assert bed.counts() == {"entries.success": 0, "entries.denial": 0}
    for name in ("a.org", "b.org", "a.org", "b.org", "b.org"):
        await bed.handler(make_query(name))
    assert bed.counts() == {
        "entries.success": 1, "entries.denial": 1, "requests": 5, "misses": 2, "hits.success": 1, "hits.denial": 2,
    }  # fmt: skip
    await bed.cache.stop()
    assert bed.counts()["entries.success"] == 0
    await bed.handler(make_query("a.org"))
    assert bed.counts()["entries.success"] == 0, "a stopped cache keeps nothing"


async def test_owner_names_are_kept(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of("cache .", context, said(0, "a.org 300 CNAME b.org,b.org 60 A", "org 60 NS", "ns.org 60 A"))
    for _ in range(2):
        reply = await bed.handler(make_query("a.org"))
        assert owners_text(reply.answer) == ["a.org.", "b.org."]
        assert owners_text(reply.authority) == ["org."]
        assert owners_text(reply.additional) == ["ns.org."]
