"""The `errors` directive: why queries failed, one line each, or one line for many of a kind.

What is logged is a reply's `error`; a response code alone is no error. An exception in a handler is `server.dispatch`'s
to log and answer, whether or not this directive is there.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from clusterdns.chain import BlockContext, Doc, Handling, LifeCycle, Part, Plugin, Query, Reply, Reuse
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.options import Option, read_block
from clusterdns.telemetry.logs import duration_text
from clusterdns.wire import codes
from clusterdns.wire.name import to_text

LEVELS = {"warning": logging.WARNING, "error": logging.ERROR, "info": logging.INFO, "debug": logging.DEBUG}
SHOW_FIRST = "show_first"

After = Callable[[float, Callable[[], None]], object]

log = logging.getLogger("clusterdns.plugin.errors")


@dataclass(frozen=True)
class Consolidation:
    """Errors whose text has a match of `pattern` are counted and told once per period."""

    pattern: values.Pattern
    period_seconds: float
    level: int = logging.ERROR
    show_first: bool = False


@dataclass(frozen=True)
class Settings:
    """The consolidations, in the order of the file."""

    consolidations: tuple[Consolidation, ...] = ()


class ErrorLog:
    """Where the errors of one server block go. Lives as long as the block; its counts are written here alone."""

    def __init__(self, settings: Settings, after: After | None = None) -> None:
        """Take the settings; `after(seconds, call)` is the event loop's timer."""
        self._consolidations = settings.consolidations
        self._counts = dict.fromkeys(settings.consolidations, 0)
        self._after = after

    def observe(self, query: Query, reply: Reply, seconds: float) -> None:
        """Log the reply's error if it has one, or count it."""
        if not reply.error:
            return
        reply.reusable = False  # the next failure of this name is to be logged too
        matching = next((one for one in self._consolidations if one.pattern.search(reply.error)), None)
        if matching is None:
            self._tell(logging.ERROR, query, reply)
            return
        self._counts[matching] += 1
        if self._counts[matching] == 1:
            if matching.show_first:
                self._tell(matching.level, query, reply)
            after = self._after or asyncio.get_running_loop().call_later
            after(matching.period_seconds, lambda: self._sum_up(matching))

    async def flush(self) -> None:
        """Tell what has been counted, without waiting for the end of its period."""
        for one in self._consolidations:
            self._sum_up(one)

    def _sum_up(self, one: Consolidation) -> None:
        count, self._counts[one] = self._counts[one], 0
        if count > (1 if one.show_first else 0):
            period = duration_text(one.period_seconds)
            log.log(one.level, "%d errors like '%s' occurred in last %s", count, one.pattern.pattern, period)

    def _tell(self, level: int, query: Query, reply: Reply) -> None:
        query = query.effective  # a rewritten question failed as what it was rewritten to
        log.log(level, "%d %s %s: %s", reply.rcode, to_text(query.name), codes.type_text(query.qtype), reply.error)


def parse(directives: Sequence[Directive], context: BlockContext) -> Settings:
    """`errors [stdout] { options }`. Raises CorefileError."""
    for directive in directives:
        for word in directive.arguments_between(0, 1, "[stdout]"):
            if word.text != "stdout":
                raise word.error(f"cannot log to {word}", "errors go to standard output: write 'errors' alone")
    return read_block(Settings(), directives, OPTIONS)


def _stacktrace(settings: Settings, line: Line) -> Settings:
    line.no_arguments()
    return settings


def _consolidate(settings: Settings, line: Line) -> Settings:
    period, regex, *more = line.arguments_between(2, 4, "DURATION REGEX [warning|error|info|debug] [show_first]")
    show_first = bool(more) and more[-1].text == SHOW_FIRST
    if show_first:
        more.pop()
    if len(more) > 1:
        hint = "write one level, then show_first or nothing"
        raise more[1].error(f"{more[1]} has no place after {more[0]}", hint)
    level = LEVELS[values.choice(more[0], tuple(LEVELS))] if more else logging.ERROR
    one = Consolidation(values.regex(regex), values.duration_seconds(period), level, show_first)
    return replace(settings, consolidations=(*settings.consolidations, one))


OPTIONS: tuple[Option[Settings], ...] = (
    Option(
        "stacktrace",
        "",
        "Accepted; an unexpected failure of a handler is always logged with the place in the source that it came from.",
        _stacktrace,
    ),
    Option(
        "consolidate DURATION REGEX [warning|error|info|debug] [show_first]",
        "every error is logged",
        "Errors that REGEX matches are counted and told in one line each DURATION, at the level given (error); with "
        "show_first the first one is logged at once as well. Of several lines the first that matches counts.",
        _consolidate,
    ),
)


def build(settings: Settings, context: BlockContext) -> Part:
    """The log; what is counted is told when the block ends."""
    errors = ErrorLog(settings)
    return Part(
        "errors", handling=Handling(observe=errors.observe, reuse=Reuse.PER_REPLY), life=LifeCycle(stop=errors.flush)
    )


PLUGIN = Plugin(
    "errors",
    parse,
    build,
    once=True,
    doc=Doc(
        usage=("errors [stdout]",),
        about="Logs why queries failed: response code, name, type and reason, one line for each or one for many alike. "
        "A response code alone, such as NXDOMAIN, is no error.",
        options=OPTIONS,
        example='errors {\n    consolidate 5m ".* i/o timeout$" warning show_first\n}',
        better="Below a rewrite rule that applied, CoreDNS shows the code 0; here it is the one that the client got.",
    ),
)
