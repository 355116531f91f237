"""The `cancel` directive: how long a query may take in all before those who wait for others give up.

It notes the moment in the query; `forward` and whoever else waits keeps it.
"""

import asyncio
from collections.abc import Callable, Sequence

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive

DEFAULT_SECONDS = 5.001  # a little more than resolvers wait
LEAST_SECONDS = 1e-9


def parse(directives: Sequence[Directive], context: BlockContext) -> float:
    """`cancel [DURATION]`, in seconds; of several the last counts. Raises CorefileError."""
    seconds = DEFAULT_SECONDS
    for directive in directives:
        lenient.ignore_block(directive)
        for word in directive.arguments_between(0, 1, "[DURATION]"):
            seconds = values.duration_seconds(word, LEAST_SECONDS)
    return seconds


def limiting(seconds: float, clock: Callable[[], float] | None = None) -> Callable[[Handler], Handler]:
    """What sets the deadline; an earlier one, of the query that led to this one, stays."""

    def wrap(following: Handler) -> Handler:
        async def handle(query: Query) -> Reply:
            now = (clock or asyncio.get_running_loop().time)()
            if query.deadline is None or query.deadline > now + seconds:
                query.deadline = now + seconds
            return await following(query)

        return handle

    return wrap


def build(seconds: float, context: BlockContext) -> Part:
    """The handler."""
    return Part("cancel", handling=Handling(wrap=limiting(seconds)))


DOC = Doc(
    usage=("cancel [DURATION]",),
    about="Queries that wait for an upstream are given up after this time, 5.001s by default.",
    example="cancel 2s\nwhoami",
)
PLUGIN = Plugin("cancel", parse, build, doc=DOC)
