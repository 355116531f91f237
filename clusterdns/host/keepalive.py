"""TCP connections whose peer is known to be gone within seconds, and how long ago the peer acknowledged something.

With probes of the kernel a connection on which nothing is sent shows whether its peer can still be reached.
`cluster.api.credentials` makes sockets here, `cluster.api.client` reads the age.
"""

import asyncio
import math
import socket
import struct
from collections.abc import Callable
from typing import Any

IDLE_SECONDS = 3  # without a packet, before the first probe
INTERVAL_SECONDS = 1  # between probes that are not acknowledged
GONE_SECONDS = 6.0  # without an acknowledgement of data or probes, after which the kernel ends the connection

_LAST_ACK_RECV = 56  # offset of tcpi_last_ack_recv in struct tcp_info, milliseconds (linux/tcp.h)


def new_probed_socket(address: tuple[Any, ...]) -> socket.socket:
    """Make a TCP socket for an entry of getaddrinfo: the kernel probes its connection, and ends it without answers."""
    family, kind, protocol = address[:3]
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, INTERVAL_SECONDS)
    # takes the place of TCP_KEEPCNT, and bounds retransmissions too, which last 15 minutes by default (tcp(7))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(GONE_SECONDS * 1000))
    return sock


def acknowledgements(transport: asyncio.BaseTransport | None) -> Callable[[], float]:
    """Return a function for the seconds since the peer acknowledged anything; infinity where it is not connected."""
    sock = transport.get_extra_info("socket") if transport is not None else None

    def acknowledged_seconds() -> float:
        if sock is None or sock.fileno() < 0:  # closed; getsockopt would raise OSError in asyncio, ValueError in uvloop
            return math.inf
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_ACK_RECV + 4)
        (milliseconds,) = struct.unpack_from("=I", info, _LAST_ACK_RECV)
        return float(milliseconds) / 1000.0

    return acknowledged_seconds
