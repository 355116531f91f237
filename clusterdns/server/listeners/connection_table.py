"""The connections of one TCP listener: how many each client may have, and what all of them together may hold.

`connection` is one connection and asks this table before it takes anything; `tcp` accepts connections and closes them.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from clusterdns.server.dispatch import Dispatch, ListenerContext

CHUNK_BYTES = 16_384  # of one read
MAX_HELD_BYTES = 8 << 20  # of unfinished queries, of all connections
MAX_ALL_WAITING = 10_000  # queries of all connections that wait for a handler; beyond, a query is dropped, as over UDP
_EVICTION_CANDIDATES = 32  # the oldest connections among which an idle one is looked for


@dataclass(frozen=True, slots=True)
class TcpLimits:
    """The time and the number of connections that clients may have.

    Many pods behind one node's address count as one client, so the limit per client is generous. Over `max_per_client`
    a new connection is refused. Over `max_connections` the connection that is idle for longest is closed, and the new
    one is refused if none is idle (RFC 7766 §6.2.2 leaves the choice). Over `max_stalled` the connection that stalled
    first is closed.
    """

    first_seconds: float = 10.0  # from the connection to its first query
    idle_seconds: float = 10.0  # between the last reply and the next query
    partial_seconds: float = 5.0  # from the first byte of a query to its last
    stalled_seconds: float = 5.0  # unsent replies without any progress
    max_per_client: int = 256
    max_connections: int = 4096
    max_stalled: int = 128
    max_queries: int = -1  # of one connection, which is closed after them; -1: any number


class Tracked(Protocol):
    """A connection as its table knows it."""

    host: str
    waiting: set[asyncio.Task[None]]

    @property
    def is_idle(self) -> bool:
        """Whether no query, reply or wait is under way."""

    def abort(self) -> None:
        """Close at once and discard unsent replies."""

    def finish(self) -> None:
        """Answer what has been received by now, then close."""

    def check_time(self, now: float, limits: TcpLimits) -> None:
        """Close a connection that has been in its present state for longer than the limits allow."""


class ConnectionTable:
    """The connections of one listener, with the dispatch, limits and buffer that they share."""

    def __init__(
        self,
        dispatch: Dispatch,
        context: ListenerContext,
        limits: TcpLimits,
        *,
        is_tls: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.dispatch = dispatch
        self.context = context
        self.limits = limits
        self.is_tls = is_tls
        self.now = clock
        self.is_closing = False
        self.buffer = memoryview(bytearray(CHUNK_BYTES))  # each read ends here and is copied out before the next one
        self.held_bytes = 0  # received and not answered yet
        self.waiting_count = 0  # queries and transfers that wait
        self.connections: OrderedDict[Tracked, None] = OrderedDict()  # the one quiet for longest first
        self.stalled: OrderedDict[Tracked, None] = OrderedDict()  # the one stalled for longest first
        self.emptied = asyncio.Event()
        self._per_client: Counter[str] = Counter()

    def admit(self, connection: Tracked) -> bool:
        """Count a new connection; False where its client has too many, or where the table is full and none is idle."""
        limits = self.limits
        if self.is_closing or self._per_client[connection.host] >= limits.max_per_client:
            return False
        if len(self.connections) >= limits.max_connections:
            oldest = islice(self.connections, _EVICTION_CANDIDATES)
            idle = next((one for one in oldest if one.is_idle), None)
            if idle is None:
                return False
            idle.abort()
            self.dismiss(idle)
        self._per_client[connection.host] += 1
        self.connections[connection] = None
        return True

    def dismiss(self, connection: Tracked) -> None:
        """Remove a connection that has ended; a second call has no effect."""
        self.stalled.pop(connection, None)
        if connection not in self.connections:
            return
        del self.connections[connection]
        self._per_client[connection.host] -= 1
        if not self._per_client[connection.host]:
            del self._per_client[connection.host]
        if not self.connections:
            self.emptied.set()

    def stall(self, connection: Tracked) -> None:
        """Note a client that does not read its replies; over `max_stalled` the one that stalled first is closed."""
        self.stalled[connection] = None
        if len(self.stalled) > self.limits.max_stalled:
            oldest = next(iter(self.stalled))
            del self.stalled[oldest]
            oldest.abort()

    def sweep(self) -> None:
        """Close connections that have been idle, unfinished or stalled for longer than the limits allow."""
        now = self.now()
        for connection in tuple(self.connections):
            connection.check_time(now, self.limits)

    @property
    def waiting(self) -> set[asyncio.Task[None]]:
        """The tasks of all queries and transfers that wait."""
        return {task for connection in self.connections for task in connection.waiting}
