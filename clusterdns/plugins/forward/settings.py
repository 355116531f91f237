"""What a `forward` line says, as read from the Corefile: the options as rows, and the upstreams they apply to."""

import logging
import os
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv6Address
from typing import Any

from clusterdns.chain import BlockContext
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.errors import hint_for, shown
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block
from clusterdns.host.tls import AuthorityError, KeyPairError, UnreadableFileError, client_context
from clusterdns.upstream.address import DNS, Address, parse_address, split_port, split_scheme
from clusterdns.upstream.pool import POLICIES
from clusterdns.upstream.resolving import nameservers, resolve, resolver_address
from clusterdns.wire import codes
from clusterdns.wire.name import ROOT, from_text

MAX_TO = 15
_INT64, _UINT32 = 2**63 - 1, 2**32 - 1  # what CoreDNS reads

log = logging.getLogger("clusterdns.plugin.forward")


@dataclass(frozen=True)
class Settings:
    """One line. The fields from `tls` on hold words until the whole block is read."""

    zone: bytes = ROOT
    addresses: tuple[Address, ...] = ()
    excluded: tuple[bytes, ...] = ()
    has_to_stream: bool = False
    prefers_udp: bool = False
    max_fails: int = 2
    max_attempts: int | None = None  # None: twice the number of upstreams
    check_seconds: float = 0.5
    check_recurses: bool = True
    check_name: bytes = ROOT
    expire_seconds: float = 10.0
    max_age_seconds: float = 0.0
    max_idle: int = 0
    read_seconds: float = 2.0
    tls_server_name: str = ""
    https_method: str = "POST"
    policy: str = "random"
    max_concurrent: int = 0
    next_codes: frozenset[int] = frozenset()
    is_nodata_next: bool = False
    failover: frozenset[int] = frozenset()
    fails_fast: bool = False
    source: str = ""
    resolvers: tuple[Address, ...] = ()
    tls_context: ssl.SSLContext | None = None
    tls: Line | None = None
    max_age: Line | None = None
    source_address: Line | None = None


# Readers of the options


def _flag(field: str) -> Callable[[Settings, Line], Settings]:
    def read(settings: Settings, line: Line) -> Settings:
        line.no_arguments()
        return replace(settings, **{field: True})  # type: ignore[arg-type]  # the field is a bool

    return read


def _count(field: str, maximum: int = _INT64) -> Callable[[Settings, Line], Settings]:
    def read(settings: Settings, line: Line) -> Settings:
        count: Any = values.integer(line.one_argument("N"), 0, maximum)
        return replace(settings, **{field: count})

    return read


def _duration(field: str) -> Callable[[Settings, Line], Settings]:
    def read(settings: Settings, line: Line) -> Settings:
        seconds: Any = values.duration_seconds(line.one_argument("DURATION"))
        return replace(settings, **{field: seconds})

    return read


def _except(settings: Settings, line: Line) -> Settings:
    zones = lenient.zones(line.arguments_between(1, None, "NAME…"), ())
    return replace(settings, excluded=(*settings.excluded, *zones))


def _health_check(settings: Settings, line: Line) -> Settings:
    words = list(line.arguments_between(1, None, "DURATION [no_rec] [domain NAME]"))
    settings = replace(settings, check_seconds=values.duration_seconds(words.pop(0)))
    while words:
        word = words.pop(0)
        if word.text == "no_rec":
            settings = replace(settings, check_recurses=False)
        elif word.text == "domain":
            if not words:
                raise word.error(f"Wrong argument count or unexpected line ending after {word}", "write domain NAME")
            settings = replace(settings, check_name=_name(words.pop(0)))
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


def _max_age(settings: Settings, line: Line) -> Settings:
    seconds = values.duration_seconds(line.one_argument("DURATION"))
    return replace(settings, max_age_seconds=seconds, max_age=line)


def _read_timeout(settings: Settings, line: Line) -> Settings:
    word = line.one_argument("DURATION")
    seconds = values.duration_seconds(word)
    if not seconds:
        raise word.error("read_timeout must be positive", "write one such as 2s")
    return replace(settings, read_seconds=seconds)


def _tls(settings: Settings, line: Line) -> Settings:
    line.arguments_between(0, 3, "[CERT KEY] [CA]")
    return replace(settings, tls=line)


def _tls_servername(settings: Settings, line: Line) -> Settings:
    word = line.one_argument("NAME")
    _name(word)
    return replace(settings, tls_server_name=word.text.rstrip("."))


def _doh_method(settings: Settings, line: Line) -> Settings:
    return replace(settings, https_method=values.choice(line.one_argument("GET|POST"), ("POST", "GET")))


def _policy(settings: Settings, line: Line) -> Settings:
    word = line.one_argument("random|round_robin|sequential")
    if word.text not in POLICIES:
        raise word.error(f"unknown policy {word}", hint_for(word.text, tuple(POLICIES), "choose one"))
    return replace(settings, policy=word.text)


