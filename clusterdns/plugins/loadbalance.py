"""The `loadbalance` directive: successive queries see the addresses of a name in another order.

It only marks the reply. The turning itself is part of a compiled answer, so that it costs a query nothing here.
"""

from collections.abc import Sequence

from clusterdns.corefile.directive import Directive
from clusterdns.plugins.handler import BlockContext, Part, Plugin
from clusterdns.wire import codes
from clusterdns.wire.query import Query
from clusterdns.wire.reply import Reply


def mark(query: Query, reply: Reply, seconds: float) -> None:
    """Mark what may turn: replies of NOERROR that end in two addresses or more."""
    if reply.rcode == codes.NOERROR and len(reply.answer) > 1:
        reply.rotates = all(one.rtype in codes.ADDRESS_TYPES for one in reply.answer[-2:])


def parse(directives: Sequence[Directive], context: BlockContext) -> None:
    """Round robin is all there is to choose. Raises CorefileError."""
    for directive in directives:
        for policy in directive.arguments_between(0, None)[:1]:
            if policy.text == "weighted":
                raise policy.error("policy 'weighted' is not supported yet", "use 'loadbalance round_robin'")
            if policy.text != "round_robin":
                raise policy.error(f"unknown policy {policy}", "use 'loadbalance round_robin'")
        directive.arguments_between(0, 1, "[round_robin]")
        for line in directive.options("prefer"):
            raise line.error("option 'prefer' is not supported yet", "remove it: addresses turn in the order they have")


def build(settings: None, context: BlockContext) -> Part:
    """The mark."""
    return Part("loadbalance", observe=mark)


PLUGIN = Plugin("loadbalance", parse, build)
