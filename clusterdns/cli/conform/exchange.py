"""Sockets of the suite: a datagram and its reply, and bytes over a TCP connection with the replies that come back.

Everything ends within the time-out that the caller gives. A server may send anything: datagrams with other IDs are
counted and dropped, messages without an end and more of them than asked for are not kept.
"""

import asyncio
import ipaddress
import os
import socket
from collections.abc import Sequence
from typing import NamedTuple

MAX_DATAGRAM_BYTES = 65_535
MAX_STRAYS = 1_000  # datagrams with other IDs
DEFAULT_PORT = 53
SPLIT_PAUSE_SECONDS = 0.005  # so that the kernel sends each piece in a segment of its own


class NoReplyError(Exception):
    """No reply came; the text says what came instead."""


class ServerAddress(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    @property
    def text(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def family(self) -> socket.AddressFamily:
        """The address family of its sockets."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET


def read_server(text: str) -> ServerAddress:
    """Read `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`. Raises ValueError."""
    host, port_text = text, ""
    if text.startswith("["):
        host, bracket, port_text = text[1:].partition("]")
        if not bracket or port_text[:1] not in ("", ":"):
            raise ValueError("expected [ADDRESS]:PORT")
        port_text = port_text[1:]
    elif text.count(":") == 1:
        host, _, port_text = text.partition(":")
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        raise ValueError(f"'{host}' is not an IP address; write ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT") from None
    if not port_text and text.endswith(":"):
        raise ValueError("there is no port after the colon")
    if port_text and not (port_text.isascii() and port_text.isdigit() and 0 < int(port_text[:6]) <= 65_535):
        raise ValueError(f"'{port_text}' is not a port from 1 to 65535")
    return ServerAddress(host, int(port_text or DEFAULT_PORT))


async def over_udp(server: ServerAddress, packet: bytes, seconds: float) -> bytes:
    """Send a datagram, and return the first one that comes back with its ID. Raises NoReplyError."""
    loop = asyncio.get_running_loop()
    strays = 0
    with socket.socket(server.family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        try:
            async with asyncio.timeout(seconds):
                await loop.sock_connect(sock, _sockaddr(server))
                await loop.sock_sendall(sock, packet)
                while strays < MAX_STRAYS:
                    received = await loop.sock_recv(sock, MAX_DATAGRAM_BYTES)
                    if received[:2] == packet[:2]:
                        return received
                    strays += 1
        except TimeoutError:
            pass
        except OSError as error:
            raise NoReplyError(f"no reply over UDP: {_why(error)}") from error
    if strays:
        raise NoReplyError(f"no reply over UDP within {seconds:g} s, only {strays} datagrams with another ID")
    raise NoReplyError(f"no reply over UDP within {seconds:g} s")


def _why(error: OSError) -> str:
    """Return the text of an error; asyncio's own texts have addresses in them."""
    return (os.strerror(error.errno) if error.errno else str(error)).lower()


def _sockaddr(server: ServerAddress) -> tuple[object, ...]:
    """Return the address of a socket, with the scope of a link-local one."""
    return tuple(socket.getaddrinfo(server.host, server.port, server.family, socket.SOCK_DGRAM)[0][4])


class SuiteConnection:
    """One TCP connection to the server."""

    def __init__(self, server: ServerAddress, seconds: float) -> None:
        self._server, self._seconds = server, seconds
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> "SuiteConnection":
        """Connect. Raises NoReplyError."""
        try:
            async with asyncio.timeout(self._seconds):
                self._reader, self._writer = await asyncio.open_connection(self._server.host, self._server.port)
        except TimeoutError:
            raise NoReplyError(f"no connection over TCP within {self._seconds:g} s") from None
        except OSError as error:
            raise NoReplyError(f"no connection over TCP: {_why(error)}") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()

    async def send(self, packets: Sequence[bytes], *, is_split: bool = False, is_last: bool = False) -> None:
        """Send messages, in one write or byte by byte; with `is_last` the connection's own side is closed then."""
        stream = b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets)
        try:
            async with asyncio.timeout(self._seconds):
                for piece in [stream[at : at + 1] for at in range(len(stream))] if is_split else [stream]:
                    self._writer.write(piece)
                    await self._writer.drain()
                    if is_split:
                        await asyncio.sleep(SPLIT_PAUSE_SECONDS)
                if is_last:
                    self._writer.write_eof()
        except TimeoutError:
            raise NoReplyError("the server does not read from the TCP connection") from None
        except OSError as error:
            raise NoReplyError(f"the TCP connection failed: {_why(error)}") from error

    async def receive(self, ids: Sequence[bytes]) -> dict[bytes, bytes]:
        """Read messages until one has come for each ID. Raises NoReplyError, which says how many came."""
        found: dict[bytes, bytes] = {}
        why = f"within {self._seconds:g} s"
        try:
            async with asyncio.timeout(self._seconds):
                for _ in range(MAX_STRAYS):
                    if len(found) == len(set(ids)):
                        return found
                    size = int.from_bytes(await self._reader.readexactly(2), "big")
                    message = await self._reader.readexactly(size)
                    if message[:2] in ids:
                        found.setdefault(message[:2], message)
        except asyncio.IncompleteReadError:
            why = "before the server closed the connection"
        except TimeoutError:
            pass
        except OSError as error:
            why = f"before the connection failed: {_why(error)}"
        raise NoReplyError(f"{len(found) or 'no'} of {len(ids)} replies over TCP {why}" if len(ids) > 1
                           else f"no reply over TCP {why}")  # fmt: skip
