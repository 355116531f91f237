"""TLS on an accepted connection: a protocol of the socket's transport, and a transport for the protocol above it.

The event loop's own TLS cannot be closed in one direction, allocates a buffer of 256 KiB per connection, and tells the
protocol above about a connection only after its handshake. Here a connection takes nothing for TLS before its first
record is complete, some 50 KiB during the handshake and 15 KiB later; replies can still be written after the client has
sent its close_notify (RFC 8446 §6.1); and the protocol above may close it at any moment, and limits the time it takes.
`tls` makes the contexts.
"""

import asyncio
import logging
import ssl
from contextlib import suppress
from typing import Any, Protocol

_RECORD_BYTES = 16_384  # of plain text in the longest record (RFC 8446 §5.1)
_HEADER_BYTES = 5
_STEPS_PER_TURN = 2
_HANDSHAKE = 22  # ContentType
_NO_BYTES = ssl.MemoryBIO()  # in the place of both buffers until there is TLS state
_buffer = memoryview(bytearray(2 * _RECORD_BYTES))  # of all connections: each read is copied out before the next one

log = logging.getLogger("clusterdns")


class StreamProtocol(Protocol):
    """The protocol above: asyncio.Protocol has these methods."""

    def connection_made(self, transport: Any) -> None:
        """Take the connection, whose handshake has not begun."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the connection."""

    def data_received(self, data: bytes) -> None:
        """Take decrypted bytes."""

    def eof_received(self) -> bool | None:
        """Return whether the connection stays open for replies after the client's last byte."""

    def pause_writing(self) -> None:
        """Stop writing."""

    def resume_writing(self) -> None:
        """Go on writing."""


class Handshakes:
    """The handshakes of one listener that can go on: a few per turn of the event loop, so that a flood delays nothing.

    A step with a signature takes a millisecond or two. The newest comes first: its client still waits.
    """

    def __init__(self) -> None:
        self._ready: dict[TlsStream, None] = {}

    def add(self, stream: "TlsStream") -> None:
        """Go on with this handshake soon."""
        if not self._ready:
            asyncio.get_running_loop().call_soon(self._go_on)
        self._ready[stream] = None

    def _go_on(self) -> None:
        for _ in range(min(_STEPS_PER_TURN, len(self._ready))):
            stream, _ = self._ready.popitem()
            stream.advance()
        if self._ready:
            asyncio.get_running_loop().call_soon(self._go_on)


