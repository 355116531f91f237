"""The replies of one connection that cannot be written at once: of handlers that wait, and of zone transfers.

`connection` makes a LaterReplies at its first query that waits, and answers all others itself.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from time import perf_counter
from typing import Any, Protocol

from clusterdns.server.listeners.budget import ConnectionBudget
from clusterdns.server.listeners.framing import framed
from clusterdns.server.tap import Tap
from clusterdns.server.unanswered import UnansweredPackets
from clusterdns.wire.stream import FirstMessage

MAX_WAITING = 64  # queries of one connection that wait for a handler; it reads no more until one is answered
MAX_UNSENT_BYTES = 262_144  # replies of handlers that waited are written at once; above, the connection is closed

log = logging.getLogger("clusterdns")


class ReplyWriter(Protocol):
    """The connection, as its later replies see it."""

    host: str
    is_stalled: bool
    transport: Any  # of the event loop, or a TlsStream

    def go_on_after_reply(self) -> None:
        """Go on, because a reply that waited is written or given up."""


class LaterReplies:
    """The queries and transfers of one connection that wait, each with a task that writes its replies."""

    __slots__ = ("_budget", "_connection", "_drained", "_large", "_tap", "_unanswered", "tasks")

    def __init__(self, connection: ReplyWriter, budget: ConnectionBudget, tap: Tap) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self._unanswered: set[Coroutine[Any, Any, bytes | None]] = set()  # queries whose handlers wait
        self._large: Coroutine[Any, Any, bytes | None] | None = None  # that of `_unanswered` which is a large reply
        self._connection = connection
        self._budget = budget
        self._tap = tap
        self._drained: asyncio.Event | None = None  # set when the client has read everything; transfers wait for it

    @property
    def are_enough(self) -> bool:
        """Whether no further query is answered until one of these is: many wait, or the reply to one is large."""
        return self._large is not None or len(self.tasks) >= MAX_WAITING

    def reply(self, reply: Coroutine[Any, Any, bytes | None], *, is_large: bool = False) -> None:
        """Write a reply when its handler is done."""
        self._unanswered.add(reply)
        if is_large:
            self._large = reply
        self._begin(self._reply(reply))

    def transfer(self, messages: Iterator[bytes]) -> None:
        """Write the other messages of a transfer, after the first one, which the caller writes in this turn."""
        self._begin(self._transfer(messages))

    def resume(self) -> None:
        """Go on with transfers: the client has read everything."""
        if self._drained is not None:
            self._drained.set()

    def cancel(self, packets: UnansweredPackets) -> None:
        """Cancel what waits, and count the queries among it: the connection has ended."""
        for query in self._unanswered:
            packets.cancel(query, "tcp")
        for task in self.tasks:
            task.cancel()

    def _begin(self, waiting: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(waiting)
        self._budget.waiting_count += 1
        self.tasks.add(task)
        task.add_done_callback(self._done)

    async def _reply(self, reply: Coroutine[Any, Any, bytes | None]) -> None:
        """Send a reply when its handler is done; replies may overtake each other (RFC 7766 §7)."""
        began = perf_counter()
        message = await reply
        self._unanswered.discard(reply)
        if reply is self._large:
            self._large = None
        transport = self._connection.transport
        if message is None or transport.is_closing():
            return
        transport.write(framed(message))
        if self._tap.observer is not None:
            self._tap.observer.later(message, self._connection.host, perf_counter() - began)
        if transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            transport.abort()
        elif isinstance(message, FirstMessage):
            await self._transfer(message.rest)

    async def _transfer(self, messages: Iterator[bytes]) -> None:
        """Send the other messages of a transfer; each is made when the client has read the ones before it."""
        transport = self._connection.transport
        await asyncio.sleep(0)
        for message in messages:
            while self._connection.is_stalled:
                if self._drained is None:
                    self._drained = asyncio.Event()
                self._drained.clear()
                await self._drained.wait()
            if transport.is_closing():
                return
            transport.write(framed(message))
            await asyncio.sleep(0)

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self._budget.waiting_count -= 1
        if not task.cancelled() and (error := task.exception()) is not None:  # a transfer failed half-way
            log.error("a transfer to %s is cut off", self._connection.host, exc_info=error)
            self._connection.transport.abort()
        self._connection.go_on_after_reply()
