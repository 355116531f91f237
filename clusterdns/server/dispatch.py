"""Dispatch: from a query that the answer table does not hold to a response.

Dispatch reads the packet, finds the route, runs the chain, encodes the reply, compiles it if it may be reused, and
counts. An exception in a handler is logged with the question, counted, and answered SERVFAIL. `udp` and `connection`
own the sockets; handlers decide what an answer contains.
"""

import asyncio
import logging
from collections.abc import Coroutine, Generator
from time import perf_counter
from types import coroutine
from typing import Any, NamedTuple

from clusterdns.answers.compiled import compile_answer
from clusterdns.answers.table import AnswerTable
from clusterdns.chain import Query, Reply, code_only, failure
from clusterdns.chain.query import read_query
from clusterdns.server.routes import Route, Routes
from clusterdns.server.tap import Tap
from clusterdns.server.unanswered import UnansweredPackets
from clusterdns.telemetry.metrics import Series
from clusterdns.telemetry.queries import (
    DROPPED,
    MAX_COUNTERS,
    OTHER_TYPE,
    HitTime,
    OutcomeCounter,
    QueryCounters,
    QueryOutcome,
)
from clusterdns.wire import codes, encode
from clusterdns.wire.header import RCODE_MASK
from clusterdns.wire.name import to_text
from clusterdns.wire.stream import transfer_messages

MAX_LOOKUP_DEPTH = 16  # CNAMEs in a row that are followed; CoreDNS follows 11
MAX_RECORDS_AT_ONCE = 256  # larger answers take a turn of their own, and are compiled when asked again

log = logging.getLogger("clusterdns")


class ListenerContext:
    """What all queries of a listener share: transport, address family, answer table, the time that hits take, a tap."""

    __slots__ = ("answers", "family", "hit_time", "tap", "transport")

    def __init__(self, transport: str, family: str, answers: AnswerTable, hit_time: HitTime, tap: Tap) -> None:
        self.transport = transport  # "udp" or "tcp"
        self.family = family  # "1" for IPv4, "2" for IPv6, as in the metrics
        self.answers = answers
        self.hit_time = hit_time
        self.tap = tap


class LargeReply(NamedTuple):
    """A response of hundreds of records that are found; encoding them is a turn of the event loop of its own."""

    encoding: Coroutine[Any, Any, bytes | None]

    def __await__(self) -> Generator[Any, Any, bytes | None]:
        return self.encoding.__await__()


