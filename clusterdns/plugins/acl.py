"""The `acl` directive: which clients may ask which types of which names.

Stanzas are gone through in the order of the file; in each whose zone has the name, the first policy that fits type and
client decides. What was decided without a look at the client may be kept as a compiled answer, all else is decided
anew for each query. It stands below `rewrite` and above `cache`.
"""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire import codes
from clusterdns.wire.name import is_under, to_text

EVERYTHING = "*"
_BITS = {4: 32, 6: 128}


class Action(enum.Enum):
    """What becomes of a query."""

    ALLOW = "allow"
    BLOCK = "block"
    FILTER = "filter"
    DROP = "drop"


class Networks:
    """Networks of both families, looked up by prefix length, so that thousands of them cost no more than a few."""

    def __init__(self, networks: Iterable[values.IPNetwork]) -> None:
        self._prefixes: dict[tuple[int, int], set[int]] = {}  # (version, host bits) → network bits
        for network in networks:
            host_bits = network.max_prefixlen - network.prefixlen
            prefixes = self._prefixes.setdefault((network.version, host_bits), set())
            prefixes.add(int(network.network_address) >> host_bits)

    def include(self, address: IPv4Address | IPv6Address) -> bool:
        """Return whether one of the networks has this address."""
        number = int(address)
        return any(
            number >> host_bits in prefixes
            for (version, host_bits), prefixes in self._prefixes.items()
            if version == address.version
        )


@dataclass(frozen=True)
class Policy:
    """One line: the action for these types and clients; None stands for all."""

    action: Action
    types: frozenset[int] | None = None
    networks: Networks | None = None


@dataclass(frozen=True)
class Stanza:
    """One directive: policies for the names of some zones."""

    zones: tuple[bytes, ...]
    policies: tuple[Policy, ...]

    def zone_of(self, name: bytes) -> bytes | None:
        """The longest of the zones that the name is in."""
        return max((zone for zone in self.zones if is_under(name, zone)), key=len, default=None)


@dataclass(frozen=True)
class Verdict:
    """What was decided, by the rules of which zone, and whether it depends on who asks."""

    action: Action
    zone: bytes | None
    is_for_client: bool


def decide(stanzas: Sequence[Stanza], query: Query) -> Verdict:
    """Find the first policy that fits; nothing fits: allowed."""
    is_for_client = False
    for stanza in stanzas:
        zone = stanza.zone_of(query.name)
        if zone is None:
            continue
        for policy in stanza.policies:
            if policy.types is not None and query.qtype not in policy.types:
                continue
            if policy.networks is not None:
                is_for_client = True
                if not policy.networks.include(query.client_ip):
                    continue
            return Verdict(policy.action, zone, is_for_client)
    return Verdict(Action.ALLOW, None, is_for_client)


class Guard:
    """The handler: carries out what was decided, and counts it."""

    def __init__(self, stanzas: Sequence[Stanza], server_text: str, registry: Registry, following: Handler) -> None:
        self._stanzas = stanzas
        self._server_text = server_text
        self._next = following
        labels = ("server", "zone", "view")
        self._counters = {
            Action.BLOCK: registry.counter("coredns_acl_blocked_requests_total", "Queries refused by acl.", *labels),
            Action.FILTER: registry.counter(
                "coredns_acl_filtered_requests_total", "Queries answered with nothing by acl.", *labels
            ),
            Action.DROP: registry.counter("coredns_acl_dropped_requests_total", "Queries ignored by acl.", *labels),
        }
        self._allowed = registry.counter(
            "coredns_acl_allowed_requests_total", "Queries that acl let pass.", "server", "view"
        )

    async def __call__(self, query: Query) -> Reply:
        """The reply that the policy demands, or what the next plugin says."""
        verdict = decide(self._stanzas, query)
        if verdict.action is Action.ALLOW:
            counted = self._allowed.labels(self._server_text, "")
            counted.value += 1
            reply = await self._next(query)
            if reply.reusable:
                reply = reply.duplicate()
                reply.reusable = not verdict.is_for_client
                reply.counted = (*reply.counted, counted)
            return reply
        zone_text = to_text(verdict.zone or query.name)
        counted = self._counters[verdict.action].labels(self._server_text, zone_text, "")
        counted.value += 1
        reply = _denial(verdict.action)
        reply.reusable = not verdict.is_for_client
        reply.counted = (counted,)
        return reply


