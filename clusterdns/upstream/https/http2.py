"""Requests over HTTP/2 (RFC 9113): few connections per upstream, a stream per request; h2 speaks the protocol.

A request goes to the connection with the fewest, up to the number of streams that the upstream allows. Another
connection is opened while all are full and there are fewer than MAX_CONNECTIONS; beyond that requests wait for a free
stream. When the upstream ends a connection, with GOAWAY or without, or refuses a stream, the requests on it fail as
stale, and `exchanges` sends them again. `upstream.connection` has a connection's life.
"""

import asyncio
from collections import deque

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from clusterdns.upstream.address import HTTP2, Address
from clusterdns.upstream.connection import DialedConnection, DialedConnections
from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.https.http2_stream import Headers, Http2Stream, code_name
from clusterdns.upstream.https.response import HttpResponse
from clusterdns.upstream.settings import TransportSettings
from clusterdns.wire.header import MAX_STREAM_BYTES

MAX_CONNECTIONS = 4
MAX_STREAMS = 1000  # under way on one connection, where the upstream allows more
LAST_STREAM_ID = 1 << 30  # half of those that there are; then a connection gets no more requests
_CONFIG = H2Configuration(
    client_side=True, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
)


class Http2Connections(DialedConnections["Http2Connection"]):
    """The HTTP/2 connections to one upstream."""

    def __init__(self, address: Address, settings: TransportSettings) -> None:
        super().__init__(address, settings, settings.tls_http2)
        self.is_refused = False  # set where the upstream chose another protocol in the TLS handshake

    async def ask(self, headers: Headers, body: bytes, seconds: float, where: str) -> HttpResponse:
        """Send a request and return the response. Raises ExchangeFailed."""
        loop = asyncio.get_running_loop()
        connection = self._choose(loop)
        stream = Http2Stream(headers, body, loop.create_future(), where)
        connection.add(stream)
        timer = loop.call_later(seconds, connection.expire, stream, loop.time())
        try:
            return await stream.future
        finally:
            timer.cancel()
            connection.release(stream)

    def _choose(self, loop: asyncio.AbstractEventLoop) -> "Http2Connection":
        now = loop.time()
        usable = [one for one in self.connections if one.takes_questions(now)]
        least = min(usable, key=_load, default=None)
        if least is not None and (_load(least) < least.limit or len(self.connections) >= MAX_CONNECTIONS):
            return least
        connection = Http2Connection(self, loop)
        self.connections.append(connection)
        return connection


def _load(connection: "Http2Connection") -> int:
    return len(connection.streams) + len(connection.waiting)


