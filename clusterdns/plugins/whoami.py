"""The `whoami` directive: the client's own address, port and transport; the end of a chain.

The reply differs for every client, so it is never compiled.
"""

from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile.directive import Directive
from clusterdns.wire import codes, record
from clusterdns.wire.name import MAX_NAME_BYTES, ROOT


async def answer(query: Query) -> Reply:
    """Answer with the client's address, and an SRV record with its transport and port, in the additional section."""
    additional = [record.address(query.name, 0, query.client_ip.packed)]
    service = b"\x04_" + query.transport.encode() + query.name
    if len(service) <= MAX_NAME_BYTES:
        additional.append(record.srv(service, 0, 0, query.client[1], ROOT))
    return Reply(codes.NOERROR, (), (), additional)


def parse(directives: Sequence[Directive], context: BlockContext) -> None:
    """Check `whoami`, which takes nothing. Raises CorefileErrors."""
    for directive in directives:
        directive.no_arguments()
        directive.no_block()


def build(settings: None, context: BlockContext) -> Part:
    """Make the part."""
    return Part("whoami", handling=Handling(wrap=lambda following: answer))


DOC = Doc(
    usage=("whoami",),
    about="Answers with the client's own address, port and transport, in the additional section. No query passes it.",
    example="whoami",
)
PLUGIN = Plugin("whoami", parse, build, doc=DOC)
