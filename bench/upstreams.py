"""Upstreams that a resolver would rather not have, each in a thread of this process, over UDP and TCP on one port.

`Scripted` gives every name the same address after a pause, counts what it was asked and how it was connected, and can
send forged replies before each true one. `black_hole` takes datagrams and says nothing. What needs speed rather than
a script is asked of Knot (`field.resolver`).

The forger knows more than one beside the path would: the port, the name and the moment. It does not know the ID or the
letters it was asked in, so it sends every ID there is. A resolver that relies on the ID takes one of them.
"""

import asyncio
import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from testing.loop_thread import LoopThread
from testing.ports import LOOPBACK, free_ports

TRUE, FORGED = bytes((192, 0, 2, 1)), bytes((203, 0, 113, 66))
_QUERY_HEADER_BYTES = 12
_RECORD = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4"  # A of the name asked, 60 s
_A_IN = b"\0\1\0\1"
_BUFFER_BYTES = 4 << 20
_IDS = 1 << 16
_BACKLOG = 2_000  # a server that opens a connection per question should not wait for this one


class Scripted:
    """The server. `address` is `host:port`. Use as a context manager."""

    def __init__(self, pause_seconds: float = 0, forgeries: int = 0) -> None:
        self.asked = 0
        self.open_now = self.most_open = 0  # connections over TCP
        self.pending = self.most_pending = 0  # questions whose reply has not been sent
        (self._port,) = free_ports(1)
        self.address = f"{LOOPBACK}:{self._port}"
        self._pause_seconds = pause_seconds
        self._forgeries = forgeries
        self._random = random.Random(7)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._thread = LoopThread("upstream")
        self._loop = self._thread.loop
        self._serving: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._socket.bind((LOOPBACK, self._port))
        self._socket.setblocking(False)
        self._thread.start()
        self._thread.call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.call(self._close())
        self._thread.stop()
        self._socket.close()

    def forget(self) -> None:
        """Count anew."""
        self.asked = self.most_pending = 0
        self.most_open = self.open_now

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self._port, backlog=_BACKLOG)
        self._loop.add_reader(self._socket, self._drain)

    async def _close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._server.close()
        for task in tuple(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _note(self) -> None:
        self.asked += 1
        self.pending += 1
        self.most_pending = max(self.most_pending, self.pending)

    def _drain(self) -> None:
        while True:
            try:
                query, client = self._socket.recvfrom(4096)
            except BlockingIOError:
                return
            self._note()
            if self._pause_seconds:
                self._loop.call_later(self._pause_seconds, self._reply, query, client)
            else:
                self._reply(query, client)

    def _reply(self, query: bytes, client: Any) -> None:
        self._socket.setblocking(True)  # forgeries as fast as the kernel takes them
        if self._forgeries:
            for forged in forgeries(query, self._forgeries, self._random):
                self._socket.sendto(forged, client)
        self._socket.sendto(reply_to(query, TRUE), client)
        self._socket.setblocking(False)
        self.pending -= 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            while True:
                query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                self._note()
                self._loop.call_later(self._pause_seconds, self._reply_on, writer, query)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()  # the peer, or the end of the server; asyncio would log a cancelled handler
        finally:
            self.open_now -= 1
            self._serving.discard(task)

    def _reply_on(self, writer: asyncio.StreamWriter, query: bytes) -> None:
        reply = reply_to(query, TRUE)
        self.pending -= 1
        if not writer.is_closing():
            writer.write(len(reply).to_bytes(2, "big") + reply)


def question_end(message: bytes) -> int:
    """Where the question of a message ends."""
    end = _QUERY_HEADER_BYTES
    while message[end]:
        end += 1 + message[end]
    return end + 5


def reply_to(query: bytes, address: bytes, message_id: bytes | None = None, question: bytes | None = None) -> bytes:
    """A reply with one address; the ID and the question are the query's unless given."""
    if question is None:
        question = query[_QUERY_HEADER_BYTES : question_end(query)]
    return (message_id or query[:2]) + b"\x81\x80\0\1\0\1\0\0\0\0" + question + _RECORD + address


def forgeries(query: bytes, count: int, rng: random.Random) -> Iterator[bytes]:
    """So many replies with a forged address.

    Every ID comes once, with the name in lower case, in random order. What is left of `count` has the true ID and
    another question, or is no message.
    """
    question = query[_QUERY_HEADER_BYTES : question_end(query)]
    name, kind = question[:-4], question[-4:]
    if kind != _A_IN:  # a health check, or a probe for loops
        return
    plain = name.lower() + kind
    ids = list(range(_IDS))
    rng.shuffle(ids)
    for message_id in ids[:count]:
        yield reply_to(query, FORGED, message_id.to_bytes(2, "big"), plain)
    others = (
        reply_to(query, FORGED, question=b"\x05other" + name[1 + name[0] :] + kind),
        reply_to(query, FORGED, question=name + b"\0\x1c\0\1"),
        query[:2] + os.urandom(40),
        query[:7],
    )
    for number in range(count - _IDS):
        yield others[number % len(others)]


@contextmanager
def black_hole() -> Iterator[str]:
    """The address of a UDP socket that nobody reads."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((LOOPBACK, 0))
        yield f"{LOOPBACK}:{sock.getsockname()[1]}"
