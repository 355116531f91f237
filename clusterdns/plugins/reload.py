"""The `reload` directive: how often the Corefile is polled for changes.

It applies to the process, not to its block: the last one of the file wins. `server.reloading` polls and reloads; a
reload by signal needs no directive.
"""

from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, Part, Plugin
from clusterdns.chain.exports import ReloadSchedule
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive

MIN_INTERVAL_SECONDS = 2.0
MIN_JITTER_SECONDS = 1.0


def parse(directives: Sequence[Directive], context: BlockContext) -> ReloadSchedule:
    """Read `reload [INTERVAL [JITTER]]`; the first of several in a block wins. Raises CorefileError."""
    directive = directives[0]
    lenient.ignore_block(directive)
    schedule = ReloadSchedule()
    words = directive.arguments_between(0, 2, "[INTERVAL [JITTER]]")
    interval = values.duration_seconds(words[0], MIN_INTERVAL_SECONDS) if words else schedule.interval_seconds
    jitter = values.duration_seconds(words[1]) if len(words) > 1 else schedule.jitter_seconds
    if 0 < jitter < MIN_JITTER_SECONDS:
        raise words[1].error(f"{words[1]} is out of range", f"write 0s, or {MIN_JITTER_SECONDS:g}s or more")
    return ReloadSchedule(interval, min(jitter, interval / 2))


def build(schedule: ReloadSchedule, context: BlockContext) -> Part:
    """Export the schedule to the server."""
    return Part("reload", exports=(schedule,))


DOC = Doc(
    usage=("reload [INTERVAL [JITTER]]",),
    about="Polls the Corefile and its imports every INTERVAL (30s, at least 2s), plus or minus half of JITTER (15s); "
    "changes to a new configuration without losing a query. A file with an error changes nothing. SIGHUP and SIGUSR1 "
    "reload at once, with or without this directive.",
    example="reload 10s 5s\nwhoami",
    better="Sockets stay open, the index and its watches are kept where kubernetes blocks read the same objects, and "
    "the previous configuration answers until the new one has started: no query is lost, no name is briefly missing. "
    "/ready shows the errors of a new Corefile as well.",
)
PLUGIN = Plugin("reload", parse, build, doc=DOC)
