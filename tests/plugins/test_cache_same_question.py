"""Which clients share an answer of the cache, and a question under way: a table over the parts of two queries."""

import asyncio
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import pytest
from fakes.aging import Bed, FakeUpstream, option, said

from clusterdns.chain import BlockContext, Query
from clusterdns.upstream.flight import FlightLimit, Flights
from clusterdns.upstream.question import answer_key, question_of
from clusterdns.upstream.server import UpstreamReply
from clusterdns.wire import codes
from clusterdns.wire.header import AD, CD, RD

MakeQuery = Callable[..., Query]
ECS = option(codes.ECS, bytes((0, 1, 24, 0, 10, 1, 0)))


class Parts(NamedTuple):
    """The parts of a query beside its question."""

    rd: bool = True
    cd: bool = False
    do: bool = False
    ad: bool = False
    options: bytes = b""
    transport: str = "udp"

    def query(self, make_query: MakeQuery) -> Query:
        has_edns = self.do or self.options
        query = make_query("a.org", edns_bytes=1232 if has_edns else None, do=self.do, transport=self.transport)
        query.flags = RD * self.rd | CD * self.cd | AD * self.ad
        query.options = self.options
        return query


PLAIN = Parts()
COOKIE = option(codes.COOKIE, bytes(8))
PADDING = option(codes.PADDING, bytes(8))
NSID = option(codes.NSID, b"")
UNKNOWN = option(65001, b"x")
# a query's parts, and whether it shares cached answers, and a question under way, with a plain query
SHARING = [
    (PLAIN, True, True),
    (PLAIN._replace(rd=False), False, False),
    (PLAIN._replace(cd=True), False, False),
    (PLAIN._replace(do=True), False, False),
    (PLAIN._replace(ad=True), True, False),
    (PLAIN._replace(options=ECS), False, False),
    (PLAIN._replace(options=COOKIE), True, False),
    (PLAIN._replace(options=PADDING), True, False),
    (PLAIN._replace(options=NSID), True, False),
    (PLAIN._replace(options=UNKNOWN), True, False),
    (PLAIN._replace(transport="tcp"), True, False),
]


@pytest.mark.parametrize(("parts", "shares", "_"), SHARING)
@pytest.mark.parametrize("seconds", [1, 301], ids=["fresh", "stale"])
async def test_who_gets_a_cached_answer(
    context: BlockContext, make_query: MakeQuery, parts: Parts, shares: bool, _: bool, seconds: int
) -> None:
    for first, second in ((PLAIN, parts), (parts, PLAIN)):
        bed = Bed("cache . {\nserve_stale 1h verify 1s\n}", context, FakeUpstream(said(0, "a.org 300 A")))
        await bed.cache.start()
        await bed.handler(first.query(make_query))
        bed.clock.pass_seconds(seconds)
        bed.upstream.says = [said(2)]
        reply = await bed.handler(second.query(make_query))
        assert (reply.rcode, bool(reply.answer)) == ((0, True) if shares else (2, False))
        await bed.cache.stop()


@pytest.mark.parametrize("parts", [parts for parts, _, _ in SHARING])
async def test_a_refresh_asks_with_the_flags_of_its_key(
    context: BlockContext, make_query: MakeQuery, parts: Parts
) -> None:
    bed = Bed("cache . {\nserve_stale 1h verify 1s\n}", context, FakeUpstream(said(0, "a.org 300 A")))
    await bed.cache.start()
    for _ in range(2):
        await bed.handler(parts.query(make_query))
        bed.clock.pass_seconds(301)
    first, second = bed.upstream.asked
    assert answer_key(first) == answer_key(second) == answer_key(parts.query(make_query))
    await bed.cache.stop()


@pytest.mark.parametrize(("parts", "_", "shares"), SHARING)
async def test_who_shares_a_question_under_way(make_query: MakeQuery, parts: Parts, _: bool, shares: bool) -> None:
    asked = []
    gate = asyncio.Event()

    async def ask(question: object) -> UpstreamReply:
        asked.append(question)
        await gate.wait()
        raise AssertionError("the flights are closed first")

    flights = Flights(ask, FlightLimit(9))
    waiting = [
        flights.join(question_of(query, is_stream=query.transport == "tcp"))
        for query in (PLAIN.query(make_query), parts.query(make_query))
    ]
    await asyncio.sleep(0)
    assert len(asked) == (1 if shares else 2)
    await flights.close()
    await asyncio.gather(*waiting, return_exceptions=True)


def test_queries_that_share_a_question_under_way_share_cached_answers(make_query: MakeQuery) -> None:
    options = (b"", ECS, COOKIE, PADDING, NSID)
    every = [
        Parts(rd, cd, do, ad, edns, transport)
        for (rd, cd, do, ad), edns, transport in product(product((False, True), repeat=4), options, ("udp", "tcp"))
    ]
    by_question: dict[object, set[bytes]] = {}
    for parts in every:
        query = parts.query(make_query)
        question = question_of(query, is_stream=parts.transport == "tcp")
        by_question.setdefault(question.key, set()).add(answer_key(query))
    assert all(len(keys) == 1 for keys in by_question.values())


async def test_a_referral_for_a_query_without_rd_is_not_given_to_others(
    context: BlockContext, make_query: MakeQuery
) -> None:
    bed = Bed("cache .", context, FakeUpstream(said(0, "", "org 300 NS", "ns.org 300 A"), said(0, "a.org 300 A")))
    await bed.cache.start()
    referral = await bed.handler(PLAIN._replace(rd=False).query(make_query))
    answered = await bed.handler(PLAIN.query(make_query))
    assert (bool(referral.answer), bool(answered.answer)) == (False, True)
    assert [bool(query.flags & RD) for query in bed.upstream.asked] == [False, True]
    await bed.cache.stop()
