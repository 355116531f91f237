"""Makes requests to the API server: a page of a list, or the lines of a watch.

Bodies are read in chunks and returned as bytes: `store` decodes objects, `follow` decides which request comes next.
Every failure is an `ApiError` whose text is the same at each retry, so that `status` can log it once.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from clusterdns.cluster.api.errors import (
    ApiError,
    CredentialsError,
    Garbled,
    Interrupted,
    RequestFailed,
    Silent,
    TooLarge,
)
from clusterdns.cluster.api.settings import ApiSettings
from clusterdns.host.imports import import_in_thread
from clusterdns.telemetry.metrics import Registry

if TYPE_CHECKING:
    from clusterdns.cluster.api.credentials import Credentials
    from clusterdns.cluster.api.session import Response

Params = Mapping[str, str]

MAX_PAGE_BYTES = 32 << 20  # the largest slices, of 1,000 endpoints, are read in pages of fewer
MAX_LINE_BYTES = 16 << 20  # etcd stores at most 1.5 MiB per object by default; JSON is a few times larger
CUT_BYTES = 4096  # of a longer line: its object's name
ENDLESS_LINES = 4  # so many times longer is a line without an end
_RELOAD_AFTER_SECONDS = 60.0
_DURATION_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Kubernetes 1.38 can leave out `managedFields`, half of an object; other releases ignore the parameter (KEP-5958).
# Compression costs more CPU at both ends than the bytes saved within a cluster's network are worth.
_ACCEPT = "application/json;drop=metadata.managedFields"
_HEADERS = {
    "accept": _ACCEPT,
    "accept-encoding": "identity",
    "user-agent": "clusterdns",
}


class CutLine(bytes):
    """The beginning of a line that is too long to be kept."""


class Lines:
    """Splits chunks into lines, and keeps the incomplete line at the end until the rest arrives."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._bytes = 0
        self._is_cut = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that `chunk` completes, without line ends. Raises Garbled on a line without an end."""
        first, *others = chunk.split(b"\n")
        self._add(first)
        if not others:
            return []
        line = b"".join(self._parts)
        lines = [CutLine(line) if self._is_cut else line]
        lines += [line if len(line) <= MAX_LINE_BYTES else CutLine(line[:CUT_BYTES]) for line in others[:-1]]
        self._parts, self._bytes, self._is_cut = [], 0, False
        self._add(others[-1])
        return lines

    def _add(self, part: bytes) -> None:
        self._bytes += len(part)
        if self._bytes > ENDLESS_LINES * MAX_LINE_BYTES:
            raise Garbled(f"a line of the watch is longer than {ENDLESS_LINES * MAX_LINE_BYTES} bytes")
        if self._bytes <= MAX_LINE_BYTES:
            self._parts.append(part)
        elif not self._is_cut:
            self._parts = [b"".join([*self._parts, part])[:CUT_BYTES]]
            self._is_cut = True


class Client:
    """Makes the requests of one source. Loads credentials when first needed, and again when they may be outdated."""

    def __init__(self, settings: ApiSettings, registry: Registry) -> None:
        self._settings = settings
        self._credentials: Credentials | None = None
        self._loaded: list[Credentials] = []  # the current ones, and those retired that a watch may still use
        self._loading = asyncio.Lock()
        self._unstreamed: set[str] = set()  # API groups whose lists the server does not stream
        self._requests = registry.counter(
            "coredns_kubernetes_rest_client_requests_total",
            "Requests to the API server.",
            "code", "method", "host",
        )  # fmt: skip
        self._durations = registry.histogram(
            "coredns_kubernetes_rest_client_request_duration_seconds",
            "Time taken by a list request to the API server.",
            _DURATION_BOUNDS,
            "verb", "host",
        )  # fmt: skip

    @property
    def server(self) -> str:
        """The API server's URL; empty while no credentials are loaded."""
        return self._credentials.session.server if self._credentials else ""

    def streams_lists(self, path: str) -> bool:
        """Return whether a watch of this path may ask for initial events, as far as is known."""
        return _group_of(path) not in self._unstreamed

    def note_unstreamed(self, path: str) -> None:
        """Note that the server does not stream lists, until the next connection fails: it may be another one then."""
        self._unstreamed.add(_group_of(path))

    async def page(
        self, path: str, params: Params, *, is_last_of_connection: bool = False, accept: str = _ACCEPT
    ) -> bytearray:
        """Get the body of one page of a list. Raises ApiError, TooLarge where it has more than MAX_PAGE_BYTES.

        With `is_last_of_connection` the next request makes a connection of its own, perhaps to another server.
        """
        started = time.perf_counter()
        headers = {"accept": accept} | ({"connection": "close"} if is_last_of_connection else {})
        seconds = self._settings.intervals.list_read_seconds
        async with self._get(path, params, seconds, headers, total_seconds=2 * seconds) as response:
            body = bytearray()
            while chunk := await response.chunk():
                body += chunk
                if len(body) > MAX_PAGE_BYTES:
                    raise TooLarge(f"a page of a list is larger than {MAX_PAGE_BYTES >> 20} MiB")
            self._durations.labels("GET", response.authority).observe(time.perf_counter() - started)
        return body

    async def lines(
        self, path: str, params: Params, on_accepted: Callable[[Callable[[], float]], None]
    ) -> AsyncGenerator[list[bytes], None]:
        """Watch: yields an empty list when the server has accepted the watch, then complete lines as they arrive.

        `on_accepted` gets a function for the seconds since the server's kernel acknowledged something. Ends when the
        server ends the watch; an incomplete line is dropped. Raises ApiError, and Interrupted once the watch was
        accepted.
        """
        async with self._get(path, params, self._settings.intervals.silence_seconds) as response:
            on_accepted(response.acknowledged())
            yield []
            lines = Lines()
            try:
                while chunk := await response.chunk():
                    if complete := lines.feed(chunk):
                        yield complete
            except RequestFailed as error:
                if error.is_silent:
                    raise Silent("the watch went silent") from error
                self._unstreamed.clear()
                raise Interrupted(str(error)) from error

    async def close(self) -> None:
        """Close every session, with the connections that are in use.

        Call this before cancelled readers run again: a session does not close connections that its readers have
        released, and a TLS connection then closes later, when the event loop may have ended.
        """
        for credentials in self._loaded:
            await credentials.close()

    @contextlib.asynccontextmanager
    async def _get(
        self,
        path: str,
        params: Params,
        read_seconds: float,
        more_headers: Mapping[str, str] = {},
        total_seconds: float | None = None,
    ) -> AsyncIterator["Response"]:
        """Make a GET request whose response has status 200. Every failure within the context is raised as ApiError."""
        credentials = await self._current_credentials()
        server = credentials.session.server
        try:
            async with (
                credentials.in_use(),
                credentials.session.get(
                    path,
                    params,
                    {**_HEADERS, **more_headers, **await credentials.headers()},
                    lambda status: self._count(str(status), server),
                    connect_seconds=self._settings.intervals.connect_seconds,
                    read_seconds=read_seconds,
                    total_seconds=total_seconds,
                ) as response,
            ):
                yield response
        except RequestFailed as error:
            if not error.is_answered:
                self._count("<error>", server)
            self._unstreamed.clear()
            # after a while the kubeconfig may name another server
            if error.is_of_tls or time.monotonic() - credentials.loaded_at > _RELOAD_AFTER_SECONDS:
                await self._renew(credentials)
            raise
        except ApiError as error:
            if error.status == HTTPStatus.UNAUTHORIZED:
                await self._renew(credentials)
            raise
        except CredentialsError as error:
            await self._renew(credentials)
            raise ApiError(str(error)) from error

    async def _current_credentials(self) -> "Credentials":
        async with self._loading:
            if self._credentials is not None and self._credentials.has_expired():
                await self._renew(self._credentials)
            if self._credentials is None:
                await import_in_thread("clusterdns.cluster.api.credentials")
                from clusterdns.cluster.api.credentials import load

                try:
                    self._credentials = await load(self._settings)
                except CredentialsError as error:
                    raise ApiError(str(error)) from error
                self._loaded = [one for one in self._loaded if not one.session.is_closed] + [self._credentials]
            return self._credentials

    async def _renew(self, outdated: "Credentials") -> None:
        """Make the next request load credentials again; watches that use the old ones continue."""
        if self._credentials is outdated:
            self._credentials = None
            await outdated.retire()

    def _count(self, code: str, url: str) -> None:
        self._requests.labels(code, "GET", urlsplit(url).netloc).value += 1


def _group_of(path: str) -> str:
    """Return the path of a resource's API group and version: what one server serves."""
    depth = 3 if path.startswith("/api/") else 4
    return "/".join(path.split("/", depth)[:depth])
