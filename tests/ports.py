"""Ports for servers under test: below those that the kernel gives to clients, and each one given once.

A port that is merely free may be taken by anybody's client, or be given to two servers, before the server binds it.
"""

import itertools
import os
import socket

FIRST, LAST, PER_PROCESS = 12000, 32000, 1000

_numbers = itertools.count()


def take(count: int) -> list[int]:
    """That many ports of this process's own, free for UDP and TCP on every address."""
    start = FIRST + os.getpid() * PER_PROCESS % (LAST - FIRST)
    found: list[int] = []
    while len(found) < count:
        port = FIRST + (start - FIRST + next(_numbers)) % (LAST - FIRST)
        if _is_free(port, socket.SOCK_STREAM) and _is_free(port, socket.SOCK_DGRAM):
            found.append(port)
    return found


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET6, kind) as sock:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("::", port))
        except OSError:
            return False
    return True
