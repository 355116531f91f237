"""The options of `forward` as rows, each with its reader, which returns the settings with the option applied."""

from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Any

from msgspec.structs import replace

from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Line
from clusterdns.corefile.errors import hint_for
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option
from clusterdns.plugins.forward.settings import ForwardSettings
from clusterdns.upstream.pool import POLICIES
from clusterdns.upstream.resolving import resolver_address
from clusterdns.wire import codes
from clusterdns.wire.name import from_text

_INT64, _UINT32 = 2**63 - 1, 2**32 - 1  # the largest numbers that CoreDNS reads

Read = Callable[[ForwardSettings, Line], ForwardSettings]


def _set(settings: ForwardSettings, topic: str, **fields: Any) -> ForwardSettings:
    """Return the settings with other fields in one topic: `scope`, `transport`, `health` or `pool`."""
    return replace(settings, **{topic: replace(getattr(settings, topic), **fields)})


def _flag(topic: str, field: str) -> Read:
    def read(settings: ForwardSettings, line: Line) -> ForwardSettings:
        line.no_arguments()
        return _set(settings, topic, **{field: True})

    return read


def _count(topic: str, field: str, maximum: int = _INT64) -> Read:
    def read(settings: ForwardSettings, line: Line) -> ForwardSettings:
        return _set(settings, topic, **{field: values.integer(line.one_argument("N"), 0, maximum)})

    return read


def _duration(field: str) -> Read:
    def read(settings: ForwardSettings, line: Line) -> ForwardSettings:
        return _set(settings, "transport", **{field: values.duration_seconds(line.one_argument("DURATION"))})

    return read


def _except(settings: ForwardSettings, line: Line) -> ForwardSettings:
    zones = lenient.zones(line.arguments_between(1, None, "NAME…"), ())
    return _set(settings, "scope", excluded=(*settings.scope.excluded, *zones))


def _health_check(settings: ForwardSettings, line: Line) -> ForwardSettings:
    words = list(line.arguments_between(1, None, "DURATION [no_rec] [domain NAME]"))
    settings = _set(settings, "health", interval_seconds=values.duration_seconds(words.pop(0)))
    while words:
        word = words.pop(0)
        if word.text == "no_rec":
            settings = _set(settings, "health", recurses=False)
        elif word.text == "domain":
            if not words:
                raise word.error(f"Wrong argument count or unexpected line ending after {word}", "write domain NAME")
            settings = _set(settings, "health", name=_name(words.pop(0)))
        else:
            raise word.error(
                f"health_check: unknown option {word}", hint_for(word.text, ("no_rec", "domain"), "leave it out")
            )
    return settings


def _name(word: Token) -> bytes:
    try:
        return from_text(word.text)
    except ValueError as error:
        raise word.error(f"invalid domain name {word}: {error}", "write one such as example.org") from error


def _read_timeout(settings: ForwardSettings, line: Line) -> ForwardSettings:
    word = line.one_argument("DURATION")
    seconds = values.duration_seconds(word)
    if not seconds:
        raise word.error("read_timeout must be positive", "write one such as 2s")
    return _set(settings, "pool", read_seconds=seconds)


def _tls(settings: ForwardSettings, line: Line) -> ForwardSettings:
    """Check the number of files; `parse` makes the TLS context of them when the whole block has been read."""
    line.arguments_between(0, 3, "[CERT KEY] [CA]")
    return settings


def _tls_servername(settings: ForwardSettings, line: Line) -> ForwardSettings:
    word = line.one_argument("NAME")
    _name(word)
    return _set(settings, "transport", tls_server_name=word.text.rstrip("."))


def _doh_method(settings: ForwardSettings, line: Line) -> ForwardSettings:
    method = values.choice(line.one_argument("GET|POST"), ("POST", "GET"))
    return _set(settings, "transport", https_method=method)


def _policy(settings: ForwardSettings, line: Line) -> ForwardSettings:
    word = line.one_argument("random|round_robin|sequential")
    if word.text not in POLICIES:
        raise word.error(f"unknown policy {word}", hint_for(word.text, tuple(POLICIES), "choose one"))
    return _set(settings, "pool", policy=word.text)


def _rcodes(line: Line) -> frozenset[int]:
    found = set()
    for word in line.arguments_between(1, None, "RCODE…"):
        try:
            number = codes.rcode_from_text(word.text)
        except ValueError:
            number = -1
        if number < 0 or any(character.isdigit() for character in word.text):
            raise word.error(f"{word} is not a valid rcode", "write one such as NXDOMAIN, SERVFAIL or REFUSED")
        found.add(number)
    return frozenset(found)


