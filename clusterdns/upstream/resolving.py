"""Upstreams that a Corefile names by a file or a host name, turned into addresses once, before the server starts.

All host names of a directive are asked at the same time, in threads, for a few seconds in total: the same code runs
when a configuration is reloaded, while queries wait. A name that is not known by then is an error, as in CoreDNS.
"""

import socket
import struct
import threading
from collections.abc import Iterable, Sequence
from os import urandom
from time import monotonic
from typing import Any

from clusterdns.host.files import open_file
from clusterdns.upstream.address import DNS, Address, parse_address
from clusterdns.upstream.question import Question
from clusterdns.wire import codes
from clusterdns.wire.decode import decode
from clusterdns.wire.header import RD, Malformed
from clusterdns.wire.name import from_text

RESOLVE_SECONDS = 3.0
TRY_SECONDS = 1.0
MAX_FILE_BYTES = 1 << 20

_KIND = struct.Struct(">HH")
_FAMILIES = {codes.A: socket.AF_INET, codes.AAAA: socket.AF_INET6}


def nameservers(path: str) -> list[str]:
    """The words after `nameserver` in a file in resolv.conf's form. Raises OSError."""
    return [words[1] for words in _lines(path) if len(words) > 1 and words[0] == "nameserver"]


def search_domains(path: str) -> list[str]:
    """The search list of a file in resolv.conf's form: that of the last `search` or `domain`. Raises OSError."""
    found: list[str] = []
    for keyword, *words in filter(None, _lines(path)):
        if keyword == "search":
            found = words
        elif keyword == "domain" and words:
            found = words[:1]
    return found


def _lines(path: str) -> list[list[str]]:
    with open_file(path) as file:
        return [line.split() for line in file.read(MAX_FILE_BYTES).decode("utf-8", "replace").splitlines()]


def resolve(hosts: Iterable[str], resolvers: Sequence[Address]) -> dict[str, list[str]]:
    """The IPv4 and IPv6 addresses of each host name, none where it is not known; asks the system without resolvers."""
    found: dict[str, list[str]] = {host: [] for host in hosts}
    threads = []
    for host in found:
        thread = threading.Thread(target=_fill, args=(found, host, resolvers), name=f"resolving {host}", daemon=True)
        thread.start()
        threads.append(thread)
    deadline = monotonic() + RESOLVE_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - monotonic()))
    return dict(found)


def _fill(found: dict[str, list[str]], host: str, resolvers: Sequence[Address]) -> None:
    found[host] = _from_resolvers(host, resolvers) if resolvers else _from_system(host)


def _from_system(host: str) -> list[str]:
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def _from_resolvers(host: str, resolvers: Sequence[Address]) -> list[str]:
    """Of the first resolver that answers."""
    name = from_text(host)
    deadline = monotonic() + RESOLVE_SECONDS
    for resolver in resolvers:
        addresses: list[str] = []
        has_answered = False
        for rtype, family in _FAMILIES.items():
            question = Question(name, _KIND.pack(rtype, codes.IN), RD, b"", is_stream=False)
            packet = _ask(question, resolver, min(deadline, monotonic() + TRY_SECONDS))
            if packet is None:
                break
            try:
                message = decode(packet)
            except Malformed:
                break
            has_answered = True
            addresses += [socket.inet_ntop(family, one.rdata) for one in message.answer if one.rtype == rtype]
        if has_answered:
            return addresses
    return []


def _ask(question: Question, resolver: Address, deadline: float) -> bytes | None:
    """The reply of one resolver over UDP; None where there is none in time."""
    message_id = urandom(2)
    try:
        to: Any = resolver.socket_address()
        with socket.socket(socket.AF_INET if len(to) == 2 else socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.connect(to)
            sock.send(question.message(message_id, question.name))
            while (left := deadline - monotonic()) > 0:
                sock.settimeout(left)
                packet = sock.recv(65535)
                if packet[:2] == message_id and question.is_answered_by(packet):
                    return packet
    except OSError:  # a time-out, or nobody there: the next resolver, or no addresses, says so
        return None
    return None


def resolver_address(text: str) -> Address | None:
    """`IP` or `IP:port`; None for anything else."""
    try:
        return parse_address(DNS, text)
    except ValueError:
        return None
