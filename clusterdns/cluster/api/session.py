"""An HTTP session with the API server, in which every failure is an `ApiError`.

The only module of the API source that knows aiohttp, whose import takes as long as that of everything else: `client`
makes the requests, and imports this module for the first one, with `credentials`.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from clusterdns.cluster.api.errors import ApiError, Expired, RequestFailed, failure_decoder, is_html
from clusterdns.host.keepalive import acknowledgements, new_probed_socket
from clusterdns.host.tls import client_context

READ_BUFFER_BYTES = 2 << 20  # an event of a watch may have as much
_MAX_ERROR_BODY_BYTES = 1 << 16
_MAX_PLAIN_CHARS = 200
_SUCCESSES = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED)


class Response:
    """A response whose body is being read."""

    def __init__(self, response: aiohttp.ClientResponse, server: str) -> None:
        self._response = response
        self._server = server

    @property
    def authority(self) -> str:
        """The host and port that answered."""
        return self._response.url.authority

    def acknowledged(self) -> Callable[[], float]:
        """Return a function for the seconds since the server's kernel acknowledged something."""
        connection = self._response.connection
        return acknowledgements(connection.transport if connection else None)

    async def chunk(self) -> bytes:
        """Wait for the next bytes of the body; empty at its end. Raises RequestFailed."""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise _failed(error, self._server, is_answered=True) from error


class HttpSession:
    """The connections to one server, with one identity."""

    def __init__(self, configuration: Any) -> None:
        """Open it for kubernetes_asyncio's Configuration. Raises TlsError."""
        cert, key, ca = configuration.cert_file or "", configuration.key_file or "", configuration.ssl_ca_cert or ""
        self.server: str = configuration.host.rstrip("/")
        is_https = self.server.startswith("https:")  # the system's authorities take 50 ms to load, at each 401
        tls = client_context(cert, key, ca=ca, verifies=configuration.verify_ssl) if is_https else True
        connector = aiohttp.TCPConnector(limit=0, ssl=tls, socket_factory=new_probed_socket)  # a watch holds one
        self._session = aiohttp.ClientSession(connector=connector, trust_env=True, read_bufsize=READ_BUFFER_BYTES)
        options = {"proxy": configuration.proxy, "server_hostname": configuration.tls_server_name}
        self._options: Mapping[str, Any] = {name: value for name, value in options.items() if value}

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._session.closed

    async def close(self) -> None:
        """Close at once, with the connections that are in use."""
        await self._session.close()

    @asynccontextmanager
    async def get(
        self,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        on_status: Callable[[int], None],
        *,
        connect_seconds: float,
        read_seconds: float,
        total_seconds: float | None,
    ) -> AsyncIterator[Response]:
        """Make a GET request.

        Raises RequestFailed where there is no whole response, ApiError for a status that is no success.
        """
        timeout = aiohttp.ClientTimeout(total=total_seconds, sock_connect=connect_seconds, sock_read=read_seconds)
        async with self._request("GET", path, on_status, params=params, headers=headers, timeout=timeout) as response:
            yield Response(response, self.server)

    async def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, total_seconds: float
    ) -> bytes:
        """Make a request of any method, and return the body of its response. Raises as `get`, which has more to set."""
        timeout = aiohttp.ClientTimeout(total=total_seconds)
        async with self._request(method, path, None, data=body, headers=headers, timeout=timeout) as response:
            return await response.read()

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, on_status: Callable[[int], None] | None, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        is_answered = False
        try:
            async with self._session.request(
                method, self.server + path, allow_redirects=False, **options, **self._options
            ) as response:
                is_answered = True
                if on_status is not None:
                    on_status(response.status)
                if response.status not in _SUCCESSES:
                    raise await _refusal(response, self.server)
                yield response
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _failed(error, self.server, is_answered=is_answered) from error


def _failed(error: Exception, server: str, *, is_answered: bool) -> RequestFailed:
    return RequestFailed(
        _explain(error, server),
        is_of_tls=isinstance(error, ssl.SSLError | ssl.CertificateError | aiohttp.ClientSSLError),
        is_silent=isinstance(error, aiohttp.SocketTimeoutError),
        is_answered=is_answered,
    )


async def _refusal(response: aiohttp.ClientResponse, server: str) -> ApiError:
    """Make the error of a status other than 200. It names the server, not the path: all watches share one text."""
    try:
        body = await response.content.readexactly(_MAX_ERROR_BODY_BYTES)
    except asyncio.IncompleteReadError as error:
        body = error.partial
    status = response.status
    if status == HTTPStatus.GONE:
        return Expired("410 Gone: the resourceVersion is too old", status)
    if status == HTTPStatus.UNAUTHORIZED:
        return ApiError(f"401 Unauthorized: {server} does not accept our credentials", status)
    if is_html(body):
        return ApiError(f"{status} HTML instead of JSON from {server}; check that this is an API server", status)
    try:
        message = failure_decoder.decode(body).message or ""
    except msgspec.MsgspecError:
        message = ""
    text = message.strip() or f"{_plain_text(response, body) or response.reason} from {server}"
    try:
        retry_after_seconds = float(response.headers.get("retry-after", "0"))
    except ValueError:  # a date, which no API server sends
        retry_after_seconds = 0.0
    return ApiError(f"{status} {text}", status, retry_after_seconds)


def _plain_text(response: aiohttp.ClientResponse, body: bytes) -> str:
    """Return a plain-text body of one line, such as 'Client sent an HTTP request to an HTTPS server.', or nothing."""
    lines = body.decode(errors="replace").strip().splitlines()
    is_plain = response.content_type == "text/plain" and len(lines) == 1 and len(lines[0]) <= _MAX_PLAIN_CHARS
    return lines[0].rstrip(".") if is_plain and lines[0].isprintable() else ""


def _explain(error: Exception, server: str) -> str:
    """Describe a failed request, without the details that differ from one attempt to the next."""
    host = urlsplit(server).netloc or server
    match error:
        case aiohttp.ClientConnectorCertificateError():
            why = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
            return f"certificate verify failed for {host}: {why}"
        case aiohttp.ClientConnectorDNSError():
            return f"unknown host {error.host}"
        case aiohttp.SocketTimeoutError():
            return f"{host} does not answer"
        case TimeoutError():
            return f"no connection to {host} in time"
        case aiohttp.ClientConnectorSSLError():
            return f"TLS with {host} failed: {_words(error.os_error)}"
        case aiohttp.ClientConnectorError():
            return f"{_words(error.os_error)}: {host}"
        case ssl.SSLError():
            return f"TLS with {host} failed: {_words(error)}"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | ConnectionResetError():
            return f"connection closed by {host}"
        case aiohttp.ClientResponseError():
            return f"invalid HTTP from {host}: {error.message}"
    return f"{host}: {type(error).__name__}: {error}"


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    # the text of a failed connect has its address, and an error of asyncio has no errno
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__
