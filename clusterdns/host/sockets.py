"""Bound sockets for the listeners: what UDP and TCP have in common before the first query.

Opening is apart from listening, so that a start which fails on one address has served nothing on the others.
"""

import fcntl
import socket
import sys
import termios


def open_bound(kind: socket.SocketKind, address: str, port: int, *options: tuple[int, int]) -> socket.socket:
    """A bound, non-blocking socket of this kind with these SOL_SOCKET options set.

    `address` may be `0.0.0.0` or `::`; an IPv6 socket takes IPv6 only, so that each family is bound, counted and
    answered for itself. SO_REUSEPORT lets several processes share the port. Raises OSError.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        for option, value in options:
            sock.setsockopt(socket.SOL_SOCKET, option, value)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(socket.getaddrinfo(address, port, family, kind, 0, socket.AI_NUMERICHOST)[0][4])
    except OSError:
        sock.close()
        raise
    return sock


def unread_bytes(sock: socket.socket) -> int:
    """How much has arrived that nobody has read yet."""
    return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder)
