"""The observer of the `log` directive: it logs a query if the first rule for the name wants that class of reply.

A logged reply is not compiled, because the observer must see the next query as well. A reply that is not logged stays
reusable, so `log` costs nothing for it.
"""

import logging
from collections.abc import Callable, Sequence

import msgspec

from clusterdns.chain import Observer, Query, Reply
from clusterdns.chain.reply_type import reply_class
from clusterdns.plugins.log.line import JsonFormat, LogEntry, QueryLine
from clusterdns.telemetry.logs import BARE_LINES
from clusterdns.wire.name import is_under

# no plugin in the logger's name: these lines are the main output of a process with this directive
log = logging.getLogger("clusterdns.queries")
json_log = logging.getLogger(BARE_LINES)


class LogRule(msgspec.Struct, frozen=True):
    """The classes of replies that are logged for names at or under `name`, and the format of the line."""

    name: bytes
    format: Callable[[LogEntry], str]
    classes: frozenset[str]


def logging_observer(rules: Sequence[LogRule]) -> Observer:
    """Make the observer that logs by these rules."""

    def observe(query: Query, reply: Reply, seconds: float) -> None:
        rule = next((rule for rule in rules if is_under(query.name, rule.name)), None)
        if rule is not None and reply_class(query, reply) in rule.classes:
            reply.reusable = False
            line = QueryLine(LogEntry(query, reply, round(seconds * 1e9)), rule.format)
            (json_log if isinstance(rule.format, JsonFormat) else log).info(line)

    return observe