class Dispatch:
    """The dispatch of one listen point, for all of its listeners."""

    def __init__(self, routes: Routes, counters: QueryCounters, panics: Series) -> None:
        self.routes = routes
        self.counters = counters
        self.unanswered = UnansweredPackets(counters)
        self._panics = panics
        # by outcome as plain values, so that label texts are made once
        self._counter_of: dict[tuple[object, ...], OutcomeCounter] = {}
        # blocks without `prometheus` count like all others, in families that are not shown
        self._uncounted = counters.counter(QueryOutcome("", "", "", "", "", False, 0, 0, is_shown=False))

    def miss(
        self, packet: bytes, client: Any, server: str, context: ListenerContext
    ) -> "bytes | Coroutine[Any, Any, bytes | None] | LargeReply | None":
        """Return the response; a coroutine that returns it where a handler has to wait; None to send nothing.

        `client` is the socket address that the packet came from, `server` the address that it was sent to. Of a zone
        transfer the response is the first message (see wire.stream.FirstMessage).
        """
        query = read_query(packet)
        if query is None:
            self.unanswered.ignore(packet, context.transport)
            return None
        if isinstance(query, bytes):
            self._count_unreadable(packet, query, context)
            return query
        started = perf_counter()
        query.transport = context.transport
        query.client = client
        query.server = server
        query.lookup = self.lookup
        route = self.routes.find(query.name, query.qtype)
        refusal = self._refusal(query, route)
        if refusal is not None:
            return self._finish(query, refusal, None, context, started, may_keep=False)
        assert route is not None
        try:
            handling = _handle(query, route)
            waiting = handling.send(None)
        except StopIteration as done:
            reply: Reply = done.value
            if len(reply.answer) + len(reply.additional) > MAX_RECORDS_AT_ONCE:
                return LargeReply(self._finish_large(query, reply, route, context, started, context.answers.changes))
        except Exception:  # noqa: BLE001  # whatever a handler raises
            reply = self._failed(query)
        else:
            return self._finish_later(query, _resumed(handling, waiting), route, context, started)
        return self._finish(query, reply, route, context, started, may_keep=True)

    async def lookup(self, query: Query, name: bytes, qtype: int) -> Reply:
        """Answer another question for a handler, from the choice of the zone on (see chain.query.Lookup)."""
        if query.depth >= MAX_LOOKUP_DEPTH:
            return failure(codes.SERVFAIL, f"more than {MAX_LOOKUP_DEPTH} CNAMEs lead to {to_text(name)}")
        asked = query.asking(name, qtype, query.qclass)
        asked.is_canonical = False
        asked.labels = None
        asked.depth = query.depth + 1
        route = self.routes.find(name, qtype)
        refusal = self._refusal(asked, route)
        if refusal is not None:
            return refusal
        assert route is not None
        return await _handle(asked, route)

    async def _finish_large(
        self, query: Query, reply: Reply, route: Route, context: ListenerContext, started: float, changes: int
    ) -> bytes | None:
        """Encode a large reply in a turn of its own; `changes` is that of the answer table when it was found."""
        await asyncio.sleep(0)
        return self._finish(query, reply, route, context, started, may_keep=changes == context.answers.changes)

    async def _finish_later(
        self,
        query: Query,
        handling: Coroutine[Any, Any, Reply],
        route: Route,
        context: ListenerContext,
        started: float,
    ) -> bytes | None:
        try:
            reply = await handling
            if len(reply.answer) > MAX_RECORDS_AT_ONCE:
                await asyncio.sleep(0)  # storing thousands of records is one turn, encoding them another
        except Exception:  # noqa: BLE001  # whatever a handler raises after its first wait
            reply = self._failed(query)
        # not compiled: a change may have come while the handler waited
        return self._finish(query, reply, route, context, started, may_keep=False)

    def _finish(
        self,
        query: Query,
        reply: Reply,
        route: Route | None,
        context: ListenerContext,
        started: float,
        *,
        may_keep: bool,
    ) -> bytes | None:
        is_kept = False
        first: bytes | None = None  # of the messages of a transfer
        try:
            if route is not None:
                seconds = perf_counter() - started
                for observe in route.chain.observers:
                    observe(query, reply, seconds)
                is_kept = may_keep and reply.reusable and query.is_canonical and route.chain.keeps_answers
                is_kept = is_kept and context.answers.admits(
                    query.packet[2:], is_at_once=0 < len(reply.answer) <= MAX_RECORDS_AT_ONCE
                )
            encoded = encode.encode(query, reply, for_reuse=is_kept)
            if reply.stream is not None and query.transport != "udp":
                first = transfer_messages(query, reply, reply.stream)
        except Exception:  # noqa: BLE001  # an observer failed, or the reply cannot be encoded
            reply, is_kept = self._failed(query), False
            encoded = encode.encode(query, reply)
        counter = self._count(query, reply, route, context, started)
        if reply.is_dropped:
            return None
        if first is not None:
            return first
        if not is_kept:
            return query.id + encoded.message()
        answer = compile_answer(encoded, reply.serial, counter, reply.dependencies, reply.is_empty)
        context.answers.put(query.packet[2:], answer)
        return query.id + answer.message()

    def _count(
        self, query: Query, reply: Reply, route: Route | None, context: ListenerContext, started: float
    ) -> OutcomeCounter:
        is_shown = route is None or route.chain.counts_queries
        if not is_shown and not reply.counted:
            return self._uncounted
        zone_text = DROPPED if route is None else route.zone_text
        qtype = query.effective.qtype
        reply_bytes = encode.uncompressed_size(query, reply)
        writer = (
            route.chain.writer if route is not None and reply.is_written else ""
        )  # empty for the server itself, as in CoreDNS
        facts = (
            zone_text, context, qtype, reply.rcode, query.do, len(query.packet), reply_bytes, reply.counted, writer,
        )  # fmt: skip
        counter = self._counter_of.get(facts)
        if counter is None:
            counter = self.counters.counter(
                QueryOutcome(
                    zone_text, context.transport, context.family, codes.type_text(qtype),
                    codes.rcode_text(reply.rcode), query.do, len(query.packet), reply_bytes,
                    plugin=writer, counted=reply.counted, is_shown=is_shown,
                )
            )  # fmt: skip
            if len(self._counter_of) >= MAX_COUNTERS:
                self._counter_of.clear()
            self._counter_of[facts] = counter
        counter.observe(perf_counter() - started)
        return counter

    def _count_unreadable(self, packet: bytes, message: bytes, context: ListenerContext) -> None:
        """Count a query that was answered with an error code because it has no question that could be read."""
        rcode_text = codes.rcode_text(message[3] & RCODE_MASK)
        self.counters.counter(
            QueryOutcome(
                DROPPED, context.transport, context.family, OTHER_TYPE, rcode_text, False, len(packet), len(message)
            )
        ).observe(0.0)

    def _refusal(self, query: Query, route: Route | None) -> Reply | None:
        """Return the reply to a query that no handler may see: of a class or zone not served, or of a later EDNS."""
        if query.version:  # before all else: the rest of the message may have another meaning (RFC 6891 §6.1.3)
            return code_only(codes.BADVERS)
        if query.qclass != codes.IN and not self.routes.takes_any_class:
            cause = f"this server does not serve class {codes.class_text(query.qclass)}"
            return failure(codes.REFUSED, cause, codes.EDE_NOT_SUPPORTED, is_unhandled=True)
        if route is None or (route.chain.handler if query.qclass == codes.IN else route.chain.other_handler) is None:
            cause = "no server block answers for this name"
            return failure(codes.REFUSED, cause, codes.EDE_NOT_AUTHORITATIVE, is_unhandled=True)
        return None

    def _failed(self, query: Query) -> Reply:
        self._panics.value += 1
        log.exception("Recovered from panic in server: %s %s", to_text(query.name), codes.type_text(query.qtype))
        return failure(codes.SERVFAIL, "internal error; the server's log has details", is_logged=False)


def _handle(query: Query, route: Route) -> Coroutine[Any, Any, Reply]:
    """Collect the query's metadata, and call the chain for its class."""
    if route.chain.labellers:
        query.labels = {label: text for ask in route.chain.labellers for label, text in ask(query).items()}
    handler = route.chain.handler if query.qclass == codes.IN else route.chain.other_handler
    assert handler is not None
    return handler(query)


@coroutine
def _resumed(handling: Coroutine[Any, Any, Reply], waiting: Any) -> Generator[Any, Any, Reply]:
    """Await a handler that has run up to its first wait: yield what it waits for, then run it to its end.

    Exceptions and cancellation of the wait are raised inside the handler, which alone can turn a lost upstream into a
    reply. (`yield from` does this, but only from the start of a coroutine.)
    """
    try:
        while True:
            try:
                yield waiting
            except GeneratorExit:
                handling.close()
                raise
            except BaseException as error:  # noqa: BLE001  # raised inside the handler, not swallowed
                waiting = handling.throw(error)
            else:
                waiting = handling.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
