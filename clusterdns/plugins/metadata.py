"""The `metadata` directive: labels with facts about a query, for the plugins of its block that show or use them.

In a block with `metadata`, `server` collects the labels of each part (`Handling.labels`) before it runs the chain.
Plugins add labels that are known later, such as the upstream that was asked, to `Query.labels`. `log` shows a label
as `{/label}`.
"""

from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile import lenient
from clusterdns.corefile.directive import Directive
from clusterdns.wire.name import is_under


def parse(directives: Sequence[Directive], context: BlockContext) -> tuple[bytes, ...]:
    """Read `metadata [ZONES…]`, by default the zones of the block. Raises CorefileErrors."""
    directive = directives[0]
    directive.no_block()
    return lenient.zones(directive.args, context.zones)


def within(zones: tuple[bytes, ...], following: Handler) -> Handler:
    """Make the handler, which removes the labels of queries outside the zones and leaves a dict for later labels."""

    async def handle(query: Query) -> Reply:
        if query.labels is None or not any(is_under(query.name, zone) for zone in zones):
            query.labels = {}
        return await following(query)

    return handle


def build(zones: tuple[bytes, ...], context: BlockContext) -> Part:
    """Make the part."""
    return Part("metadata", handling=Handling(wrap=lambda following: within(zones, following), collects_labels=True))


DOC = Doc(
    usage=("metadata [ZONES…]",),
    about="Collects labels about each query for a name in ZONES, or in the zones of the block, for the placeholders "
    "`{/label}` of `log` and for `rewrite` and `template`. Labels: `kubernetes/endpoint`, `kind`, "
    "`namespace`, `port-name`, `protocol`, `service`, `parse-error`, with `zonal` `zone`, with `multicluster` "
    "`cluster`, with `pods verified` `client-namespace`, `client-pod-name` and, for each label of the client's pod, "
    "`client-label/KEY`; `forward/upstream`; `log/type` and `log/class`.",
    example='metadata\nlog . "{common} {/log/type}"\nwhoami',
)
PLUGIN = Plugin("metadata", parse, build, once=True, doc=DOC)
