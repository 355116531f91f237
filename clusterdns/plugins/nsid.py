"""The `nsid` directive: names this server to clients that ask for it in an EDNS option (RFC 5001).

A query with options is never answered from the compiled table, so every such query comes through here.
"""

import socket
from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile.directive import Directive
from clusterdns.wire import codes
from clusterdns.wire.edns import iter_options, pack_option


def is_asked_for(options: bytes) -> bool:
    """Whether EDNS options, known to be whole, hold an NSID."""
    return any(code == codes.NSID for code, _ in iter_options(options))


def parse(directives: Sequence[Directive], context: BlockContext) -> bytes:
    """`nsid [WORDS…]`: the words with blanks between, or else the host's name. Raises CorefileError."""
    directive = directives[0]
    directive.no_block()
    return (" ".join(word.text for word in directive.args) or socket.gethostname()).encode()


def build(identity: bytes, context: BlockContext) -> Part:
    """The handler."""
    option = pack_option(codes.NSID, identity)

    def wrap(following: Handler) -> Handler:
        async def handle(query: Query) -> Reply:
            reply = await following(query)
            if not query.options or not is_asked_for(query.options):
                return reply
            named = reply.duplicate()
            named.options += option
            return named

        return handle

    return Part("nsid", handling=Handling(wrap=wrap))


DOC = Doc(
    usage=("nsid [WORDS…]",),
    about="Tells clients that ask for it (`dig +nsid`) which server answered: these words, or the host's name.",
    example="nsid rack 7\nwhoami",
    better="sets DO in the reply only where the client did.",
)
PLUGIN = Plugin("nsid", parse, build, once=True, doc=DOC)
