"""The UDP listeners: drain what has arrived, answer what the table knows, hand the rest to dispatch.

`_drain` is the hit path of the whole server; everything that could be decided earlier was. It makes no task, parses
nothing and logs nothing. A socket bound to one address answers from it by itself; one bound to all addresses must be
told, packet by packet, which address was asked (IP_PKTINFO, IPV6_PKTINFO), which costs a tenth of the throughput.
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

BATCH = 64  # packets per wake-up, so that TCP and the watch streams get their turn under load
MAX_QUERY_BYTES = 4096
MAX_LAST_BATCHES = 1024  # answered while closing; a flood must not keep the socket open
MAX_WAITING = 10_000  # queries of one socket that wait for a handler; beyond them the oldest client would have given up

_IN6_PKTINFO = struct.Struct("=16sI")
_ANCILLARY_BYTES = socket.CMSG_SPACE(20)

log = logging.getLogger("clusterdns")


class UdpListener:
    """One UDP socket. `start` and `close` belong to the life cycle; the rest runs inside the event loop."""

    def __init__(self, sock: socket.socket, dispatch: Dispatch, listener: ListenerContext) -> None:
        self._socket = sock
        self._dispatch = dispatch
        self._listener = listener
        self._waiting: dict[Coroutine[Any, Any, bytes | None], asyncio.Task[None]] = {}
        self.is_wildcard = sock.getsockname()[0] in ("0.0.0.0", "::")
        if self.is_wildcard:
            receive_local_addresses(sock)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer from now on."""
        self._loop = loop
        loop.add_reader(self._socket, self._drain_wildcard if self.is_wildcard else self._drain)

    def serve(self, dispatch: Dispatch, listener: ListenerContext) -> set[asyncio.Task[None]]:
        """Answer from another configuration from now on; gives the queries that still wait in the one before."""
        self._dispatch, self._listener = dispatch, listener
        return set(self._waiting.values())

    async def close(self, grace_seconds: float) -> None:
        """Wait for handlers that still wait, answering meanwhile; answer all that has arrived, and close the socket."""
        try:
            if self._waiting:
                await asyncio.wait(set(self._waiting.values()), timeout=grace_seconds)
        finally:
            self.close_now()

    def close_now(self) -> None:
        """Answer all that has arrived, give up what waits, and close: in one turn, so that little comes in between."""
        self._answer_last()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        for task in self._waiting.values():
            task.cancel()

    def _answer_last(self) -> None:
        drain = self._drain_wildcard if self.is_wildcard else self._drain
        for _ in range(MAX_LAST_BATCHES):
            if not drain():
                break

    def _drain(self) -> bool:
        """Answer a batch; whether there may be more."""
        receive, send = self._socket.recvfrom, self._socket.sendto
        entries = self._listener.answers.entries
        started = perf_counter()
        hits = 0
        has_more = True
        for _ in range(BATCH):
            try:
                packet, client = receive(MAX_QUERY_BYTES)
            except BlockingIOError:
                has_more = False
                break
            except OSError as error:  # an ICMP error of an earlier reply; the socket itself is fine
                log.debug("udp receive: %s", error)
                continue
            answer = entries.get(packet[2:])
            if answer is None:
                self._miss(packet, client, self._reply)
                continue
            answer.tally.count += 1
            hits += 1
            try:
                send(packet[:2] + (answer.static or answer.message()), client)
            except OSError as error:
                self._unsent(client, error)
        if hits:
            pace = self._listener.pace
            pace.hits += hits
            pace.seconds += perf_counter() - started
        return has_more

    def _drain_wildcard(self) -> bool:
        """As `_drain`, with the address that was asked carried from each query to its reply."""
        receive, send = self._socket.recvmsg, self._socket.sendmsg
        entries = self._listener.answers.entries
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
            answer.tally.count += 1
            hits += 1
            try:
                send((packet[:2], answer.static or answer.message()), _from_asked(ancillary), 0, client)
            except OSError as error:
                self._unsent(client, error)
        if hits:
            pace = self._listener.pace
            pace.hits += hits
            pace.seconds += perf_counter() - started
        return has_more

    def _miss(self, packet: bytes, client: Any, reply: Callable[[bytes, Any], None]) -> None:
        message = self._dispatch.miss(packet, client, self._listener)
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
            del self._waiting[waiting]  # here and not in the task's callback, which would be one more turn of the loop
        if message is not None:
            reply(message, client)

    def _reply(self, message: bytes, client: Any) -> None:
        try:
            self._socket.sendto(message, client)
        except OSError as error:
            self._unsent(client, error)

    def _reply_from(self, ancillary: list[Any]) -> Callable[[bytes, Any], None]:
        def reply(message: bytes, client: Any) -> None:
            try:
                self._socket.sendmsg((message,), _from_asked(ancillary), 0, client)
            except OSError as error:
                self._unsent(client, error)

        return reply

    def _unsent(self, client: Any, error: OSError) -> None:
        """A full send buffer, or an address that nothing can be sent to: a lost packet like any other."""
        log.debug("udp reply to %s not sent: %s", client, error)


def _from_asked(ancillary: list[Any]) -> list[Any]:
    """What makes a reply leave from the address its query was sent to.

    The interface index is cleared, so that routing chooses the way back, except for link-local addresses, which mean
    nothing without it.
    """
    return [(level, kind, _SOURCES.get(data) or _source(data)) for level, kind, data in ancillary]


_SOURCES: dict[bytes, bytes] = {}  # ancillary data as received → as sent; one entry per local address and interface


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