def _denial(action: Action) -> Reply:
    reply = Reply(codes.REFUSED if action is Action.BLOCK else codes.NOERROR, is_authoritative=False)
    if action is Action.DROP:
        reply.is_written = False
        reply.is_dropped = True
    else:
        reply.explain(codes.EDE_BLOCKED if action is Action.BLOCK else codes.EDE_FILTERED)
    return reply


def _policy(policies: tuple[Policy, ...], line: Line) -> tuple[Policy, ...]:
    listed = _listed(line)
    types = frozenset(map(_type, listed["type"])) if _is_limited(listed["type"]) else None
    networks = Networks(map(values.network, listed["net"])) if _is_limited(listed["net"]) else None
    return (*policies, Policy(Action(line.name), types, networks))


def _listed(line: Line) -> dict[str, list[Token]]:
    """What stands after each `type` and each `net`."""
    listed: dict[str, list[Token]] = {"type": [], "net": []}
    section = None
    for position, word in enumerate(line.args):
        lowered = word.text.lower()
        if section is not None and lowered not in listed:
            listed[section].append(word)
            continue
        section = values.choice(word._replace(text=lowered), tuple(listed))
        following = line.args[position + 1 : position + 2]
        if not following or following[0].text.lower() in listed:
            raise word.error(f"nothing is listed after {word}", "write '*' for all, or leave the word out")
    return listed


def _is_limited(words: list[Token]) -> bool:
    return bool(words) and all(word.text != EVERYTHING for word in words)


def _type(word: Token) -> int:
    try:
        return codes.type_from_text(word.text)
    except ValueError as problem:
        raise word.error(f"{word} is no type of records", "write one such as A, AAAA or TXT") from problem


_USAGE = "[type TYPES…] [net NETWORKS…]"
OPTIONS = (
    Option(f"allow {_USAGE}", "what no policy fits is allowed", "Asks no further policy.", _policy),
    Option(f"block {_USAGE}", "", "REFUSED, with the extended error Blocked.", _policy),
    Option(f"filter {_USAGE}", "", "NOERROR and nothing else, with the extended error Filtered.", _policy),
    Option(f"drop {_USAGE}", "", "No reply.", _policy),
)


def parse(directives: Sequence[Directive], context: BlockContext) -> tuple[Stanza, ...]:
    """`acl [ZONES…] { ACTION [type TYPES…] [net NETWORKS…] }`, repeatable. Raises CorefileError."""
    stanzas = []
    for directive in directives:
        zones = lenient.zones(directive.args, context.zones)
        none: tuple[Policy, ...] = ()
        stanzas.append(Stanza(zones, read_block(none, [directive], OPTIONS)))
    return tuple(stanzas)


def build(stanzas: tuple[Stanza, ...], context: BlockContext) -> Part:
    """The handler."""
    return Part(
        "acl",
        handling=Handling(wrap=lambda following: Guard(stanzas, context.server_text, context.registry, following)),
    )


DOC = Doc(
    usage=("acl [ZONES…]",),
    about="Decides by name, type and client what is answered. Repeatable: the directives are gone through in the order "
    "of the file, and in each the first line that fits decides. Without ZONES those of the block. Networks are in CIDR "
    "notation or single addresses; `*` is everything.",
    options=OPTIONS,
    example="acl example.org {\n    allow net 10.0.0.0/8 fd00::/8\n    filter type AAAA\n    block\n}\nwhoami",
    better="an EDNS option only for clients that use EDNS; thousands of networks cost no more than a few.",
)
PLUGIN = Plugin("acl", parse, build, doc=DOC)
