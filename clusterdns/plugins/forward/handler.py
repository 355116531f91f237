"""What `forward` does with a query: which of a block's forwards takes it, and what becomes of the reply.

Asking itself, coalescing and health are `clusterdns.upstream`'s; here a message becomes a `Reply`, and a failure one
whose error has CoreDNS's words.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from clusterdns.chain import Handler, Query, Reply, failure
from clusterdns.telemetry.metrics import Series
from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.flight import MAX_FLIGHTS, Flights
from clusterdns.upstream.pool import Pool
from clusterdns.upstream.question import end_to_end, question_of
from clusterdns.upstream.server import Given
from clusterdns.wire import codes
from clusterdns.wire.header import AA, AD, RA, TC
from clusterdns.wire.name import ROOT, is_under

LABEL = "forward/upstream"
DEADLINE_TEXT = "context deadline exceeded"


@dataclass(frozen=True)
class Scope:
    """What a forward takes, and which replies it leaves to the next one."""

    zone: bytes = ROOT
    excluded: tuple[bytes, ...] = ()
    next_codes: frozenset[int] = frozenset()
    is_nodata_next: bool = False
    may_stream: bool = True  # a TCP client's questions go over TCP
    has_to_stream: bool = False

    @property
    def takes_all(self) -> bool:
        """Whether every name is ours."""
        return self.zone == ROOT and not self.excluded

    def takes(self, name: bytes) -> bool:
        """Whether the name is ours: at or under the zone, and at or under no exception."""
        zone = self.zone
        if zone != ROOT and not is_under(name, zone):
            return False
        return not self.excluded or name == zone or not any(is_under(name, one) for one in self.excluded)

    def passes_on(self, reply: Reply) -> bool:
        """Whether another forward is to be asked instead."""
        if not reply.is_upstream:
            return False
        if reply.rcode in self.next_codes:
            return True
        return self.is_nodata_next and reply.rcode == codes.NOERROR and not reply.answer


class Forward:
    """One `forward` line: its scope and its upstreams."""

    def __init__(self, scope: Scope, pool: Pool, max_concurrent: int, rejects: Series) -> None:
        """`max_concurrent` different questions at a time, 0 for the default, at which the oldest fails instead."""
        self.scope = scope
        self.pool = pool
        self.flights = Flights(pool.ask, max_concurrent or MAX_FLIGHTS)
        self._max_concurrent = max_concurrent
        self._rejects = rejects

    async def answer(self, query: Query) -> Reply:
        """What the upstreams say, or why they say nothing."""
        scope = self.scope
        is_stream = scope.has_to_stream or (scope.may_stream and query.transport != "udp")
        question = question_of(query, is_stream=is_stream)
        limit = self._max_concurrent
        if limit and len(self.flights) >= limit and not self.flights.has(question):
            self._rejects.value += 1
            return _failed(codes.REFUSED, f"concurrent queries exceeded maximum {limit}", codes.EDE_NOT_READY)
        waiting = self.flights.join(question)
        timer = None
        if query.deadline is not None:
            timer = asyncio.get_running_loop().call_at(query.deadline, _give_up, waiting)
        try:
            given = await waiting
        except ExchangeFailed as failed:
            failed.__traceback__ = None  # it holds this frame, which holds the future, which holds the failure
            return _failed(codes.SERVFAIL, failed.text, failed.info_code)
        finally:
            if timer is not None:
                timer.cancel()
            if not waiting.cancel() and not waiting.cancelled():
                waiting.exception()  # whoever gave up in the same turn never looks at it
        if query.labels is not None:
            query.labels[LABEL] = given.server.text
        return reply_of(given)

    async def close(self) -> None:
        """Fail what waits, and let go of the upstreams."""
        await self.flights.close()
        await self.pool.close()


def handler(forwards: Sequence[Forward], following: Handler) -> Handler:
    """The forwards of a block in file order: the first that takes the name answers (not the longest zone)."""
    last = forwards[-1]
    if len(forwards) == 1 and last.scope.takes_all:
        return last.answer

    async def handle(query: Query) -> Reply:
        for forward in forwards:
            if forward.scope.takes(query.name):
                reply = await forward.answer(query)
                if forward is last or not forward.scope.passes_on(reply):
                    return reply
        return await following(query)

    return handle


def reply_of(given: Given) -> Reply:
    """An upstream's message as a reply; the sections are shared with all who asked the same."""
    message = given.message
    reply = Reply(message.rcode, message.answer, message.authority, message.additional)
    flags = message.flags
    reply.is_authoritative = bool(flags & AA)
    reply.recursion_available = bool(flags & RA)
    reply.is_authentic = bool(flags & AD)
    reply.is_truncated = bool(flags & TC)
    reply.is_upstream = True
    if message.edns is not None:
        reply.options = end_to_end(message.edns.options)
    return reply


def _failed(rcode: int, text: str, info_code: int) -> Reply:
    reply = failure(rcode, text)
    reply.explain(info_code, text)
    return reply


def _give_up(waiting: "asyncio.Future[Given]") -> None:
    if not waiting.done():
        waiting.set_exception(ExchangeFailed(DEADLINE_TEXT, codes.EDE_NO_AUTHORITY))
