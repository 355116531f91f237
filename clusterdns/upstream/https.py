"""Exchanges over HTTPS (RFC 8484): one request per question, on connections that aiohttp keeps.

aiohttp speaks HTTP/1.1, where a connection answers one question at a time, so an HTTPS upstream gets more connections
than a TCP upstream does.
"""

import asyncio
import base64
import ssl

import aiohttp
from yarl import URL

from clusterdns.upstream.address import Address
from clusterdns.upstream.failure import ExchangeFailed, broken, timed_out
from clusterdns.upstream.question import Question
from clusterdns.upstream.settings import TransportSettings
from clusterdns.wire.header import MAX_STREAM_BYTES

MEDIA_TYPE = "application/dns-message"
MAX_CONNECTIONS = 32
_NO_ID = b"\0\0"  # so that HTTP caches see the same request each time (RFC 8484 §4.1)


class HttpsExchanges:
    """The exchanges with one upstream over HTTPS."""

    def __init__(self, address: Address, settings: TransportSettings) -> None:
        self.address = address
        self._settings = settings
        self._method = settings.https_method
        self._url = URL.build(scheme="https", host=address.scoped_host, port=address.port, path="/dns-query")
        self._server_name = address.server_name or settings.tls_server_name or None
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, question: Question, seconds: float) -> bytes:
        """Ask the question and return the reply. Raises ExchangeFailed."""
        message = question.message(_NO_ID, question.name)
        where = f"{self._method} {self._url}"
        try:
            reply = await self._request(message, seconds)
        except TimeoutError:
            raise timed_out(where) from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise ExchangeFailed(f"{where}: tls: {error.certificate_error}") from None
        except aiohttp.ClientConnectorError as error:
            raise broken(f"dial tcp {self.address.host_port}", "connect", error.os_error) from None
        except ssl.SSLError as error:
            raise ExchangeFailed(f"{where}: tls: {error.reason or error}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ExchangeFailed(f"{where}: {error or type(error).__name__}") from None
        if reply[:2] != _NO_ID or not question.is_answered_by(reply):
            raise ExchangeFailed(f"{where}: the reply answers another question")
        return reply

    async def close(self) -> None:
        """Close the connections without waiting for the end of TLS."""
        if self._session is not None:
            if self._session.connector is not None:
                await self._session.connector.close(abort_ssl=True)
            await self._session.close()
            self._session = None

    async def _request(self, message: bytes, seconds: float) -> bytes:
        async with asyncio.timeout(seconds), self._start(message) as response:
            if response.status != 200 or response.content_type != MEDIA_TYPE:
                raise aiohttp.ClientPayloadError(f"status {response.status}, {response.content_type}")
            body = bytearray()
            async for part in response.content.iter_any():
                body += part
                if len(body) > MAX_STREAM_BYTES:
                    raise aiohttp.ClientPayloadError(f"more than {MAX_STREAM_BYTES} bytes")
            return bytes(body)

    def _start(self, message: bytes) -> "aiohttp.client._RequestContextManager":
        if self._session is None:
            self._session = self._open()
        headers = {"accept": MEDIA_TYPE}
        if self._method == "GET":
            text = base64.urlsafe_b64encode(message).rstrip(b"=").decode()
            return self._session.get(
                self._url.with_query(dns=text), headers=headers, server_hostname=self._server_name,
                allow_redirects=False,
            )  # fmt: skip
        headers["content-type"] = MEDIA_TYPE
        return self._session.post(
            self._url, data=message, headers=headers, server_hostname=self._server_name, allow_redirects=False
        )

    def _open(self) -> aiohttp.ClientSession:
        settings = self._settings
        connector = aiohttp.TCPConnector(
            limit=settings.max_idle or MAX_CONNECTIONS,
            keepalive_timeout=settings.expire_seconds,
            ssl=settings.tls if settings.tls is not None else True,
            local_addr=(settings.source, 0) if settings.source else None,
        )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)
