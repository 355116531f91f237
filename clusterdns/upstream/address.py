"""The address of an upstream: its forms in a Corefile, and the socket address that each stands for.

    9.9.9.9   9.9.9.9:5353   [2620:fe::fe]:53   fe80::1%eth0   dns://9.9.9.9
    tls://9.9.9.9   tls://9.9.9.9%dns.quad9.net:853   https://9.9.9.9

A word that is not an address may be a file or a host name, which `resolving` turns into addresses.
"""

import ipaddress
import re
import socket
from typing import Any, NamedTuple

from clusterdns.wire.name import from_text

DNS, TLS, HTTPS = "dns", "tls", "https"
DEFAULT_PORTS = {DNS: 53, TLS: 853, HTTPS: 443}
HTTP2, HTTP1 = "h2", "http/1.1"  # the application protocols of HTTPS, best first (ALPN, RFC 7301)
MAX_PORT = 65535

_BRACKETED = re.compile(r"\[([^\]]*)\](?:%([^:\]]+))?(?::([0-9]+))?")
_DIGITS = re.compile(r"[0-9]{1,5}")


class Address(NamedTuple):
    """The address of one upstream, with the zone of a link-local address and the name that a certificate must have."""

    transport: str
    host: str
    port: int
    scope: str = ""
    server_name: str = ""

    @property
    def scoped_host(self) -> str:
        """The host with its scope, as the operating system takes it."""
        return f"{self.host}%{self.scope}" if self.scope else self.host

    @property
    def host_port(self) -> str:
        """Host and port, as in the metrics' label `to` and in errors."""
        host = self.scoped_host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def socket_address(self) -> Any:
        """Return the argument of `connect`. Raises OSError where no interface has the name of the scope."""
        if ":" not in self.host:
            return (self.host, self.port)
        scope = self.scope
        index = 0 if not scope else int(scope) if scope.isdigit() else socket.if_nametoindex(scope)
        return (self.host, self.port, 0, index)


def split_scheme(text: str) -> tuple[str, str]:
    """Split a TO into its transport and the rest. Raises ValueError for a scheme that is not supported."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        return DNS, text
    scheme = scheme.lower()
    if scheme not in DEFAULT_PORTS:
        known = ", ".join(f"{one}://" for one in DEFAULT_PORTS)
        raise ValueError(f"'{scheme}' is not supported as a destination protocol in forward; known are {known}")
    if scheme == HTTPS and ("/" in rest or "?" in rest):
        raise ValueError("paths are not allowed in HTTPS upstream addresses (the path is always /dns-query)")
    return scheme, rest


def parse_address(transport: str, text: str) -> Address | None:
    """Parse an address without its scheme; None for a text that is not an address. Raises ValueError for a bad port."""
    bracketed = _BRACKETED.fullmatch(text)
    if bracketed is not None:
        host, _, scope = bracketed[1].partition("%")
        return _address(transport, host, scope, bracketed[2] or "", bracketed[3])
    whole = _of_ip(transport, text)
    if whole is not None:
        return whole
    head, colon, port = text.rpartition(":")
    if not colon:
        return None
    found = _of_ip(transport, head)
    if found is None or (":" in found.host and not found.server_name):  # the last group of an IPv6 address
        return None
    return found._replace(port=_port(port))


def split_port(transport: str, text: str) -> tuple[str, int]:
    """Split a host name from its port, by default the transport's. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    return (host, _port(port)) if colon else (text, DEFAULT_PORTS[transport])


def _of_ip(transport: str, text: str) -> Address | None:
    """Parse an IP address without port; after a percent sign comes its scope, or the server's name."""
    host, _, word = text.partition("%")
    is_name = transport != DNS and not (host.lower().startswith("fe80:") and "." not in word)
    if is_name and ":" in word:
        return None  # a port follows the name
    return _address(transport, host, "" if is_name else word, word if is_name else "", None)


def _address(transport: str, host: str, scope: str, server_name: str, port: str | None) -> Address | None:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    if ip.version == 4:
        scope = ""
    from_text(server_name)
    number = DEFAULT_PORTS[transport] if port is None else _port(port)
    return Address(transport, str(ip), number, scope, server_name)


def _port(text: str) -> int:
    if not _DIGITS.fullmatch(text) or not 0 < int(text) <= MAX_PORT:
        raise ValueError(f"port '{text}' is not a number from 1 to {MAX_PORT}")
    return int(text)
