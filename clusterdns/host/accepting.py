"""Accepting connections on a listening socket, so that no error of one connection ends or blocks the listener.

The event loop's own servers close on an unexpected error of accept(), and drop waiting clients where file descriptors
run out. An Acceptor asks its user to free descriptors in that case, and lets clients wait in the backlog meanwhile.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Any

BATCH = 64  # connections per turn of the event loop
PAUSE_SECONDS = 0.05  # without accepting while descriptors or memory are short; the descriptor is readable all the time
EVICTED_AT_ONCE = 16
_LAST_BATCHES = 64  # while closing, so that new clients do not keep the listener open
_SHORTAGE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

log = logging.getLogger("clusterdns")


class Acceptor:
    """A listening socket whose connections are taken as non-blocking sockets.

    `take` gets each socket with the address of its peer and owns it from then on; `evict` is asked to close that many
    open connections where accept() fails for want of descriptors or memory.
    """

    def __init__(
        self, sock: socket.socket, take: Callable[[socket.socket, Any], None], evict: Callable[[int], None]
    ) -> None:
        self._socket = sock
        self._take = take
        self._evict = evict
        self._is_short = False
        self._resumption: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Accept whenever a client waits; the socket must be listening."""
        self._loop = loop
        self._socket.setblocking(False)
        self._resume()

    def accept_rest(self) -> None:
        """Accept the connections that wait in the backlog now, up to a limit."""
        for _ in range(_LAST_BATCHES):
            if not self._accept():
                break

    def close(self) -> None:
        """Stop accepting; the socket itself stays open."""
        self._loop.remove_reader(self._socket)
        if self._resumption is not None:
            self._resumption.cancel()

    def _resume(self) -> None:
        self._resumption = None
        self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> bool:
        """Accept a batch; return whether more may wait."""
        for _ in range(BATCH):
            try:
                sock, address = self._socket.accept()
            except BlockingIOError:
                return False
            except OSError as error:
                if error.errno in _SHORTAGE:
                    self._pause(error)
                    return False
                # of this one connection: it was reset, or of its route (accept(2), "Error handling")
                log.debug("accept: %s", error)
                continue
            self._is_short = False
            sock.setblocking(False)
            self._take(sock, address)
        return True

    def _pause(self, error: OSError) -> None:
        if not self._is_short:
            self._is_short = True
            host, port = self._socket.getsockname()[:2]
            log.warning(
                "accept on %s port %d: %s; idle connections are closed; raise the limit of open files (RLIMIT_NOFILE)",
                host, port, error.strerror,
            )  # fmt: skip
        self._evict(EVICTED_AT_ONCE)
        self._loop.remove_reader(self._socket)
        if self._resumption is None:
            self._resumption = self._loop.call_later(PAUSE_SECONDS, self._resume)
