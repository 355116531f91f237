"""The `reload` directive: how often the Corefile is looked at for changes.

It is the process's, not the block's: of several blocks the last counts. Looking, and taking a new configuration over,
is `server.reloading`'s work, for signals as well, which need no directive.
"""

from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, Part, Plugin
from clusterdns.chain.exports import ReloadSchedule
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive

MIN_INTERVAL_SECONDS = 2.0
MIN_JITTER_SECONDS = 1.0


def parse(directives: Sequence[Directive], context: BlockContext) -> ReloadSchedule:
    """`reload [INTERVAL [JITTER]]`; of several in a block the first counts. Raises CorefileError."""
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
    """Nothing in the chain; the server asks for the schedule."""
    return Part("reload", exports=(schedule,))


DOC = Doc(
    usage=("reload [INTERVAL [JITTER]]",),
    about="Looks every INTERVAL (30s, at least 2s), give or take half of JITTER (15s), whether the text of the "
    "Corefile or of a file that it imports has changed, and takes the new configuration over without losing a query. A "
    "file with a mistake changes nothing. SIGHUP and SIGUSR1 reload at once, with or without this directive.",
    example="reload 10s 5s\nwhoami",
    better="Sockets stay open, the index and its watches are kept where the kubernetes block reads the same, and the "
    "old configuration answers until the new one has started: no query is lost, no name is briefly missing. What is "
    "wrong with a new Corefile is shown by /ready as well.",
)
PLUGIN = Plugin("reload", parse, build, doc=DOC)
