"""The `metadata` directive: facts about a query, by label, for those plugins of its block that show or use them.

Before the chain is run each part of the block that has labels to give (`Handling.labels`) is asked for them; `server`
does so for blocks with this directive. `log` prints them as `{/label}`. Later ones, such as the upstream that was
asked, are added to `Query.labels` by whoever learns them.
"""

from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile import lenient
from clusterdns.corefile.directive import Directive
from clusterdns.wire.name import is_under


def parse(directives: Sequence[Directive], context: BlockContext) -> tuple[bytes, ...]:
    """`metadata [ZONES…]`; without zones those of the block. Raises CorefileError."""
    directive = directives[0]
    directive.no_block()
    return lenient.zones(directive.args, context.zones)


def within(zones: tuple[bytes, ...], following: Handler) -> Handler:
    """Takes what parts had to say from queries for names outside these zones; what is learnt later has a place."""

    async def handle(query: Query) -> Reply:
        if query.labels is None or not any(is_under(query.name, zone) for zone in zones):
            query.labels = {}
        return await following(query)

    return handle


def build(zones: tuple[bytes, ...], context: BlockContext) -> Part:
    """The handler."""
    return Part("metadata", handling=Handling(wrap=lambda following: within(zones, following), collects_labels=True))


DOC = Doc(
    usage=("metadata [ZONES…]",),
    about="Has plugins collect facts about each query of these zones (those of the block where none are named), for "
    "the placeholders `{/label}` of `log` and for `rewrite` and `template`. Labels: `kubernetes/endpoint`, `kind`, "
    "`namespace`, `port-name`, `protocol`, `service`, `parse-error`, with `zonal` `zone`, with `multicluster` "
    "`cluster`, with `pods verified` `client-namespace` and `client-pod-name`; "
    "`forward/upstream`; `log/type` and `log/class`.",
    example='metadata\nlog . "{common} {/log/type}"\nwhoami',
)
PLUGIN = Plugin("metadata", parse, build, once=True, doc=DOC)
