"""Admission of client connections: how many there may be in all and per client, and which one is evicted for a new one.

A new connection is always admitted. Where it exceeds a limit, the least deserving connection under that limit is
closed: the oldest that has sent no complete query or request yet, else the one whose last one is longest ago. Clients
that connect and are silent, or never finish a query, thus take nothing from the others. The DNS listeners share one
Admission, the admin listeners another.
"""

import ipaddress
from collections import OrderedDict
from itertools import islice
from typing import Protocol

import msgspec

_BUSY_SKIPPED = 32  # connections with queries under way, passed over in the search for an idle one
_ALL, _TLS = "in all", "over TLS"


class ConnectionLimits(msgspec.Struct, frozen=True):
    """The numbers of connections that may be open.

    Many pods behind one node's address count as one client, so the share of an address is generous. An IPv6 client
    chooses among the addresses of its /64, which therefore has a share, too; where the pods of many nodes are in one
    /64, they share it. A TLS connection takes up to 50 KiB during its handshake, and a plain one 2 KiB.
    """

    in_all: int = 4096
    per_address: int = 256
    per_network: int = 1024  # of one IPv6 /64
    over_tls: int = 1024

    def within(self, most: int) -> "ConnectionLimits":
        """Return these limits for `most` connections in all; no client gets more than a quarter of a small number."""
        in_all = max(1, min(self.in_all, most))
        quarter = max(1, in_all // 4)
        return ConnectionLimits(
            in_all, min(self.per_address, quarter), min(self.per_network, 2 * quarter), min(self.over_tls, in_all)
        )


class ClientConnection(Protocol):
    """A connection as its admission knows it."""

    @property
    def is_busy(self) -> bool:
        """Whether a complete query or request is being answered."""

    def abort(self) -> None:
        """Close at once and discard unsent replies."""


class _Share:
    """The connections that count under one limit, in the order of eviction."""

    __slots__ = ("asked", "key", "silent")

    def __init__(self, key: str) -> None:
        self.key = key
        self.silent: OrderedDict[ClientConnection, None] = OrderedDict()  # no complete query yet; the oldest first
        self.asked: OrderedDict[ClientConnection, None] = OrderedDict()  # the one whose last query is oldest first

    def __len__(self) -> int:
        return len(self.silent) + len(self.asked)

    def least(self) -> ClientConnection:
        """Return the connection to evict; the share must not be empty."""
        if self.silent:
            return next(iter(self.silent))
        oldest = islice(self.asked, _BUSY_SKIPPED)
        return next((one for one in oldest if not one.is_busy), next(iter(self.asked)))


class Admission:
    """The client connections that are open, with their shares."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._shares: dict[str, _Share] = {}
        self._shares_of: dict[ClientConnection, tuple[_Share, ...]] = {}

    def __len__(self) -> int:
        return len(self._shares_of)

    def admit(self, connection: ClientConnection, host: str, *, is_tls: bool = False) -> list[str]:
        """Count a new connection of this address, and close the least deserving one of each share that is full.

        Returns the addresses of the clients whose connections were closed.
        """
        shares, evicted = [], []
        for key, most in self._keys(host, is_tls=is_tls):
            full = self._shares.get(key)
            if full is not None and len(full) >= most:
                evicted.append(self._close(full.least()))
        for key, _ in self._keys(host, is_tls=is_tls):
            share = self._shares.get(key)
            if share is None:
                share = self._shares[key] = _Share(key)
            share.silent[connection] = None
            shares.append(share)
        self._shares_of[connection] = tuple(shares)
        return evicted

    def asked(self, connection: ClientConnection) -> None:
        """Note that a complete query or request has arrived; no effect on a connection that has ended."""
        for share in self._shares_of.get(connection, ()):
            share.silent.pop(connection, None)
            share.asked[connection] = None
            share.asked.move_to_end(connection)

    def dismiss(self, connection: ClientConnection) -> None:
        """Remove a connection that has ended; a second call has no effect."""
        for share in self._shares_of.pop(connection, ()):
            share.silent.pop(connection, None)
            share.asked.pop(connection, None)
            if not len(share):
                del self._shares[share.key]

    def evict(self, count: int) -> None:
        """Close up to this many of the least deserving connections, where file descriptors run out."""
        for _ in range(count):
            if _ALL in self._shares:
                self._close(self._shares[_ALL].least())

    def _close(self, connection: ClientConnection) -> str:
        """Close a connection; return its client's address."""
        address = self._shares_of[connection][0].key
        self.dismiss(connection)
        connection.abort()
        return address

    def _keys(self, host: str, *, is_tls: bool) -> list[tuple[str, int]]:
        limits = self.limits
        keys = [(address_of(host), limits.per_address), (_ALL, limits.in_all)]
        if is_tls:
            keys.append((_TLS, limits.over_tls))
        if ":" in keys[0][0]:
            keys.append((f"{network_of(host)}/64", limits.per_network))
        return keys


def address_of(host: str) -> str:
    """Return the address of a socket's peer; IPv4 mapped into IPv6 (RFC 4291 §2.5.5.2) as IPv4."""
    if not host.startswith("::ffff:"):
        return host
    mapped = ipaddress.IPv6Address(host.partition("%")[0]).ipv4_mapped
    return host if mapped is None else str(mapped)


def network_of(host: str) -> str:
    """Return the first address of an IPv6 address's /64, with its zone."""
    text, _, zone = host.partition("%")
    first = ipaddress.IPv6Address(int(ipaddress.IPv6Address(text)) >> 64 << 64)
    return f"{first}%{zone}" if zone else str(first)
