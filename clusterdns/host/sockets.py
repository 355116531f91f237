"""Bound sockets with the options that the DNS listeners need.

Binding is separate from listening and receiving: a start that fails on one address has then answered nothing on the
others. `server.listeners` reads from and writes to them.
"""

import fcntl
import functools
import socket
import sys
import termios

UDP_RECEIVE_BUFFER_BYTES = 4 << 20  # a burst of some 5,000 small queries while the index applies a large change
TCP_BUFFER_BYTES = 65_536  # the kernel's, each way; by default they grow to megabytes for a client that stalls

IN6_PKTINFO_BYTES = 20
IP_PKTINFO = 8  # linux/in.h; the socket module has no name for it before 3.14


def bind_udp(address: str, port: int, *, shares_port: bool = False) -> socket.socket:
    """Bind a non-blocking UDP socket; `address` may be `0.0.0.0` or `::` (IPv6 only). Raises OSError."""
    return _bind(
        socket.SOCK_DGRAM,
        address,
        port,
        (socket.SO_REUSEPORT, shares_port),
        (socket.SO_RCVBUF, UDP_RECEIVE_BUFFER_BYTES),
    )


def bind_tcp(address: str, port: int, *, shares_port: bool = False) -> socket.socket:
    """Bind a non-blocking TCP socket, not yet listening; `address` as for `bind_udp`. Raises OSError."""
    return _bind(
        socket.SOCK_STREAM,
        address,
        port,
        (socket.SO_REUSEPORT, shares_port),
        (socket.SO_REUSEADDR, 1),
        (socket.SO_SNDBUF, TCP_BUFFER_BYTES),
        (socket.SO_RCVBUF, TCP_BUFFER_BYTES),
    )


def _bind(kind: socket.SocketKind, address: str, port: int, *options: tuple[int, int]) -> socket.socket:
    """Bind with these SOL_SOCKET options set.

    An IPv6 socket receives IPv6 only, so that each family has a socket, counters and answers of its own.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    try:
        for option, value in options:
            sock.setsockopt(socket.SOL_SOCKET, option, value)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(socket.getaddrinfo(address, port, family, kind, 0, socket.AI_NUMERICHOST)[0][4])
    except OSError:
        sock.close()
        raise
    return sock


def share_port(sock: socket.socket, *, is_shared: bool) -> None:
    """Set whether other sockets of this user may be bound to the same address and port, or to one that includes it.

    Both sockets have to allow it. For TCP the kernel remembers that a port was shared once, and then asks the second
    socket alone.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, is_shared)


def receive_local_addresses(sock: socket.socket) -> None:
    """Have the kernel add to each datagram the local address that it was sent to (IP_PKTINFO, RFC 3542 §6.1)."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)


@functools.lru_cache(maxsize=256)
def local_address(local: bytes) -> str:
    """Return the address in a `struct in_pktinfo` or `in6_pktinfo`, with the scope of a link-local address."""
    if len(local) != IN6_PKTINFO_BYTES:
        return socket.inet_ntop(socket.AF_INET, local[4:8])
    text = socket.inet_ntop(socket.AF_INET6, local[:16])
    if not local.startswith(b"\xfe\x80"):
        return text
    try:
        return f"{text}%{socket.if_indextoname(int.from_bytes(local[16:], sys.byteorder))}"
    except OSError:  # the interface is gone
        return text


def unread_bytes(sock: socket.socket) -> int:
    """Return how many bytes the kernel has received on this socket that were not read yet."""
    return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder)
