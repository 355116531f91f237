"""Questions in flight: one for all who ask the same, a bound, and an end."""

import asyncio
from typing import cast

import pytest

from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.flight import Flights
from clusterdns.upstream.question import Question
from clusterdns.upstream.server import Given
from clusterdns.wire.name import from_text

GIVEN = cast(Given, object())


def asking(text: str) -> Question:
    return Question(from_text(text), b"\0\1\0\1", 0, is_stream=False)


class Asked:
    """Answers when told to."""

    def __init__(self) -> None:
        self.names: list[bytes] = []
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, question: Question) -> Given:
        self.names.append(question.name)
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return GIVEN


async def test_one_question_many_futures() -> None:
    asked = Asked()
    flights = Flights(asked)
    futures = [flights.join(asking("a.")) for _ in range(5)]
    other = flights.join(asking("b."))
    await asyncio.sleep(0)
    assert asked.names == [b"\1a\0", b"\1b\0"]
    futures[0].cancel()
    asked.may_answer.set()
    assert await asyncio.gather(*futures[1:], other) == [GIVEN] * 5
    assert len(flights) == 0


async def test_who_comes_between_the_answer_and_those_who_waited_gets_it_too() -> None:
    asked = Asked()
    flights = Flights(asked)
    first = flights.join(asking("a."))
    late: list[asyncio.Future[Given]] = []
    first.add_done_callback(lambda _: late.append(flights.join(asking("a."))))  # before `first` can be stored
    asked.may_answer.set()
    await first
    assert [await one for one in late] == [GIVEN]
    assert asked.names == [b"\1a\0"]
    await asyncio.sleep(0)
    assert len(flights) == 0


async def test_beyond_the_bound_the_oldest_fails() -> None:
    asked = Asked()
    flights = Flights(asked, limit=2)
    first, second, third = (flights.join(asking(name)) for name in ("a.", "b.", "c."))
    with pytest.raises(ExchangeFailed, match="more than 2 questions"):
        await first
    assert len(flights) == 2
    again = flights.join(asking("b."))  # joins, so that nobody has to go
    asked.may_answer.set()
    assert list(await asyncio.gather(second, third, again)) == [GIVEN] * 3


@pytest.mark.parametrize(
    ("error", "text"), [(ExchangeFailed("i/o timeout"), "i/o timeout"), (RuntimeError("bug"), "unexpected failure")]
)
async def test_all_hear_of_a_failure(error: Exception, text: str, caplog: pytest.LogCaptureFixture) -> None:
    asked = Asked()
    asked.error = error
    asked.may_answer.set()
    flights = Flights(asked)
    futures = [flights.join(asking("a.")) for _ in range(3)]
    for future in futures:
        with pytest.raises(ExchangeFailed, match=text):
            await future
    assert ("bug" in caplog.text) == isinstance(error, RuntimeError)
    assert len(flights) == 0


async def test_the_end() -> None:
    flights = Flights(Asked())
    future = flights.join(asking("a."))
    await asyncio.sleep(0)
    await flights.close()
    with pytest.raises(ExchangeFailed, match="shutting down"):
        await future
    assert asyncio.all_tasks() == {asyncio.current_task()}
