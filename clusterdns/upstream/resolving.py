"""Upstreams that a Corefile names by a file or a host name, turned into addresses once, before the server starts.

`resolve` asks for all host names of a directive at the same time, in threads, for RESOLVE_SECONDS in total, because a
reload runs the same code while queries wait. A host name without an address by then is an error, as in CoreDNS.
"""

import socket
import threading
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from clusterdns.host.files import open_file
from clusterdns.upstream.address import DNS, Address, parse_address
from clusterdns.upstream.messages import MAX_BYTES, make_query, read_message
from clusterdns.wire import codes
from clusterdns.wire.header import Malformed
from clusterdns.wire.name import from_text

if TYPE_CHECKING:
    from dnslib import DNSRecord

RESOLVE_SECONDS = 3.0  # for all host names of a directive
TRY_SECONDS = 1.0  # for one reply of one resolver
MAX_FILE_BYTES = 1 << 20
MAX_DATAGRAM_BYTES = 65535


def nameservers(path: str) -> list[str]:
    """Read the words after `nameserver` in a file in resolv.conf's form. Raises OSError."""
    return [words[1] for words in _lines(path) if len(words) > 1 and words[0] == "nameserver"]


def search_domains(path: str) -> list[str]:
    """Read the search list of a file in resolv.conf's form: its last `search` or `domain` line. Raises OSError."""
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
    """Resolve host names to IPv4 and IPv6 addresses; a name that is not known has none.

    Without resolvers the operating system's are asked.
    """
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


def resolver_address(text: str) -> Address | None:
    """Parse `IP` or `IP:port`; None for anything else."""
    try:
        return parse_address(DNS, text)
    except ValueError:
        return None


def _fill(found: dict[str, list[str]], host: str, resolvers: Sequence[Address]) -> None:
    found[host] = _from_resolvers(host, resolvers) if resolvers else _from_system(host)


def _from_system(host: str) -> list[str]:
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def _from_resolvers(host: str, resolvers: Sequence[Address]) -> list[str]:
    """Return the addresses that the first resolver which answers knows."""
    name = from_text(host)
    deadline = monotonic() + RESOLVE_SECONDS
    for resolver in resolvers:
        addresses: list[str] = []
        has_answered = False
        for rtype in codes.ADDRESS_TYPES:
            reply = _ask(make_query(name, rtype, rd=1), resolver, min(deadline, monotonic() + TRY_SECONDS))
            if reply is None:
                break
            has_answered = True
            addresses += [str(one.rdata) for one in reply.rr if one.rtype == rtype]
        if has_answered:
            return addresses
    return []


def _ask(query: "DNSRecord", resolver: Address, deadline: float) -> "DNSRecord | None":
    """Ask one resolver over UDP; None where no reply arrives in time. Datagrams that do not answer are ignored."""
    from dnslib import EDNS0

    query.add_ar(EDNS0(udp_len=MAX_BYTES))
    try:
        to: Any = resolver.socket_address()
        with socket.socket(socket.AF_INET if len(to) == 2 else socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.connect(to)
            sock.send(query.pack())
            while (left := deadline - monotonic()) > 0:
                sock.settimeout(left)
                reply = _answer_to(query, sock.recv(MAX_DATAGRAM_BYTES))
                if reply is not None:
                    return reply
    except OSError:  # a time-out, or nothing listens there: the next resolver is asked
        return None
    return None


def _answer_to(query: "DNSRecord", packet: bytes) -> "DNSRecord | None":
    try:
        reply = read_message(packet)
    except Malformed:
        return None
    is_reply = reply.header.qr and reply.header.opcode == query.header.opcode and reply.header.id == query.header.id
    return reply if is_reply and reply.questions == query.questions else None
