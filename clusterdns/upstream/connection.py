"""One connection to an upstream, from the dial to its end, whatever is spoken on it.

`stream` speaks DNS over TCP and TLS, `https.http2` HTTP/2; each decides which connection gets a question, and what
becomes of the bytes. A connection that stays idle for `expire_seconds` is closed, one that takes no more questions as
soon as it is idle. It takes none after a question timed out on it and nothing arrived meanwhile: a firewall on the path
may have forgotten it.
"""

import asyncio
import ssl
from abc import abstractmethod
from typing import Any, Generic, TypeVar, cast

from clusterdns.upstream.address import Address
from clusterdns.upstream.failure import ExchangeFailed, broken, timed_out
from clusterdns.upstream.settings import TransportSettings


class DialedConnection(asyncio.Protocol):
    """One connection; a subclass has the questions on it. They may be asked at once, and are sent when it is open."""

    def __init__(self, siblings: "DialedConnections[Any]", loop: asyncio.AbstractEventLoop) -> None:
        self._siblings = siblings  # all connections to the upstream, this one included
        self._loop = loop
        self._transport: asyncio.Transport | None = None  # until it is open
        self._endpoints = ""
        self._opened_at = self._received_at = loop.time()
        self._is_retired = False
        self._answered = 0  # questions
        self._idle: asyncio.TimerHandle | None = None
        self._dial_task = loop.create_task(self._dial())

    @abstractmethod
    def fail_all(self, failed: ExchangeFailed | None) -> None:
        """Fail the questions on the connection, which has ended; None: because it is not needed any more."""

    @property
    def is_open(self) -> bool:
        """Whether the upstream has accepted the connection."""
        return self._transport is not None

    def takes_questions(self, now: float) -> bool:
        """Return whether more questions may be asked on this connection."""
        age = self._siblings.settings.max_age_seconds
        return not self._is_retired and (not age or now - self._opened_at < age)

    def endpoints(self) -> str:
        """Return SRC->DST for errors."""
        return self._endpoints or self._siblings.address.host_port

    def end(self, failed: ExchangeFailed | None = None) -> None:
        """Close the connection and fail the questions on it."""
        if not self._is_alive():
            return
        self._siblings.connections.remove(self)
        self._is_retired = True
        self._stay()
        if self._transport is not None:
            self._transport.abort()
        elif not self._dial_task.done() and asyncio.current_task() is not self._dial_task:
            self._dial_task.cancel()
        self.fail_all(failed)

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, and its addresses for errors."""
        self._transport = cast(asyncio.Transport, transport)  # create_connection makes no other kind
        source = transport.get_extra_info("sockname")
        if source:
            host, port = source[:2]
            near = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            self._endpoints = f"{near}->{self._siblings.address.host_port}"

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the questions on the connection, which the upstream or the path has closed."""
        if isinstance(exc, OSError):
            failed = broken(f"read tcp {self.endpoints()}", "read", exc)
        else:
            failed = ExchangeFailed("EOF")
        failed.is_stale = self._answered > 0
        self.end(failed)

    # What subclasses call

    def _is_alive(self) -> bool:
        return self in self._siblings.connections

    def _stay(self) -> None:
        """Cancel the timer of an idle connection."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _rest(self) -> None:
        """Close the connection, which has no questions, later; at once if it takes no more."""
        if not self.takes_questions(self._loop.time()) or not self.is_open:
            self.end()
        elif self._idle is None:
            self._idle = self._loop.call_later(self._siblings.settings.expire_seconds, self.end)

    def _timed_out(self, where: str) -> ExchangeFailed:
        """Return the failure of a question whose time is over; `where` names an exchange on an open connection."""
        return timed_out(where if self.is_open else f"dial tcp {self._siblings.address.host_port}")

    async def _dial(self) -> None:
        try:
            await self._connect(self._siblings.address, self._siblings.settings, self._siblings.tls)
        except ExchangeFailed as failed:
            self.end(failed)
        else:
            if not self._is_alive() and self._transport is not None:
                self._transport.abort()

    async def _connect(self, address: Address, settings: TransportSettings, tls: ssl.SSLContext | None) -> None:
        """Connect over TCP, or over TLS where there is a context. Raises ExchangeFailed."""
        try:
            await self._loop.create_connection(
                lambda: self,
                address.scoped_host,
                address.port,
                ssl=tls,
                server_hostname=(address.server_name or settings.tls_server_name or address.host) if tls else None,
                local_addr=(settings.source, 0) if settings.source else None,
            )
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", "") or error.reason or str(error)
            raise ExchangeFailed(f"tls: {address.host_port}: handshake failed: {reason}") from error
        except OSError as error:
            raise broken(f"dial tcp {address.host_port}", "connect", error) from error


C = TypeVar("C", bound=DialedConnection)


class DialedConnections(Generic[C]):
    """The connections to one upstream."""

    def __init__(self, address: Address, settings: TransportSettings, tls: ssl.SSLContext | None) -> None:
        self.address = address
        self.settings = settings
        self.tls = tls
        self.connections: list[C] = []

    def close(self) -> None:
        """Close every connection and fail the questions on them."""
        for connection in tuple(self.connections):
            connection.end(ExchangeFailed("forward is shutting down"))
