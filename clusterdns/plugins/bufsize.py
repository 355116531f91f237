"""The `bufsize` directive: a limit for the UDP size that clients announce in EDNS.

It lowers the size in the query itself, so the size of the reply, the size that `forward` announces to upstreams and the
size that `log` shows follow. It never raises a size, and leaves queries without EDNS as they are.
"""

from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive
from clusterdns.wire.header import CLASSIC_UDP_BYTES, OWN_UDP_BYTES

MAX_BYTES = 4096


def parse(directives: Sequence[Directive], context: BlockContext) -> int:
    """Read `bufsize [BYTES]`; of several the first counts. Raises CorefileError."""
    lenient.ignore_block(directives[0])
    for word in directives[0].arguments_between(0, 1, "[BYTES]"):
        return values.integer(word, CLASSIC_UDP_BYTES, MAX_BYTES)
    return OWN_UDP_BYTES


def build(limit_bytes: int, context: BlockContext) -> Part:
    """Make the part."""

    def wrap(following: Handler) -> Handler:
        async def handle(query: Query) -> Reply:
            if query.udp_bytes > limit_bytes:
                query.udp_bytes = limit_bytes
            return await following(query)

        return handle

    return Part("bufsize", handling=Handling(wrap=wrap))


DOC = Doc(
    usage=("bufsize [BYTES]",),
    about="Lowers the UDP size that a client announces in EDNS to at most BYTES, 512 to 4096, 1232 by default. Replies "
    "over UDP never exceed 1232 bytes, with or without it.",
    example="bufsize 1232\nwhoami",
    better="no reply is fragmented, even without this directive.",
)
PLUGIN = Plugin("bufsize", parse, build, doc=DOC)
