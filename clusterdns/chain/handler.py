"""The types of the chain: a handler takes a query and returns a reply; an observer sees both.

A handler is `async` because some handlers wait (forwarding, a look-up in another zone). Dispatch runs it up to its
first real wait without a task, so that a handler that never waits costs no more than a call (docs/decisions/0003).
"""

import enum
from collections.abc import Callable, Coroutine
from typing import Any

from clusterdns.chain.query import Query
from clusterdns.chain.reply import Reply

Handler = Callable[[Query], Coroutine[Any, Any, Reply]]
Observer = Callable[[Query, Reply, float], None]  # the third argument: seconds since the query was read


class Reuse(enum.Enum):
    """The condition for sending an answer compiled from a reply again without running the handler."""

    COMPILED = "compiled"  # yes: the handler's effect is in the reply's bytes, or it has none
    PER_REPLY = "per reply"  # the handler decides for each reply, by clearing `reusable`
    EVERY_QUERY = "every query"  # no: the handler must see every query
