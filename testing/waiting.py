"""Waiting for something that happens in another process, in another task, or at the other end of a socket.

A test waits for a condition, and `PATIENCE_SECONDS` for it to become true: only a failure takes as long, however busy
the machine is.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
PATIENCE_SECONDS = 60.0


def wait_for(
    check: Callable[[], T | None], what: str, seconds: float = PATIENCE_SECONDS, every_seconds: float = 0.02
) -> T:
    """Call `check` until its result is true, and return that result. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while True:
        if found := check():
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(every_seconds)


async def until(check: Callable[[], T | None], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """Let the event loop run until the result of `check` is true, and return that result. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        await asyncio.sleep(0.001)
    return found


async def until_closed(url: str) -> None:
    """Wait until the running event loop has no connection to the port of a URL; with an empty one, do not wait.

    Closing a TLS connection sends close_notify and waits for the peer's; a loop that ends first leaves the socket open.
    """
    await until(lambda: open_connections(url) == 0, f"connections to {url} to be closed")


def open_connections(url: str) -> int:
    """Count the connections of the running event loop to the port of a URL."""
    port = urlsplit(url).port
    transports = tuple(asyncio.get_running_loop()._transports.values())  # type: ignore[attr-defined]  # asyncio's own
    return sum(one._sock is not None and one.get_extra_info("peername")[1] == port for one in transports)
