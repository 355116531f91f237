"""The exchanges with one upstream over HTTPS: the request of a question, and the version of HTTP that carries it.

HTTP/2 is tried first. An upstream that does not choose it in the TLS handshake is asked over HTTP/1.1 for
HTTP1_SECONDS. h2 is imported with the first upstream of this kind, aiohttp with the first question over HTTP/1.1, so
that other servers start without them.
"""

import asyncio
import base64
from typing import TYPE_CHECKING

from clusterdns.host.imports import import_in_thread
from clusterdns.upstream.address import DEFAULT_PORTS, HTTPS, Address
from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.https.response import MEDIA_TYPE, HttpResponse
from clusterdns.upstream.question import Question
from clusterdns.upstream.settings import TransportSettings

if TYPE_CHECKING:
    from clusterdns.upstream.https.http1 import Http1Session

PATH = "/dns-query"
HTTP1_SECONDS = 600.0  # then HTTP/2 is tried again
MAX_ATTEMPTS = 3  # of one exchange, on connections that the upstream closes meanwhile
_NO_ID = b"\0\0"  # so that HTTP caches see the same request each time (RFC 8484 §4.1)


class HttpsExchanges:
    """The exchanges with one upstream over HTTPS."""

    def __init__(self, address: Address, settings: TransportSettings) -> None:
        from clusterdns.upstream.https.http2 import Http2Connections

        self._method = settings.https_method
        self._authority = _authority(address, address.server_name or settings.tls_server_name)
        self._where = f"{self._method} https://{address.host_port}{PATH}"
        self._address, self._settings = address, settings
        self._http1: Http1Session | None = None  # until it is needed
        self._http2 = Http2Connections(address, settings) if settings.tls_http2 is not None else None
        self._http2_at = 0.0  # on the event loop's clock: until then HTTP/1.1 is spoken

    async def ask(self, question: Question, seconds: float) -> tuple[bytes, int]:
        """Ask the question and return the reply with its age in seconds. Raises ExchangeFailed."""
        response = await self._exchange(question.message(_NO_ID, question.name), seconds)
        reply = response.message(self._where)
        if reply[:2] != _NO_ID or not question.is_answered_by(reply):
            raise ExchangeFailed(f"{self._where}: the reply answers another question")
        return reply, response.age_seconds

    async def close(self) -> None:
        """Close the connections without waiting for the end of TLS."""
        if self._http2 is not None:
            self._http2.close()
        if self._http1 is not None:
            await self._http1.close()

    async def _exchange(self, message: bytes, seconds: float) -> HttpResponse:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        path, body = PATH, message
        if self._method == "GET":
            path, body = f"{PATH}?dns={base64.urlsafe_b64encode(message).rstrip(b'=').decode()}", b""
        for _ in range(MAX_ATTEMPTS - 1):
            try:
                return await self._send(path, body, deadline - loop.time())
            except ExchangeFailed as failed:
                if not failed.is_stale:
                    raise
        return await self._send(path, body, deadline - loop.time())

    async def _send(self, path: str, body: bytes, seconds: float) -> HttpResponse:
        loop = asyncio.get_running_loop()
        if self._http2 is None or loop.time() < self._http2_at:
            session = await self._http1_session()
            return await session.request(self._method, path, self._headers(), body, seconds, self._where)
        headers = [
            (":method", self._method), (":scheme", "https"), (":authority", self._authority), (":path", path),
            ("accept", MEDIA_TYPE),
        ]  # fmt: skip
        if body:
            headers += [("content-type", MEDIA_TYPE), ("content-length", str(len(body)))]
        try:
            return await self._http2.ask(headers, body, seconds, self._where)
        except ExchangeFailed:
            if self._http2.is_refused:
                self._http2.is_refused = False
                self._http2_at = loop.time() + HTTP1_SECONDS
            raise

    async def _http1_session(self) -> "Http1Session":
        await import_in_thread("clusterdns.upstream.https.http1")
        from clusterdns.upstream.https.http1 import Http1Session

        if self._http1 is None:
            self._http1 = Http1Session(self._address, self._settings)
        return self._http1

    def _headers(self) -> dict[str, str]:
        headers = {"host": self._authority, "accept": MEDIA_TYPE}
        return headers if self._method == "GET" else {**headers, "content-type": MEDIA_TYPE}


def _authority(address: Address, server_name: str) -> str:
    """Return the authority of the requests: the server's name, or else its address, with a port other than 443."""
    host = server_name or (f"[{address.host}]" if ":" in address.host else address.host)
    return host if address.port == DEFAULT_PORTS[HTTPS] else f"{host}:{address.port}"
