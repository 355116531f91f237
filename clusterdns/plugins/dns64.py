"""The `dns64` directive: synthesised AAAA records for names that have A records only (RFC 6147).

When a query for AAAA has no answer, the handler looks up A for the same name, from zone selection on, and embeds each
address in the prefix (RFC 6052 §2.2). The address family of the client decides whether it translates; compiled answers
are kept per family, so a translated reply may be compiled.
"""

from collections.abc import Sequence
from ipaddress import IPv6Network

import msgspec
from msgspec.structs import replace

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block
from clusterdns.telemetry.metrics import Series
from clusterdns.wire import codes, record
from clusterdns.wire.record import Record
from clusterdns.wire.runs import MIN_RUN, RUNS, RecordRun, as_run, joined, split_run

MAX_TTL_SECONDS = 600  # where no SOA limits the negative answer for AAAA (RFC 6147 §5.1.7)
PREFIX_BITS = (32, 40, 48, 56, 64, 96)  # RFC 6052 §2.2
WELL_KNOWN = IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1
_RESERVED_BYTE = 8  # bits 64 to 71 are zero (RFC 6052 §2.2)


class Dns64Settings(msgspec.Struct, frozen=True):
    """The `dns64` directives of a block, merged."""

    prefix: IPv6Network = WELL_KNOWN
    translates_all: bool = False
    for_ipv4_clients: bool = False


def embed(prefix: IPv6Network, packed: bytes) -> bytes:
    """Return the IPv6 address that represents a packed IPv4 address (RFC 6052 §2.2)."""
    size = prefix.prefixlen // 8
    head = prefix.network_address.packed
    before = max(0, _RESERVED_BYTE - size)  # bytes of the IPv4 address before the reserved byte
    if not before:
        return (head[: max(size, _RESERVED_BYTE + 1)] + packed).ljust(16, b"\0")
    return (head[:size] + packed[:before] + b"\0" + packed[before:]).ljust(16, b"\0")


def embed_all(prefix: IPv6Network, several: Sequence[bytes]) -> list[bytes]:
    """Return what `embed` makes of each address: a Service has ten thousand."""
    size = prefix.prefixlen // 8
    before = max(0, _RESERVED_BYTE - size)
    empty = embed(prefix, bytes(4))
    if not before:
        start = max(size, _RESERVED_BYTE + 1)
        head, tail = empty[:start], empty[start + 4 :]
        return [head + one + tail for one in several]
    head, tail = empty[:size], empty[size + 5 :]
    return [head + one[:before] + b"\0" + one[before:] + tail for one in several]


class Dns64Handler:
    """Synthesises AAAA records where the next plugin has none."""

    def __init__(self, settings: Dns64Settings, translated: Series, following: Handler) -> None:
        self._settings = settings
        self._translated = translated
        self._following = following

    async def __call__(self, query: Query) -> Reply:
        """Return the next plugin's reply, or one synthesised from the A records of the name."""
        reply = await self._following(query)
        if query.qtype != codes.AAAA or not self._translates_for(query) or not self._replaces(reply):
            return reply
        target = await query.lookup(query, query.name, codes.A)
        if _has(reply, codes.AAAA) and not _has(target, codes.A):
            return _native(reply, target)
        self._translated.value += 1
        synthesised = target.duplicate()
        synthesised.answer = self._synthesise(reply, target)
        synthesised.is_authoritative = synthesised.recursion_available = synthesised.is_authentic = False
        synthesised.is_upstream = False
        synthesised.dependencies = (*reply.dependencies, *target.dependencies)
        synthesised.reusable = reply.reusable and target.reusable
        synthesised.counted = (*reply.counted, *target.counted, self._translated)
        return synthesised

    def _translates_for(self, query: Query) -> bool:
        return self._settings.for_ipv4_clients or query.client_ip.version == 6

    def _replaces(self, reply: Reply) -> bool:
        """Return whether a reply to AAAA is replaced.

        A failure that a server sent counts as an empty answer (RFC 6147 §5.1.2). A bare response code of ours does not:
        a look-up of A would fail in the same way.
        """
        if reply.rcode == codes.NXDOMAIN or reply.is_dropped or not reply.is_written:
            return False
        return self._settings.translates_all or not _has(reply, codes.AAAA)

    def _synthesise(self, reply: Reply, target: Reply) -> Sequence[Record]:
        """Make AAAA records of A records; the negative answer for AAAA limits their TTL."""
        limit = next((one.ttl for one in reply.authority if one.rtype == codes.SOA), MAX_TTL_SECONDS)
        prefix = self._settings.prefix
        large = split_run(_with_run(target.answer))
        if large is not None and large[1].rtype == codes.A and all(one.rtype != codes.A for one in large[0]):
            before, run = large
            made = RecordRun(run.name, codes.AAAA, min(run.ttl, limit), embed_all(prefix, run.starts))
            return joined(before, made)
        return [
            record.address(one.name, min(one.ttl, limit), embed(prefix, one.rdata)) if one.rtype == codes.A else one
            for one in target.answer
        ]


