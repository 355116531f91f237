"""The `minimal` directive: positive answers without authority and additional sections.

Negative answers keep their SOA, and referrals their NS records and glue: clients need them (RFC 2308, RFC 9471).
"""

from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.chain.reply_type import ReplyType, reply_type
from clusterdns.corefile.directive import Directive


def wrap(following: Handler) -> Handler:
    """Make the handler."""

    async def handle(query: Query) -> Reply:
        reply = await following(query)
        if not (reply.authority or reply.additional) or reply_type(query, reply) is not ReplyType.NOERROR:
            return reply
        shorter = reply.duplicate()
        shorter.authority = shorter.additional = ()
        return shorter

    return handle


def parse(directives: Sequence[Directive], context: BlockContext) -> None:
    """Check `minimal`, which takes nothing; of several the first counts. Raises CorefileErrors."""
    directives[0].no_arguments()
    directives[0].no_block()


def build(settings: None, context: BlockContext) -> Part:
    """Make the part."""
    return Part("minimal", handling=Handling(wrap=wrap))


DOC = Doc(
    usage=("minimal",),
    about="Removes the authority and additional sections of positive answers; negative answers and referrals keep "
    "theirs.",
    example="minimal\nwhoami",
)
PLUGIN = Plugin("minimal", parse, build, doc=DOC)