def _rcodes(line: Line) -> frozenset[int]:
    found = set()
    for word in line.arguments_between(1, None, "RCODE…"):
        try:
            number = codes.rcode_from_text(word.text)
        except ValueError:
            number = -1
        if number < 0 or any(letter.isdigit() for letter in word.text):
            raise word.error(f"{word} is not a valid rcode", "write one such as NXDOMAIN, SERVFAIL or REFUSED")
        found.add(number)
    return frozenset(found)


def _next(settings: Settings, line: Line) -> Settings:
    return replace(settings, next_codes=settings.next_codes | _rcodes(line))


def _failover(settings: Settings, line: Line) -> Settings:
    found = _rcodes(line)
    if codes.NOERROR in found:
        raise line.error("NOERROR cannot be used in failover", "name codes of failures, such as SERVFAIL")
    return replace(settings, failover=settings.failover | found)


def _resolver(settings: Settings, line: Line) -> Settings:
    found = []
    for word in line.arguments_between(1, None, "IP[:PORT]…"):
        address = resolver_address(word.text)
        if address is None:
            raise word.error(f"resolver must be an IP address or IP:port: {word}", "write one such as 1.1.1.1:53")
        found.append(address)
    return replace(settings, resolvers=(*settings.resolvers, *found))


def _source_address(settings: Settings, line: Line) -> Settings:
    source = values.ip(line.one_argument("IP"))
    if isinstance(source, IPv6Address) and source.ipv4_mapped is not None:
        source = source.ipv4_mapped
    return replace(settings, source=str(source), source_address=line)


OPTIONS: tuple[Option[Settings], ...] = (
    Option("except NAME…", "none", "Names, and those below them, that are not forwarded; FROM itself is.", _except),
    Option("force_tcp", "off", "Upstreams are always asked over TCP.", _flag("has_to_stream")),
    Option("prefer_udp", "off", "TCP clients' questions go over UDP as well.", _flag("prefers_udp")),
    Option(
        "max_fails N", "2", "More health checks failed in a row than this mean down; 0: never.",
        _count("max_fails", _UINT32),
    ),
    Option(
        "max_connect_attempts N", "twice the upstreams", "Exchanges of one query that may fail; 0: any number.",
        _count("max_attempts", _UINT32),
    ),
    Option(
        "health_check DURATION [no_rec] [domain NAME]", "0.5s", "How often, without recursion, and with what name an "
        "upstream is checked after an exchange failed.", _health_check,
    ),
    Option("expire DURATION", "10s", "How long an idle connection is kept.", _duration("expire_seconds")),
    Option("max_age DURATION", "0, no limit", "The age at which a connection gets no more questions.", _max_age),
    Option(
        "max_idle_conns N", "0, no limit", "How many idle connections an upstream may have (4 are the most).",
        _count("max_idle"),
    ),
    Option("read_timeout DURATION", "2s", "How long one exchange may take.", _read_timeout),
    Option(
        "tls [CERT KEY] [CA]", "the system's authorities", "Files for TLS: our certificate and key, who to trust.", _tls
    ),
    Option("tls_servername NAME", "the address", "What the upstreams' certificates must name.", _tls_servername),
    Option("doh_method GET|POST", "POST", "How https:// upstreams are asked.", _doh_method),
    Option("policy random|round_robin|sequential", "random", "The order in which upstreams are tried.", _policy),
    Option(
        "max_concurrent N", "0, no limit", "Beyond so many different questions at a time the answer is REFUSED; "
        "without it the oldest of 4,000 fails.", _count("max_concurrent"),
    ),
    Option("next RCODE…", "none", "On these codes the next `forward` of the block is asked.", _next),
    Option("next_on_nodata", "off", "The same for replies without records.", _flag("is_nodata_next")),
    Option("failover RCODE…", "none", "On these codes the next upstream is asked.", _failover),
    Option(
        "failfast_all_unhealthy_upstreams", "off", "SERVFAIL at once while all upstreams are down.", _flag("fails_fast")
    ),
    Option("resolver IP[:PORT]…", "the system's", "Who resolves host names in TO.", _resolver),
    Option("source_address IP", "the system's choice", "The local address that upstreams see.", _source_address),
)  # fmt: skip


