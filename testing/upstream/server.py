"""The transports of a DNS server that stands in for an upstream: UDP and TCP on one port, TLS on another.

A subclass decides what each query gets (`respond`); this module counts queries that wait and connections.
"""

import asyncio
import contextlib
import enum
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Self

from testing.loop_thread import LoopThread
from testing.ports import LOOPBACK, free_ports

BACKLOG = 2_000  # a client that opens a connection per query does not wait for this server
BUFFER_BYTES = 4 << 20
MAX_DATAGRAM_BYTES = 65_535

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: closing the socket sends a reset


class Source(NamedTuple):
    """Where a query came from."""

    transport: str  # udp, tcp, tls
    port: int  # the client's
    connection: int  # counted from 1; 0 for UDP


class Ending(enum.Enum):
    """How a connection over TCP or TLS goes on after a response."""

    OPEN = enum.auto()
    HALF = enum.auto()  # half of the messages are sent, and the connection stays open
    RESET = enum.auto()  # nothing is sent
    CLOSE = enum.auto()  # nothing is sent


@dataclass(frozen=True)
class Response:
    """What one query gets: messages in order, all after a pause. Without messages the client waits in vain."""

    messages: Iterable[bytes]
    pause_seconds: float = 0.0
    ending: Ending = Ending.OPEN
    is_held: bool = False  # until `UpstreamServer.release`


class UpstreamServer:
    """The server, listening inside its context. With `tls` it also listens for TLS."""

    def __init__(self, host: str = LOOPBACK, tls: ssl.SSLContext | None = None) -> None:
        self.host = host
        self.port, self.tls_port = free_ports(2)
        self.connections = 0  # over TCP and TLS, ever
        self.most_open = 0  # at one time
        self.most_pending = 0  # queries without a response, at one time
        self.responses = 0  # sent, or withheld as a script asks
        self._open = self._pending = 0
        self._tls = tls
        self._thread = LoopThread("upstream")
        self._loop = self._thread.loop
        self._held: list[Callable[[], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening: list[socket.socket] = []
        self._accepted: set[socket.socket] = set()

    @property
    def address(self) -> str:
        """`host:port` for UDP and TCP."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def tls_address(self) -> str:
        """`tls://host:port`."""
        return f"tls://{self.host}:{self.tls_port}"

    def respond(self, query: bytes, source: Source) -> Response | None:
        """Decide the response to a query; None ignores it. Runs in the server's thread."""
        raise NotImplementedError

    def release(self) -> None:
        """Send the responses that are held."""
        self._loop.call_soon_threadsafe(self._send_held)

    def _send_held(self) -> None:
        held, self._held = self._held, []
        for send in held:
            send()

    def forget(self) -> None:
        """Begin all counts anew."""
        self.connections = self.most_pending = self.responses = 0
        self.most_open = self._open

    def __enter__(self) -> Self:
        self._thread.start()
        self._thread.call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.call(self._close())
        self._thread.stop()

    async def _listen(self) -> None:
        self._listen_over("tcp", self.port, None)
        if self._tls is not None:
            self._listen_over("tls", self.tls_port, self._tls)
        self._udp = socket.socket(self._family, socket.SOCK_DGRAM)
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self._udp.bind((self.host, self.port))
        self._udp.setblocking(False)
        self._listening.append(self._udp)
        self._loop.add_reader(self._udp, self._drain)

    @property
    def _family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    def _listen_over(self, transport: str, port: int, tls: ssl.SSLContext | None) -> None:
        sock = socket.create_server((self.host, port), family=self._family, backlog=BACKLOG)
        sock.setblocking(False)
        self._listening.append(sock)
        self._loop.add_reader(sock, self._accept, sock, transport, tls)

    async def _close(self) -> None:
        """Close every socket; TLS may leave accepted ones in any state, so each is shut down and its end awaited."""
        for sock in self._listening:
            self._loop.remove_reader(sock)
            sock.close()
        await asyncio.sleep(0)  # connections that were accepted last get a transport, which closes their socket
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sock in self._accepted:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        while any(sock.fileno() >= 0 for sock in self._accepted):  # noqa: ASYNC110  # no event reports it
            await asyncio.sleep(0.001)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task until the end of the server."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _response(self, query: bytes, source: Source) -> Response | None:
        response = self.respond(query, source)
        if response is not None:
            self._pending += 1
            self.most_pending = max(self.most_pending, self._pending)
        return response

    # UDP

    def _drain(self) -> None:
        while True:
            try:
                query, client = self._udp.recvfrom(MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            response = self._response(query, Source("udp", client[1], 0))
            if response is None:
                continue
            if response.is_held:
                self._held.append(partial(self._send_datagrams, response, client))
            elif response.pause_seconds:
                self._loop.call_later(response.pause_seconds, self._send_datagrams, response, client)
            else:
                self._send_datagrams(response, client)

    def _send_datagrams(self, response: Response, client: Any) -> None:
        self._udp.setblocking(True)  # 100,000 forgeries go out as fast as the kernel takes them
        for message in response.messages:
            self._udp.sendto(message, client)
        self._udp.setblocking(False)
        self._pending -= 1
        self.responses += 1

    # TCP and TLS

    def _accept(self, listening: socket.socket, transport: str, tls: ssl.SSLContext | None) -> None:
        with contextlib.suppress(BlockingIOError):
            sock, _ = listening.accept()
            sock.setblocking(False)
            self._accepted = {one for one in self._accepted if one.fileno() >= 0} | {sock}
            self._start(self._open_connection(sock, transport, tls))

    async def _open_connection(self, sock: socket.socket, transport: str, tls: ssl.SSLContext | None) -> None:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        with contextlib.suppress(OSError):  # ssl.SSLError is one
            opened, _ = await self._loop.connect_accepted_socket(lambda: protocol, sock, ssl=tls)
            await self._serve(reader, asyncio.StreamWriter(opened, protocol, reader, self._loop), transport)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, transport: str) -> None:
        self.connections += 1
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        source = Source(transport, writer.get_extra_info("peername")[1], self.connections)
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                response = self._response(await reader.readexactly(size), source)
                if response is not None and response.is_held:
                    self._held.append(partial(self._send_frames, writer, response))
                elif response is not None and response.pause_seconds:
                    self._start(self._send_later(writer, response))
                elif response is not None:
                    self._send_frames(writer, response)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            return
        finally:
            self._open -= 1
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                writer.close()

    async def _send_later(self, writer: asyncio.StreamWriter, response: Response) -> None:
        await asyncio.sleep(response.pause_seconds)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            self._send_frames(writer, response)

    def _send_frames(self, writer: asyncio.StreamWriter, response: Response) -> None:
        self._pending -= 1
        frames = b"".join(len(message).to_bytes(2, "big") + message for message in response.messages)
        match response.ending:
            case Ending.OPEN:
                writer.write(frames)
            case Ending.HALF:
                writer.write(frames[: len(frames) // 2])
            case Ending.RESET:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()
            case Ending.CLOSE:
                writer.close()
        self.responses += 1
