"""TCP keepalive: the options of a connection, and the age of the peer's last acknowledgement."""

import asyncio
import math
import socket

from clusterdns.host.keepalive import IDLE_SECONDS, INTERVAL_SECONDS, keep_alive
from testing.ports import LOOPBACK


async def test_an_acknowledgement_is_recent_on_an_open_connection_and_never_came_on_a_closed_one() -> None:
    with socket.create_server((LOOPBACK, 0)) as listening:
        _, writer = await asyncio.open_connection(*listening.getsockname())
        acknowledged_seconds = keep_alive(writer.transport)
        sock = writer.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == IDLE_SECONDS
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == INTERVAL_SECONDS
        assert 0.0 <= acknowledged_seconds() < 30.0
        writer.close()
        await writer.wait_closed()
    assert acknowledged_seconds() == math.inf


def test_without_a_connection_nothing_is_acknowledged() -> None:
    assert keep_alive(None)() == math.inf
