"""Questions under way: one for all clients that ask the same, a bound, and an end."""

import asyncio
from typing import cast

import pytest

from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.flight import FlightLimit, Flights
from clusterdns.upstream.question import Question
from clusterdns.upstream.server import UpstreamReply
from clusterdns.wire.name import from_text

REPLY = cast(UpstreamReply, object())


def asking(text: str) -> Question:
    return Question(from_text(text), b"\0\1\0\1", 0, is_stream=False)


class FakePool:
    """A pool that replies, or fails, once `may_answer` is set."""

    def __init__(self) -> None:
        self.names: list[bytes] = []
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, question: Question) -> UpstreamReply:
        self.names.append(question.name)
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return REPLY


async def test_one_question_settles_many_futures() -> None:
    fake_pool = FakePool()
    flights = Flights(fake_pool, FlightLimit(9))
    futures = [flights.join(asking("a.")) for _ in range(5)]
    other = flights.join(asking("b."))
    await asyncio.sleep(0)
    assert fake_pool.names == [b"\1a\0", b"\1b\0"]
    futures[0].cancel()
    fake_pool.may_answer.set()
    assert await asyncio.gather(*futures[1:], other) == [REPLY] * 5
    assert len(flights) == 0


async def test_a_client_that_comes_between_the_reply_and_the_waiting_clients_gets_it_too() -> None:
    fake_pool = FakePool()
    flights = Flights(fake_pool, FlightLimit(9))
    first = flights.join(asking("a."))
    late: list[asyncio.Future[UpstreamReply]] = []
    first.add_done_callback(lambda _: late.append(flights.join(asking("a."))))  # before `first` can be stored
    fake_pool.may_answer.set()
    await first
    assert [await one for one in late] == [REPLY]
    assert fake_pool.names == [b"\1a\0"]
    await asyncio.sleep(0)
    assert len(flights) == 0


async def test_beyond_the_bound_the_oldest_fails() -> None:
    fake_pool = FakePool()
    flights = Flights(fake_pool, FlightLimit(9), 2)
    first, second, third = (flights.join(asking(name)) for name in ("a.", "b.", "c."))
    with pytest.raises(ExchangeFailed, match="more than 2 questions"):
        await first
    assert len(flights) == 2
    again = flights.join(asking("b."))  # joins, so that no question has to fail
    fake_pool.may_answer.set()
    assert list(await asyncio.gather(second, third, again)) == [REPLY] * 3


async def test_beyond_the_bound_of_several_pools_the_oldest_of_all_fails() -> None:
    fake_pool, limit = FakePool(), FlightLimit(2)
    one, other = Flights(fake_pool, limit), Flights(fake_pool, limit)
    first, second, third = one.join(asking("a.")), other.join(asking("a.")), other.join(asking("b."))
    with pytest.raises(ExchangeFailed, match="more than 2 questions"):
        await first
    assert (len(one), len(other)) == (0, 2)
    fake_pool.may_answer.set()
    assert list(await asyncio.gather(second, third)) == [REPLY] * 2
    await asyncio.sleep(0)
    assert list(await asyncio.gather(one.join(asking("a.")), one.join(asking("b.")))) == [REPLY] * 2


@pytest.mark.parametrize(
    ("error", "text"), [(ExchangeFailed("i/o timeout"), "i/o timeout"), (RuntimeError("bug"), "unexpected failure")]
)
async def test_a_failure_reaches_all_clients(error: Exception, text: str, caplog: pytest.LogCaptureFixture) -> None:
    fake_pool = FakePool()
    fake_pool.error = error
    fake_pool.may_answer.set()
    flights = Flights(fake_pool, FlightLimit(9))
    futures = [flights.join(asking("a.")) for _ in range(3)]
    for future in futures:
        with pytest.raises(ExchangeFailed, match=text):
            await future
    assert ("bug" in caplog.text) == isinstance(error, RuntimeError)
    assert len(flights) == 0


async def test_closing_fails_the_questions_under_way() -> None:
    flights = Flights(FakePool(), FlightLimit(9))
    future = flights.join(asking("a."))
    await asyncio.sleep(0)
    await flights.close()
    with pytest.raises(ExchangeFailed, match="shutting down"):
        await future
    assert asyncio.all_tasks() == {asyncio.current_task()}
