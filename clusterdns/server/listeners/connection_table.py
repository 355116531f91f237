"""The connections of one TCP listener, with what they share: dispatch, time limits, and a buffer.

`connection` is one connection; `tcp` accepts connections and closes them; `budget` is what the connections of all
listeners hold together.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence, Set
from typing import Any, Protocol

import msgspec

from clusterdns.host.admission import ClientConnection
from clusterdns.server.dispatch import Dispatch, ListenerContext
from clusterdns.server.listeners.budget import ConnectionBudget
from clusterdns.server.tap import Shed

CHUNK_BYTES = 16_384  # of one read


class TcpLimits(msgspec.Struct, frozen=True):
    """The time that a connection has for each of its states, and the number of its queries."""

    handshake_seconds: float = 5.0  # of TLS, from the connection to the end of the handshake
    first_seconds: float = 10.0  # from the connection to its first query
    idle_seconds: float = 10.0  # between the last reply and the next query
    partial_seconds: float = 5.0  # from the first byte of a query to its last
    stalled_seconds: float = 5.0  # unsent replies without any progress
    max_queries: int = -1  # of one connection, which is closed after them; -1: any number


class Tracked(ClientConnection, Protocol):
    """A connection as its table knows it."""

    @property
    def waiting(self) -> Set[asyncio.Task[None]]:
        """The queries and transfers that wait."""

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
        budget: ConnectionBudget,
        *,
        is_tls: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.dispatch = dispatch
        self.context = context
        self.limits = limits
        self.budget = budget
        self.is_tls = is_tls
        self.now = clock
        self.is_closing = False
        self.buffer = memoryview(bytearray(CHUNK_BYTES))  # each read ends here and is copied out before the next one
        self.connections: dict[Tracked, None] = {}  # in the order of their arrival
        self.emptied = asyncio.Event()

    def admit(self, connection: Tracked, host: str) -> None:
        """Count a new connection; another one may be closed for it."""
        evicted = self.budget.admission.admit(connection, host, is_tls=self.is_tls)
        self.connections[connection] = None
        for address in evicted:
            self.context.tap.shed(address, Shed.CONNECTION)

    def dismiss(self, connection: Tracked) -> None:
        """Remove a connection that has ended; a second call has no effect."""
        self.budget.stalled.pop(connection, None)
        self.budget.admission.dismiss(connection)
        self.connections.pop(connection, None)
        if not self.connections:
            self.emptied.set()

    def note_replies(self, replies: Sequence[bytes], host: str, hits: int, seconds: float) -> None:
        """Count the hits of one batch of queries of this client, and the time that the batch took."""
        if hits:
            self.context.hit_time.hits += hits
            self.context.hit_time.seconds += seconds
        if self.context.tap.observer is not None:
            self.context.tap.observer.stream(replies, host, hits, seconds)

    def drop(self, query: Coroutine[Any, Any, bytes | None], host: str, most: int) -> None:
        """Give up a query of this client because `most` wait already."""
        self.dispatch.unanswered.drop(query, "tcp", most)
        self.context.tap.shed(host, Shed.QUERY)

    def sweep(self) -> None:
        """Close connections that have been idle, unfinished or stalled for longer than the limits allow."""
        now = self.now()
        for connection in tuple(self.connections):
            connection.check_time(now, self.limits)

    @property
    def waiting(self) -> set[asyncio.Task[None]]:
        """The tasks of all queries and transfers that wait."""
        return {task for connection in self.connections for task in connection.waiting}
