"""The `any` directive: one short record for every query of type ANY (RFC 8482 §4.2).

It stands above all plugins that hold records, so none of them sees a query of type ANY.
"""

from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile.directive import Directive
from clusterdns.wire import codes, record

TTL_SECONDS = 8482


def wrap(following: Handler) -> Handler:
    """Make the handler, which answers ANY and passes other types to the next one."""

    async def handle(query: Query) -> Reply:
        if query.qtype != codes.ANY:
            return await following(query)
        answer = (record.hinfo(query.name, TTL_SECONDS, "ANY obsoleted", "See RFC 8482"),)
        return Reply(codes.NOERROR, answer, is_authoritative=False, reusable=True)

    return handle


def parse(directives: Sequence[Directive], context: BlockContext) -> None:
    """Check `any`, which takes nothing; of several the first counts. Raises CorefileErrors."""
    directives[0].no_arguments()
    directives[0].no_block()


def build(settings: None, context: BlockContext) -> Part:
    """Make the part."""
    return Part("any", handling=Handling(wrap=wrap, is_for_in_only=True))


DOC = Doc(
    usage=("any",),
    about="Answers queries of type ANY with one HINFO record, which says that ANY is obsolete (RFC 8482).",
    example="any\nwhoami",
)
PLUGIN = Plugin("any", parse, build, doc=DOC)
