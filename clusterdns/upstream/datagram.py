"""Exchanges over UDP: a socket for each, connected, so that the kernel drops whatever comes from elsewhere.

The kernel chooses a random port per exchange. A reply counts if it has the ID and the question as asked, letter case
included; all else is dropped at the price of reading it, a bounded number per wake-up, and waiting goes on: a forger
who sends 100,000 replies neither gets one accepted nor keeps the true one away. After the first thousand the question
is asked by the safer way as well (`rescue`: TCP), and there is more time, because the true reply may stand in a queue.
An ID alone can be guessed by trying all: where letters add nothing, because the name has few or the upstream does not
keep them, replies over UDP are believed only until somebody is seen to guess.

All sockets hang on one epoll object, and that on the event loop, which then needs no reader of its own per exchange;
and one timer looks after the time-outs of all.
"""

import asyncio
import math
import select
import socket
from collections.abc import Callable, Coroutine
from os import urandom
from typing import Any

from clusterdns.upstream.failure import ExchangeFailed, broken, timed_out
from clusterdns.upstream.question import Question, in_random_case, letters_in

SOCKETS_PER_WAKE = 64
DATAGRAMS_PER_SOCKET = 64  # then the next socket
DATAGRAMS_PER_WAKE = 256  # then the next thing the loop has to do
DOUBT_DATAGRAMS = 8  # that were no reply to what was asked: what only its ID speaks for is not believed any more
CONVINCING_LETTERS = 8  # beside the 16 bits of the ID: 100,000 guesses hit once in 170 such questions
FLOOD_DATAGRAMS = 1000  # that were no reply to what was asked: somebody is guessing
FLOOD_SECONDS = 5.0  # for an exchange in which somebody does
FLOOD_BUFFER_BYTES = 4 << 20  # of a socket that got a full batch: room for the true reply behind the forged ones
_MAX_DATAGRAM_BYTES = 65535
Rescue = Callable[[], Coroutine[Any, Any, bytes]]

SWEEP_SECONDS = 0.002  # at least, between two looks at time-outs
SWEEP_SECONDS_PER_EXCHANGE = 3e-6  # a look takes 0.05 µs for each; what ends in one must not hold up cluster names

_UDP = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
# `socket.socket` without what it adds in Python (families and types as enumerations, makefile): 4 µs per exchange
Socket = socket.SocketType


class Datagrams:
    """The UDP exchanges under way. Used inside one event loop; `close` ends them all."""

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: dict[int, Exchange] = {}
        self._buffer = memoryview(bytearray(_MAX_DATAGRAM_BYTES))
        self._sweep_at = math.inf  # of the event loop's clock
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
        is_cased: bool = True,
        rescue: Rescue | None = None,
    ) -> "Exchange":
        """The finished exchange, its `reply` in it. `to` and `source` are socket addresses. Raises ExchangeFailed.

        With `is_cased` the name is asked in random letter case; an exchange whose reply `lost_case` was asked twice.
        `rescue` is another way to a reply, tried beside when forged ones pour in.
        """
        epoll, loop = self._epoll, self._loop
        if epoll is None or loop is None:
            epoll, loop = self._begin()
        sock = _connected(to, source)
        try:
            exchange = Exchange(sock, question, loop.create_future(), rescue, loop.time() + seconds)
            exchange.more_seconds = FLOOD_SECONDS - seconds
            exchange.begin(is_cased=is_cased)
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
        """End every exchange."""
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
        """End the exchanges whose time is over. Between the time-outs of all there is no timer."""
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


