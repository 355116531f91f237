"""TCP keepalive: the options of a connection, and the age of the peer's last acknowledgement."""

import asyncio
import math
import socket
from collections.abc import Callable

import pytest
import uvloop

from clusterdns.host.keepalive import (
    GONE_SECONDS,
    IDLE_SECONDS,
    INTERVAL_SECONDS,
    acknowledgements,
    new_probed_socket,
)
from testing.ports import LOOPBACK


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_an_acknowledgement_is_recent_on_an_open_connection_and_never_came_on_a_closed_one(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_acknowledge_and_close())


async def _acknowledge_and_close() -> None:
    with (
        socket.create_server((LOOPBACK, 0)) as listening,
        new_probed_socket((socket.AF_INET, socket.SOCK_STREAM, 0)) as sock,
    ):
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, listening.getsockname())
        _, writer = await asyncio.open_connection(sock=sock)
        acknowledged_seconds = acknowledgements(writer.transport)
        assert 0.0 <= acknowledged_seconds() < 30.0
        writer.close()
        await writer.wait_closed()
    assert acknowledged_seconds() == math.inf


def test_a_peer_that_is_gone_is_known_within_8_seconds() -> None:
    with new_probed_socket((socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("::1", 443))) as sock:
        assert sock.family == socket.AF_INET6
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == IDLE_SECONDS
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == INTERVAL_SECONDS
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == GONE_SECONDS * 1000
    # a probe may be under way when the time is over; the kernel looks again after the next interval
    assert GONE_SECONDS + INTERVAL_SECONDS <= 8


def test_without_a_connection_nothing_is_acknowledged() -> None:
    assert acknowledgements(None)() == math.inf
