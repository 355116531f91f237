"""The handler of `forward`: it tries the lines of a block in order, and makes a `Reply` of an upstream's message.

`clusterdns.upstream` asks the upstreams, once for all clients with the same question, and checks their health. A failed
exchange becomes SERVFAIL, with CoreDNS's words as its error.
"""

import asyncio
from collections.abc import Sequence

from clusterdns.chain import Handler, Query, Reply, failure
from clusterdns.plugins.forward.settings import ForwardSettings
from clusterdns.telemetry.metrics import Series
from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.flight import MAX_FLIGHTS, FlightLimit, Flights
from clusterdns.upstream.pool import UpstreamPool
from clusterdns.upstream.question import end_to_end, question_of
from clusterdns.upstream.server import UpstreamReply
from clusterdns.wire import codes
from clusterdns.wire.header import AA, AD, RA, TC

LABEL = "forward/upstream"
DEADLINE_TEXT = "context deadline exceeded"


class Forward:
    """One `forward` line: its scope, its upstreams and the questions under way."""

    def __init__(self, settings: ForwardSettings, pool: UpstreamPool, limit: FlightLimit, rejects: Series) -> None:
        """`rejects` counts the queries that `max_concurrent` refused."""
        self.scope = settings.scope
        self.place = settings.place
        self.pool = pool
        self.flights = Flights(pool.ask, limit, settings.max_concurrent or MAX_FLIGHTS)
        self._always_over_stream = settings.transport.force_tcp
        self._as_client = not settings.prefers_udp
        self._max_concurrent = settings.max_concurrent
        self._rejects = rejects

    async def answer(self, query: Query) -> Reply:
        """Answer with the reply of an upstream, or with a failure (see chain.Handler)."""
        is_stream = self._always_over_stream or (self._as_client and query.transport != "udp")
        question = question_of(query, is_stream=is_stream)
        limit = self._max_concurrent
        if limit and len(self.flights) >= limit and not self.flights.has(question):
            self._rejects.value += 1
            cause = f"concurrent queries exceeded maximum {limit}"
            return failure(codes.REFUSED, cause, codes.EDE_NOT_READY, is_logged=True)
        waiting = self.flights.join(question)
        timer = None
        if query.deadline is not None:
            timer = asyncio.get_running_loop().call_at(query.deadline, _give_up, waiting)
        try:
            reply = await waiting
        except ExchangeFailed as failed:
            failed.__traceback__ = None  # it holds this frame, which holds the future, which holds the failure
            return failure(codes.SERVFAIL, failed.text, failed.info_code)
        finally:
            if timer is not None:
                timer.cancel()
            if not waiting.cancel() and not waiting.cancelled():
                waiting.exception()  # a handler that was cancelled in the same turn does not retrieve it
        if query.labels is not None:
            query.labels[LABEL] = reply.upstream.text
        return reply_of(reply)

    async def close(self) -> None:
        """Fail the questions under way, and close the upstreams."""
        await self.flights.close()
        await self.pool.close()


def handler(forwards: Sequence[Forward], following: Handler) -> Handler:
    """Make the handler of a block: the first line in file order that takes the name answers (not the longest zone)."""
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


def reply_of(received: UpstreamReply) -> Reply:
    """Make a reply of an upstream's message; all clients that asked the same question share its sections."""
    message = received.message
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


def _give_up(waiting: "asyncio.Future[UpstreamReply]") -> None:
    if not waiting.done():
        waiting.set_exception(ExchangeFailed(DEADLINE_TEXT, codes.EDE_NO_AUTHORITY))
