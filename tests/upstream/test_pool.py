"""The upstream that is asked next, and for how long."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fakes.held_clock import HeldClock

from clusterdns.telemetry.metrics import Series
from clusterdns.upstream import pool
from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.pool import POLICIES, Policy, UpstreamPool
from clusterdns.upstream.question import Question
from clusterdns.upstream.server import Upstream, UpstreamReply
from clusterdns.upstream.settings import PoolSettings
from clusterdns.wire import codes

QUESTION = Question(b"\1a\0", b"\0\1\0\1", 0, is_stream=False)


class FakeUpstream:
    """An upstream that replies with a response code, or fails with a text."""

    is_looping = False

    def __init__(self, name: str, outcome: int | str, *, is_down: bool = False) -> None:
        self.name, self.outcome, self.is_down = name, outcome, is_down
        self.seconds = 0.0  # that an exchange takes
        self.asked = self.checks = 0

    async def ask(self, question: Question, seconds: float) -> UpstreamReply:
        self.asked += 1
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if isinstance(self.outcome, str):
            raise ExchangeFailed(self.outcome)
        return UpstreamReply(cast(Any, SimpleNamespace(rcode=self.outcome)), cast(Upstream, self))

    def begin_check(self) -> None:
        self.checks += 1


def pool_of(
    *servers: FakeUpstream, attempts: int | None = None, failover: Sequence[int] = (), fails_fast: bool = False
) -> tuple[UpstreamPool, Series]:
    """Make a pool that asks in this order, and its counter of questions that found every upstream down."""
    all_down = Series()
    settings = PoolSettings("sequential", max_attempts=attempts, failover=frozenset(failover), fails_fast=fails_fast)
    return UpstreamPool(cast(Sequence[Upstream], servers), settings, all_down), all_down


async def asked(made: UpstreamPool) -> tuple[str, int]:
    reply = await made.ask(QUESTION)
    return cast(FakeUpstream, reply.upstream).name, reply.message.rcode


async def test_a_failure_goes_on_with_the_next() -> None:
    one, two = FakeUpstream("one", "EOF"), FakeUpstream("two", 0)
    made, _ = pool_of(one, two)
    assert await asked(made) == ("two", 0)
    assert (one.asked, one.checks, two.checks) == (1, 1, 0)


@pytest.mark.parametrize(("attempts", "expected"), [(None, (2, 2)), (3, (2, 1)), (1, (1, 0))])
async def test_attempts(attempts: int | None, expected: tuple[int, int], held_clock: HeldClock) -> None:
    one, two = FakeUpstream("one", "first"), FakeUpstream("two", "second")
    made, _ = pool_of(one, two, attempts=attempts)
    asking = asyncio.ensure_future(made.ask(QUESTION))
    await held_clock.pass_until(asking)
    with pytest.raises(ExchangeFailed, match="second" if attempts is None else "first"):
        await asking
    assert (one.asked, two.asked) == expected


async def test_an_upstream_that_fails_at_once_is_asked_with_pauses(held_clock: HeldClock) -> None:
    upstream = FakeUpstream("one", "no route to host")
    made, _ = pool_of(upstream, attempts=0)
    asking = asyncio.ensure_future(made.ask(QUESTION))
    began = held_clock.now
    await held_clock.pass_until(asking)
    assert isinstance(asking.exception(), ExchangeFailed)
    assert held_clock.now - began == pytest.approx(pool.TOTAL_SECONDS, abs=2 * pool.ROUND_PAUSE_SECONDS)
    assert upstream.asked == pytest.approx(pool.TOTAL_SECONDS / pool.ROUND_PAUSE_SECONDS, abs=2)


async def test_no_attempt_begins_when_the_time_is_over(held_clock: HeldClock) -> None:
    upstream = FakeUpstream("one", "late")
    upstream.seconds = pool.TOTAL_SECONDS / 2
    made, _ = pool_of(upstream, attempts=0)
    asking = asyncio.ensure_future(made.ask(QUESTION))
    await held_clock.pass_until(asking)
    with pytest.raises(ExchangeFailed, match="late"):
        await asking
    assert upstream.asked == 2


async def test_an_upstream_that_is_down_is_passed_over() -> None:
    one, two = FakeUpstream("one", 0, is_down=True), FakeUpstream("two", 0)
    made, all_down = pool_of(one, two)
    assert await asked(made) == ("two", 0)
    assert all_down.value == 0


async def test_an_upstream_that_leads_back_is_never_asked() -> None:
    one, two = FakeUpstream("one", 0), FakeUpstream("two", 0, is_down=True)
    one.is_looping = True
    made, _ = pool_of(one, two)
    assert await asked(made) == ("two", 0)
    two.is_looping = True
    with pytest.raises(ExchangeFailed, match="leads back"):
        await made.ask(QUESTION)
    assert one.asked == 0


async def test_one_upstream_is_asked_where_all_are_down() -> None:
    one, two = FakeUpstream("one", 0, is_down=True), FakeUpstream("two", 0, is_down=True)
    made, all_down = pool_of(one, two)
    assert (await asked(made))[1] == 0
    assert (one.asked + two.asked, all_down.value) == (1, 1)
    made, all_down = pool_of(one, two, fails_fast=True)
    with pytest.raises(ExchangeFailed, match="no healthy proxies"):
        await made.ask(QUESTION)
    assert all_down.value == 1


async def test_failover() -> None:
    one, two = FakeUpstream("one", codes.SERVFAIL), FakeUpstream("two", codes.SERVFAIL)
    made, _ = pool_of(one, two, failover=[codes.SERVFAIL])
    assert await asked(made) == ("two", codes.SERVFAIL)  # as many tries as upstreams, then the last reply
    assert (one.asked, two.asked, one.checks) == (1, 1, 0)
    three = FakeUpstream("three", "EOF")
    made, _ = pool_of(one, three, failover=[codes.SERVFAIL], attempts=1)
    assert await asked(made) == ("one", codes.SERVFAIL)


def test_policies() -> None:
    servers = cast(Sequence[Upstream], [FakeUpstream(name, 0) for name in "abc"])

    def names(policy: Policy) -> str:
        return "".join(cast(FakeUpstream, server).name for server in policy(servers))

    turning = POLICIES["round_robin"]()
    assert [names(turning) for _ in range(4)] == ["bca", "cab", "abc", "bca"]
    assert names(POLICIES["sequential"]()) == "abc"
    found = {names(POLICIES["random"]()) for _ in range(200)}
    assert found == {"abc", "acb", "bac", "bca", "cab", "cba"}
