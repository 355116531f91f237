"""An upstream that never answers."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from testing.ports import LOOPBACK


@contextmanager
def black_hole() -> Iterator[tuple[str, int]]:
    """The host and port of a UDP socket that is never read."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((LOOPBACK, 0))
        host, port = sock.getsockname()
        yield host, port
