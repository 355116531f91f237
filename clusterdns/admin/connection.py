"""One client's connection to an admin listener, in front of aiohttp's handler of it.

aiohttp limits neither the number of connections nor the time of a request; here each connection counts in an Admission
from the moment when it is accepted, and has a time for each of its states. `http` accepts connections and answers.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from clusterdns.host.admission import Admission

REQUEST_SECONDS = 10.0  # from the connection, or a request's first byte, to the end of its headers
IDLE_SECONDS = 75.0  # between a response and the next request
STALLED_SECONDS = 30.0  # for a client to read a response that fills the send buffer


class AdminConnection(asyncio.Protocol):
    """A connection over HTTP or HTTPS."""

    def __init__(
        self, handler: web.RequestHandler, admission: Admission, ended: Callable[[web.RequestHandler], Any], now: float
    ) -> None:
        self._handler = handler
        self._admission = admission
        self._ended = ended  # called once, when the connection is closed
        self._transport: Any = None  # until the event loop has made it
        self._is_closed = False
        self._responses = 0  # under way
        self._since = now  # of the present state
        self._is_partial = True  # a request has begun and its headers are not complete, or none has come yet
        self._is_stalled = False

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read, unless the connection has given way to another one before its transport was made."""
        self._transport = transport
        self._handler.connection_made(transport)
        if self._is_closed:
            self._transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Release the connection."""
        self._admission.dismiss(self)
        self._ended(self._handler)
        self._handler.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass on a part of a request."""
        if not (self._is_partial or self._responses):
            self._is_partial = True
            self._since = asyncio.get_running_loop().time()
        self._handler.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass on that the client sends no more."""
        self._handler.eof_received()
        return None

    def pause_writing(self) -> None:
        """Pass on that the client does not read."""
        self._is_stalled = True
        self._since = asyncio.get_running_loop().time()
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the client reads again."""
        self._is_stalled = False
        self._since = asyncio.get_running_loop().time()
        self._handler.resume_writing()

    # What the listener and the admission call

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self._responses > 0

    def begin_response(self) -> None:
        """Note that the headers of a request are complete."""
        self._is_partial = False
        self._responses += 1
        self._admission.asked(self)

    def end_response(self, now: float) -> None:
        """Note that a response is made."""
        self._responses -= 1
        self._since = now

    def abort(self) -> None:
        """Close at once."""
        self._is_closed = True
        if self._transport is not None:
            self._transport.abort()

    def check_time(self, now: float) -> None:
        """Close a connection that has been in its present state for too long."""
        if self._is_stalled:
            seconds = STALLED_SECONDS
        elif self._responses:
            return
        else:
            seconds = REQUEST_SECONDS if self._is_partial else IDLE_SECONDS
        if now - self._since >= seconds:
            self.abort()
