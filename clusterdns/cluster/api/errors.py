"""Failures of requests to the API server, as exceptions whose text is the same at each retry.

`client` raises them, `follow` decides what to do about them, and `status` logs a text once because it does not change.
"""

import asyncio
import os
import ssl
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp
import msgspec

MAX_REASON_CHARS = 500
_MAX_ERROR_BODY_BYTES = 1 << 16
_MAX_PLAIN_CHARS = 200


class ApiError(Exception):
    """A request that failed. `status` is the HTTP status where the server gave one, else 0."""

    cause = "connection"  # as the metric has it, where there is no status

    def __init__(self, reason: str, status: int = 0, retry_after_seconds: float = 0.0) -> None:
        super().__init__(reason if len(reason) <= MAX_REASON_CHARS else reason[:MAX_REASON_CHARS] + "…")
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class Expired(ApiError):
    """410 Gone: the server no longer has the resourceVersion to resume from."""


class Interrupted(ApiError):
    """A watch that the server accepted and that then broke off."""

    cause = "interrupted"


class Garbled(ApiError):
    """A watch with a line that is not an event."""

    cause = "garbled"


class TooLarge(ApiError):
    """A page of a list with more bytes than are kept."""

    cause = "too large"


class Backwards(ApiError):
    """A list or an event that is older than what was seen before."""

    cause = "backwards"


class Unstreamed(ApiError):
    """A watch with initial events from a server that does not stream lists."""


class Silent(Interrupted):
    """A watch without a byte for so long that the connection must be dead."""


class _Failure(msgspec.Struct, gc=False):
    """The API's `Status` object, as a body or in an ERROR event."""

    code: int | None = None
    reason: str | None = None
    message: str | None = None


_failure_decoder = msgspec.json.Decoder(_Failure)


async def refusal(response: aiohttp.ClientResponse, server: str) -> ApiError:
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
        message = _failure_decoder.decode(body).message or ""
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


def refusal_event(raw: msgspec.Raw) -> ApiError:
    """Make the error of an ERROR event."""
    try:
        failure = _failure_decoder.decode(raw)
    except msgspec.MsgspecError:
        return Interrupted("the watch ended with an ERROR event that cannot be decoded")
    code = failure.code or 0
    if code == HTTPStatus.GONE or failure.reason in ("Expired", "Gone"):
        return Expired("410 Gone: the resourceVersion is too old", code)
    return Interrupted(f"{code} {failure.message or failure.reason or 'error without a reason'}", code)


def is_html(body: bytes | bytearray) -> bool:
    """Return whether a body is HTML."""
    return body.lstrip()[:1] == b"<"


def explain(error: Exception, server: str) -> str:
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
