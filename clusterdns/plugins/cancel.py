"""The `cancel` directive: a deadline for each query.

It sets `Query.deadline`; plugins that wait for other servers, such as `forward`, give up at that time.
"""

import asyncio
from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive

DEFAULT_SECONDS = 5.001  # a little longer than stub resolvers wait
MIN_SECONDS = 1e-9


def parse(directives: Sequence[Directive], context: BlockContext) -> float:
    """Read `cancel [DURATION]`, in seconds; of several the last counts. Raises CorefileError."""
    seconds = DEFAULT_SECONDS
    for directive in directives:
        lenient.ignore_block(directive)
        for word in directive.arguments_between(0, 1, "[DURATION]"):
            seconds = values.duration_seconds(word, MIN_SECONDS)
    return seconds


def build(seconds: float, context: BlockContext) -> Part:
    """Make the part; its handler keeps an earlier deadline, which a query has from the query that led to it."""

    def wrap(following: Handler) -> Handler:
        async def handle(query: Query) -> Reply:
            deadline = asyncio.get_running_loop().time() + seconds
            if query.deadline is None or query.deadline > deadline:
                query.deadline = deadline
            return await following(query)

        return handle

    return Part("cancel", handling=Handling(wrap=wrap))


DOC = Doc(
    usage=("cancel [DURATION]",),
    about="Queries that wait for an upstream fail after this time, 5.001s by default.",
    example="cancel 2s\nwhoami",
)
PLUGIN = Plugin("cancel", parse, build, doc=DOC)
