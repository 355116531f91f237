"""The `bufsize` directive: no client is sent larger datagrams than this, whatever it says it can take.

The size is lowered in the query itself, so that the reply's limit, what `forward` tells its upstreams and what `log`
shows all follow. It never raises one, and changes nothing for clients without EDNS.
"""

from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive
from clusterdns.wire.header import CLASSIC_UDP_BYTES, OWN_UDP_BYTES

MAX_BYTES = 4096


def parse(directives: Sequence[Directive], context: BlockContext) -> int:
    """`bufsize [BYTES]`, in bytes; of several the first counts. Raises CorefileError."""
    lenient.ignore_block(directives[0])
    for word in directives[0].arguments_between(0, 1, "[BYTES]"):
        return values.integer(word, CLASSIC_UDP_BYTES, MAX_BYTES)
    return OWN_UDP_BYTES


def build(limit_bytes: int, context: BlockContext) -> Part:
    """The handler."""

    def lowering(following: Handler) -> Handler:
        async def handle(query: Query) -> Reply:
            if query.udp_bytes > limit_bytes:
                query.udp_bytes = limit_bytes
            return await following(query)

        return handle

    return Part("bufsize", handling=Handling(wrap=lowering))


DOC = Doc(
    usage=("bufsize [BYTES]",),
    about="Lowers the size of datagrams that a client says it can take to at most 512..4096 bytes, 1232 by default. "
    "Replies over UDP never have more than 1232 bytes anyway.",
    example="bufsize 1232\nwhoami",
    better="without it, too, no reply is cut into fragments.",
)
PLUGIN = Plugin("bufsize", parse, build, doc=DOC)
