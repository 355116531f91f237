"""The `dns64` directive: IPv6 addresses for names that have IPv4 ones only, for clients behind NAT64 (RFC 6147).

A question for AAAA that has no answer is asked again for A, from zone selection on, and each address of that is put
into the prefix (RFC 6052 §2.2). Whether a client is one to translate for is decided by its address family; answers are
compiled for each family apart, so that what is made here may be kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv6Network

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block
from clusterdns.telemetry.metrics import Series
from clusterdns.wire import codes, record
from clusterdns.wire.record import Record

MAX_TTL_SECONDS = 600  # where no SOA says for how long there is no AAAA (RFC 6147 §5.1.7)
PREFIX_BITS = (32, 40, 48, 56, 64, 96)  # RFC 6052 §2.2
WELL_KNOWN = IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1
_RESERVED_BYTE = 8  # bits 64 to 71 are zero (RFC 6052 §2.2)


@dataclass(frozen=True)
class Settings:
    """All lines of a block together."""

    prefix: IPv6Network = WELL_KNOWN
    translates_all: bool = False
    for_ipv4_clients: bool = False


def embed(prefix: IPv6Network, packed: bytes) -> bytes:
    """The IPv6 address that stands for a packed IPv4 one (RFC 6052 §2.2)."""
    size = prefix.prefixlen // 8
    head = prefix.network_address.packed
    before = max(0, _RESERVED_BYTE - size)  # bytes of the address that fit in front of the byte that stays zero
    if not before:
        return (head[: max(size, _RESERVED_BYTE + 1)] + packed).ljust(16, b"\0")
    return (head[:size] + packed[:before] + b"\0" + packed[before:]).ljust(16, b"\0")


class Translator:
    """Answers questions for AAAA in place of `following` where that has none."""

    def __init__(self, settings: Settings, translated: Series, following: Handler) -> None:
        self._settings = settings
        self._translated = translated
        self._following = following

    async def __call__(self, query: Query) -> Reply:
        """The reply (see plugins.handler.Handler)."""
        reply = await self._following(query)
        if query.qtype != codes.AAAA or not self._is_for(query) or not self._wants(reply):
            return reply
        target = await query.lookup(query, query.name, codes.A)
        self._translated.value += 1
        made = target.duplicate()
        made.answer = self._synthesized(reply, target)
        made.is_authoritative = made.recursion_available = made.is_authentic = False
        made.is_upstream = False
        made.dependencies = (*reply.dependencies, *target.dependencies)
        made.reusable = reply.reusable and target.reusable
        made.counted = (*reply.counted, *target.counted, self._translated)
        return made

    def _is_for(self, query: Query) -> bool:
        return self._settings.for_ipv4_clients or query.client_ip.version == 6

    def _wants(self, reply: Reply) -> bool:
        """Whether a reply is to be replaced.

        What a server says but cannot answer is taken for an empty answer (RFC 6147 §5.1.2). Where nobody said anything,
        it is no use to ask for the other addresses.
        """
        if reply.rcode == codes.NXDOMAIN or reply.is_dropped or not reply.is_written:
            return False
        return self._settings.translates_all or all(one.rtype != codes.AAAA for one in reply.answer)

    def _synthesized(self, reply: Reply, target: Reply) -> list[Record]:
        limit = next((one.ttl for one in reply.authority if one.rtype == codes.SOA), MAX_TTL_SECONDS)
        prefix = self._settings.prefix
        return [
            record.address(one.name, min(one.ttl, limit), embed(prefix, one.rdata)) if one.rtype == codes.A else one
            for one in target.answer
        ]


def _prefix(settings: Settings, word: Token) -> Settings:
    try:
        network = IPv6Network(word.text, strict=False)
    except ValueError as error:
        raise word.error(f"{word} is not an IPv6 prefix", _HINT) from error
    if network.prefixlen not in PREFIX_BITS:
        raise word.error(f"{word} has a length that no prefix for translation has", _HINT)
    return replace(settings, prefix=network)


_HINT = "write one such as 64:ff9b::/96, its length 32 to 96 in steps of 8"


def _translate_all(settings: Settings, line: Line) -> Settings:
    line.no_arguments()
    return replace(settings, translates_all=True)


def _allow_ipv4(settings: Settings, line: Line) -> Settings:
    line.no_arguments()
    return replace(settings, for_ipv4_clients=True)


OPTIONS = (
    Option(
        "prefix PREFIX",
        "64:ff9b::/96",
        "What IPv4 addresses are put into: an IPv6 network of 32, 40, 48, 56, 64, 72, 80, 88 or 96 bits.",
        lambda settings, line: _prefix(settings, line.one_argument("PREFIX")),
    ),
    Option(
        "translate_all", "off", "Translate although there are AAAA records, and give those of A alone.", _translate_all
    ),
    Option("allow_ipv4", "off", "Translate for clients that ask over IPv4 as well.", _allow_ipv4),
)


def parse(directives: Sequence[Directive], context: BlockContext) -> Settings:
    """`dns64 [PREFIX] { options }`; of several lines the last value counts. Raises CorefileError."""
    settings = Settings()
    for directive in directives:
        for word in directive.arguments_between(0, 1, "[PREFIX]"):
            settings = _prefix(settings, word)
        settings = read_block(settings, [directive], OPTIONS)
    return settings


def build(settings: Settings, context: BlockContext) -> Part:
    """The handler."""
    translated = context.registry.counter(
        "coredns_dns64_requests_translated_total", "Queries for AAAA answered from A records.", "server"
    )
    return Part(
        "dns64",
        handling=Handling(
            wrap=lambda following: Translator(settings, translated.labels(context.server_text), following),
            is_for_in_only=True,
        ),
    )


DOC = Doc(
    usage=("dns64 [PREFIX]",),
    about="Gives clients that ask over IPv6 addresses for names that have IPv4 addresses only, so that they reach them "
    "through NAT64 (RFC 6147). PREFIX is the network that the NAT64 gateway translates, 64:ff9b::/96 by default.",
    options=OPTIONS,
    example="dns64 2001:db8:64::/96 {\n    allow_ipv4\n}\nforward . 127.0.0.9",
)
PLUGIN = Plugin("dns64", parse, build, doc=DOC)
