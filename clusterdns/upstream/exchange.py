"""One exchange over UDP: which of the datagrams that arrive is the true reply.

A reply counts if it has the ID and the question that were sent, the random case of the name included. Any other
datagram is ignored, and the exchange goes on waiting: a forger who sends 100,000 replies neither gets one accepted nor
keeps the true one away. After FLOOD_DATAGRAMS ignored ones the question is asked over TCP as well (`fallback`), and the
exchange gets more time, because the true reply may stand in a queue behind the forged ones.

A forger can try every ID. Where random case does not help, because the name has few letters or the upstream does not
preserve case, replies over UDP are accepted only until DOUBT_DATAGRAMS were ignored.

`datagram` has the sockets of all exchanges, and the timer.
"""

import asyncio
import math
import socket
from collections.abc import Callable, Coroutine
from os import urandom
from typing import Any

from clusterdns.upstream.failure import ExchangeFailed, broken, timed_out
from clusterdns.upstream.question import Question, count_letters, randomize_case

DATAGRAMS_PER_SOCKET = 64  # then the next socket is read
DOUBT_DATAGRAMS = 8  # ignored ones, after which a reply that only its ID speaks for is not accepted
SAFE_LETTERS = 8  # with the 16 bits of the ID: 100,000 guesses hit once in 170 such questions
FLOOD_DATAGRAMS = 1000  # ignored ones, after which the exchange is under attack
FLOOD_SECONDS = 5.0  # for an exchange under attack
FLOOD_BUFFER_BYTES = 4 << 20  # of a socket that got a full batch: space for the true reply behind the forged ones

Fallback = Callable[[], Coroutine[Any, Any, bytes]]
# `socket.socket` without what it adds in Python (families and types as enumerations, makefile): 4 µs per exchange
Socket = socket.SocketType


class UdpExchange:
    """One question on one socket, until the true reply, an error or the time-out."""

    __slots__ = (
        "_fallback", "_falling_back", "_has_large_buffer", "_is_doubted", "_loop", "deadline", "done", "extra_seconds",
        "ignored", "lost_case", "message_id", "name", "plain_id", "question", "reply", "socket",
    )  # fmt: skip

    def __init__(
        self, sock: Socket, question: Question, done: "asyncio.Future[None]", fallback: Fallback | None, deadline: float
    ) -> None:
        self.socket = sock
        self.question = question
        self.done = done
        self.reply = b""
        self.ignored = 0  # datagrams that did not answer the question
        self.lost_case = False  # the upstream does not preserve the case of names
        self.message_id = self.plain_id = b""  # of the question in random case, and of the question in lower case
        self.name = question.name
        self._loop = done.get_loop()
        self._has_large_buffer = False
        self._is_doubted = False  # a reply came that a forger may have guessed
        self._fallback = fallback
        self._falling_back: asyncio.Task[None] | None = None
        self.deadline = deadline  # on the event loop's clock
        self.extra_seconds = 0.0  # after the deadline, under attack

    def begin(self, *, randomizes_case: bool) -> None:
        """Send the question. Raises ExchangeFailed."""
        random_bytes = urandom(2 + len(self.name))
        self.message_id = random_bytes[:2]
        if randomizes_case:
            self.name = randomize_case(self.name, random_bytes[2:])
        else:
            self.plain_id = self.message_id
        self._send(self.message_id, self.name)

    def _send(self, message_id: bytes, name: bytes) -> None:
        try:
            self.socket.send(self.question.message(message_id, name))
        except OSError as error:
            raise broken(f"write udp {self._endpoints()}", "write", error) from None

    def drain(self, buffer: memoryview) -> int:
        """Read what has arrived, up to the true reply or DATAGRAMS_PER_SOCKET; return the number of datagrams."""
        count = self._read(buffer)
        if self.ignored:
            self._resist(is_full_batch=count == DATAGRAMS_PER_SOCKET)
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
            except OSError as error:  # an ICMP message says that the host or port cannot be reached
                self.fail(broken(f"read udp {self._endpoints()}", "read", error))
                return count
            message_id = buffer[:2]
            if message_id == self.message_id or message_id == self.plain_id:
                self._judge(bytes(buffer[:size]))
            else:
                self.ignored += 1
        return DATAGRAMS_PER_SOCKET

    def _resist(self, *, is_full_batch: bool) -> None:
        """Enlarge the socket's buffer, and ask over TCP as well, once the ignored datagrams look like an attack."""
        if is_full_batch and not self._has_large_buffer:
            self._has_large_buffer = True
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FLOOD_BUFFER_BYTES)
        is_attacked = (self._is_doubted or self.ignored >= FLOOD_DATAGRAMS) and not self.done.done()
        if is_attacked and self._fallback is not None and self._falling_back is None:
            self._falling_back = self._loop.create_task(self._fall_back(self._fallback))

    def _judge(self, packet: bytes) -> None:
        """Accept or ignore a datagram that has one of this exchange's IDs."""
        question = self.question
        if not question.is_answered_by(packet):
            self.ignored += 1
        elif packet[:2] == self.message_id and packet[12 : 12 + len(self.name)] == self.name and self._is_safe():
            # names further down point at the question: clients would see its random case in them
            self._finish(packet[:12] + question.name + packet[12 + len(self.name) :])
        elif self.ignored >= DOUBT_DATAGRAMS:
            self.ignored += 1
            self._is_doubted = True
        elif packet[:2] == self.plain_id:
            self.lost_case = self.name != question.name
            self._finish(packet)
        elif not self.plain_id:
            self._ask_in_lower_case()
        else:
            self.ignored += 1

    def _ask_in_lower_case(self) -> None:
        """Ask again under another ID, after a reply that has the first ID but not the case of the name.

        Either a forger guessed the port and the ID, or the upstream does not preserve case. The true reply to either
        question is accepted.
        """
        plain_id = urandom(2)
        while plain_id == self.message_id:
            plain_id = urandom(2)
        self.plain_id = plain_id
        try:
            self._send(plain_id, self.question.name)
        except ExchangeFailed as failed:
            self.fail(failed)

    def _is_safe(self) -> bool:
        """Return whether a forger is unlikely to have guessed a reply that has the ID and the case of the name."""
        if self.ignored < DOUBT_DATAGRAMS:
            return True
        return self.message_id != self.plain_id and count_letters(self.question.name) >= SAFE_LETTERS

    def _finish(self, packet: bytes) -> None:
        self.reply = packet
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, failed: ExchangeFailed) -> None:
        """End the exchange without a reply."""
        if not self.done.done():
            self.done.set_exception(failed)

    def expire(self) -> None:
        """End the exchange, because its time is over; under attack, extend it once."""
        if self.ignored >= FLOOD_DATAGRAMS and self.extra_seconds > 0:
            self.deadline += self.extra_seconds
            self.extra_seconds = 0.0
        else:
            self.deadline = math.inf
            self.fail(timed_out(f"read udp {self._endpoints()}"))

    def end(self) -> None:
        """Cancel the fallback, if it is under way."""
        if self._falling_back is not None:
            self._falling_back.cancel()
            self._falling_back = None  # a cancelled task holds its frames, and they hold this exchange

    async def _fall_back(self, fallback: Fallback) -> None:
        try:
            packet = await fallback()
        except ExchangeFailed:
            return  # the true reply may still come over UDP
        self._finish(packet)

    def _endpoints(self) -> str:
        """Return SRC->DST for errors."""
        try:
            return f"{host_port(self.socket.getsockname())}->{host_port(self.socket.getpeername())}"
        except OSError:
            return "closed socket"


def host_port(address: Any) -> str:
    """Write a socket address as `host:port`."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
