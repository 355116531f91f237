"""The admin listeners: /health, /ready, /metrics and other pages that plugins serve over HTTP.

Several paths may share one `host:port`. Each configuration has a list of `AdminRoute`s; `apply` changes from the
previous list to the next one, and a listener in both stays open, so that no probe fails during a reload. Plugins make
the pages; `listener` serves them. This module knows nothing of DNS.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from clusterdns.admin.page import Respond
from clusterdns.admin.tls import AdminTls
from clusterdns.host.admission import Admission, ConnectionLimits
from clusterdns.host.imports import import_in_thread
from clusterdns.host.resources import descriptor_shares

if TYPE_CHECKING:
    from clusterdns.admin.listener import AdminListener

_WILDCARDS = ("", "0.0.0.0", "[::]")  # each stands for all addresses of both families, as in CoreDNS

log = logging.getLogger("clusterdns")


class AdminRoute(NamedTuple):
    """One path on one listener. `asked_by` is the directive with file and line, for error messages."""

    address: str  # host:port; without a host, or with a wildcard, every address
    path: str  # `/folder/*` stands for every path below the folder that no other route has
    respond: Respond
    asked_by: str
    tls: AdminTls | None = None


class ListenError(Exception):
    """An admin listener cannot be opened."""


class AdminHttp:
    """The admin listeners of the process. They outlive configurations."""

    def __init__(self) -> None:
        self._listeners: dict[str, AdminListener] = {}
        self._admission = Admission(ConnectionLimits().within(descriptor_shares().admin))

    async def apply(self, routes: Iterable[AdminRoute]) -> None:
        """Serve exactly these routes; of several with the same path the first one wins.

        Raises ListenError where a listener cannot be opened; the previous routes are served again in that case.
        """
        previous = {address: listener.paths for address, listener in self._listeners.items()}
        wanted: dict[str, dict[str, AdminRoute]] = {}
        for route in routes:
            paths = wanted.setdefault(_normalized(route.address), {})
            paths.setdefault(route.path, route)
            other = next(iter(paths.values()))
            if route.tls != other.tls:
                text = f"{route.asked_by}: {route.address} has other TLS settings in {other.asked_by}"
                raise ListenError(f"{text}; use another port")
        try:
            await self._move_to(wanted)
        except ListenError:
            try:
                await self._move_to(previous)
            except ListenError as again:
                log.error("%s", again)
            raise

    async def close(self) -> None:
        """Close every listener."""
        closing, self._listeners = list(self._listeners.values()), {}
        await asyncio.gather(*(listener.close() for listener in closing))

    def port(self, address: str) -> int:
        """Return the port of the listener at `address`: the one that the kernel chose for port 0."""
        return self._listeners[_normalized(address)].port

    async def _move_to(self, wanted: Mapping[str, Mapping[str, AdminRoute]]) -> None:
        # close first: `:9153` cannot be bound while `127.0.0.1:9153` is
        first = {address: next(iter(paths.values())) for address, paths in wanted.items()}
        for address, listener in tuple(self._listeners.items()):
            if address not in first or first[address].tls != listener.tls:
                await self._listeners.pop(address).close()
        if wanted:
            await import_in_thread("clusterdns.admin.listener")
        for address, paths in wanted.items():
            if address not in self._listeners:
                from clusterdns.admin.listener import AdminListener

                opened = AdminListener(address, first[address].tls, self._admission)
                await opened.open(first[address])
                self._listeners[address] = opened
            self._listeners[address].paths = paths


def _normalized(address: str) -> str:
    """Write all wildcards of a port alike, so that they share a listener."""
    host, _, port_text = address.rpartition(":")
    return f":{port_text}" if host in _WILDCARDS else address
