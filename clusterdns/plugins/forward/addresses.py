"""The TO words of a `forward` line, turned into the addresses of upstreams."""

import logging
import os
from collections.abc import Iterable, Sequence

from clusterdns.corefile.errors import shown
from clusterdns.corefile.lexer import Token
from clusterdns.upstream.address import Address, parse_address, split_port, split_scheme
from clusterdns.upstream.resolving import nameservers, resolve
from clusterdns.wire.name import from_text

HostPort = tuple[str, str, int]  # transport, host name, port

log = logging.getLogger("clusterdns.plugin.forward")


def read_addresses(words: Iterable[Token], resolvers: Sequence[Address]) -> tuple[Address, ...]:
    """Return the upstreams in file order, each once; `resolvers` resolve host names. Raises CorefileError."""
    upstreams: list[tuple[Token, list[Address] | HostPort]] = []
    for word in words:
        try:
            upstreams.append((word, _parse(word)))
        except ValueError as error:
            raise word.error(str(error), "write an address such as 9.9.9.9, 9.9.9.9:53 or tls://9.9.9.9") from error
    hosts = dict.fromkeys(one[1] for _, one in upstreams if isinstance(one, tuple))
    known = resolve(hosts, resolvers) if hosts else {}
    found: dict[Address, None] = {}
    for word, one in upstreams:
        if isinstance(one, list):
            found |= dict.fromkeys(one)
            continue
        transport, host, port = one
        if not known[host]:
            raise word.error(f"failed to resolve {shown(host)}", "write its address, or name a resolver that knows it")
        for ip in known[host]:
            address = parse_address(transport, ip)
            if address is not None:
                found[address._replace(port=port)] = None
    if not found:
        raise next(iter(words)).error("no valid upstream addresses found", "name a file with nameserver lines")
    return tuple(found)


def _parse(word: Token) -> list[Address] | HostPort:
    """Parse one TO: an address, a file of addresses, or a host name to resolve. Raises ValueError."""
    transport, text = split_scheme(word.text)
    address = parse_address(transport, text)
    if address is not None:
        return [address]
    if os.path.isfile(text):
        return _from_file(transport, text)
    if "/" in text:
        raise ValueError(f"file {shown(text)} not found")
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
            log.warning("%s: nameserver %s is not an IP address; ignored", path, shown(text))
        else:
            found.append(address)
    return found
