"""Questions under way: a question is asked once, however many clients wait for its answer.

Each client waits on a future of its own, so that a client that gives up does not cancel the others. The number of
questions is bounded, at one pool and at all together: above the bound the oldest fails, because its client is the first
to give up anyway.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.question import Question
from clusterdns.upstream.server import UpstreamReply
from clusterdns.wire import codes

MAX_FLIGHTS = 4_000  # 10 KB each with the client that waits: 40 MiB when the upstream is dead and names are random

Ask = Callable[[Question], Coroutine[Any, Any, UpstreamReply]]

log = logging.getLogger("clusterdns.plugin.forward")


class Flight:
    """One question under way, and the futures that wait for its reply."""

    __slots__ = ("key", "reply", "task", "waiting")

    task: "asyncio.Task[None]"

    def __init__(self, key: Hashable) -> None:
        self.key = key  # of the question
        self.waiting: list[asyncio.Future[UpstreamReply]] = []
        self.reply: UpstreamReply | None = None

    def settle(self, reply: UpstreamReply) -> None:
        """Give the reply to every future that still waits."""
        self.reply = reply
        for future in self.waiting:
            if not future.done():
                future.set_result(reply)

    def fail(self, failed: ExchangeFailed) -> None:
        """Raise the failure in every future that still waits."""
        for future in self.waiting:
            if not future.done():
                future.set_exception(failed)


class FlightLimit:
    """The questions under way at several pools, the oldest first, and the largest number of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._under_way: dict[Flight, Flights] = {}

    def begin(self, flight: Flight, flights: "Flights") -> None:
        """Count a question; the oldest one fails where there are too many."""
        if len(self._under_way) >= self._most:
            oldest, owner = next(iter(self._under_way.items()))
            owner.drop(oldest, self._most)
        self._under_way[flight] = flights

    def end(self, flight: Flight) -> None:
        """Count a question no longer."""
        del self._under_way[flight]


class Flights:
    """All questions under way at one pool."""

    def __init__(self, ask: Ask, limit: FlightLimit, most: int = MAX_FLIGHTS) -> None:
        """`limit` is that of all pools, `most` that of this one."""
        self._ask = ask
        self._limit = limit
        self._most = most
        self._flights: dict[Hashable, Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def has(self, question: Question) -> bool:
        """Return whether the question is under way."""
        return question.key in self._flights

    def join(self, question: Question) -> "asyncio.Future[UpstreamReply]":
        """Return a future for the reply, or for ExchangeFailed. Asks the question unless it is under way."""
        loop = asyncio.get_running_loop()
        flight = self._flights.get(question.key)
        if flight is None:
            if len(self._flights) >= self._most:
                self.drop(next(iter(self._flights.values())), self._most)
            flight = self._flights[question.key] = Flight(question.key)
            self._limit.begin(flight, self)
            flight.task = loop.create_task(self._fly(question, flight, loop))
        future: asyncio.Future[UpstreamReply] = loop.create_future()
        if flight.reply is None:
            flight.waiting.append(future)
        else:
            future.set_result(flight.reply)
        return future

    async def close(self) -> None:
        """Fail every question under way."""
        flights = list(self._flights.values())
        for flight in flights:
            self._remove(flight)
            flight.fail(ExchangeFailed("forward is shutting down", codes.EDE_NOT_READY))
            flight.task.cancel()
        await asyncio.gather(*(flight.task for flight in flights), return_exceptions=True)

    def drop(self, flight: Flight, most: int) -> None:
        """Fail a question under way, as one more than there may be has come."""
        self._remove(flight)
        flight.fail(ExchangeFailed(f"more than {most} questions are waiting for upstreams", codes.EDE_NOT_READY))
        flight.task.cancel()
        del flight.task  # a cancelled task holds its frames, and they hold the flight

    async def _fly(self, question: Question, flight: Flight, loop: asyncio.AbstractEventLoop) -> None:
        try:
            reply = await self._ask(question)
        except ExchangeFailed as failed:
            flight.fail(failed.with_traceback(None))  # the frames in it hold the flight, and the flight holds it
        except Exception:  # the task's edge: the clients that wait must get a failure
            log.exception("Asking upstreams failed in an unexpected way")
            flight.fail(ExchangeFailed("unexpected failure, see the log", codes.EDE_OTHER))
        else:
            flight.settle(reply)
            # `cache` stores the reply only when the waiting handlers run; until then the flight answers new clients
            loop.call_soon(self._land, flight)
        finally:
            if flight.reply is None:
                self._land(flight)

    def _land(self, flight: Flight) -> None:
        if self._flights.get(flight.key) is flight:
            self._remove(flight)

    def _remove(self, flight: Flight) -> None:
        del self._flights[flight.key]
        self._limit.end(flight)
