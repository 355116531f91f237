"""The upstreams of one `forward`, and how a question goes from one to the next.

After a failed exchange the upstream's health is checked, and the next upstream is asked; after the last comes the first
again, within TOTAL_SECONDS and a number of attempts. Upstreams that are down are passed over. Where all are down the
checks are probably at fault, so one upstream is asked at random. A response code may also send the question on
(`failover`).
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar
from time import perf_counter
from typing import Any, NamedTuple

from clusterdns.telemetry.metrics import Series
from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.question import Question
from clusterdns.upstream.server import Upstream, UpstreamReply
from clusterdns.upstream.settings import PoolSettings
from clusterdns.wire import codes
from clusterdns.wire.header import TC

TOTAL_SECONDS = 5.0  # after which no further attempt begins
ROUND_PAUSE_SECONDS = 0.01  # before the same upstreams are tried again
NO_HEALTHY = "no healthy proxies"
LOOPING = "forwarding is stopped: it leads back to this server"


class Attempt(NamedTuple):
    """One exchange with an upstream, as `ATTEMPTS` records it."""

    upstream: str  # host:port
    transport: str  # dns, tls or https
    seconds: float
    outcome: str  # a response code, or why there is no reply


# a list for the exchanges that a question takes, where a caller asks for one; a flight has it from the task that
# started it, so that a question which is under way already adds nothing
ATTEMPTS: ContextVar[list[Attempt] | None] = ContextVar("attempts", default=None)

Policy = Callable[[Sequence[Upstream]], Sequence[Upstream]]


def random_order(servers: Sequence[Upstream]) -> Sequence[Upstream]:
    """Shuffle the upstreams for each question."""
    return servers if len(servers) == 1 else random.sample(servers, len(servers))


def file_order(servers: Sequence[Upstream]) -> Sequence[Upstream]:
    """Keep the order of the Corefile."""
    return servers


class RoundRobin:
    """A policy that begins one upstream further for each question; with the second, as CoreDNS does."""

    def __init__(self) -> None:
        self._turn = 0

    def __call__(self, servers: Sequence[Upstream]) -> Sequence[Upstream]:
        self._turn = (self._turn + 1) % len(servers)
        return (*servers[self._turn :], *servers[: self._turn])


POLICIES: dict[str, Callable[[], Policy]] = {
    "random": lambda: random_order,
    "round_robin": RoundRobin,
    "sequential": lambda: file_order,
}


class UpstreamPool:
    """Upstreams that stand in for each other."""

    def __init__(self, servers: Sequence[Upstream], settings: PoolSettings, all_down: Series) -> None:
        """`all_down` counts the questions that found every upstream down."""
        self.servers = tuple(servers)
        self._order = POLICIES[settings.policy]()
        self._read_seconds = settings.read_seconds
        self._max_attempts = 2 * len(self.servers) if settings.max_attempts is None else settings.max_attempts
        self._failover = settings.failover
        self._fails_fast = settings.fails_fast
        self._all_down = all_down

    async def ask(self, question: Question) -> UpstreamReply:
        """Return the first usable reply. Raises the ExchangeFailed of the last attempt."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + TOTAL_SECONDS
        last: ExchangeFailed | None = None
        refused: UpstreamReply | None = None
        servers = [server for server in self._order(self.servers) if not server.is_looping]
        if not servers:
            raise ExchangeFailed(LOOPING, codes.EDE_NO_AUTHORITY)
        attempts = replies = position = down = 0
        while loop.time() < deadline and not (self._max_attempts and attempts >= self._max_attempts):
            if position >= len(servers):
                position = down = 0
                await asyncio.sleep(ROUND_PAUSE_SECONDS)  # an upstream that fails at once is not asked without pause
            server = servers[position]
            position += 1
            if server.is_down:
                down += 1
                if down < len(servers):
                    continue
                self._all_down.value += 1
                if self._fails_fast:
                    break
                server = random.choice(servers)
            try:
                reply = await self._exchange(server, question)
            except ExchangeFailed as failed:
                last = failed.with_traceback(None)  # the frames in the traceback hold the failure
                attempts += 1
                server.begin_check()
                continue
            replies += 1
            if reply.message.rcode not in self._failover or replies >= len(servers):
                return reply
            refused = reply
        if refused is not None:
            return refused
        raise last or ExchangeFailed(NO_HEALTHY, codes.EDE_NO_AUTHORITY)

    def _exchange(self, server: Upstream, question: Question) -> Coroutine[Any, Any, UpstreamReply]:
        attempts = ATTEMPTS.get()
        asking = server.ask(question, self._read_seconds)
        return asking if attempts is None else _recorded(asking, server, attempts)

    async def close(self) -> None:
        """Close every upstream."""
        for server in self.servers:
            await server.close()


async def _recorded(
    asking: Coroutine[Any, Any, UpstreamReply], server: Upstream, attempts: list[Attempt]
) -> UpstreamReply:
    """Run an exchange, and add it to the record. Raises ExchangeFailed."""
    started = perf_counter()
    outcome = "cancelled"
    try:
        reply = await asking
        outcome = codes.rcode_text(reply.message.rcode) + (", truncated" if reply.message.flags & TC else "")
        return reply
    except ExchangeFailed as failed:
        outcome = failed.text
        raise
    finally:
        attempts.append(Attempt(server.text, server.address.transport, perf_counter() - started, outcome))
