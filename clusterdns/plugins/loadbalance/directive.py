"""The `loadbalance` directive in the Corefile: its policies, its documentation, and the part built from them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from clusterdns.chain import BlockContext, Doc, Handling, LifeCycle, Part, Plugin
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.errors import ErrorList
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block
from clusterdns.plugins.loadbalance.handler import ReorderingHandler, by_preference, by_weight, mark_rotating
from clusterdns.wire import codes

if TYPE_CHECKING:
    from clusterdns.plugins.loadbalance.weights import WeightsFile

ROUND_ROBIN, WEIGHTED = "round_robin", "weighted"
_WEIGHTED_TYPES = (codes.A, codes.AAAA, codes.SRV)


class LoadbalanceSettings(msgspec.Struct, frozen=True):
    """The policy; for `weighted` its file, for `round_robin` the preferred networks."""

    policy: str = ROUND_ROBIN
    preferred: tuple[values.IPNetwork, ...] = ()
    weights: "WeightsFile | None" = None
    reload_seconds: float = 30.0


def _prefer(settings: LoadbalanceSettings, line: Line) -> LoadbalanceSettings:
    if settings.policy != ROUND_ROBIN:
        raise line.error("unknown property 'prefer'", "'prefer' needs 'loadbalance round_robin'")
    return replace(settings, preferred=(*settings.preferred, *map(values.network, line.args)))


def _reload(settings: LoadbalanceSettings, line: Line) -> LoadbalanceSettings:
    if settings.policy != WEIGHTED:
        raise line.error("unknown property 'reload'", "'reload' needs 'loadbalance weighted FILE'")
    return replace(settings, reload_seconds=values.duration_seconds(line.one_argument("DURATION")))


OPTIONS = (
    Option(
        "prefer NETWORKS…",
        "none",
        "With `round_robin`: addresses in these networks come first, in this order.",
        _prefer,
    ),
    Option("reload DURATION", "30s", "With `weighted`: how often FILE is polled for changes; 0: never.", _reload),
)


def parse(directives: Sequence[Directive], context: BlockContext) -> LoadbalanceSettings:
    """Read `loadbalance [round_robin | weighted FILE] { options }`; of several directives the last one applies.

    Raises CorefileError, also for a weights file that exists and is malformed.
    """
    settings = LoadbalanceSettings()
    errors = ErrorList()
    for directive in directives:
        with errors.collect():
            settings = read_block(_policy(directive, context), [directive], OPTIONS)
    errors.raise_if_any()
    return settings


def _policy(directive: Directive, context: BlockContext) -> LoadbalanceSettings:
    if not directive.args:
        return LoadbalanceSettings()
    policy = values.choice(directive.args[0], (ROUND_ROBIN, WEIGHTED))
    if policy == ROUND_ROBIN:
        directive.arguments_between(1, 1, ROUND_ROBIN)
        return LoadbalanceSettings()
    _, file = directive.arguments_between(2, 2, f"{WEIGHTED} FILE")
    return LoadbalanceSettings(WEIGHTED, weights=_weights(file, context.path(file.text)))


def _weights(file: Token, path: str) -> "WeightsFile":
    """Read the weights file, which is empty while it cannot be opened. Raises CorefileError if it is malformed."""
    from clusterdns.plugins.loadbalance.weights import WeightsError, WeightsFile  # for the policy `weighted` only

    weights = WeightsFile(path)
    try:
        weights.load()
    except WeightsError as problem:
        hint = "write each name alone on a line, and below it lines ADDRESS WEIGHT"
        raise file.error(str(problem), hint) from None
    return weights


def build(settings: LoadbalanceSettings, context: BlockContext) -> Part:
    """Make the part: an observer for round robin, a handler for preferred networks or weights."""
    if (weights := settings.weights) is not None:
        arrange = by_weight(weights)
        return Part(
            "loadbalance",
            handling=Handling(wrap=lambda following: ReorderingHandler(arrange, following, _WEIGHTED_TYPES)),
            life=LifeCycle(start=lambda: weights.start(settings.reload_seconds), stop=weights.stop),
        )
    if settings.preferred:
        arrange = by_preference(settings.preferred)
        return Part("loadbalance", handling=Handling(wrap=lambda following: ReorderingHandler(arrange, following)))
    return Part("loadbalance", handling=Handling(observe=mark_rotating))


DOC = Doc(
    usage=("loadbalance [round_robin]", "loadbalance weighted FILE"),
    about="Rotates the addresses of a name, so that successive replies begin with different ones. `weighted` instead "
    "puts an address first that is drawn at random by its weight. FILE lists each name alone on a line, and below it "
    "lines `ADDRESS WEIGHT`; a weight is 1 to 255, and 1 for addresses that are not listed.",
    options=OPTIONS,
    example="loadbalance round_robin {\n    prefer 10.0.0.0/8\n}\nwhoami",
    better="Round robin is part of the compiled answer and costs nothing; every address comes first equally often. "
    "If a weights file becomes malformed, its last good weights stay in use.",
)
PLUGIN = Plugin("loadbalance", parse, build, doc=DOC)
