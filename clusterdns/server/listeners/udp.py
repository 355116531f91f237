"""The UDP listeners: receive queries, send compiled answers, and pass all other queries to dispatch.

`_drain` is the hit path of the server: per query it makes no task, parses nothing and logs nothing. `host.udp` makes
the system calls, for a batch of queries at a time; in an overload `fairness` decides whose queries are dropped.
"""

import asyncio
import logging
import mmap
import socket
from collections.abc import Coroutine
from time import perf_counter
from typing import Any

from clusterdns.host.udp.datagrams import BATCH, SLOT_BYTES, Ancillary, datagrams
from clusterdns.host.udp.socket_filter import memory
from clusterdns.server.dispatch import Dispatch, LargeReply, ListenerContext
from clusterdns.server.listeners.fairness import FairShares
from clusterdns.server.tap import Shed
from clusterdns.telemetry.queries import Unanswered

MAX_LAST_BATCHES = 1024  # answered while closing, so that a flood does not keep the socket open
MAX_WAITING = 10_000  # queries of one socket that wait for a handler; more than that outlive their clients' timeouts

log = logging.getLogger("clusterdns")


class UdpListener:
    """An open UDP socket that serves DNS. All listeners of an event loop share `payload`."""

    def __init__(self, sock: socket.socket, dispatch: Dispatch, context: ListenerContext, payload: mmap.mmap) -> None:
        self._socket = sock
        self._datagrams = datagrams(sock, payload)
        self._dispatch = dispatch
        self._context = context
        self._dropped = 0  # by the kernel, as counted so far
        self._waiting: dict[Coroutine[Any, Any, bytes | None], asyncio.Task[None]] = {}

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the event loop call `_drain` whenever the socket is readable."""
        self._loop = loop
        counters = self._dispatch.counters
        self._fair = FairShares(self._socket, counters.server_text, counters.shed, self._context.tap, loop.call_later)
        counters.before_flush.append(self._count_dropped)
        loop.add_reader(self._socket, self._drain)

    def serve(self, dispatch: Dispatch, context: ListenerContext) -> set[asyncio.Task[None]]:
        """Answer from another configuration; returns the tasks of queries that wait in the previous one."""
        self._dispatch.counters.before_flush.remove(self._count_dropped)
        dispatch.counters.before_flush.append(self._count_dropped)
        self._dispatch, self._context = dispatch, context
        return set(self._waiting.values())

    async def close(self, grace_seconds: float) -> None:
        """Give waiting handlers the grace time, answer what is in the receive buffer, and close the socket."""
        try:
            await self.wait(grace_seconds)
        finally:
            self.close_now()

    async def wait(self, grace_seconds: float) -> None:
        """Give the handlers that wait at present the grace time. Queries are still answered."""
        if self._waiting:
            await asyncio.wait(set(self._waiting.values()), timeout=grace_seconds)

    def close_now(self) -> None:
        """Answer what is in the receive buffer, cancel what waits, and close, all in one turn of the event loop."""
        for _ in range(MAX_LAST_BATCHES):
            if not self._drain():
                break
        self._loop.remove_reader(self._socket)
        self._fair.close()
        self._dispatch.counters.before_flush.remove(self._count_dropped)
        self._count_dropped()
        self._socket.close()
        for message, task in self._waiting.items():
            self._dispatch.unanswered.cancel(message, "udp")
            task.cancel()

    def _drain(self) -> bool:
        """Answer a batch; return whether the receive buffer may hold more."""
        batch = self._datagrams
        payload, reply_bytes = batch.payload, batch.reply_bytes
        entries = self._context.answers.entries
        started = perf_counter()
        try:
            sizes = batch.receive()
        except OSError as error:  # an ICMP error caused by an earlier reply
            log.debug("udp receive: %s", error)
            return True
        hits = first = unsent = 0
        for slot, size in enumerate(sizes):
            start = slot * SLOT_BYTES
            answer = entries.get(payload[start + 2 : start + size])
            if answer is None:
                message = self._miss(payload[start : start + size], slot)
                if message is None:  # no reply, or a later one: what is sent must be consecutive
                    self._send(first, slot)
                    first = slot + 1
                    unsent += 1
                    payload[start + 2] = 0  # a received response is not taken for a reply
                    continue
                rest = message[2:]
            else:
                answer.counter.count += 1
                hits += 1
                rest = answer.static or answer.message()
            # the reply takes the query's place, and has its ID
            size = reply_bytes[slot] = 2 + len(rest)
            payload[start + 2 : start + size] = rest
        self._send(first, len(sizes))
        if hits:
            hit_time = self._context.hit_time
            hit_time.hits += hits
            hit_time.seconds += perf_counter() - started
        observer = self._context.tap.observer
        if observer is not None and sizes:
            observer.batch(batch, len(sizes), len(sizes) - unsent, hits, perf_counter() - started)
        if len(sizes) == BATCH or self._fair.is_sampling:
            self._fair.report(batch, len(sizes))
        return bool(sizes)

    def _count_dropped(self) -> tuple[()]:
        """Count what the kernel has dropped since the last call."""
        dropped = memory(self._socket).dropped
        self._dispatch.counters.count_dropped((dropped - self._dropped) % 2**32)
        self._dropped = dropped
        return ()

    def _send(self, first: int, end: int) -> None:
        if first < end:
            for slot, error in self._datagrams.send(first, end):
                self._drop(self._datagrams.client(slot), error)

    def _miss(self, packet: bytes, slot: int) -> bytes | None:
        """Return a reply that is made at once; make a task of one for which handlers wait, or that is large."""
        client = self._datagrams.client(slot)
        if self._fair.is_sampling and self._fair.discards(client[0]):  # it was in the queue before the filter
            self._dispatch.counters.count_unanswered("udp", Unanswered.OVERLOAD)
            return None
        message = self._dispatch.miss(packet, client, self._datagrams.server(slot), self._context)
        if message is None or isinstance(message, bytes):
            return message
        if isinstance(message, LargeReply):
            message = message.encoding
        if len(self._waiting) < MAX_WAITING:
            source = self._datagrams.source(slot)
            self._waiting[message] = self._loop.create_task(self._reply_later(message, client, source, perf_counter()))
        else:
            self._dispatch.unanswered.drop(message, "udp", MAX_WAITING)
            self._context.tap.shed(client[0], Shed.QUERY)
        return None

    async def _reply_later(
        self, waiting: Coroutine[Any, Any, bytes | None], client: Any, source: Ancillary, began: float
    ) -> None:
        try:
            message = await waiting
        finally:
            del self._waiting[waiting]  # a callback of the task would cost one more turn of the event loop
        if message is None:
            return
        try:
            self._socket.sendmsg((message,), source, 0, client)
        except OSError as error:
            self._drop(client, error)
        observer = self._context.tap.observer
        if observer is not None:
            observer.later(message, client[0], perf_counter() - began)

    def _drop(self, client: Any, error: OSError) -> None:
        """Drop a reply because the send buffer is full or the client has no route."""
        self._dispatch.counters.count_unsent("udp")
        log.debug("udp reply to %s not sent: %s", client, error)
