"""The `whoami` directive: tells the client its own address, port and transport. Ends its chain.

The reply is different for every client, so it is never kept.
"""

from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile.directive import Directive
from clusterdns.wire import codes, record
from clusterdns.wire.name import MAX_NAME_BYTES, ROOT


async def answer(query: Query) -> Reply:
    """An empty answer; in the additional section the client's address, and its port as an SRV of its transport."""
    additional = [record.address(query.name, 0, query.client_ip.packed)]
    service = b"\x04_" + query.transport.encode() + query.name
    if len(service) <= MAX_NAME_BYTES:
        additional.append(record.srv(service, 0, 0, query.client[1], ROOT))
    return Reply(codes.NOERROR, (), (), additional)


def parse(directives: Sequence[Directive], context: BlockContext) -> None:
    """There is nothing to set. Raises CorefileError where something is."""
    for directive in directives:
        directive.no_arguments()
        directive.no_block()


def build(settings: None, context: BlockContext) -> Part:
    """The end of a chain."""
    return Part("whoami", handling=Handling(wrap=lambda following: answer))


DOC = Doc(
    usage=("whoami",),
    about="Tells the client its own address, port and transport, in the additional section. Ends the chain.",
    example="whoami",
)
PLUGIN = Plugin("whoami", parse, build, doc=DOC)