class Exchange:
    """One question on one socket, until a true reply, an error or the time-out."""

    __slots__ = (
        "_has_room", "_is_doubted", "_loop", "_rescue", "_rescuing", "deadline", "done", "ignored", "lost_case",
        "message_id", "more_seconds", "name", "plain_id", "question", "reply", "socket",
    )  # fmt: skip

    def __init__(
        self, sock: Socket, question: Question, done: "asyncio.Future[None]", rescue: Rescue | None, deadline: float
    ) -> None:
        self.socket = sock
        self.question = question
        self.done = done
        self.reply = b""
        self.ignored = 0  # datagrams that were no reply to what was asked
        self.lost_case = False  # the upstream does not send the letters back as it got them
        self.message_id = self.plain_id = b""  # of the question as first asked, and of the one in lower case
        self.name = question.name
        self._loop = done.get_loop()
        self._has_room = False
        self._is_doubted = False  # something fitted that a forger may have guessed
        self._rescue = rescue
        self._rescuing: asyncio.Task[None] | None = None
        self.deadline = deadline  # of the event loop's clock
        self.more_seconds = 0.0  # after the deadline, in a flood

    def begin(self, *, is_cased: bool) -> None:
        """Send the question. Raises ExchangeFailed."""
        random_bytes = urandom(2 + len(self.name))
        self.message_id = random_bytes[:2]
        if is_cased:
            self.name = in_random_case(self.name, random_bytes[2:])
        else:
            self.plain_id = self.message_id
        self._send(self.message_id, self.name)

    def _send(self, message_id: bytes, name: bytes) -> None:
        try:
            self.socket.send(self.question.message(message_id, name))
        except OSError as error:
            raise broken(f"write udp {self._ends()}", "write", error) from None

    def drain(self, buffer: memoryview) -> int:
        """Read what has arrived, up to the true reply or a bound; how many datagrams that was."""
        count = self._read(buffer)
        if self.ignored:
            self._beware(is_full_batch=count == DATAGRAMS_PER_SOCKET)
        return count

    def _read(self, buffer: memoryview) -> int:
        receive = self.socket.recv_into
        for count in range(DATAGRAMS_PER_SOCKET):
            if self.done.done():
                return count
            try:
                size = receive(buffer)
            except BlockingIOError:
                return count
            except OSError as error:  # the host, or one on the way, says that nobody is there
                self.fail(broken(f"read udp {self._ends()}", "read", error))
                return count
            message_id = buffer[:2]
            if message_id == self.message_id or message_id == self.plain_id:
                self._judge(bytes(buffer[:size]))
            else:
                self.ignored += 1
        return DATAGRAMS_PER_SOCKET

    def _beware(self, *, is_full_batch: bool) -> None:
        """Somebody sends what nobody asked for."""
        if is_full_batch and not self._has_room:
            self._has_room = True
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FLOOD_BUFFER_BYTES)
        needs_rescue = (self._is_doubted or self.ignored >= FLOOD_DATAGRAMS) and not self.done.done()
        if needs_rescue and self._rescue is not None and self._rescuing is None:
            self._rescuing = self._loop.create_task(self._ask_otherwise(self._rescue))

    def _judge(self, packet: bytes) -> None:
        """A datagram with an ID of ours."""
        question = self.question
        if not question.is_answered_by(packet):
            self.ignored += 1
        elif packet[:2] == self.message_id and packet[12 : 12 + len(self.name)] == self.name and self._is_safe():
            # names further down point at the question: without this they would come out in our random letters
            self._finish(packet[:12] + question.name + packet[12 + len(self.name) :])
        elif self.ignored >= DOUBT_DATAGRAMS:
            self.ignored += 1
            self._is_doubted = True
        elif packet[:2] == self.plain_id:
            self.lost_case = self.name != question.name
            self._finish(packet)
        elif not self.plain_id:
            # either a forger guessed port and ID but not the letters, or this upstream does not keep them: it is asked
            # again in plain letters under a new ID, and whichever true reply comes first is taken
            plain_id = urandom(2)
            while plain_id == self.message_id:
                plain_id = urandom(2)
            self.plain_id = plain_id
            try:
                self._send(plain_id, question.name)
            except ExchangeFailed as failed:
                self.fail(failed)
        else:
            self.ignored += 1

    def _is_safe(self) -> bool:
        """Whether a reply with the ID and the letters as asked is more than what somebody who guesses may hit."""
        if self.ignored < DOUBT_DATAGRAMS:
            return True
        return self.message_id != self.plain_id and letters_in(self.question.name) >= CONVINCING_LETTERS

    def _finish(self, packet: bytes) -> None:
        self.reply = packet
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, failed: ExchangeFailed) -> None:
        """End without a reply."""
        if not self.done.done():
            self.done.set_exception(failed)

    def expire(self) -> None:
        """The time is over, but in a flood, where there is more of it once."""
        if self.ignored >= FLOOD_DATAGRAMS and self.more_seconds > 0:
            self.deadline += self.more_seconds
            self.more_seconds = 0.0
        else:
            self.deadline = math.inf
            self.fail(timed_out(f"read udp {self._ends()}"))

    def end(self) -> None:
        """Nothing is waited for any longer."""
        if self._rescuing is not None:
            self._rescuing.cancel()
            self._rescuing = None  # a cancelled task holds its frames, and they hold this

    async def _ask_otherwise(self, rescue: Rescue) -> None:
        try:
            packet = await rescue()
        except ExchangeFailed:
            return  # the true reply may still come over UDP
        self._finish(packet)

    def _ends(self) -> str:
        try:
            return f"{_text(self.socket.getsockname())}->{_text(self.socket.getpeername())}"
        except OSError:
            return "closed socket"


def _connected(to: Any, source: Any) -> Socket:
    """A socket that hears `to` alone. Raises ExchangeFailed."""
    try:
        sock = Socket(socket.AF_INET if len(to) == 2 else socket.AF_INET6, _UDP)
    except OSError as error:
        raise broken(f"dial udp {_text(to)}", "socket", error) from None
    try:
        if source is not None:
            sock.bind(source)
        sock.connect(to)
    except OSError as error:
        sock.close()
        raise broken(f"dial udp {_text(to)}", "connect", error) from None
    return sock


def _text(address: Any) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
