"""Bound sockets: their options, their family, and how much the kernel has received on them."""

import socket

import pytest

from clusterdns.host.sockets import TCP_BUFFER_BYTES, bind_tcp, bind_udp, receive_local_addresses, unread_bytes


def test_a_tcp_socket_is_bound_and_not_listening() -> None:
    with bind_tcp("127.0.0.1", 0) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 0
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * TCP_BUFFER_BYTES  # Linux doubles it
        assert not sock.getblocking()


def test_two_udp_sockets_share_a_port() -> None:
    with bind_udp("127.0.0.1", 0) as first, bind_udp("127.0.0.1", first.getsockname()[1]) as second:
        assert first.getsockname() == second.getsockname()


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
