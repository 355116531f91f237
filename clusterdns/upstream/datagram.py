"""All exchanges over UDP: each has a connected socket, so that the kernel drops datagrams from any other address.

The kernel chooses a random port for each socket. All sockets are registered with one epoll object, and that with the
event loop, which then needs no reader for each exchange. One timer ends all exchanges whose time is over. The number of
datagrams read per turn of the event loop is bounded, so that a flood of them does not keep other work waiting.

`exchange` decides which datagram is the reply.
"""

import asyncio
import math
import select
import socket
from typing import Any

from clusterdns.upstream.exchange import FLOOD_SECONDS, Fallback, Socket, UdpExchange, host_port
from clusterdns.upstream.failure import ExchangeFailed, broken
from clusterdns.upstream.question import Question

SOCKETS_PER_WAKE = 64
DATAGRAMS_PER_WAKE = 256  # then the event loop goes on
SWEEP_SECONDS = 0.002  # the least time between two sweeps for exchanges whose time is over
SWEEP_SECONDS_PER_EXCHANGE = 3e-6  # a sweep takes 0.05 µs for each; ending many at once must not delay cluster names
_MAX_DATAGRAM_BYTES = 65535
_UDP = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC


class UdpExchanges:
    """The UDP exchanges under way. Used inside one event loop; `close` ends them all."""

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: dict[int, UdpExchange] = {}
        self._buffer = memoryview(bytearray(_MAX_DATAGRAM_BYTES))
        self._sweep_at = math.inf  # on the event loop's clock
        self._sweeper: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    async def ask(
        self,
        question: Question,
        to: Any,
        seconds: float,
        source: Any = None,
        *,
        randomizes_case: bool = True,
        fallback: Fallback | None = None,
    ) -> "UdpExchange":
        """Run one exchange and return it with its `reply`. Raises ExchangeFailed.

        `to` and `source` are socket addresses. `fallback` is a safer way to a reply, tried beside when forged replies
        pour in.
        """
        epoll, loop = self._epoll, self._loop
        if epoll is None or loop is None:
            epoll, loop = self._begin()
        sock = _connected(to, source)
        try:
            exchange = UdpExchange(sock, question, loop.create_future(), fallback, loop.time() + seconds)
            exchange.extra_seconds = FLOOD_SECONDS - seconds
            exchange.begin(randomizes_case=randomizes_case)
            fd = sock.fileno()
            self._open[fd] = exchange
            epoll.register(fd, select.EPOLLIN)
            if exchange.deadline < self._sweep_at:
                self._sweep_by(loop, exchange.deadline)
            try:
                await exchange.done
            finally:
                exchange.end()
                del self._open[fd]
            return exchange
        finally:
            sock.close()

    def close(self) -> None:
        """Fail every exchange."""
        for exchange in self._open.values():
            exchange.fail(ExchangeFailed("forward is shutting down"))
        if self._epoll is not None and self._loop is not None:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = self._loop = None
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweep_at = math.inf

    def _begin(self) -> tuple[select.epoll, asyncio.AbstractEventLoop]:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._loop.add_reader(self._epoll.fileno(), self._wake)
        return self._epoll, self._loop

    def _sweep_by(self, loop: asyncio.AbstractEventLoop, moment: float) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._sweep_at = moment
        self._sweeper = loop.call_at(moment, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the exchanges whose time is over, and set the timer for the next sweep, if any exchange is left."""
        now = loop.time()
        self._sweep_at = first = math.inf
        for exchange in self._open.values():
            if exchange.deadline <= now:
                exchange.expire()
            if exchange.deadline < first:
                first = exchange.deadline
        if first < math.inf:
            pause_seconds = max(SWEEP_SECONDS, len(self._open) * SWEEP_SECONDS_PER_EXCHANGE)
            self._sweep_by(loop, max(first, now + pause_seconds))

    def _wake(self) -> None:
        if self._epoll is None:
            return
        left = DATAGRAMS_PER_WAKE
        for fd, _ in self._epoll.poll(0, SOCKETS_PER_WAKE):
            exchange = self._open.get(fd)
            if exchange is not None:
                left -= exchange.drain(self._buffer)
                if left <= 0:
                    return


def _connected(to: Any, source: Any) -> Socket:
    """Make a socket that receives from `to` alone. Raises ExchangeFailed."""
    try:
        sock = Socket(socket.AF_INET if len(to) == 2 else socket.AF_INET6, _UDP)
    except OSError as error:
        raise broken(f"dial udp {host_port(to)}", "socket", error) from None
    try:
        if source is not None:
            sock.bind(source)
        sock.connect(to)
    except OSError as error:
        sock.close()
        raise broken(f"dial udp {host_port(to)}", "connect", error) from None
    return sock
