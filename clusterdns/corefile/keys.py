"""The keys of a server block: `[SCHEME://]ZONE[:PORT]`, where the zone may be a network in CIDR notation.

A network becomes the reverse zones that cover it, each ending at an octet (IPv4) or nibble (IPv6). Zone arguments of
plugins are read by the same functions, through `values`. The port of a key without one, and what a scheme means for a
listener, is decided by `server`.
"""

import ipaddress
import re

import msgspec

from clusterdns.corefile.errors import CorefileWarning, shown
from clusterdns.corefile.lexer import Token
from clusterdns.wire import name

# The port of a key without one, by transport; -dns.port replaces that of `dns`.
DEFAULT_PORTS = {"dns": 53, "tls": 853, "https": 443, "https3": 443, "quic": 853, "grpc": 443}
MAX_PORT = 65_535

_MAX_ZONE_CHARACTERS = 255
_CIDR = re.compile(r"([0-9.]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)/([0-9]+)")
# RFC 1035 §2.3.1, with the underscore of RFC 2782 and the slash of RFC 2317
_HOST_LABEL = re.compile(r"[A-Za-z0-9_/-]+")


class ServerKey(msgspec.Struct, frozen=True):
    """One zone that a server block serves. A key that is a network yields several."""

    transport: str  # of DEFAULT_PORTS
    zone_text: str  # lower-case, absolute
    port: int | None  # None: the transport's default
    token: Token

    @property
    def zone(self) -> bytes:
        """The zone in wire form."""
        return name.from_text(self.zone_text)

    def port_or_default(self, dns_port: int = DEFAULT_PORTS["dns"]) -> int:
        """Return the port to listen on; `dns_port` is that of plain DNS keys without one."""
        if self.port is not None:
            return self.port
        return dns_port if self.transport == "dns" else DEFAULT_PORTS[self.transport]


def parse_key(token: Token, warnings: list[CorefileWarning]) -> tuple[ServerKey, ...]:
    """Read the zones of one key. A zone that no client will ask for is a warning. Raises CorefileError."""
    transport, host, port = split_key(token)
    zones = zones_of(token, host)
    if _CIDR.fullmatch(host) is None and (doubt := _doubt(host, zones[0])):
        warnings.append(CorefileWarning(token.file, token.line, doubt))
    return tuple(ServerKey(transport, zone, port, token) for zone in zones)


def split_key(token: Token) -> tuple[str, str, int | None]:
    """Split a key into transport, host part and port. Raises CorefileError."""
    text = token.text
    scheme, mark, rest = text.partition("://")
    transport = "dns"
    if mark and scheme.lower() in DEFAULT_PORTS:
        transport, text = scheme.lower(), rest
    host, colon, digits = text.rpartition(":")
    if _is_ipv6(text):
        raise token.error(f"{token} is an address, not a zone", f"for its reverse zone write {text}/128")
    if not colon or not (digits == "" or (digits.isascii() and digits.isdigit())):
        return transport, text, None
    if not digits:
        raise token.error(f"no port after the colon of {token}", "write the port, or remove the colon")
    if len(digits) > len(str(MAX_PORT)) or int(digits) > MAX_PORT:
        raise token.error(f"port {shown(digits)} of {token} is out of range", f"write a port up to {MAX_PORT}")
    if not host:
        raise token.error(f"no zone in {token}", f"for all names write .:{digits}")
    return transport, host, int(digits)


def zones_of(token: Token, host: str) -> tuple[str, ...]:
    """Read the zones of a host part, a network as its reverse zones. Raises CorefileError."""
    if _CIDR.fullmatch(host):
        return _reverse_zones(token, host)
    return (zone_of(token, host),)


def zone_of(token: Token, host: str) -> str:
    """Read a host part as one zone, lower-case and absolute. Raises CorefileError."""
    if not host:
        raise token.error(f"no zone in {token}", "for all names write '.'")
    if len(host) > _MAX_ZONE_CHARACTERS:
        hint = f"write at most {_MAX_ZONE_CHARACTERS} characters"
        raise token.error(f"zone {shown(host)} has {len(host)} characters", hint)
    try:
        return name.to_text(name.from_text(host))
    except ValueError as error:
        text = f"{shown(host)} is not a domain name: {error}"
        raise token.error(text, "write a zone such as cluster.local") from error


def _reverse_zones(token: Token, host: str) -> tuple[str, ...]:
    """Return the reverse zones that together cover the network exactly."""
    # As in CoreDNS, where `::/0` is read as a port, and no network begins with `0:`.
    if host.startswith(":") or (":" in host and host.startswith("0")):
        raise token.error(f"{shown(host)} cannot be made a reverse zone", "write the zone itself, under ip6.arpa")
    try:
        network = ipaddress.ip_network(host, strict=False)
    except ValueError as error:
        raise token.error(f"{shown(host)} is not a network", "write one such as 10.0.0.0/8") from error
    digit_bits = 8 if network.version == 4 else 4
    digits = -(-network.prefixlen // digit_bits)
    return tuple(_reverse_zone(part, digits) for part in network.subnets(new_prefix=digits * digit_bits))


def _reverse_zone(network: ipaddress.IPv4Network | ipaddress.IPv6Network, digits: int) -> str:
    """Return the reverse zone of a network that ends at an octet or nibble; `digits` is their number."""
    labels = network.network_address.reverse_pointer.split(".")
    total = len(labels) - 2
    return ".".join(labels[total - digits :]) + "."


def _is_ipv6(text: str) -> bool:
    if text.count(":") < 2:
        return False
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _doubt(host: str, zone_text: str) -> str:
    """Say why hardly any client will ask for this zone; empty where nothing is wrong with it."""
    if "://" in host:
        return f"the scheme of {shown(host)} is none of {', '.join(DEFAULT_PORTS)}, so it is served as a name"
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        pass
    else:
        return f"{shown(host)} is served as a name; for the reverse zone of this address write {address}/32"
    if not host.isascii():
        return f"zone {shown(host)} is not ASCII; clients ask for its xn-- form"
    if zone_text != "." and not all(map(_HOST_LABEL.fullmatch, zone_text[:-1].split("."))):
        return f"zone {shown(host)} is not a host name that clients ask for (RFC 1035 §2.3.1)"
    return ""
