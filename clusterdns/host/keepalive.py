"""TCP keepalive, and how long ago the other end acknowledged something.

With probes of the kernel a connection on which nothing is sent shows whether its peer can still be reached.
`cluster.api.client` uses it for watches.
"""

import asyncio
import math
import socket
import struct
from collections.abc import Callable

IDLE_SECONDS = 3  # without a packet, before the first probe
INTERVAL_SECONDS = 1  # between probes that are not acknowledged

_LAST_ACK_RECV = 56  # offset of tcpi_last_ack_recv in struct tcp_info, milliseconds (linux/tcp.h)


def keep_alive(transport: asyncio.BaseTransport | None) -> Callable[[], float]:
    """Have the kernel probe a TCP connection; returns a function for the seconds since the peer acknowledged anything.

    That function returns infinity where the connection is closed.
    """
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None:
        return lambda: math.inf
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, INTERVAL_SECONDS)

    def acknowledged_seconds() -> float:
        try:
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_ACK_RECV + 4)
        except OSError:  # closed
            return math.inf
        (milliseconds,) = struct.unpack_from("=I", info, _LAST_ACK_RECV)
        return float(milliseconds) / 1000.0

    return acknowledged_seconds
