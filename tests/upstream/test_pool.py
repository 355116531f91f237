"""Which upstream is asked next, and for how long."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from clusterdns.telemetry.metrics import Series
from clusterdns.upstream import pool
from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.pool import POLICIES, Order, Pool, in_file_order
from clusterdns.upstream.question import Question
from clusterdns.upstream.server import Given, Server
from clusterdns.wire import codes

QUESTION = Question(b"\1a\0", b"\0\1\0\1", 0, is_stream=False)


class FakeServer:
    """Says a response code, or fails with a text."""

    is_looping = False

    def __init__(self, name: str, says: int | str, *, is_down: bool = False) -> None:
        self.name, self.says, self.is_down = name, says, is_down
        self.asked = self.checks = 0

    async def ask(self, question: Question, seconds: float) -> Given:
        self.asked += 1
        if isinstance(self.says, str):
            raise ExchangeFailed(self.says)
        return Given(cast(Any, SimpleNamespace(rcode=self.says)), cast(Server, self))

    def begin_check(self) -> None:
        self.checks += 1


def pool_of(
    *servers: FakeServer, order: Order = in_file_order, attempts: int | None = None, failover: Sequence[int] = (),
    fails_fast: bool = False,
) -> tuple[Pool, Series]:  # fmt: skip
    broken = Series()
    limit = 2 * len(servers) if attempts is None else attempts
    given = cast(Sequence[Server], servers)
    return Pool(given, order, 2.0, limit, frozenset(failover), broken, fails_fast=fails_fast), broken


async def asked(made: Pool) -> tuple[str, int]:
    given = await made.ask(QUESTION)
    return cast(FakeServer, given.server).name, given.message.rcode


async def test_a_failure_goes_on_with_the_next() -> None:
    one, two = FakeServer("one", "EOF"), FakeServer("two", 0)
    made, _ = pool_of(one, two)
    assert await asked(made) == ("two", 0)
    assert (one.asked, one.checks, two.checks) == (1, 1, 0)


@pytest.mark.parametrize(("attempts", "expected"), [(None, (2, 2)), (3, (2, 1)), (1, (1, 0))])
async def test_attempts(attempts: int | None, expected: tuple[int, int]) -> None:
    one, two = FakeServer("one", "first"), FakeServer("two", "second")
    made, _ = pool_of(one, two, attempts=attempts)
    with pytest.raises(ExchangeFailed, match="second" if attempts is None else "first"):
        await made.ask(QUESTION)
    assert (one.asked, two.asked) == expected


async def test_upstreams_that_fail_at_once_leave_others_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "TOTAL_SECONDS", 0.1)
    server = FakeServer("one", "no route to host")
    made, _ = pool_of(server, attempts=0)
    asking = asyncio.ensure_future(made.ask(QUESTION))
    turns = 0
    while not asking.done():
        await asyncio.sleep(0)
        turns += 1
    assert isinstance(asking.exception(), ExchangeFailed)
    assert turns > server.asked
    assert server.asked <= 0.1 / pool.ROUND_PAUSE_SECONDS + 1


async def test_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 100, 2))
    monkeypatch.setattr(pool, "monotonic", lambda: next(now))
    one = FakeServer("one", "late")
    made, _ = pool_of(one, attempts=0)
    with pytest.raises(ExchangeFailed, match="late"):
        await made.ask(QUESTION)
    assert one.asked == 2


async def test_who_is_down_is_passed_over() -> None:
    one, two = FakeServer("one", 0, is_down=True), FakeServer("two", 0)
    made, broken = pool_of(one, two)
    assert await asked(made) == ("two", 0)
    assert broken.value == 0


async def test_who_leads_back_is_never_asked() -> None:
    one, two = FakeServer("one", 0), FakeServer("two", 0, is_down=True)
    one.is_looping = True
    made, _ = pool_of(one, two)
    assert await asked(made) == ("two", 0)
    two.is_looping = True
    with pytest.raises(ExchangeFailed, match="leads back"):
        await made.ask(QUESTION)
    assert one.asked == 0


async def test_where_all_are_down_one_is_asked() -> None:
    one, two = FakeServer("one", 0, is_down=True), FakeServer("two", 0, is_down=True)
    made, broken = pool_of(one, two)
    assert (await asked(made))[1] == 0
    assert (one.asked + two.asked, broken.value) == (1, 1)
    made, broken = pool_of(one, two, fails_fast=True)
    with pytest.raises(ExchangeFailed, match="no healthy proxies"):
        await made.ask(QUESTION)
    assert broken.value == 1


async def test_failover() -> None:
    one, two = FakeServer("one", codes.SERVFAIL), FakeServer("two", codes.SERVFAIL)
    made, _ = pool_of(one, two, failover=[codes.SERVFAIL])
    assert await asked(made) == ("two", codes.SERVFAIL)  # as many tries as upstreams, then the last reply
    assert (one.asked, two.asked, one.checks) == (1, 1, 0)
    three = FakeServer("three", "EOF")
    made, _ = pool_of(one, three, failover=[codes.SERVFAIL], attempts=1)
    assert await asked(made) == ("one", codes.SERVFAIL)


def test_policies() -> None:
    servers = cast(Sequence[Server], [FakeServer(name, 0) for name in "abc"])

    def names(order: Order) -> str:
        return "".join(cast(FakeServer, server).name for server in order(servers))

    turning = POLICIES["round_robin"]()
    assert [names(turning) for _ in range(4)] == ["bca", "cab", "abc", "bca"]
    assert names(POLICIES["sequential"]()) == "abc"
    found = {names(POLICIES["random"]()) for _ in range(200)}
    assert found == {"abc", "acb", "bac", "bca", "cab", "cba"}
