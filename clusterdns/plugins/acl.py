"""The `acl` directive: allows, refuses, empties or drops queries by name, type and client.

The rules of a block apply in the order of the file: in each rule whose zones contain the name, the first policy that
matches type and client decides. A decision that does not depend on the client may be compiled; every other is made for
each query.
"""

import enum
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address

import msgspec

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply, failure
from clusterdns.chain.exports import Deciding, Decision
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block
from clusterdns.telemetry.metrics import Registry, Series
from clusterdns.wire import codes
from clusterdns.wire.name import longest_suffix, to_text

EVERYTHING = "*"
_BITS = {4: 32, 6: 128}


class AclAction(enum.Enum):
    """What a policy does with a query."""

    ALLOW = "allow"
    BLOCK = "block"
    FILTER = "filter"
    DROP = "drop"


class Networks:
    """Networks of both address families, in one set per prefix length: a look-up costs the same for any number."""

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


class AclPolicy(msgspec.Struct, frozen=True):
    """One line of a rule: an action for some types and clients; None means all."""

    action: AclAction
    types: frozenset[int] | None = None
    networks: Networks | None = None
    line: int = 0  # in the file of its rule


class AclRule(msgspec.Struct, frozen=True):
    """One `acl` directive: policies for the names of some zones."""

    zones: tuple[bytes, ...]
    policies: tuple[AclPolicy, ...]
    place: str = ""  # file:line

    def zone_of(self, name: bytes) -> bytes | None:
        """Return the longest of the zones that contains the name."""
        return longest_suffix(name, self.zones)


class Verdict(msgspec.Struct, frozen=True):
    """The decision about one query."""

    action: AclAction
    zone: bytes | None  # of the rule that decided; None: no policy matched
    depends_on_client: bool
    place: str = ""  # of the rule
    line: int = 0  # of the policy


def decide(rules: Sequence[AclRule], query: Query) -> Verdict:
    """Find the first policy that matches; a query that none matches is allowed."""
    depends_on_client = False
    for rule in rules:
        zone = rule.zone_of(query.name)
        if zone is None:
            continue
        for policy in rule.policies:
            if policy.types is not None and query.qtype not in policy.types:
                continue
            if policy.networks is not None:
                depends_on_client = True
                if not policy.networks.include(query.client_ip):
                    continue
            return Verdict(policy.action, zone, depends_on_client, rule.place, policy.line)
    return Verdict(AclAction.ALLOW, None, depends_on_client)


class AclCounters:
    """The queries of one server block, by what became of them."""

    def __init__(self, registry: Registry, server_text: str) -> None:
        self._server_text = server_text
        labels = ("server", "zone", "view")
        self._by_action = {
            AclAction.BLOCK: registry.counter("coredns_acl_blocked_requests_total", "Queries refused by acl.", *labels),
            AclAction.FILTER: registry.counter(
                "coredns_acl_filtered_requests_total", "Queries that acl gave an empty answer.", *labels
            ),
            AclAction.DROP: registry.counter("coredns_acl_dropped_requests_total", "Queries dropped by acl.", *labels),
        }
        self._allowed = registry.counter(
            "coredns_acl_allowed_requests_total", "Queries allowed by acl.", "server", "view"
        )

    def count(self, action: AclAction, zone: bytes) -> Series:
        """Count one query, and return the series that counts it."""
        if action is AclAction.ALLOW:
            series = self._allowed.labels(self._server_text, "")
        else:
            series = self._by_action[action].labels(self._server_text, to_text(zone), "")
        series.value += 1
        return series


class AclHandler:
    """Decides about each query and carries the decision out."""

    def __init__(self, rules: Sequence[AclRule], counters: AclCounters, following: Handler) -> None:
        self._rules = rules
        self._counters = counters
        self._next = following

    async def __call__(self, query: Query) -> Reply:
        """Return the next plugin's reply where the query is allowed, and otherwise the policy's."""
        verdict = decide(self._rules, query)
        counted = self._counters.count(verdict.action, verdict.zone or query.name)
        if verdict.action is not AclAction.ALLOW:
            reply = _reply_to(verdict.action)
            reply.reusable = not verdict.depends_on_client
            reply.counted = (counted,)
            return reply
        reply = await self._next(query)
        if reply.reusable:
            reply = reply.duplicate()
            reply.reusable = not verdict.depends_on_client
            reply.counted = (*reply.counted, counted)
        return reply


