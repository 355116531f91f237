"""Requests over HTTP/1.1, on connections that aiohttp keeps.

A connection answers one question at a time, so an upstream gets more of them than over TCP or HTTP/2.
"""

import asyncio
import ssl

import aiohttp
from yarl import URL

from clusterdns.upstream.address import Address
from clusterdns.upstream.failure import ExchangeFailed, broken, timed_out
from clusterdns.upstream.https.response import HttpResponse
from clusterdns.upstream.settings import TransportSettings
from clusterdns.wire.header import MAX_STREAM_BYTES

MAX_CONNECTIONS = 32


class Http1Session:
    """The HTTP/1.1 connections to one upstream."""

    def __init__(self, address: Address, settings: TransportSettings) -> None:
        self._address = address
        self._settings = settings
        self._base = URL.build(scheme="https", host=address.scoped_host, port=address.port)
        self._server_name = address.server_name or settings.tls_server_name or None
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self, method: str, path: str, headers: dict[str, str], body: bytes, seconds: float, where: str
    ) -> HttpResponse:
        """Send a request and return the response. Raises ExchangeFailed."""
        try:
            async with asyncio.timeout(seconds):
                return await self._request(method, path, headers, body)
        except TimeoutError:
            raise timed_out(where) from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise ExchangeFailed(f"{where}: tls: {error.certificate_error}") from None
        except aiohttp.ClientConnectorError as error:
            raise broken(f"dial tcp {self._address.host_port}", "connect", error.os_error) from None
        except ssl.SSLError as error:
            raise ExchangeFailed(f"{where}: tls: {error.reason or error}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ExchangeFailed(f"{where}: {error or type(error).__name__}") from None

    async def close(self) -> None:
        """Close the connections without waiting for the end of TLS."""
        if self._session is not None:
            if self._session.connector is not None:
                await self._session.connector.close(abort_ssl=True)
            await self._session.close()
            self._session = None

    async def _request(self, method: str, path: str, headers: dict[str, str], body: bytes) -> HttpResponse:
        if self._session is None:
            self._session = self._open()
        url = self._base.join(URL(path, encoded=True))
        async with self._session.request(
            method, url, data=body or None, headers=headers, server_hostname=self._server_name, allow_redirects=False
        ) as response:
            received = bytearray()
            async for part in response.content.iter_any():
                received += part
                if len(received) > MAX_STREAM_BYTES:
                    raise aiohttp.ClientPayloadError(f"more than {MAX_STREAM_BYTES} bytes")
            fields = response.headers
            return HttpResponse(response.status, fields.get("content-type", ""), fields.get("age", ""), bytes(received))

    def _open(self) -> aiohttp.ClientSession:
        settings = self._settings
        connector = aiohttp.TCPConnector(
            limit=settings.max_idle or MAX_CONNECTIONS,
            keepalive_timeout=settings.expire_seconds,
            ssl=settings.tls if settings.tls is not None else True,
            local_addr=(settings.source, 0) if settings.source else None,
        )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)
