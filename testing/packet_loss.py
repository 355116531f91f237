"""Packets on loopback that are dropped without an error, in a network namespace of this process.

Rules of routing name the packets, so that neither netfilter nor a right outside of the namespace is needed. A program
that is started with `in_namespace` prepares loopback once with `prepare`.
"""

import itertools
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from testing import peers

_AFTER_DROPS = "30000"
_preferences = itertools.count(10)  # one for each rule: deleted by what it selects, another one may go


def in_namespace() -> list[str | Path]:
    """Return the command that starts another one in a network namespace of its own. Raises MissingPeer."""
    return [peers.find("unshare"), "--map-root-user", "--net"]


def prepare(*addresses: str) -> None:
    """Give loopback further addresses, and let rules go before the table of local addresses."""
    ip("link", "set", "lo", "up")
    for address in addresses:
        ip("address", "add", f"{address}/32", "dev", "lo")
    ip("rule", "add", "pref", _AFTER_DROPS, "lookup", "local")
    ip("rule", "delete", "pref", "0")


def ip(*arguments: str) -> None:
    """Run the command `ip`."""
    subprocess.run([peers.find("ip"), *arguments], check=True)


@contextmanager
def dropped(rules: Iterable[tuple[str, ...]]) -> Iterator[None]:
    """Drop packets that one of the rules selects, as `ip rule` has them, for the duration of the context."""
    given: list[str] = []
    try:
        for rule in rules:
            given.append(str(next(_preferences)))
            ip("rule", "add", "pref", given[-1], *rule, "blackhole")
        yield
    finally:
        for preference in given:
            ip("rule", "delete", "pref", preference)


def of_port(port: int) -> list[tuple[str, ...]]:
    """Return the rules for all packets to and from a port of TCP."""
    return [("ipproto", "tcp", side, str(port)) for side in ("dport", "sport")]


def of_connections(server_port: int, client_ports: Iterable[int]) -> list[tuple[str, ...]]:
    """Return the rules for the packets of some connections, in both directions."""
    rules: list[tuple[str, ...]] = []
    for port in client_ports:
        for source, destination in ((port, server_port), (server_port, port)):
            rules.append(("ipproto", "tcp", "sport", str(source), "dport", str(destination)))
    return rules