def read_directive(directive: Directive, context: BlockContext) -> Settings:
    """One line with its block. Raises CorefileError or CorefileErrors."""
    words = directive.arguments_between(2, None, "FROM TO…")
    settings = read_block(Settings(zone=_from(words[0])), (directive,), OPTIONS)
    line = settings.max_age
    if line is not None and settings.max_age_seconds and settings.max_age_seconds < settings.expire_seconds:
        raise line.error(
            f"max_age ({settings.max_age_seconds:g}s) must not be less than expire ({settings.expire_seconds:g}s)",
            "raise max_age, or lower expire",
        )
    if len(words) - 1 > MAX_TO:
        raise words[MAX_TO + 1].error(f"more than {MAX_TO} TOs configured: {len(words) - 1}", "name fewer")
    addresses = _addresses(words[1:], settings)
    for address in addresses:
        if address.server_name and settings.tls_server_name:
            raise directive.error(
                f"both forward ('{settings.tls_server_name}') and proxy level ('{address.server_name}') TLS "
                f"servernames are set for upstream proxy '{address.transport}://{address.host_port}'",
                "drop one of them",
            )
    _check_families(settings, addresses)
    needs_tls = settings.tls is not None or any(address.transport != DNS for address in addresses)
    tls_context = _tls_context(settings.tls, directive, context) if needs_tls else None
    return replace(settings, addresses=addresses, tls_context=tls_context)


def _check_families(settings: Settings, addresses: Sequence[Address]) -> None:
    """Those upstreams that cannot be reached from `source_address` are told."""
    if settings.source_address is None:
        return
    strange = [one.host_port for one in addresses if (":" in settings.source) != (":" in one.host)]
    if strange:
        told = f"{', '.join(strange)} cannot be reached from {settings.source}, an address of the other family"
        log.warning("%s: %s", settings.source_address.place, told)


def _from(word: Token) -> bytes:
    """The zone; of a network that needs several the first one only, as in CoreDNS."""
    zones = values.zones((word,))
    if len(zones) > 1:
        text = "Unsupported CIDR notation: '%s' expands to multiple zones. Using only '%s'."
        log.warning(text, word.text, zones[0])
    return from_text(zones[0])


def _addresses(words: Iterable[Token], settings: Settings) -> tuple[Address, ...]:
    """All upstreams in file order, each once. Raises CorefileError."""
    groups: list[tuple[Token, list[Address] | tuple[str, str, int]]] = []
    for word in words:
        try:
            groups.append((word, _group(word)))
        except ValueError as error:
            raise word.error(str(error), "write an address such as 9.9.9.9, 9.9.9.9:53 or tls://9.9.9.9") from error
    hosts = dict.fromkeys(group[1] for _, group in groups if isinstance(group, tuple))
    known = resolve(hosts, settings.resolvers) if hosts else {}
    found: dict[Address, None] = {}
    for word, group in groups:
        if isinstance(group, list):
            found |= dict.fromkeys(group)
            continue
        transport, host, port = group
        if not known[host]:
            raise word.error(f"failed to resolve {shown(host)}", "write its address, or name a resolver that knows it")
        for ip in known[host]:
            address = parse_address(transport, ip)
            if address is not None:
                found[address._replace(port=port)] = None
    if not found:
        raise next(iter(words)).error("no valid upstream addresses found", "name a file with nameserver lines")
    return tuple(found)


def _group(word: Token) -> list[Address] | tuple[str, str, int]:
    """What one TO stands for: addresses, or a transport, host name and port to resolve. Raises ValueError."""
    transport, text = split_scheme(word.text)
    address = parse_address(transport, text)
    if address is not None:
        return [address]
    if os.path.isfile(text):
        return _from_file(transport, text)
    if "/" in text:
        raise ValueError(f"there is no file {shown(text)}")
    host, port = split_port(transport, text)
    if not from_text(host)[0]:
        raise ValueError(f"{shown(word.text)} is neither an address, a file nor a host name")
    return transport, host, port


def _from_file(transport: str, path: str) -> list[Address]:
    try:
        texts = nameservers(path)
    except OSError as error:
        raise ValueError(f"cannot read {shown(path)}: {error.strerror}") from error
    found = []
    for text in texts:
        address = parse_address(transport, text)
        if address is None:
            log.warning("%s: nameserver %s is no address and is left out", path, shown(text))
        else:
            found.append(address)
    return found


def _tls_context(line: Line | None, directive: Directive, context: BlockContext) -> ssl.SSLContext:
    """The context of a TLS client. Raises CorefileError."""
    words = line.args if line is not None else ()
    pair = words[:2] if len(words) >= 2 else ()
    authorities = words[-1] if len(words) % 2 else None
    where = line or directive
    try:
        return client_context(
            *(context.path(word.text) for word in pair),
            ca="" if authorities is None else context.path(authorities.text),
        )
    except UnreadableFileError as error:
        word = next(word for word in words if context.path(word.text) == error.path)
        told = f"{'cannot read' if word is authorities else 'could not load TLS cert'} {word}: {error}"
        raise word.error(told, "name a readable PEM file") from error
    except AuthorityError as error:
        raise where.error(f"cannot read {authorities}: {error}", "name a file of PEM certificates") from error
    except KeyPairError as error:
        told = f"could not load TLS cert {pair[0]} with key {pair[1]}: {error}"
        raise where.error(told, "name two PEM files") from error
