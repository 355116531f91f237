"""Questions in flight: the same question is asked once, however many wait for its answer.

Each waits on a future of its own, so that one who gives up takes nothing from the others. The number of questions is
bounded: beyond the bound the oldest fails, whose client is the first to have given up anyway.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.question import Question
from clusterdns.upstream.server import Given
from clusterdns.wire import codes

MAX_FLIGHTS = 4_000  # 10 KB each with the client that waits: 40 MiB when the upstream is dead and names are random

Ask = Callable[[Question], Coroutine[Any, Any, Given]]

log = logging.getLogger("clusterdns.plugin.forward")


class Flight:
    """One question under way and those who wait for it."""

    __slots__ = ("given", "task", "waiting")

    task: "asyncio.Task[None]"

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[Given]] = []
        self.given: Given | None = None

    def settle(self, given: Given) -> None:
        """Give it to all who still wait."""
        self.given = given
        for future in self.waiting:
            if not future.done():
                future.set_result(given)

    def fail(self, failed: ExchangeFailed) -> None:
        """Tell all who still wait."""
        for future in self.waiting:
            if not future.done():
                future.set_exception(failed)


class Flights:
    """All questions under way at one pool."""

    def __init__(self, ask: Ask, limit: int = MAX_FLIGHTS) -> None:
        self._ask = ask
        self._limit = limit
        self._flights: dict[Any, Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def has(self, question: Question) -> bool:
        """Whether the question is being asked."""
        return question.key in self._flights

    def join(self, question: Question) -> "asyncio.Future[Given]":
        """What will hold the answer, or ExchangeFailed. Asks the question unless that is going on."""
        loop = asyncio.get_running_loop()
        flight = self._flights.get(question.key)
        if flight is None:
            if len(self._flights) >= self._limit:
                self._drop_oldest()
            flight = self._flights[question.key] = Flight()
            flight.task = loop.create_task(self._fly(question, flight, loop))
        future: asyncio.Future[Given] = loop.create_future()
        if flight.given is None:
            flight.waiting.append(future)
        else:
            future.set_result(flight.given)
        return future

    async def close(self) -> None:
        """Fail all who wait."""
        flights = list(self._flights.values())
        self._flights.clear()
        for flight in flights:
            flight.fail(ExchangeFailed("forward is shutting down", codes.EDE_NOT_READY))
            flight.task.cancel()
        await asyncio.gather(*(flight.task for flight in flights), return_exceptions=True)

    def _drop_oldest(self) -> None:
        key = next(iter(self._flights))
        flight = self._flights.pop(key)
        text = f"more than {self._limit} questions are waiting for upstreams"
        flight.fail(ExchangeFailed(text, codes.EDE_NOT_READY))
        flight.task.cancel()
        del flight.task  # a cancelled task holds its frames, and they hold the flight

    async def _fly(self, question: Question, flight: Flight, loop: asyncio.AbstractEventLoop) -> None:
        try:
            given = await self._ask(question)
        except ExchangeFailed as failed:
            flight.fail(failed.with_traceback(None))  # the frames in it hold the flight, and the flight holds it
        except Exception:  # the task's edge: those who wait must hear of it
            log.exception("Asking upstreams failed in an unexpected way")
            flight.fail(ExchangeFailed("unexpected failure, see the log", codes.EDE_OTHER))
        else:
            flight.settle(given)
            # `cache` stores it when those who waited have their turn; whoever asks before that gets it from here
            loop.call_soon(self._land, question, flight)
        finally:
            if flight.given is None:
                self._land(question, flight)

    def _land(self, question: Question, flight: Flight) -> None:
        if self._flights.get(question.key) is flight:
            del self._flights[question.key]
