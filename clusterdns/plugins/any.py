"""The `any` directive: a short answer to questions of type ANY, whatever is there (RFC 8482 §4.2).

It stands above everything that holds records, so none of them is asked.
"""

from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile.directive import Directive
from clusterdns.wire import codes, record

TTL_SECONDS = 8482


def refusing(following: Handler) -> Handler:
    """Answers ANY, passes all else on."""

    async def handle(query: Query) -> Reply:
        if query.qtype != codes.ANY:
            return await following(query)
        told = record.hinfo(query.name, TTL_SECONDS, "ANY obsoleted", "See RFC 8482")
        return Reply(codes.NOERROR, (told,), is_authoritative=False, reusable=True)

    return handle


def parse(directives: Sequence[Directive], context: BlockContext) -> None:
    """`any`; of several the first counts. Raises CorefileError."""
    directives[0].no_arguments()
    directives[0].no_block()


def build(settings: None, context: BlockContext) -> Part:
    """The handler."""
    return Part("any", handling=Handling(wrap=refusing, is_for_in_only=True))


DOC = Doc(
    usage=("any",),
    about="Answers questions of type ANY with one HINFO record that says that they are obsolete (RFC 8482).",
    example="any\nwhoami",
)
PLUGIN = Plugin("any", parse, build, doc=DOC)
