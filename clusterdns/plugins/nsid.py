"""The `nsid` directive: the identity of this server, for clients that ask for it with an EDNS option (RFC 5001).

Queries with EDNS options are never answered from the answer table, so the handler sees each of them.
"""

import socket
from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile.directive import Directive
from clusterdns.wire import codes
from clusterdns.wire.edns import iter_options, pack_option


def is_asked_for(options: bytes) -> bool:
    """Return whether EDNS options, known to be well-formed, contain an NSID."""
    return any(code == codes.NSID for code, _ in iter_options(options))


def parse(directives: Sequence[Directive], context: BlockContext) -> bytes:
    """Read `nsid [WORDS…]`: the words joined by spaces, by default the host's name. Raises CorefileErrors."""
    directive = directives[0]
    directive.no_block()
    return (" ".join(word.text for word in directive.args) or socket.gethostname()).encode()


def build(identity: bytes, context: BlockContext) -> Part:
    """Make the part."""
    option = pack_option(codes.NSID, identity)

    def wrap(following: Handler) -> Handler:
        async def handle(query: Query) -> Reply:
            reply = await following(query)
            if not query.options or not is_asked_for(query.options):
                return reply
            identified = reply.duplicate()
            identified.options += option
            return identified

        return handle

    return Part("nsid", handling=Handling(wrap=wrap))


DOC = Doc(
    usage=("nsid [WORDS…]",),
    about="Adds the identity of this server to replies, for clients that ask for it (`dig +nsid`): WORDS, by default "
    "the host's name.",
    example="nsid rack 7\nwhoami",
    better="DO is set in replies only where the query has it.",
)
PLUGIN = Plugin("nsid", parse, build, once=True, doc=DOC)