class Http2Connection(DialedConnection):
    """One connection with the requests on it, which are sent when it has a free stream."""

    _siblings: Http2Connections

    def __init__(self, connections: Http2Connections, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(connections, loop)
        self.streams: dict[int, Http2Stream] = {}
        self.waiting: deque[Http2Stream] = deque()
        self._h2 = H2Connection(_CONFIG)
        self._knows_limit = False  # the upstream's settings, its first frame, have arrived

    # Requests

    @property
    def limit(self) -> int:
        """Return how many streams may be open at once."""
        return min(self._h2.remote_settings.max_concurrent_streams, MAX_STREAMS)

    def add(self, stream: Http2Stream) -> None:
        """Send a request, now or once there is a free stream."""
        self._stay()
        self.waiting.append(stream)
        self._send_waiting()

    def release(self, stream: Http2Stream) -> None:
        """Remove a request that has ended. A connection without requests is closed later; a retired one at once."""
        if self.streams.pop(stream.id, None) is not None:  # its response has not ended
            self._h2.reset_stream(stream.id, ErrorCodes.CANCEL)
        elif not stream.id and stream in self.waiting:
            self.waiting.remove(stream)
        if not self._is_alive():
            return
        self._send_waiting()
        if not self.streams and not self.waiting:
            self._rest()

    def expire(self, stream: Http2Stream, asked_at: float) -> None:
        """Fail a request whose time is over; retire the connection if nothing came since it was asked."""
        stream.fail(self._timed_out(stream.where))
        if self._received_at <= asked_at:
            self._retire()

    def _retire(self) -> None:
        """Take no more requests; those that wait for a stream go to another connection."""
        self._is_retired = True
        for stream in self.waiting:
            stream.fail(ExchangeFailed(f"{stream.where}: the connection has died", is_stale=True))

    def _send_waiting(self) -> None:
        if self._transport is None:
            return
        limit = self.limit if self._knows_limit else 1
        while self.waiting and len(self.streams) < limit:
            stream = self.waiting.popleft()
            if stream.future.done():
                continue
            stream.id = self._h2.get_next_available_stream_id()
            self.streams[stream.id] = stream
            self._h2.send_headers(stream.id, stream.headers, end_stream=not stream.unsent)
            self._send_body(stream)
            if stream.id >= LAST_STREAM_ID:
                self._retire()
        self._write()

    def _send_body(self, stream: Http2Stream) -> None:
        """Send as much of a request's body as the upstream's windows allow."""
        while stream.unsent:
            count = min(self._h2.local_flow_control_window(stream.id), self._h2.max_outbound_frame_size)
            if count <= 0:
                return
            part, stream.unsent = stream.unsent[:count], stream.unsent[count:]
            self._h2.send_data(stream.id, part, end_stream=not stream.unsent)

    def _write(self) -> None:
        data = self._h2.data_to_send()
        if data and self._transport is not None:
            self._transport.write(data)

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open HTTP/2, where the upstream has chosen it, and send the requests that were added meanwhile."""
        super().connection_made(transport)
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() != HTTP2:
            self._siblings.is_refused = True
            self.end(ExchangeFailed("the upstream does not speak HTTP/2", is_stale=True))
            return
        self._h2.local_settings = Settings(initial_values={SettingCodes.ENABLE_PUSH: 0})
        self._h2.initiate_connection()
        self._send_waiting()

    def data_received(self, data: bytes) -> None:
        """Take in what has arrived, and send what may be sent now."""
        self._received_at = self._loop.time()
        try:
            for event in self._h2.receive_data(data):
                self._take(event)
        except ProtocolError as error:
            self._write()  # the reason, in a GOAWAY
            self.end(ExchangeFailed(f"http2: {self._siblings.address.host_port}: {error or type(error).__name__}"))
        if self._is_alive():
            self._send_waiting()

    def _take(self, event: events.Event) -> None:
        match event:
            case events.ResponseReceived(stream_id=int(number), headers=headers) if number in self.streams:
                self.streams[number].fields = dict(headers or ())
            case events.DataReceived(stream_id=int(number), data=data, flow_controlled_length=length):
                self._h2.acknowledge_received_data(length or 0, number)
                self._take_data(number, data or b"")
            case events.StreamEnded(stream_id=int(number)) if number in self.streams:
                self._answered += 1
                stream = self.streams.pop(number)
                if not stream.future.done():
                    stream.future.set_result(stream.response())
            case events.StreamReset(stream_id=int(number)) if number in self.streams:
                stream = self.streams.pop(number)
                is_stale = event.error_code in (ErrorCodes.REFUSED_STREAM, ErrorCodes.HTTP_1_1_REQUIRED)
                self._siblings.is_refused |= event.error_code == ErrorCodes.HTTP_1_1_REQUIRED
                text = f"{stream.where}: stream reset: {code_name(event.error_code)}"
                stream.fail(ExchangeFailed(text, is_stale=is_stale))
            case events.WindowUpdated() | events.RemoteSettingsChanged():
                self._knows_limit |= isinstance(event, events.RemoteSettingsChanged)
                for stream in tuple(self.streams.values()):
                    self._send_body(stream)
            case events.ConnectionTerminated():
                self._siblings.is_refused |= event.error_code == ErrorCodes.HTTP_1_1_REQUIRED
                text = f"http2: {self._siblings.address.host_port}: GOAWAY: {code_name(event.error_code)}"
                self.end(ExchangeFailed(text, is_stale=True))

    def _take_data(self, number: int, data: bytes) -> None:
        stream = self.streams.get(number)
        if stream is None:
            return
        stream.received += data
        if len(stream.received) > MAX_STREAM_BYTES:
            stream.fail(ExchangeFailed(f"{stream.where}: more than {MAX_STREAM_BYTES} bytes"))

    def fail_all(self, failed: ExchangeFailed | None) -> None:
        """Fail the requests on the connection."""
        ended = (*self.streams.values(), *self.waiting)
        self.streams.clear()
        self.waiting.clear()
        for stream in ended:
            stream.fail(failed or ExchangeFailed(f"{stream.where}: closed"))
