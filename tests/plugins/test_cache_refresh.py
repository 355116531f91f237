"""`cache`: expired replies are served while upstreams are asked, and popular ones are prefetched."""

import asyncio
from collections.abc import Callable

import pytest
from fakes.aging import Bed, FakeUpstream, option, said, ttls, unwritten

from clusterdns.chain import BlockContext, Query, Reply
from clusterdns.plugins.cache.refresh import MAX_REFRESHES
from clusterdns.wire import codes
from clusterdns.wire.header import AD

MakeQuery = Callable[..., Query]
A = said(0, "a.org 10 A")
SOA = "org 300 SOA 300"
NXDOMAIN = said(3, "", SOA)
NODATA = said(0, "", SOA)
SERVFAIL = said(2)
STALE = "cache . {\nserve_stale 1h %s\n}"


async def bed_of(text: str, context: BlockContext, *says: Reply | Exception | None) -> Bed:
    bed = Bed(text, context, FakeUpstream(*says))
    await bed.cache.start()
    return bed


async def turns() -> None:
    """Let tasks run to their ends."""
    for _ in range(4):
        await asyncio.sleep(0)


# serve_stale


async def test_a_stale_reply_is_served_at_once_and_refreshed(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of(STALE % "", context, A, said(0, "a.org 20 A"))
    await bed.handler(make_query("a.org"))
    bed.clock.pass_seconds(10)
    query = make_query("a.org", transport="tcp", edns_bytes=1232, checking_disabled=False)
    query.deadline = 1.0
    query.options = option(codes.COOKIE, bytes(8))
    stale = await bed.handler(query)
    assert (stale.rcode, ttls(stale), stale.is_authoritative, stale.reusable) == (0, [0], False, False)
    assert stale.options == option(codes.EDE, codes.EDE_STALE.to_bytes(2, "big"))
    assert len(bed.upstream.asked) == 1
    await turns()
    asked = bed.upstream.asked[1]
    assert (asked.transport, asked.options, asked.deadline, asked.has_edns) == ("udp", b"", None, True)
    assert asked.flags & AD
    fresh = await bed.handler(make_query("a.org"))
    assert (ttls(fresh), fresh.options) == ([20], b"")
    counts = bed.counts()
    assert (counts["served_stale"], counts["prefetch"], counts["hits.success"], counts["misses"]) == (1, 1, 2, 1)


@pytest.mark.parametrize(
    ("options", "seconds", "stale_ttl"),
    [("", 3609, 0), ("immediate 7s", 3609, 7), ("", 3611, None), ("immediate 7s\nkeepttl", 10, 7)],
)
async def test_stale_replies_are_limited_in_age(
    context: BlockContext, make_query: MakeQuery, options: str, seconds: float, stale_ttl: int | None
) -> None:
    bed = await bed_of(STALE % options, context, A)
    await bed.handler(make_query("a.org"))
    bed.clock.pass_seconds(seconds)
    assert ttls(await bed.handler(make_query("a.org"))) == [10 if stale_ttl is None else stale_ttl]


@pytest.mark.parametrize(
    "failed", [SERVFAIL, unwritten(), said(5), said(0, "a.org 10 A", is_truncated=True), OSError()]
)
@pytest.mark.parametrize("recheck_seconds", [0, 30])
async def test_a_failed_refresh_changes_nothing(
    context: BlockContext, make_query: MakeQuery, failed: Reply | Exception, recheck_seconds: int
) -> None:
    bed = await bed_of(STALE % f"immediate 5s {recheck_seconds}s", context, A, failed)
    await bed.handler(make_query("a.org"))
    bed.clock.pass_seconds(10)
    for number in range(4):
        assert ttls(await bed.handler(make_query("a.org"))) == [5]
        await turns()
        assert len(bed.upstream.asked) == 2 + (0 if recheck_seconds else number)
        bed.clock.pass_seconds(9.5)
    await bed.handler(make_query("a.org"))
    await turns()
    assert len(bed.upstream.asked) == (3 if recheck_seconds else 6)


async def test_one_refresh_at_a_time(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of(STALE % "", context, A, None)
    await bed.handler(make_query("a.org"))
    bed.clock.pass_seconds(10)
    for _ in range(5):
        assert ttls(await bed.handler(make_query("a.org"))) == [0]
        await turns()
    assert len(bed.upstream.asked) == 2
    assert bed.counts()["prefetch"] == 1
    await bed.cache.stop()
    assert bed.upstream.gate is not None
    assert bed.upstream.gate.cancelled()


async def test_refreshes_are_bounded(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of("cache . {\nsuccess 2000\nserve_stale\n}", context, A)
    names = [f"n{number}.org" for number in range(MAX_REFRESHES + 5)]
    bed.upstream.says = [said(0, f"{name} 10 A") for name in names] + [None]
    for name in names:
        await bed.handler(make_query(name))
    bed.clock.pass_seconds(10)
    for name in names:
        assert ttls(await bed.handler(make_query(name))) == [0]
    assert bed.counts()["prefetch"] == MAX_REFRESHES
    await turns()
    await bed.cache.stop()


async def test_negative_answers_are_served_stale_and_failures_are_not(
    context: BlockContext, make_query: MakeQuery
) -> None:
    bed = await bed_of(STALE % "", context, NXDOMAIN, SERVFAIL, SERVFAIL, None)
    await bed.handler(make_query("a.org"))
    bed.clock.pass_seconds(300)
    stale = await bed.handler(make_query("a.org"))
    assert (stale.rcode, ttls(stale)) == (codes.NXDOMAIN, [0])
    assert stale.options == option(codes.EDE, codes.EDE_STALE_NXDOMAIN.to_bytes(2, "big"))
    await turns()
    assert (await bed.handler(make_query("a.org"))).rcode == codes.NXDOMAIN, "a failure replaces no negative answer"
    await turns()
    bed.upstream.says = [SERVFAIL, A]
    await bed.handler(make_query("b.org"))
    bed.clock.pass_seconds(5)
    assert (await bed.handler(make_query("b.org"))).rcode == codes.NOERROR
    await bed.cache.stop()


@pytest.mark.parametrize(
    ("now_says", "rcode", "first_ttls", "is_stale"),
    [
        (said(0, "a.org 20 A"), 0, [20], False),
        (NXDOMAIN, 3, [300], False),
        (NODATA, 0, [300], False),
        (said(3), 3, [], False),
        (SERVFAIL, 0, [4], True),
        (said(5), 0, [4], True),
        (unwritten(), 0, [4], True),
        (OSError(), 0, [4], True),
        (said(0, "a.org 20 A", is_truncated=True), 0, [4], True),
    ],
)
async def test_verify_asks_upstreams_first(
    context: BlockContext,
    make_query: MakeQuery,
    now_says: Reply | Exception,
    rcode: int,
    first_ttls: list[int],
    is_stale: bool,
) -> None:
    bed = await bed_of(STALE % "verify 0s 4s", context, A, now_says)
    await bed.handler(make_query("a.org"))
    bed.clock.pass_seconds(10)
    reply = await bed.handler(make_query("a.org"))
    assert (reply.rcode, ttls(reply)) == (rcode, first_ttls)
    counts = bed.counts()
    assert counts.get("served_stale", 0) == is_stale
    assert "prefetch" not in counts
    assert len(bed.upstream.asked) == 2


async def test_verify_waits_no_longer_than_its_timeout(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of(STALE % "verify 1ms", context, A, None)
    await bed.handler(make_query("a.org"))
    bed.clock.pass_seconds(10)
    replies = await asyncio.gather(*(bed.handler(make_query("a.org")) for _ in range(50)))
    assert [ttls(reply) for reply in replies] == [[0]] * 50
    assert len(bed.upstream.asked) == 2, "all clients wait for one refresh"
    late = bed.handler(make_query("a.org"))
    with pytest.raises(StopIteration) as at_once:
        late.send(None)
    assert ttls(at_once.value.value) == [0], "no client waits once the timeout is over"
    assert bed.upstream.gate is not None
    bed.upstream.gate.set_result(said(0, "a.org 20 A"))
    await turns()
    assert ttls(await bed.handler(make_query("a.org"))) == [20], "a late reply is cached"


async def test_a_deadline_ends_the_wait_but_not_the_refresh(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of(STALE % "verify", context, A, None)
    await bed.handler(make_query("a.org"))
    bed.clock.pass_seconds(10)
    query = make_query("a.org")
    query.deadline = asyncio.get_running_loop().time() + 0.05
    assert ttls(await bed.handler(query)) == [0]
    await turns()
    assert bed.upstream.gate is not None
    assert not bed.upstream.gate.done(), "the refresh goes on for other clients"
    await bed.cache.stop()


async def test_a_late_refresh_counts_as_failed(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of(STALE % "verify 1ms 0s 30s", context, A, None)
    await bed.handler(make_query("a.org"))
    bed.clock.pass_seconds(10)
    await bed.handler(make_query("a.org"))
    await turns()
    assert bed.upstream.gate is not None
    bed.upstream.gate.set_result(SERVFAIL)
    await turns()
    for _ in range(3):
        assert ttls(await bed.handler(make_query("a.org"))) == [0]
        bed.clock.pass_seconds(9.9)
    assert len(bed.upstream.asked) == 2
    await bed.cache.stop()


async def test_waiting_clients_get_replies_of_their_own(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of(STALE % "verify", context, A, None)
    await bed.handler(make_query("a.org"))
    bed.clock.pass_seconds(10)
    knowing = make_query("a.org")
    knowing.flags |= AD
    waiting = [asyncio.ensure_future(bed.handler(query)) for query in (knowing, make_query("a.org"))]
    await turns()
    waiting[0].cancel()
    again = make_query("a.org")
    again.flags |= AD
    waiting.append(asyncio.ensure_future(bed.handler(again)))
    await turns()
    assert bed.upstream.gate is not None
    bed.upstream.gate.set_result(said(0, "a.org 20 A", is_authentic=True))
    one, other = await asyncio.gather(*waiting[1:])
    assert (one.is_authentic, other.is_authentic) == (False, True)
    assert (ttls(one), ttls(other)) == ([20], [20])


async def test_stopping_ends_the_waits(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of(STALE % "verify", context, A, None)
    await bed.handler(make_query("a.org"))
    bed.clock.pass_seconds(10)
    waiting = asyncio.ensure_future(bed.handler(make_query("a.org")))
    await turns()
    await bed.cache.stop()
    assert ttls(await waiting) == [0]


@pytest.mark.parametrize("mode", ["immediate", "verify"])
@pytest.mark.parametrize("denial", [NXDOMAIN, NODATA, said(0)])
async def test_prefer_positive_keeps_positive_answers(
    context: BlockContext, make_query: MakeQuery, mode: str, denial: Reply
) -> None:
    bed = await bed_of(STALE % f"{mode}\nserve_stale_policy prefer_positive", context, A, denial, denial, A)
    await bed.handler(make_query("a.org"))
    bed.clock.pass_seconds(10)
    for _ in range(2):
        reply = await bed.handler(make_query("a.org"))
        assert (reply.rcode, ttls(reply), len(reply.answer)) == (0, [0], 1)
        await turns()
    await bed.handler(make_query("a.org"))
    await turns()
    assert ttls(await bed.handler(make_query("a.org"))) == [10]


async def test_a_refreshed_name_of_our_own_leaves_the_cache(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of(STALE % "", context, A, said(0, "a.org 5 A", is_upstream=False))
    await bed.handler(make_query("a.org"))
    bed.clock.pass_seconds(10)
    await bed.handler(make_query("a.org"))
    await turns()
    assert ttls(await bed.handler(make_query("a.org"))) == [5]
    assert bed.counts()["entries.success"] == 0


# prefetch


async def test_prefetch_refreshes_before_expiry(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of("cache . {\nprefetch 3 1m 20%\n}", context, A, said(0, "a.org 50 A"))
    await bed.handler(make_query("a.org"))
    for count in range(2):
        assert not (await bed.handler(make_query("a.org"))).reusable, f"{count} hits are not enough"
    assert (await bed.handler(make_query("a.org"))).reusable
    bed.clock.pass_seconds(7.9)
    await bed.handler(make_query("a.org"))
    await turns()
    assert len(bed.upstream.asked) == 1, "more than a fifth of the time is left"
    bed.clock.pass_seconds(0.1)
    assert ttls(await bed.handler(make_query("a.org"))) == [2]
    await turns()
    assert len(bed.upstream.asked) == 2
    reply = await bed.handler(make_query("a.org"))
    assert (ttls(reply), reply.reusable) == ([50], True), "the count of hits outlives the refresh"
    assert bed.counts()["prefetch"] == 1


async def test_a_failed_prefetch_is_tried_again(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of("cache . {\nprefetch 1\n}", context, A, SERVFAIL)
    await bed.handler(make_query("a.org"))
    bed.clock.pass_seconds(9)
    for _ in range(3):
        assert (await bed.handler(make_query("a.org"))).rcode == 0
        await turns()
    assert len(bed.upstream.asked) == 4


@pytest.mark.parametrize(("pause_seconds", "is_reusable"), [(60.9, True), (62, False)])
async def test_a_pause_resets_the_count_of_hits(
    context: BlockContext, make_query: MakeQuery, pause_seconds: float, is_reusable: bool
) -> None:
    """Compiled answers may have been hit for up to a second after the last hit of the handler."""
    bed = await bed_of("cache . {\nprefetch 2\n}", context, said(0, "a.org 300 A"))
    for _ in range(3):
        await bed.handler(make_query("a.org"))
    bed.clock.pass_seconds(pause_seconds)
    assert (await bed.handler(make_query("a.org"))).reusable is is_reusable


async def test_a_pause_between_hits_of_the_handler(context: BlockContext, make_query: MakeQuery) -> None:
    bed = await bed_of("cache . {\nprefetch 2 10s\n}", context, said(0, "a.org 300 A"))
    await bed.handler(make_query("a.org"))
    await bed.handler(make_query("a.org"))
    bed.clock.pass_seconds(10.1)
    assert not (await bed.handler(make_query("a.org"))).reusable
    bed.clock.pass_seconds(9)
    assert (await bed.handler(make_query("a.org"))).reusable
