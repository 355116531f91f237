"""Ports for servers that are started, of which nobody else is given one.

A port that is merely free may be given to two servers before either binds it, and both then share it (SO_REUSEPORT) in
silence; or it becomes the port of somebody's client. Each process therefore claims a range below those that the kernel
gives to clients. The claim is a name in the abstract namespace of Unix sockets, which ends with the process.
"""

import functools
import itertools
import socket
from collections.abc import Iterator

FIRST, LAST, RANGE = 12_000, 32_000, 500


def free_ports(count: int) -> list[int]:
    """That many ports, free for UDP and TCP on every address. Raises OSError where all ranges are claimed."""
    return list(itertools.islice(filter(_is_free, _claimed()), count))


@functools.cache
def _claimed() -> Iterator[int]:
    """The numbers of this process's range, for ever in turn."""
    for first in range(FIRST, LAST, RANGE):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0dns-test-ports-{first}")
        except OSError:
            claim.close()
        else:
            claim.detach()  # to stay open until the process ends
            return itertools.cycle(range(first, first + RANGE))
    raise OSError(f"every range of ports between {FIRST} and {LAST} is claimed by a running process")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET6, kind) as sock:
            if kind == socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("::", port))
            except OSError:
                return False
    return True
