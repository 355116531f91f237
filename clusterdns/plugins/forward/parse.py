"""The parser of a `forward` line: FROM, the addresses in TO, the options, and the checks that need all of them."""

import logging
import ssl
from collections.abc import Sequence

from msgspec.structs import replace

from clusterdns.chain import BlockContext
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import read_block
from clusterdns.host.tls import AuthorityError, KeyPairError, UnreadableFileError, client_context
from clusterdns.plugins.forward.addresses import read_addresses
from clusterdns.plugins.forward.options import OPTIONS
from clusterdns.plugins.forward.settings import ForwardScope, ForwardSettings
from clusterdns.upstream.address import DNS, HTTP1, HTTP2, HTTPS, Address
from clusterdns.wire.name import from_text

MAX_TO = 15

log = logging.getLogger("clusterdns.plugin.forward")


def read_directive(directive: Directive, context: BlockContext) -> ForwardSettings:
    """Parse one line with its block; host names are resolved here. Raises CorefileError or CorefileErrors."""
    words = directive.arguments_between(2, None, "FROM TO…")
    settings = read_block(ForwardSettings(ForwardScope(_zone(words[0])), place=directive.place), (directive,), OPTIONS)
    _check_ages(settings, directive)
    if len(words) - 1 > MAX_TO:
        raise words[MAX_TO + 1].error(f"more than {MAX_TO} TOs configured: {len(words) - 1}", "name fewer")
    addresses = read_addresses(words[1:], settings.resolvers)
    _check_server_names(settings, addresses, directive)
    _check_families(settings, addresses, directive)
    line = _last_line(directive, "tls")
    transports = {address.transport for address in addresses}
    if line is not None or transports - {DNS}:
        settings = replace(settings, transport=replace(settings.transport, tls=_tls(line, directive, context)))
    if HTTPS in transports:
        tls = _tls(line, directive, context, (HTTP2, HTTP1))
        settings = replace(settings, transport=replace(settings.transport, tls_http2=tls))
    return replace(settings, addresses=addresses)


def _zone(word: Token) -> bytes:
    """Parse FROM; a network that needs several zones stands for the first, as in CoreDNS."""
    zones = values.zones((word,))
    if len(zones) > 1:
        text = "Unsupported CIDR notation: '%s' expands to multiple zones. Using only '%s'."
        log.warning(text, word.text, zones[0])
    return from_text(zones[0])


def _last_line(directive: Directive, name: str) -> Line | None:
    """Return the line of the block that sets an option; of several the last."""
    return next((line for line in reversed(directive.block) if line.name == name), None)


def _check_ages(settings: ForwardSettings, directive: Directive) -> None:
    """Raise CorefileError where connections would reach their greatest age before they are idle for too long."""
    transport = settings.transport
    line = _last_line(directive, "max_age")
    if line is not None and transport.max_age_seconds and transport.max_age_seconds < transport.expire_seconds:
        raise line.error(
            f"max_age ({transport.max_age_seconds:g}s) must not be less than expire ({transport.expire_seconds:g}s)",
            "raise max_age, or lower expire",
        )


def _check_server_names(settings: ForwardSettings, addresses: Sequence[Address], directive: Directive) -> None:
    """Raise CorefileError where an address and an option both name what a certificate must have."""
    name = settings.transport.tls_server_name
    for address in addresses:
        if address.server_name and name:
            raise directive.error(
                f"both forward ('{name}') and proxy level ('{address.server_name}') TLS "
                f"servernames are set for upstream proxy '{address.transport}://{address.host_port}'",
                "drop one of them",
            )


def _check_families(settings: ForwardSettings, addresses: Sequence[Address], directive: Directive) -> None:
    """Log a warning about upstreams that cannot be reached from `source_address`."""
    line = _last_line(directive, "source_address")
    source = settings.transport.source
    unreachable = [one.host_port for one in addresses if (":" in source) != (":" in one.host)]
    if line is not None and unreachable:
        text = "%s: %s cannot be reached from %s, an address of the other family"
        log.warning(text, line.place, ", ".join(unreachable), source)


def _tls(
    line: Line | None, directive: Directive, context: BlockContext, protocols: Sequence[str] = ()
) -> ssl.SSLContext:
    """Make the TLS context that the `tls` line describes, with these protocols in ALPN. Raises CorefileError."""
    words = line.args if line is not None else ()
    pair = words[:2] if len(words) >= 2 else ()
    authorities = words[-1] if len(words) % 2 else None
    where = line or directive
    try:
        return client_context(
            *(context.path(word.text) for word in pair),
            ca="" if authorities is None else context.path(authorities.text),
            protocols=protocols,
        )
    except UnreadableFileError as error:
        word = next(word for word in words if context.path(word.text) == error.path)
        text = f"{'cannot read' if word is authorities else 'could not load TLS cert'} {word}: {error}"
        raise word.error(text, "name a readable PEM file") from error
    except AuthorityError as error:
        raise where.error(f"cannot read {authorities}: {error}", "name a file of PEM certificates") from error
    except KeyPairError as error:
        text = f"could not load TLS cert {pair[0]} with key {pair[1]}: {error}"
        raise where.error(text, "name two PEM files") from error