def _with_run(answer: Sequence[Record]) -> Sequence[Record]:
    """Return an answer whose many addresses, behind CNAME records, are a run where they can be one."""
    if type(answer) in RUNS or len(answer) < MIN_RUN:
        return answer
    first = next((at for at, one in enumerate(answer) if one.rtype != codes.CNAME), 0)
    return joined(tuple(answer[:first]), as_run(tuple(answer[first:])))


def _has(reply: Reply, rtype: int) -> bool:
    return any(one.rtype == rtype for one in reply.answer)


def _native(reply: Reply, target: Reply) -> Reply:
    """Return the reply with its own AAAA records, of a name that has no A records to translate (`translate_all`)."""
    native = reply.duplicate()
    native.dependencies = (*reply.dependencies, *target.dependencies)
    native.reusable = reply.reusable and target.reusable
    native.counted = (*reply.counted, *target.counted)
    return native


def _prefix(settings: Dns64Settings, word: Token) -> Dns64Settings:
    try:
        network = IPv6Network(word.text, strict=False)
    except ValueError as error:
        raise word.error(f"{word} is not an IPv6 prefix", _HINT) from error
    if network.prefixlen not in PREFIX_BITS:
        raise word.error(f"{word} has a prefix length that RFC 6052 does not define", _HINT)
    return replace(settings, prefix=network)


_HINT = "write one such as 64:ff9b::/96, with a length of 32, 40, 48, 56, 64 or 96"


def _translate_all(settings: Dns64Settings, line: Line) -> Dns64Settings:
    line.no_arguments()
    return replace(settings, translates_all=True)


def _allow_ipv4(settings: Dns64Settings, line: Line) -> Dns64Settings:
    line.no_arguments()
    return replace(settings, for_ipv4_clients=True)


OPTIONS = (
    Option(
        "prefix PREFIX",
        "64:ff9b::/96",
        "The IPv6 network in which IPv4 addresses are embedded; its length is 32, 40, 48, 56, 64 or 96.",
        lambda settings, line: _prefix(settings, line.one_argument("PREFIX")),
    ),
    Option(
        "translate_all",
        "off",
        "Replaces AAAA records by those made of A records, where a name has both.",
        _translate_all,
    ),
    Option("allow_ipv4", "off", "Translates also for clients that ask over IPv4.", _allow_ipv4),
)


def parse(directives: Sequence[Directive], context: BlockContext) -> Dns64Settings:
    """Read `dns64 [PREFIX] { options }`; of several lines the last value counts. Raises CorefileErrors."""
    settings = Dns64Settings()
    for directive in directives:
        for word in directive.arguments_between(0, 1, "[PREFIX]"):
            settings = _prefix(settings, word)
        settings = read_block(settings, [directive], OPTIONS)
    return settings


def build(settings: Dns64Settings, context: BlockContext) -> Part:
    """Make the handler and its counter."""
    family = context.registry.counter(
        "coredns_dns64_requests_translated_total", "Queries for AAAA answered from A records.", "server"
    )
    translated = family.labels(context.server_text)
    return Part(
        "dns64",
        handling=Handling(
            wrap=lambda following: Dns64Handler(settings, translated, following),
            is_for_in_only=True,
        ),
    )


DOC = Doc(
    usage=("dns64 [PREFIX]",),
    about="Synthesises AAAA records for names that have A records only, so that IPv6-only clients reach them through "
    "NAT64 (RFC 6147). It applies to clients that ask over IPv6. PREFIX is the network that the NAT64 gateway "
    "translates, 64:ff9b::/96 by default.",
    options=OPTIONS,
    example="dns64 2001:db8:64::/96 {\n    allow_ipv4\n}\nforward . 127.0.0.9",
)
PLUGIN = Plugin("dns64", parse, build, doc=DOC)
