"""The `debug` directive: debug lines in the log, process-wide, as long as any block has it.

A handler that fails unexpectedly is answered SERVFAIL with it, too: a server that ends over one query helps nobody find
out why, and the log has the whole traceback either way.
"""

from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, LifeCycle, Part, Plugin
from clusterdns.corefile.directive import Directive
from clusterdns.telemetry.logs import debug_level


def parse(directives: Sequence[Directive], context: BlockContext) -> None:
    """`debug`, repeatable. Raises CorefileError."""
    for directive in directives:
        directive.no_arguments()
        directive.no_block()


def build(settings: None, context: BlockContext) -> Part:
    """What turns the lines on, and at the block's end off."""

    block = object()

    async def start() -> None:
        debug_level.enable(block)

    async def stop() -> None:
        debug_level.disable(block)  # also where the start before this part's turn failed

    return Part("debug", life=LifeCycle(start=start, stop=stop))


DOC = Doc(
    usage=("debug",),
    about="Writes `[DEBUG]` lines. One block with it is enough for the whole process.",
    example="debug\nwhoami",
    better="does not depend on the order of blocks, and never lets the process end over a query.",
)
PLUGIN = Plugin("debug", parse, build, doc=DOC)
