"""The UDP listeners: receive queries, send compiled answers, and pass all other queries to dispatch.

`_drain` is the hit path of the server: per query it makes no task, parses nothing and logs nothing. Replies of a socket
bound to one address have that address as their source. A socket bound to the wildcard address sets the source of each
reply to the address that the query was sent to (IP_PKTINFO, IPV6_PKTINFO), at a tenth of its throughput.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import Any

from clusterdns.host.sockets import receive_local_addresses
from clusterdns.server.dispatch import Dispatch, ListenerContext

BATCH = 64  # packets per wake-up, so that TCP and the watch streams are served under load
MAX_QUERY_BYTES = 4096
MAX_LAST_BATCHES = 1024  # answered while closing, so that a flood does not keep the socket open
MAX_WAITING = 10_000  # queries of one socket that wait for a handler; more than that outlive their clients' timeouts

_IN6_PKTINFO = struct.Struct("=16sI")
_ANCILLARY_BYTES = socket.CMSG_SPACE(20)

log = logging.getLogger("clusterdns")


class UdpListener:
    """An open UDP socket that serves DNS."""

    def __init__(self, sock: socket.socket, dispatch: Dispatch, context: ListenerContext) -> None:
        self._socket = sock
        self._dispatch = dispatch
        self._context = context
        self._waiting: dict[Coroutine[Any, Any, bytes | None], asyncio.Task[None]] = {}
        self.is_wildcard = sock.getsockname()[0] in ("0.0.0.0", "::")
        if self.is_wildcard:
            receive_local_addresses(sock)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the event loop call `_drain` whenever the socket is readable."""
        self._loop = loop
        loop.add_reader(self._socket, self._drain_wildcard if self.is_wildcard else self._drain)

    def serve(self, dispatch: Dispatch, context: ListenerContext) -> set[asyncio.Task[None]]:
        """Answer from another configuration; returns the tasks of queries that wait in the previous one."""
        self._dispatch, self._context = dispatch, context
        return set(self._waiting.values())

    async def close(self, grace_seconds: float) -> None:
        """Give waiting handlers the grace time, answer what is in the receive buffer, and close the socket."""
        try:
            if self._waiting:
                await asyncio.wait(set(self._waiting.values()), timeout=grace_seconds)
        finally:
            self.close_now()

    def close_now(self) -> None:
        """Answer what is in the receive buffer, cancel what waits, and close, all in one turn of the event loop."""
        self._drain_last()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        for task in self._waiting.values():
            task.cancel()

    def _drain_last(self) -> None:
        drain = self._drain_wildcard if self.is_wildcard else self._drain
        for _ in range(MAX_LAST_BATCHES):
            if not drain():
                break

    def _drain(self) -> bool:
        """Answer a batch; return whether the receive buffer may hold more."""
        receive, send = self._socket.recvfrom, self._socket.sendto
        entries = self._context.answers.entries
        started = perf_counter()
        hits = 0
        has_more = True
        for _ in range(BATCH):
            try:
                packet, client = receive(MAX_QUERY_BYTES)
            except BlockingIOError:
                has_more = False
                break
            except OSError as error:  # an ICMP error caused by an earlier reply
                log.debug("udp receive: %s", error)
                continue
            answer = entries.get(packet[2:])
            if answer is None:
                self._miss(packet, client, self._reply)
                continue
            answer.counter.count += 1
            hits += 1
            try:
                send(packet[:2] + (answer.static or answer.message()), client)
            except OSError as error:
                self._drop(client, error)
        if hits:
            hit_time = self._context.hit_time
            hit_time.hits += hits
            hit_time.seconds += perf_counter() - started
        return has_more

    def _drain_wildcard(self) -> bool:
        """As `_drain`, on a wildcard socket: the destination of each query becomes the source of its reply."""
        receive, send = self._socket.recvmsg, self._socket.sendmsg
        entries = self._context.answers.entries
        started = perf_counter()
        hits = 0
        has_more = True
        for _ in range(BATCH):
            try:
                packet, ancillary, _, client = receive(MAX_QUERY_BYTES, _ANCILLARY_BYTES)
            except BlockingIOError:
                has_more = False
                break
            except OSError as error:
                log.debug("udp receive: %s", error)
                continue
            answer = entries.get(packet[2:])
            if answer is None:
                self._miss(packet, client, self._reply_from(ancillary))
                continue
            answer.counter.count += 1
            hits += 1
            try:
                send((packet[:2], answer.static or answer.message()), _from_asked(ancillary), 0, client)
            except OSError as error:
                self._drop(client, error)
        if hits:
            hit_time = self._context.hit_time
            hit_time.hits += hits
            hit_time.seconds += perf_counter() - started
        return has_more

    def _miss(self, packet: bytes, client: Any, reply: Callable[[bytes, Any], None]) -> None:
        message = self._dispatch.miss(packet, client, self._context)
        if message is None:
            return
        if isinstance(message, bytes):
            reply(message, client)
        elif len(self._waiting) < MAX_WAITING:
            self._waiting[message] = self._loop.create_task(self._reply_later(message, client, reply))
        else:
            message.close()

    async def _reply_later(
        self, waiting: Coroutine[Any, Any, bytes | None], client: Any, reply: Callable[[bytes, Any], None]
    ) -> None:
        try:
            message = await waiting
        finally:
            del self._waiting[waiting]  # a callback of the task would cost one more turn of the event loop
        if message is not None:
            reply(message, client)

    def _reply(self, message: bytes, client: Any) -> None:
        try:
            self._socket.sendto(message, client)
        except OSError as error:
            self._drop(client, error)

    def _reply_from(self, ancillary: list[Any]) -> Callable[[bytes, Any], None]:
        def reply(message: bytes, client: Any) -> None:
            try:
                self._socket.sendmsg((message,), _from_asked(ancillary), 0, client)
            except OSError as error:
                self._drop(client, error)

        return reply

    def _drop(self, client: Any, error: OSError) -> None:
        """Drop a reply because the send buffer is full or the client has no route."""
        log.debug("udp reply to %s not sent: %s", client, error)


def _from_asked(ancillary: list[Any]) -> list[Any]:
    """Make the control messages that set a reply's source address to the destination of its query.

    The interface index is cleared, so that the routing table chooses the outgoing interface, except for link-local
    addresses, which are ambiguous without it.
    """
    return [(level, kind, _SOURCES.get(data) or _source(data)) for level, kind, data in ancillary]


_SOURCES: dict[bytes, bytes] = {}  # control message as received → as sent; one per local address and interface


def _source(data: bytes) -> bytes:
    if len(data) == _IN6_PKTINFO.size:
        address, interface = _IN6_PKTINFO.unpack(data)
        source = _IN6_PKTINFO.pack(address, interface if address[:2] == b"\xfe\x80" else 0)
    else:
        source = bytes(4) + data[4:8] + bytes(4)  # struct in_pktinfo: index, local address, header destination
    if len(_SOURCES) >= 4096:
        _SOURCES.clear()
    _SOURCES[data] = source
    return source