class TlsStream(asyncio.Transport, asyncio.BufferedProtocol):
    """The server's side of TLS on one connection."""

    __slots__ = (
        "_above", "_context", "_handshakes", "_has_ended", "_hello", "_incoming", "_is_at_eof", "_is_paused", "_lower",
        "_outgoing", "_tls", "is_open",
    )  # fmt: skip

    def __init__(self, context: ssl.SSLContext, above: StreamProtocol, handshakes: Handshakes) -> None:
        super().__init__()
        self.is_open = False  # the handshake is complete
        self._above = above
        self._context = context
        self._handshakes = handshakes
        self._hello = b""  # the first record, until it is complete
        self._incoming, self._outgoing = _NO_BYTES, _NO_BYTES
        self._tls: ssl.SSLObject | None = None  # from the first record on
        self._is_paused = False
        self._is_at_eof = False  # the socket has nothing more to read
        self._has_ended = False  # the protocol above knows that nothing more comes

    # As the protocol of the socket's transport

    def connection_made(self, transport: Any) -> None:
        """Pass the connection on at once."""
        self._lower: asyncio.Transport = transport
        self._above.connection_made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the end on, and release the TLS state and the protocol above, which refers to this transport."""
        self._tls = None
        above = self._above
        del self._above  # the two would be a reference cycle
        above.connection_lost(exc)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer that all connections share."""
        return _buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Decrypt what has arrived."""
        if self._tls is not None:
            self._incoming.write(_buffer[:nbytes])
        else:
            self._hello += _buffer[:nbytes].tobytes()
            if not _is_first_record(self._hello):
                return
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = self._context.wrap_bio(self._incoming, self._outgoing, server_side=True)
            self._incoming.write(self._hello)
            self._hello = b""
        if self.is_open:
            self.advance()
        else:
            self._handshakes.add(self)

    def eof_received(self) -> bool:
        """Keep the socket open for replies after the client's last byte, if its handshake is complete."""
        self._is_at_eof = True
        if self.is_open:
            self.advance()
        return self.is_open

    def pause_writing(self) -> None:
        """Pass on that the client does not read."""
        self._above.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the client reads again."""
        self._above.resume_writing()

    # As the transport of the protocol above

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return a property of the connection: of TLS, or else of the socket."""
        if name == "sslcontext":
            return self._context
        if name == "ssl_object":
            return self._tls
        return self._lower.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send; bytes written before the handshake is complete or after the end are dropped."""
        if self._tls is None or not self.is_open or not data or self._lower.is_closing():
            return
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            self._fail(error)
        else:
            self._flush()

    def is_closing(self) -> bool:
        """Return whether the connection is closed or about to be."""
        return self._lower.is_closing()

    def close(self) -> None:
        """Send what is written and a close_notify, then close without waiting for the client's."""
        if self._lower.is_closing():
            return
        if self._tls is not None and self.is_open:
            with suppress(ssl.SSLError):  # the client's close_notify has not arrived yet
                self._tls.unwrap()
            self._flush()
        self._lower.close()

    def abort(self) -> None:
        """Close at once."""
        self._lower.abort()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the sizes, in encrypted bytes, at which writing pauses and resumes."""
        self._lower.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return the number of encrypted bytes that are not sent."""
        return self._lower.get_write_buffer_size()

    def is_reading(self) -> bool:
        """Return whether bytes are passed on as they arrive."""
        return not self._is_paused

    def pause_reading(self) -> None:
        """Pass nothing more on, and leave what arrives with the kernel."""
        if not self._is_paused:
            self._is_paused = True
            self._lower.pause_reading()

    def resume_reading(self) -> None:
        """Go on with what has been received, then with what arrives."""
        if self._is_paused:
            self._is_paused = False
            self._lower.resume_reading()
            asyncio.get_running_loop().call_soon(self.advance)

    # TLS

    def advance(self) -> None:
        """Go on with the handshake, then pass on what can be decrypted."""
        tls = self._tls
        if tls is None or self._lower.is_closing():
            return
        try:
            if not self.is_open:
                tls.do_handshake()
                self.is_open = True
            while not (self._is_paused or self._lower.is_closing()):
                data = tls.read(_RECORD_BYTES)
                if not data:  # the client's close_notify
                    self._end()
                    break
                self._above.data_received(data)
        except ssl.SSLWantReadError:
            if self._is_at_eof:
                self._end()
        except ssl.SSLError as error:
            self._fail(error)
        self._flush()

    def _end(self) -> None:
        """Pass on, once, that the client sends no more."""
        if not self._has_ended:
            self._has_ended = True
            if not self._above.eof_received():
                self.close()

    def _fail(self, error: ssl.SSLError) -> None:
        """Send the alert that OpenSSL has written, and close."""
        log.debug("TLS with %s: %s", self._lower.get_extra_info("peername"), error.reason or error)
        self.is_open = False
        self._flush()
        self._lower.close()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._lower.is_closing():
            self._lower.write(self._outgoing.read())


def _is_first_record(received: bytes) -> bool:
    """Return whether the bytes hold a whole record of a handshake, or cannot be the beginning of one."""
    if received[0] != _HANDSHAKE:
        return True
    if len(received) < _HEADER_BYTES:
        return False
    size = int.from_bytes(received[3:5], "big")
    return size > _RECORD_BYTES or len(received) >= _HEADER_BYTES + size
