"""The `debug` directive: debug lines in the log of the whole process, as long as any block has it.

Unlike in CoreDNS, it does not turn off the recovery from failures in handlers: the client gets SERVFAIL, and the log
has the whole traceback.
"""

from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, LifeCycle, Part, Plugin
from clusterdns.corefile.directive import Directive
from clusterdns.telemetry.logs import debug_level


def parse(directives: Sequence[Directive], context: BlockContext) -> None:
    """Read `debug`, which may be repeated. Raises CorefileError."""
    for directive in directives:
        directive.no_arguments()
        directive.no_block()


def build(settings: None, context: BlockContext) -> Part:
    """Make the part that turns debug lines on at the start and off at the stop."""

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
    better="Does not depend on the order of blocks, and no query ends the process.",
)
PLUGIN = Plugin("debug", parse, build, doc=DOC)
