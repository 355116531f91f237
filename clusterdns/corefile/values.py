"""Readers for the arguments of directives: a token in, a typed value out, or a CorefileError with a hint.

Each takes the `Token`, so that the error points at the word. What a value means is known to the plugin alone.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from clusterdns.corefile import keys
from clusterdns.corefile.errors import hint_for, shown
from clusterdns.corefile.lexer import Token

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_BARE_INTEGER = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_HOST = re.compile(r"[A-Za-z0-9_.-]*")
_MAX_DIGITS = 18  # of an integer; no setting needs more
_MAX_DURATION_CHARACTERS = 64
_MAX_DURATION_SECONDS = (2**63 - 1) / 1e9  # 64 bits of nanoseconds, as in Go
MAX_PATTERN_BYTES = 10_000  # as in CoreDNS


class Match(Protocol):
    """A match of a pattern in a text."""

    def group(self, which: int | str = 0, /) -> str | None:
        """Return the text of a group; None where it did not participate in the match. Group 0 is the whole match."""

    def groups(self) -> tuple[str | None, ...]:
        """Return the texts of all groups but 0."""

    def groupdict(self) -> dict[str, str | None]:
        """Return the texts of the named groups."""


class Pattern(Protocol):
    """A compiled RE2 expression, which matches in linear time."""

    @property
    def pattern(self) -> str:
        """The expression as written."""

    @property
    def groups(self) -> int:
        """The number of groups, without group 0."""

    @property
    def groupindex(self) -> Mapping[str, int]:
        """The numbers of the named groups."""

    def search(self, text: str, /) -> Match | None:
        """Find the leftmost match anywhere in the text."""


class ListenAddress(NamedTuple):
    """A host and port to listen on. An empty host stands for every address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def duration_seconds(token: Token, minimum: float = 0.0, maximum: float | None = None) -> float:
    """Read a Go duration (`1h30m`, `1.5s`, a bare `0`) in seconds, within bounds in seconds. Raises CorefileError."""
    text = token.text
    if _BARE_INTEGER.fullmatch(text) and text.strip("+-0"):
        raise token.error(f"{token} is not a duration: its unit is missing", f"for seconds write {shown(text + 's')}")
    body = text[1:] if text[:1] in ("+", "-") else text
    seconds = 0.0 if body == "0" else _sum_of_amounts(body)
    if seconds is None or seconds > _MAX_DURATION_SECONDS:
        raise token.error(f"{token} is not a duration", "write one such as 30s, 1m30s or 500ms")
    if text[0] == "-":
        seconds = -seconds
    if seconds < minimum or (maximum is not None and seconds > maximum):
        raise token.error(
            f"{token} is out of range", _bounds(f"{minimum:g}s", None if maximum is None else f"{maximum:g}s")
        )
    return seconds


def _sum_of_amounts(text: str) -> float | None:
    if not text or len(text) > _MAX_DURATION_CHARACTERS:
        return None
    seconds = 0.0
    position = 0
    while position < len(text):
        amount = _AMOUNT.match(text, position)
        if amount is None:
            return None
        seconds += float(amount[1]) * _UNIT_SECONDS[amount[2]]
        position = amount.end()
    return seconds


def integer(token: Token, minimum: int | None = None, maximum: int | None = None) -> int:
    """Read a decimal integer within bounds; a sign is allowed. Raises CorefileError."""
    text = token.text
    if not _BARE_INTEGER.fullmatch(text) or len(text) > _MAX_DIGITS + 1:
        raise token.error(f"{token} is not an integer", _bounds(minimum, maximum))
    value = int(text)
    if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        raise token.error(f"{token} is out of range", _bounds(minimum, maximum))
    return value


def decimal(token: Token, minimum: float | None = None, maximum: float | None = None) -> float:
    """Read a decimal number such as `0.5` or `100`, within bounds. Raises CorefileError."""
    if not _DECIMAL.fullmatch(token.text):
        raise token.error(f"{token} is not a number", _bounds(minimum, maximum))
    value = float(token.text)
    if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        raise token.error(f"{token} is out of range", _bounds(minimum, maximum))
    return value


def choice(token: Token, words: Sequence[str]) -> str:
    """Read one of these words. Raises CorefileError that suggests the most similar."""
    if token.text not in words:
        raise token.error(f"{token} is not one of {', '.join(words)}", hint_for(token.text, words, "choose one"))
    return token.text


def regex(token: Token) -> Pattern:
    """Read an RE2 expression, as in Go: no look-around, no back-references, not anchored. Raises CorefileError."""
    import re2  # 3 MiB, which a Corefile without patterns does without

    text = token.text
    options = re2.Options()
    options.log_errors = False  # RE2 would write to standard error, not to the log
    try:
        if len(text.encode()) > MAX_PATTERN_BYTES:
            raise token.error(f"pattern {token} is too long", f"write at most {MAX_PATTERN_BYTES} bytes")
        pattern: Pattern = re2.compile(text, options)
    except re2.error as problem:
        reason = problem.args[0].decode(errors="replace")
        hint = "write it in RE2 syntax, which has neither look-around nor back-references"
        raise token.error(f"pattern {token} is not a regular expression: {shown(reason)}", hint) from problem
    except UnicodeEncodeError as problem:
        raise token.error(f"pattern {token} is not UTF-8", "write it in UTF-8") from problem
    return pattern


def listen_address(token: Token) -> ListenAddress:
    """Read `host:port`, `:port` or `[v6]:port`. Raises CorefileError."""
    host, colon, port = token.text.rpartition(":")
    if not colon or (":" in host and not (host.startswith("[") and host.endswith("]"))):
        suggestion = shown(f":{token.text}") if token.text.isdigit() else "127.0.0.1:9153, :9153 or [::1]:9153"
        raise token.error(f"{token} is not host:port", f"write {suggestion}")
    number = integer(token._replace(text=port), 0, keys.MAX_PORT)
    if host.startswith("["):
        return ListenAddress(str(ip(token._replace(text=host[1:-1]))), number)
    if not _HOST.fullmatch(host):
        raise token.error(f"{shown(host)} is not a host", "write an address, or nothing for every address")
    return ListenAddress(host, number)


def ip(token: Token) -> IPAddress:
    """Read an IPv4 or IPv6 address; a zone (`%eth0`) is allowed. Raises CorefileError."""
    try:
        return ipaddress.ip_address(token.text)
    except ValueError as error:
        raise token.error(f"{token} is not an IP address", "write one such as 10.96.0.10 or fd00::a") from error


def network(token: Token) -> IPNetwork:
    """Read a network in CIDR notation, host bits ignored; a bare address is a network of one. Raises CorefileError."""
    try:
        return ipaddress.ip_network(token.text, strict=False)
    except ValueError as error:
        raise token.error(f"{token} is not a network", "write one such as 10.96.0.0/12 or fd00::/8") from error


def zones(tokens: Iterable[Token]) -> tuple[str, ...]:
    """Read zones as absolute text, each once, networks as their reverse zones. Raises CorefileError.

    As in CoreDNS a scheme and a port are allowed and ignored.
    """
    found: dict[str, None] = {}
    for token in tokens:
        _, host, _ = keys.split_key(token)
        found.update(dict.fromkeys(keys.zones_of(token, host)))
    return tuple(found)


def _bounds(minimum: object, maximum: object) -> str:
    if minimum is None and maximum is None:
        return "write a number"
    if maximum is None:
        return f"write {minimum} or more"
    if minimum is None:
        return f"write {maximum} or less"
    return f"write {minimum} to {maximum}"
