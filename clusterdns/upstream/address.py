"""Where an upstream is: the forms in which a Corefile names one, and the socket address they stand for.

    9.9.9.9   9.9.9.9:5353   [2620:fe::fe]:53   fe80::1%eth0   dns://9.9.9.9
    tls://9.9.9.9   tls://9.9.9.9%dns.quad9.net:853   https://9.9.9.9

What is no address may be a file or a host name: `resolving` turns those into addresses, once.
"""

import ipaddress
import re
import socket
from typing import Any, NamedTuple

from clusterdns.wire.name import from_text

DNS, TLS, HTTPS = "dns", "tls", "https"
DEFAULT_PORTS = {DNS: 53, TLS: 853, HTTPS: 443}
MAX_PORT = 65535

_BRACKETED = re.compile(r"\[([^\]]*)\](?:%([^:\]]+))?(?::([0-9]+))?")
_DIGITS = re.compile(r"[0-9]{1,5}")


class Address(NamedTuple):
    """One upstream. `scope` is the zone of a link-local address; `server_name` is what its certificate must name."""

    transport: str
    host: str
    port: int
    scope: str = ""
    server_name: str = ""

    @property
    def scoped_host(self) -> str:
        """The host as the system takes it."""
        return f"{self.host}%{self.scope}" if self.scope else self.host

    @property
    def host_port(self) -> str:
        """As in the metrics' label `to` and in errors."""
        host = self.scoped_host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def socket_address(self) -> Any:
        """What `connect` takes. Raises OSError where the scope is no interface."""
        if ":" not in self.host:
            return (self.host, self.port)
        scope = self.scope
        index = 0 if not scope else int(scope) if scope.isdigit() else socket.if_nametoindex(scope)
        return (self.host, self.port, 0, index)


def split_scheme(text: str) -> tuple[str, str]:
    """The transport and the rest. Raises ValueError for a scheme that cannot be asked."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        return DNS, text
    scheme = scheme.lower()
    if scheme not in DEFAULT_PORTS:
        known = ", ".join(f"{one}://" for one in DEFAULT_PORTS)
        raise ValueError(f"'{scheme}' is not supported as a destination protocol in forward; known are {known}")
    if scheme == HTTPS and ("/" in rest or "?" in rest):
        raise ValueError("paths are not allowed in HTTPS upstream addresses (/dns-query is asked)")
    return scheme, rest


def parse_address(transport: str, text: str) -> Address | None:
    """The address that a text without scheme stands for; None where it is none. Raises ValueError for a bad port."""
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
    if found is None or (":" in found.host and not found.server_name):  # of bare IPv6 the last group is no port
        return None
    return found._replace(port=_port(port))


def split_port(transport: str, text: str) -> tuple[str, int]:
    """A host name and its port, the transport's own where there is none. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    return (host, _port(port)) if colon else (text, DEFAULT_PORTS[transport])


def _of_ip(transport: str, text: str) -> Address | None:
    """An IP address without port, with what follows its percent sign."""
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
