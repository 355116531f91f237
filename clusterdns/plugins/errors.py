"""The `errors` directive: why queries failed, one line each, or one line for many of a kind.

What is logged is a reply's `error`; a response code alone is no error. An exception in a handler is `server.dispatch`'s
to log and answer, whether or not this directive is there.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.plugins.handler import BlockContext, Part, Plugin, Reuse
from clusterdns.telemetry.logs import duration_text
from clusterdns.wire import codes
from clusterdns.wire.name import to_text
from clusterdns.wire.query import Query
from clusterdns.wire.reply import Reply

LEVELS = {"warning": logging.WARNING, "error": logging.ERROR, "info": logging.INFO, "debug": logging.DEBUG}
MAX_PATTERN_CHARACTERS = 10_000

After = Callable[[float, Callable[[], None]], object]

log = logging.getLogger("clusterdns.plugin.errors")


@dataclass(frozen=True)
class Consolidation:
    """Errors whose text has a match of `pattern` are counted and told once per period."""

    pattern: re.Pattern[str]
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
        log.log(level, "%d %s %s: %s", reply.rcode, to_text(query.name), codes.type_text(query.qtype), reply.error)


def parse(directives: Sequence[Directive], context: BlockContext) -> Settings:
    """`errors [stdout] { stacktrace; consolidate DURATION REGEX [LEVEL] [show_first] }`. Raises CorefileError.

    `stacktrace` changes nothing: dispatch always logs where an unexpected exception came from.
    """
    found: list[Consolidation] = []
    for directive in directives:
        for word in directive.arguments_between(0, 1, "[stdout]"):
            if word.text != "stdout":
                raise word.error(f"cannot log to {word}", "errors go to standard output: write 'errors' alone")
        for line in directive.options("stacktrace", "consolidate"):
            if line.name == "stacktrace":
                line.no_arguments()
            else:
                found.append(_consolidation(line))
    return Settings(tuple(found))


def _consolidation(line: Line) -> Consolidation:
    period, regex, *more = line.arguments_between(2, 4, "DURATION REGEX [warning|error|info|debug] [show_first]")
    if len(regex.text) > MAX_PATTERN_CHARACTERS:
        raise regex.error(f"pattern {regex} is too long", f"at most {MAX_PATTERN_CHARACTERS} characters are possible")
    try:
        pattern = re.compile(regex.text)
    except re.error as problem:
        raise regex.error(f"pattern {regex} is no regular expression: {problem}", "mend it") from problem
    show_first = bool(more) and more[-1].text == "show_first"
    if show_first:
        more.pop()
    level = logging.ERROR
    for word in more:
        level = LEVELS[values.choice(word, tuple(LEVELS))]
    return Consolidation(pattern, values.duration_seconds(period), level, show_first)


def build(settings: Settings, context: BlockContext) -> Part:
    """The log; what is counted is told when the block ends."""
    errors = ErrorLog(settings)
    return Part("errors", observe=errors.observe, reuse=Reuse.PER_REPLY, stop=errors.flush)


PLUGIN = Plugin("errors", parse, build, once=True)
