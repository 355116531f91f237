"""The `errors` directive: logs why queries failed, one line each, or one line for many alike.

It logs the `error` of a reply; a response code alone is not an error. Exceptions in handlers are logged and answered by
`server.dispatch`, with or without this directive.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from clusterdns.chain import BlockContext, Doc, Handling, LifeCycle, Part, Plugin, Query, Reply, Reuse
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.options import Option, read_block
from clusterdns.telemetry.logs import duration_text
from clusterdns.wire import codes
from clusterdns.wire.name import to_text

LEVELS = {"warning": logging.WARNING, "error": logging.ERROR, "info": logging.INFO, "debug": logging.DEBUG}
SHOW_FIRST = "show_first"

CallLater = Callable[[float, Callable[[], None]], object]  # as the event loop's `call_later`

log = logging.getLogger("clusterdns.plugin.errors")


class Consolidation(msgspec.Struct, frozen=True):
    """A rule: errors whose text matches `pattern` are counted and logged once per period."""

    pattern: values.Pattern
    period_seconds: float
    level: int = logging.ERROR
    show_first: bool = False


class ErrorsSettings(msgspec.Struct, frozen=True):
    """The rules of consolidation, in the order of the file."""

    consolidations: tuple[Consolidation, ...] = ()


class ErrorLog:
    """The observer that logs or counts the errors of one server block."""

    def __init__(self, settings: ErrorsSettings, call_later: CallLater) -> None:
        self._consolidations = settings.consolidations
        self._counts = dict.fromkeys(settings.consolidations, 0)
        self._call_later = call_later

    def observe(self, query: Query, reply: Reply, seconds: float) -> None:
        """Log or count the reply's error, if it has one."""
        if not reply.error:
            return
        reply.reusable = False  # so that the next failure of this name is logged as well
        matching = next((one for one in self._consolidations if one.pattern.search(reply.error)), None)
        if matching is None:
            self._log(logging.ERROR, query, reply)
            return
        self._counts[matching] += 1
        if self._counts[matching] == 1:
            if matching.show_first:
                self._log(matching.level, query, reply)
            self._call_later(matching.period_seconds, lambda: self._log_count(matching))

    async def flush(self) -> None:
        """Log all counts now, without waiting for the ends of their periods."""
        for one in self._consolidations:
            self._log_count(one)

    def _log_count(self, one: Consolidation) -> None:
        count, self._counts[one] = self._counts[one], 0
        if count > (1 if one.show_first else 0):
            period = duration_text(one.period_seconds)
            log.log(one.level, "%d errors like '%s' occurred in last %s", count, one.pattern.pattern, period)

    def _log(self, level: int, query: Query, reply: Reply) -> None:
        query = query.effective  # if it was rewritten, the question that failed
        log.log(level, "%d %s %s: %s", reply.rcode, to_text(query.name), codes.type_text(query.qtype), reply.error)


def parse(directives: Sequence[Directive], context: BlockContext) -> ErrorsSettings:
    """Read `errors [stdout] { options }`. Raises CorefileError."""
    for directive in directives:
        for word in directive.arguments_between(0, 1, "[stdout]"):
            if word.text != "stdout":
                raise word.error(f"cannot log to {word}", "errors go to standard output: write 'errors' alone")
    return read_block(ErrorsSettings(), directives, OPTIONS)


def _stacktrace(settings: ErrorsSettings, line: Line) -> ErrorsSettings:
    line.no_arguments()
    return settings


def _consolidate(settings: ErrorsSettings, line: Line) -> ErrorsSettings:
    period, regex, *more = line.arguments_between(2, 4, "DURATION REGEX [warning|error|info|debug] [show_first]")
    show_first = bool(more) and more[-1].text == SHOW_FIRST
    if show_first:
        more.pop()
    if len(more) > 1:
        hint = "write at most one level, then at most show_first"
        raise more[1].error(f"unexpected {more[1]} after {more[0]}", hint)
    level = LEVELS[values.choice(more[0], tuple(LEVELS))] if more else logging.ERROR
    one = Consolidation(values.regex(regex), values.duration_seconds(period), level, show_first)
    return replace(settings, consolidations=(*settings.consolidations, one))


OPTIONS: tuple[Option[ErrorsSettings], ...] = (
    Option(
        "stacktrace",
        "",
        "Accepted without effect: an internal error in a handler is always logged with its place in the source.",
        _stacktrace,
    ),
    Option(
        "consolidate DURATION REGEX [warning|error|info|debug] [show_first]",
        "every error is logged",
        "Errors that match REGEX are counted and logged as one line per DURATION, at the given level (default: error). "
        "With show_first the first one is also logged at once. The first matching line applies.",
        _consolidate,
    ),
)


def build(settings: ErrorsSettings, context: BlockContext) -> Part:
    """Make the part; when it stops, it logs what it has counted."""
    errors = ErrorLog(settings, lambda seconds, call: asyncio.get_running_loop().call_later(seconds, call))
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
        about="Logs why queries failed: response code, name, type and reason, as one line each or one line for many "
        "alike. A response code alone, such as NXDOMAIN, is not an error.",
        options=OPTIONS,
        example='errors {\n    consolidate 5m ".* i/o timeout$" warning show_first\n}',
        better="For a query that `rewrite` changed, the line has the response code that the client received; CoreDNS "
        "shows 0.",
    ),
)
