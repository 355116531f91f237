"""Bound sockets: their options, their family, and how much the kernel has received on them."""

import socket
from collections.abc import Callable

import pytest

from clusterdns.host.sockets import (
    TCP_BUFFER_BYTES,
    bind_tcp,
    bind_udp,
    receive_local_addresses,
    share_port,
    unread_bytes,
)


def test_a_tcp_socket_is_bound_and_not_listening() -> None:
    with bind_tcp("127.0.0.1", 0) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 0
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * TCP_BUFFER_BYTES  # Linux doubles it
        assert not sock.getblocking()


def listen(sock: socket.socket) -> None:
    """Have a TCP socket listen: until then SO_REUSEADDR alone lets others be bound beside it."""
    if sock.type == socket.SOCK_STREAM:
        sock.listen()


@pytest.mark.parametrize("bind", [bind_udp, bind_tcp])
def test_sockets_share_a_port_only_where_both_do(bind: Callable[..., socket.socket]) -> None:
    with bind("127.0.0.1", 0, shares_port=True) as first:
        port = first.getsockname()[1]
        with bind("127.0.0.1", port, shares_port=True) as second:
            assert first.getsockname() == second.getsockname()
        listen(first)
        with pytest.raises(OSError, match="in use"):
            bind("127.0.0.1", port)
    with bind("127.0.0.1", 0) as first:
        listen(first)
        port = first.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            bind("127.0.0.1", port, shares_port=True)
        share_port(first, is_shared=True)
        bind("127.0.0.1", port, shares_port=True).close()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this host has no IPv6")
def test_an_ipv6_socket_receives_ipv6_only() -> None:
    with bind_udp("::", 0) as sock:
        assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def test_a_socket_that_cannot_be_bound_is_an_error() -> None:
    with pytest.raises(OSError, match="assign requested address"):
        bind_udp("192.0.2.1", 0)


def test_a_datagram_carries_the_local_address_that_it_was_sent_to() -> None:
    with bind_udp("0.0.0.0", 0) as sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        receive_local_addresses(sock)
        client.sendto(b"x", ("127.0.0.2", sock.getsockname()[1]))
        sock.settimeout(30)
        _, ancillary, _, _ = sock.recvmsg(16, 64)
    ((level, _, data),) = ancillary
    assert (level, data[4:8]) == (socket.IPPROTO_IP, bytes((127, 0, 0, 2)))


def test_unread_bytes() -> None:
    near, far = socket.socketpair()
    with near, far:
        assert unread_bytes(near) == 0
        far.send(b"12345")
        assert unread_bytes(near) == 5
