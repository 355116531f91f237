"""The upstreams of one `forward`, and the order in which a question goes from one to the next.

An exchange that fails has its upstream checked and goes on with the next, wrapping around, within a time and a number
of attempts; upstreams that are down are passed over, and where all are, checking is taken to be what is broken: one
is chosen at random. A response code may also send the question on (`failover`).
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from time import monotonic

from clusterdns.telemetry.metrics import Series
from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.question import Question
from clusterdns.upstream.server import Given, Server
from clusterdns.wire import codes

TOTAL_SECONDS = 5.0
ROUND_PAUSE_SECONDS = 0.01  # before the same upstreams are tried again
NO_HEALTHY = "no healthy proxies"
LOOPING = "forwarding is stopped: it leads back to this server"

Order = Callable[[Sequence[Server]], Sequence[Server]]


def in_random_order(servers: Sequence[Server]) -> Sequence[Server]:
    """A new order each time."""
    return servers if len(servers) == 1 else random.sample(servers, len(servers))


def in_file_order(servers: Sequence[Server]) -> Sequence[Server]:
    """As in the Corefile."""
    return servers


class InTurn:
    """Each time one further; the second comes first, as at CoreDNS."""

    def __init__(self) -> None:
        self._turn = 0

    def __call__(self, servers: Sequence[Server]) -> Sequence[Server]:
        self._turn = (self._turn + 1) % len(servers)
        return (*servers[self._turn :], *servers[: self._turn])


POLICIES: dict[str, Callable[[], Order]] = {
    "random": lambda: in_random_order,
    "round_robin": InTurn,
    "sequential": lambda: in_file_order,
}


class Pool:
    """Upstreams that stand in for each other."""

    def __init__(
        self,
        servers: Sequence[Server],
        order: Order,
        read_seconds: float,
        max_attempts: int,
        failover: frozenset[int],
        all_down: Series,
        *,
        fails_fast: bool = False,
    ) -> None:
        """`max_attempts` of failed exchanges, 0 for any number; `all_down` counts how often no upstream was up."""
        self.servers = tuple(servers)
        self._order = order
        self._read_seconds = read_seconds
        self._max_attempts = max_attempts
        self._failover = failover
        self._all_down = all_down
        self._fails_fast = fails_fast

    async def ask(self, question: Question) -> Given:
        """The first usable reply. Raises ExchangeFailed with the last reason."""
        deadline = monotonic() + TOTAL_SECONDS
        last: ExchangeFailed | None = None
        refused: Given | None = None
        servers = [server for server in self._order(self.servers) if not server.is_looping]
        if not servers:
            raise ExchangeFailed(LOOPING, codes.EDE_NO_AUTHORITY)
        attempts = replies = position = down = 0
        while monotonic() < deadline and not (self._max_attempts and attempts >= self._max_attempts):
            if position >= len(servers):
                position = down = 0
                await asyncio.sleep(ROUND_PAUSE_SECONDS)  # what fails at once must not be asked all the time
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
                given = await server.ask(question, self._read_seconds)
            except ExchangeFailed as failed:
                last = failed.with_traceback(None)  # which holds frames, and they hold it
                attempts += 1
                server.begin_check()
                continue
            replies += 1
            if given.message.rcode not in self._failover or replies >= len(servers):
                return given
            refused = given
        if refused is not None:
            return refused
        raise last or ExchangeFailed(NO_HEALTHY, codes.EDE_NO_AUTHORITY)

    async def close(self) -> None:
        """Close every upstream."""
        for server in self.servers:
            await server.close()
