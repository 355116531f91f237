"""Ports and addresses of loopback for servers under test, no two servers the same.

Two servers may both be given a port that is merely free, and then share it silently (SO_REUSEPORT); or the kernel gives
it to a client. Each process therefore claims a range below those that the kernel gives to clients. The claim is a name
in the abstract namespace of Unix sockets, which ends with the process.
"""

import functools
import itertools
import os
import socket
from collections.abc import Iterator

LOOPBACK = "127.0.0.1"
FIRST, LAST, RANGE = 12_000, 32_000, 500

_hosts = itertools.count(1)


def new_address() -> str:
    """Return a loopback address that no server of another test or process listens on."""
    pid = os.getpid()
    return f"127.{64 + (pid >> 8) % 128}.{pid % 256}.{next(_hosts)}"


def free_ports(count: int) -> list[int]:
    """Find ports that are free for UDP and TCP on every address. Raises OSError where all ranges are claimed."""
    return list(itertools.islice(filter(_is_free, _claimed()), count))


@functools.cache
def _claimed() -> Iterator[int]:
    """Claim a range for this process, and yield its ports endlessly in turn."""
    for first in range(FIRST, LAST, RANGE):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0dns-test-ports-{first}")
        except OSError:
            claim.close()
        else:
            claim.detach()  # stays open until the process ends
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
