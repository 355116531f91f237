"""The calling convention between the server and its plugins: a query goes in, a reply comes out.

Reading order: `query` and `reply`, `handler` (the types of the chain), `part` (what a directive adds to its block),
`block` (what it knows of its block), `plugin` (the steps from directive to part), then `fallthrough`, `reply_type` and
`exports`, which several plugins share. docs/writing-a-directive.md shows them in use.
"""

from clusterdns.chain.block import BlockContext, ListenerOptions, Shared
from clusterdns.chain.handler import Handler, Observer, Reuse
from clusterdns.chain.part import Handling, LifeCycle, Part, PartKey, Readiness, StartError
from clusterdns.chain.plugin import Doc, Plugin
from clusterdns.chain.query import Lookup, Query
from clusterdns.chain.reply import Reply, code_only, failure

__all__ = [
    "BlockContext",
    "Doc",
    "Handler",
    "Handling",
    "LifeCycle",
    "ListenerOptions",
    "Lookup",
    "Observer",
    "Part",
    "PartKey",
    "Plugin",
    "Query",
    "Readiness",
    "Reply",
    "Reuse",
    "Shared",
    "StartError",
    "code_only",
    "failure",
]
