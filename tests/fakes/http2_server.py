"""A DNS server over HTTP/2 for tests: it does what the first label of a question says. HTTP/1.1 gets 505."""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import dns.message
import dns.rrset
from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes


@dataclass
class Http2Server:
    """What the server has seen, and what it holds back until `release`."""

    settings: dict[SettingCodes | int, int] = field(default_factory=dict)
    port: int = 0
    requests: list[dict[str, str]] = field(default_factory=list)  # header fields, and `wire` in hexadecimal
    server_names: list[str | None] = field(default_factory=list)  # SNI, one for each handshake
    connections: list["_ServerSide"] = field(default_factory=list)
    most_streams: int = 0
    violations: list[str] = field(default_factory=list)  # of the protocol, by the client

    def release(self) -> None:
        """Answer what is held back, last question first."""
        for connection in tuple(self.connections):
            connection.release()


class _ServerSide(asyncio.Protocol):
    def __init__(self, server: Http2Server) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._h2: H2Connection | None = None
        self._open: dict[int, tuple[dict[str, str], bytearray]] = {}
        self._held: list[int] = []
        self._unsent: dict[int, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.append(self)
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
            self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
            self._h2.initiate_connection()
            if self._server.settings:
                self._h2.update_settings(self._server.settings)  # in force when the client has acknowledged them
            self._write()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.remove(self)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if self._h2 is None:
            self._transport.write(b"HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-length: 0\r\n\r\n")
            return
        try:
            for event in self._h2.receive_data(data):
                self._take(self._h2, event)
        except ProtocolError as error:
            self._server.violations.append(repr(error))
        self._flush()

    def release(self) -> None:
        while self._held:
            self._answer(self._held.pop())
        self._flush()

    def _take(self, h2: H2Connection, event: events.Event) -> None:
        if isinstance(event, events.RequestReceived):
            assert event.stream_id is not None
            self._open[event.stream_id] = ({str(name): str(value) for name, value in event.headers or ()}, bytearray())
            self._server.most_streams = max(self._server.most_streams, len(self._open))
        elif isinstance(event, events.DataReceived) and event.stream_id in self._open:
            self._open[event.stream_id][1].extend(event.data or b"")
            h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
        elif isinstance(event, events.StreamReset) and event.stream_id is not None:
            self._open.pop(event.stream_id, None)
        elif isinstance(event, events.StreamEnded) and event.stream_id is not None:
            self._asked(h2, event.stream_id)

    def _asked(self, h2: H2Connection, number: int) -> None:
        fields, body = self._open[number]
        query = fields[":path"].partition("?dns=")[2]
        wire = bytes(body) or base64.urlsafe_b64decode(query + "==")
        fields["wire"] = wire.hex()
        self._server.requests.append(fields)
        word = dns.message.from_wire(wire).question[0].name.labels[0].decode()
        is_first = sum(one["wire"] == fields["wire"] for one in self._server.requests) == 1
        if word == "held":
            self._held.append(number)
        elif word == "goaway" and is_first:
            h2.close_connection(ErrorCodes.NO_ERROR, last_stream_id=number - 2 if number > 1 else 0)
        elif word == "refused" and is_first:
            self._reset(h2, number, ErrorCodes.REFUSED_STREAM)
        elif word == "reset":
            self._reset(h2, number, ErrorCodes.INTERNAL_ERROR)
        elif word == "old-http":
            self._reset(h2, number, ErrorCodes.HTTP_1_1_REQUIRED)
        elif word == "closed" and is_first and self._transport is not None:
            self._transport.abort()
        elif word == "garbage" and self._transport is not None:
            self._transport.write(b"\0" * 100)
        elif word != "silent":
            self._answer(number)

    def _reset(self, h2: H2Connection, number: int, code: ErrorCodes) -> None:
        h2.reset_stream(number, code)
        del self._open[number]

    def _answer(self, number: int) -> None:
        fields, _ = self._open.pop(number)
        query = dns.message.from_wire(bytes.fromhex(fields["wire"]))
        name = query.question[0].name
        word = name.labels[0].decode()
        reply = dns.message.make_response(query)
        reply.answer = [dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.1")]
        reply.authority = [dns.rrset.from_text("example.org.", 300, "IN", "SOA", "a. b. 1 2 3 4 90")]
        body = reply.to_wire()
        if word == "large":
            body += bytes(40_000)
        elif word == "endless":
            body += bytes(70_000)
        headers = [(":status", "503" if word == "busy" else "200")]
        headers.append(("content-type", "text/html" if word == "page" else "application/dns-message; charset=x"))
        if word.startswith("age-"):
            headers.append(("age", word[4:]))
        assert self._h2 is not None
        self._h2.send_headers(number, headers)
        self._unsent[number] = body

    def _flush(self) -> None:
        assert self._h2 is not None
        for number, body in list(self._unsent.items()):
            with contextlib.suppress(ProtocolError):  # the client has reset the stream
                while body and (size := min(self._h2.local_flow_control_window(number), 16_384)) > 0:
                    part, body = body[:size], body[size:]
                    self._h2.send_data(number, part, end_stream=not body)
            if body:
                self._unsent[number] = body
            else:
                del self._unsent[number]
        self._write()

    def _write(self) -> None:
        if self._h2 is not None and self._transport is not None:
            self._transport.write(self._h2.data_to_send())


@contextlib.asynccontextmanager
async def http2_server(
    tls: ssl.SSLContext, *, protocols: tuple[str, ...] = ("h2",), settings: dict[SettingCodes | int, int] | None = None
) -> AsyncIterator[Http2Server]:
    """Serve at a free port of 127.0.0.1."""
    found = Http2Server(settings or {})
    tls.set_alpn_protocols(list(protocols))
    tls.sni_callback = lambda _, name, context: found.server_names.append(name)
    server = await asyncio.get_running_loop().create_server(lambda: _ServerSide(found), "127.0.0.1", 0, ssl=tls)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        for connection in tuple(found.connections):
            if connection._transport is not None:
                connection._transport.abort()
        server.close()
        await server.wait_closed()
