"""The `minimal` directive: answers without the records that nobody asked for.

Denials keep their SOA and referrals their NS records and glue, because these are the message (RFC 2308, RFC 9471).
"""

from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.chain.reply_type import ReplyType, reply_type
from clusterdns.corefile.directive import Directive


def shortening(following: Handler) -> Handler:
    """Takes the authority and additional sections from positive answers."""

    async def handle(query: Query) -> Reply:
        reply = await following(query)
        if not (reply.authority or reply.additional) or reply_type(query, reply) is not ReplyType.NOERROR:
            return reply
        shorter = reply.duplicate()
        shorter.authority = shorter.additional = ()
        return shorter

    return handle


def parse(directives: Sequence[Directive], context: BlockContext) -> None:
    """`minimal`; of several the first counts. Raises CorefileError."""
    directives[0].no_arguments()
    directives[0].no_block()


def build(settings: None, context: BlockContext) -> Part:
    """The handler."""
    return Part("minimal", handling=Handling(wrap=shortening))


DOC = Doc(
    usage=("minimal",),
    about="Positive answers come without authority and additional sections; denials and referrals stay whole.",
    example="minimal\nwhoami",
)
PLUGIN = Plugin("minimal", parse, build, doc=DOC)
