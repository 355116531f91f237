"""An upstream that never answers."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from testing.ports import LOOPBACK


@contextmanager
def black_hole() -> Iterator[tuple[str, int]]:
    """Bind a UDP socket that is never read, and yield its host and port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((LOOPBACK, 0))
        host, port = sock.getsockname()
        yield host, port
