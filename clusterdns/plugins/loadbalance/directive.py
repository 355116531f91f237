"""The `loadbalance` directive: in which order the addresses of a name are shown.

Round robin only marks the reply: the turning itself is part of a compiled answer, so that it costs a query nothing
here. With `prefer` or weights the order is drawn for each reply in the chain, unless there is only one order possible;
weights come from a file (see `weights`).
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from clusterdns.chain import BlockContext, Doc, Handler, Handling, LifeCycle, Part, Plugin, Query, Reply
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.errors import ErrorList
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block
from clusterdns.plugins.loadbalance.weights import Weights, WeightsError
from clusterdns.wire import codes
from clusterdns.wire.record import Record

ROUND_ROBIN, WEIGHTED = "round_robin", "weighted"
_WEIGHED_TYPES = (codes.A, codes.AAAA, codes.SRV)

Arrange = Callable[[Sequence[Record]], tuple[Sequence[Record], bool]]  # the records in order; whether it was drawn


@dataclass(frozen=True)
class Settings:
    """The policy; for `weighted` the weights, for `round_robin` preferred networks."""

    policy: str = ROUND_ROBIN
    preferred: tuple[values.IPNetwork, ...] = ()
    weights: Weights | None = None
    reload_seconds: float = 30.0


def mark(query: Query, reply: Reply, seconds: float) -> None:
    """Mark what may turn: NOERROR whose answer ends in several addresses of one name and one type.

    Encoding turns all records from the first address on, so nothing else may stand among them, such as the RRSIG of
    another server's answer.
    """
    if reply.rcode != codes.NOERROR or len(reply.answer) < 2:
        return
    name, rtype, _ = reply.answer[-1]
    if rtype not in codes.ADDRESS_TYPES:
        return
    first = next(number for number, one in enumerate(reply.answer) if one.rtype in codes.ADDRESS_TYPES)
    ring = reply.answer[first:]
    reply.rotates = len(ring) > 1 and all(one.rtype == rtype and one.name == name for one in ring)


def preferring(preferred: Sequence[values.IPNetwork]) -> Arrange:
    """Addresses in the first network, then those in the second and so on, then the rest; drawn within each group."""
    networks = [(one.version, one.max_prefixlen - one.prefixlen, int(one.network_address)) for one in preferred]

    def rank(record: Record) -> int:
        address = ip_address(record.rdata)
        number = int(address)
        for position, (version, host_bits, prefix) in enumerate(networks):
            if version == address.version and number >> host_bits == prefix >> host_bits:
                return position
        return len(networks)

    def arrange(records: Sequence[Record]) -> tuple[Sequence[Record], bool]:
        ranked = [(rank(one), one) for one in random.sample(records, len(records))]
        ranked.sort(key=lambda pair: pair[0])
        return [one for _, one in ranked], len({number for number, _ in ranked}) < len(ranked)

    return arrange


def weighing(weights: Weights) -> Arrange:
    """One address, drawn by weight, changes places with the first."""

    def arrange(records: Sequence[Record]) -> tuple[Sequence[Record], bool]:
        table = weights.table
        shares = [table.get(one.name, {}).get(one.rdata, 1) for one in records]
        chosen = random.choices(range(len(records)), shares)[0]
        arranged = list(records)
        arranged[0], arranged[chosen] = arranged[chosen], arranged[0]
        return arranged, len(records) > 1

    return arrange


def ordering(arrange: Arrange, following: Handler, types: Sequence[int] = ()) -> Handler:
    """Puts the answer and additional sections of positive replies in order; `types` limits it to these questions."""

    async def handle(query: Query) -> Reply:
        reply = await following(query)
        if reply.rcode != codes.NOERROR or reply.is_transfer or (types and query.qtype not in types):
            return reply
        answer, answer_drawn = _ordered(reply.answer, arrange)
        additional, additional_drawn = _ordered(reply.additional, arrange)
        if answer is reply.answer and additional is reply.additional:
            return reply
        ordered = reply.duplicate()
        ordered.answer, ordered.additional = answer, additional
        ordered.reusable = reply.reusable and not answer_drawn and not additional_drawn
        return ordered

    return handle


def _ordered(records: Sequence[Record], arrange: Arrange) -> tuple[Sequence[Record], bool]:
    """A section with its addresses arranged: aliases first, addresses, then the rest; and whether chance had a part."""
    addresses = [one for one in records if one.rtype in codes.ADDRESS_TYPES]
    if len(addresses) < 2:
        return records, False
    arranged, is_drawn = arrange(addresses)
    aliases = [one for one in records if one.rtype == codes.CNAME]
    rest = [one for one in records if one.rtype != codes.CNAME and one.rtype not in codes.ADDRESS_TYPES]
    return (*aliases, *arranged, *rest), is_drawn


def _prefer(settings: Settings, line: Line) -> Settings:
    if settings.policy != ROUND_ROBIN:
        raise line.error("unknown property 'prefer'", "it goes with 'loadbalance round_robin'")
    return replace(settings, preferred=(*settings.preferred, *map(values.network, line.args)))


def _reload(settings: Settings, line: Line) -> Settings:
    if settings.policy != WEIGHTED:
        raise line.error("unknown property 'reload'", "it goes with 'loadbalance weighted FILE'")
    return replace(settings, reload_seconds=values.duration_seconds(line.one_argument("DURATION")))


OPTIONS = (
    Option(
        "prefer NETWORKS…", "none", "With `round_robin`: addresses in these networks first, in this order.", _prefer
    ),
    Option("reload DURATION", "30s", "With `weighted`: how often the file is looked at; 0: never again.", _reload),
)


def parse(directives: Sequence[Directive], context: BlockContext) -> Settings:
    """`loadbalance [round_robin | weighted FILE] { prefer …; reload … }`; of several the last counts.

    Raises CorefileError, also for a weights file that is there and wrong.
    """
    settings = Settings()
    errors = ErrorList()
    for directive in directives:
        with errors.collect():
            settings = read_block(_policy(directive, context), [directive], OPTIONS)
    errors.raise_if_any()
    return settings


def _policy(directive: Directive, context: BlockContext) -> Settings:
    if not directive.args:
        return Settings()
    policy = values.choice(directive.args[0], (ROUND_ROBIN, WEIGHTED))
    if policy == ROUND_ROBIN:
        directive.arguments_between(1, 1, ROUND_ROBIN)
        return Settings()
    _, file = directive.arguments_between(2, 2, f"{WEIGHTED} FILE")
    return Settings(WEIGHTED, weights=_weights(file, context.path(file.text)))


def _weights(file: Token, path: str) -> Weights:
    """The weights of the file as it is now, none where it cannot be opened yet. Raises CorefileError."""
    weights = Weights(path)
    try:
        weights.load()
    except WeightsError as problem:
        hint = "correct the file: a name alone on a line, below it lines ADDRESS WEIGHT"
        raise file.error(str(problem), hint) from None
    return weights


def build(settings: Settings, context: BlockContext) -> Part:
    """The mark, or the handler that draws."""
    if (weights := settings.weights) is not None:
        arrange = weighing(weights)
        return Part(
            "loadbalance",
            handling=Handling(wrap=lambda following: ordering(arrange, following, _WEIGHED_TYPES)),
            life=LifeCycle(start=lambda: weights.start(settings.reload_seconds), stop=weights.stop),
        )
    if settings.preferred:
        return Part(
            "loadbalance", handling=Handling(wrap=lambda following: ordering(preferring(settings.preferred), following))
        )
    return Part("loadbalance", handling=Handling(observe=mark))


DOC = Doc(
    usage=("loadbalance [round_robin]", "loadbalance weighted FILE"),
    about="Successive queries see the addresses of a name in another order. `weighted` puts an address first that is "
    "drawn by its weight; FILE has names, each alone on a line, and below each lines `ADDRESS WEIGHT` (1..255, 1 for "
    "addresses that are not listed).",
    options=OPTIONS,
    example="loadbalance round_robin {\n    prefer 10.0.0.0/8\n}\nwhoami",
    better="round robin is part of the compiled answer and costs nothing; every address comes first equally often; a "
    "weights file that becomes wrong changes nothing.",
)
PLUGIN = Plugin("loadbalance", parse, build, doc=DOC)