def _next(settings: ForwardSettings, line: Line) -> ForwardSettings:
    return _set(settings, "scope", next_codes=settings.scope.next_codes | _rcodes(line))


def _failover(settings: ForwardSettings, line: Line) -> ForwardSettings:
    found = _rcodes(line)
    if codes.NOERROR in found:
        raise line.error("NOERROR cannot be used in failover", "name codes of failures, such as SERVFAIL")
    return _set(settings, "pool", failover=settings.pool.failover | found)


def _resolver(settings: ForwardSettings, line: Line) -> ForwardSettings:
    found = []
    for word in line.arguments_between(1, None, "IP[:PORT]…"):
        address = resolver_address(word.text)
        if address is None:
            raise word.error(f"resolver must be an IP address or IP:port: {word}", "write one such as 1.1.1.1:53")
        found.append(address)
    return replace(settings, resolvers=(*settings.resolvers, *found))


def _source_address(settings: ForwardSettings, line: Line) -> ForwardSettings:
    source = values.ip(line.one_argument("IP"))
    if isinstance(source, IPv6Address) and source.ipv4_mapped is not None:
        source = source.ipv4_mapped
    return _set(settings, "transport", source=str(source))


def _prefer_udp(settings: ForwardSettings, line: Line) -> ForwardSettings:
    line.no_arguments()
    return replace(settings, prefers_udp=True)


def _max_concurrent(settings: ForwardSettings, line: Line) -> ForwardSettings:
    return replace(settings, max_concurrent=values.integer(line.one_argument("N"), 0, _INT64))


OPTIONS: tuple[Option[ForwardSettings], ...] = (
    Option("except NAME…", "none", "These names and the names below them are not forwarded; FROM itself is.", _except),
    Option("force_tcp", "off", "Upstreams are always asked over TCP.", _flag("transport", "force_tcp")),
    Option("prefer_udp", "off", "Questions of TCP clients go over UDP as well.", _prefer_udp),
    Option(
        "max_fails N", "2", "An upstream is down after more failed health checks in a row than this; 0: never.",
        _count("health", "max_fails", _UINT32),
    ),
    Option(
        "max_connect_attempts N", "twice the upstreams", "The exchanges of one query that may fail; 0: no limit.",
        _count("pool", "max_attempts", _UINT32),
    ),
    Option(
        "health_check DURATION [no_rec] [domain NAME]", "0.5s", "The time between health checks, which begin after a "
        "failed exchange; without recursion; for the NS of this name.", _health_check,
    ),
    Option("expire DURATION", "10s", "How long an idle connection stays open.", _duration("expire_seconds")),
    Option(
        "max_age DURATION", "0, no limit", "The age at which a connection gets no more questions.",
        _duration("max_age_seconds"),
    ),
    Option(
        "max_idle_conns N", "0, no limit", "The idle connections to one upstream that stay open (at most 4 exist).",
        _count("transport", "max_idle"),
    ),
    Option("read_timeout DURATION", "2s", "How long one exchange may take.", _read_timeout),
    Option(
        "tls [CERT KEY] [CA]", "the system's authorities", "PEM files for TLS: a client certificate with its key, and "
        "the trusted authorities.", _tls,
    ),
    Option(
        "tls_servername NAME", "the address", "The name that the upstreams' certificates must have.", _tls_servername,
    ),
    Option("doh_method GET|POST", "POST", "The HTTP method for https:// upstreams.", _doh_method),
    Option("policy random|round_robin|sequential", "random", "The order in which upstreams are tried.", _policy),
    Option(
        "max_concurrent N", "0, no limit", "A query is REFUSED while this many different questions are under way; "
        "without it the oldest of 4,000 fails.", _max_concurrent,
    ),
    Option("next RCODE…", "none", "On these codes the next `forward` of the block is asked.", _next),
    Option("next_on_nodata", "off", "The same for NODATA replies.", _flag("scope", "is_nodata_next")),
    Option("failover RCODE…", "none", "On these codes the next upstream is asked.", _failover),
    Option(
        "failfast_all_unhealthy_upstreams", "off", "SERVFAIL at once while all upstreams are down.",
        _flag("pool", "fails_fast"),
    ),
    Option("resolver IP[:PORT]…", "the system's", "The resolvers for host names in TO.", _resolver),
    Option("source_address IP", "the system's choice", "The local address of all exchanges.", _source_address),
)  # fmt: skip