def _reply_to(action: AclAction) -> Reply:
    """Make the reply to a query that is blocked, filtered or dropped."""
    if action is AclAction.BLOCK:
        reply = failure(codes.REFUSED, "blocked by acl", codes.EDE_BLOCKED)
        reply.is_written = True
        return reply
    reply = Reply(codes.NOERROR, is_authoritative=False)
    if action is AclAction.DROP:
        reply.is_written = False
        reply.is_dropped = True
    else:
        reply.explain(codes.EDE_FILTERED)
    return reply


def _policy(policies: tuple[AclPolicy, ...], line: Line) -> tuple[AclPolicy, ...]:
    listed = _listed(line)
    types = frozenset(map(_type, listed["type"])) if _is_limited(listed["type"]) else None
    networks = Networks(map(values.network, listed["net"])) if _is_limited(listed["net"]) else None
    return (*policies, AclPolicy(AclAction(line.name), types, networks, line.line))


def _listed(line: Line) -> dict[str, list[Token]]:
    """Return the words after each `type` and each `net`."""
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
            raise word.error(f"{word} has no values", "write '*' for all, or remove the word")
    return listed


def _is_limited(words: list[Token]) -> bool:
    return bool(words) and all(word.text != EVERYTHING for word in words)


def _type(word: Token) -> int:
    try:
        return codes.type_from_text(word.text)
    except ValueError as problem:
        raise word.error(f"{word} is not a record type", "write one such as A, AAAA or TXT") from problem


_USAGE = "[type TYPES…] [net NETWORKS…]"
OPTIONS = (
    Option(f"allow {_USAGE}", "queries that no line matches", "The next plugin answers the query.", _policy),
    Option(f"block {_USAGE}", "", "REFUSED, with the extended error Blocked.", _policy),
    Option(f"filter {_USAGE}", "", "NOERROR without records, with the extended error Filtered.", _policy),
    Option(f"drop {_USAGE}", "", "No reply.", _policy),
)


def parse(directives: Sequence[Directive], context: BlockContext) -> tuple[AclRule, ...]:
    """Read `acl [ZONES…] { ACTION [type TYPES…] [net NETWORKS…] }`, repeatable. Raises CorefileErrors."""
    rules = []
    for directive in directives:
        zones = lenient.zones(directive.args, context.zones)
        none: tuple[AclPolicy, ...] = ()
        rules.append(AclRule(zones, read_block(none, [directive], OPTIONS), directive.place))
    return tuple(rules)


def build(rules: tuple[AclRule, ...], context: BlockContext) -> Part:
    """Make the handler and its counters."""
    counters = AclCounters(context.registry, context.server_text)

    def describe(query: Query) -> Decision:
        verdict = decide(rules, query)
        if verdict.zone is None:
            return Decision("no line matches: allowed")
        text = f"{verdict.action.value} on line {verdict.line}, for the client {query.client_text}"
        return Decision(text, verdict.place)

    return Part(
        "acl",
        handling=Handling(wrap=lambda following: AclHandler(rules, counters, following)),
        exports=(Deciding(describe),),
    )


DOC = Doc(
    usage=("acl [ZONES…]",),
    about="Allows, refuses, empties or drops queries by name, type and client. Without ZONES it applies to the zones "
    "of the block. Repeatable: the directives apply in the order of the file, and in each the first line that matches "
    "decides. Networks are in CIDR notation or single addresses; `*` means all.",
    options=OPTIONS,
    example="acl example.org {\n    allow net 10.0.0.0/8 fd00::/8\n    filter type AAAA\n    block\n}\nwhoami",
    better="extended errors go only to clients that use EDNS; matching takes as long for thousands of networks as for "
    "a few.",
)
PLUGIN = Plugin("acl", parse, build, doc=DOC)
