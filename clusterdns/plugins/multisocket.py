"""The `multisocket` directive: several sockets for each address of the block.

One process serves them all: they enlarge the kernel's receive buffer for bursts, and use no more processors.
"""

import os
from collections.abc import Sequence

from msgspec.structs import replace

from clusterdns.chain import BlockContext, Doc, Part, Plugin
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive

MAX_SOCKETS = 1024


def parse(directives: Sequence[Directive], context: BlockContext) -> int:
    """Read `multisocket [NUMBER]`; without a number one for each processor. Raises CorefileError."""
    (directive,) = directives[:1]
    directive.no_block()
    words = directive.arguments_between(0, 1, "[NUMBER]")
    return values.integer(words[0], 1, MAX_SOCKETS) if words else os.cpu_count() or 1


def configure_block(sockets: int, context: BlockContext) -> BlockContext:
    """Listen on each address of the block with this many sockets."""
    return replace(context, listener=replace(context.listener, sockets=sockets, shares_port=True))


def build(sockets: int, context: BlockContext) -> Part:
    """Make a part without effects: `configure_block` has them."""
    return Part("multisocket")


DOC = Doc(
    usage=("multisocket [NUMBER]",),
    about="Opens NUMBER sockets (1 to 1024; the number of processors without one) for each address and protocol, among "
    "which the kernel divides the clients. One process serves them all: they widen the buffer for bursts, and do not "
    "bring more processors to bear. Other processes of the same user may open sockets there as well, which is an error "
    "without this directive. Of several blocks on one listener the first that says anything counts.",
    better="Without the directive the port is ours alone; with CoreDNS a second process takes half of the queries.",
    example="multisocket 2\nwhoami",
)
PLUGIN = Plugin("multisocket", parse, build, once=True, doc=DOC, configure_block=configure_block)
