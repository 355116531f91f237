"""The `file` directive in the Corefile: its options, its documentation, and the part built from them."""

import os
from collections.abc import Sequence

from msgspec.structs import replace

from clusterdns.chain import BlockContext, Doc, Handler, Handling, LifeCycle, Part, Plugin, Readiness
from clusterdns.chain.exports import HeldQuestions, ZoneSource
from clusterdns.chain.fallthrough import NO_FALLTHROUGH, fallthrough_option
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.errors import ErrorList
from clusterdns.corefile.options import Option, read_block
from clusterdns.plugins.file.handler import FileHandler
from clusterdns.plugins.file.settings import FileSettings
from clusterdns.plugins.file.zones import FileZones


def parse(directives: Sequence[Directive], context: BlockContext) -> tuple[FileSettings, ...]:
    """Read `file DBFILE [ZONES…] { options }`, which may be repeated. Raises CorefileErrors."""
    errors = ErrorList()
    lines = []
    for directive in directives:
        with errors.collect():
            lines.append(_parse_line(directive, context))
    errors.raise_if_any()
    return tuple(lines)


def _parse_line(directive: Directive, context: BlockContext) -> FileSettings:
    token = directive.arguments_between(1, None, "DBFILE [ZONES…]")[0]
    zones = lenient.zones(directive.args[1:], context.zones)
    path = context.path(token.text)
    settings = read_block(FileSettings(path, token, zones), (directive,), OPTIONS)
    if not settings.reload_seconds and not os.path.exists(path):
        problem = f"cannot read the zone file {path}, and 'reload 0' reads it only at the start"
        raise token.error(problem, "name a file that exists, or remove 'reload 0'")
    return settings


def _reload(settings: FileSettings, line: Line) -> FileSettings:
    return replace(settings, reload_seconds=values.duration_seconds(lenient.first_argument(line, "DURATION")))


def _reload_by_mtime(settings: FileSettings, line: Line) -> FileSettings:
    line.no_arguments()
    return replace(settings, by_mtime=True)


def _upstream(settings: FileSettings, line: Line) -> FileSettings:
    """Accept the option without effect, as CoreDNS does: many Corefiles still have it."""
    return settings


OPTIONS: tuple[Option[FileSettings], ...] = (
    Option("reload DURATION", "1m", "How often the file is polled for changes; 0: never.", _reload),
    Option(
        "reload_by_mtime",
        "by serial",
        "A changed file replaces the zone even if the serial of its SOA stays the same.",
        _reload_by_mtime,
    ),
    fallthrough_option(
        "NXDOMAIN",
        "Queries for missing names go to the next plugin: all, or those for names in ZONES. It applies to all `file` "
        "lines of the block.",
    ),
    Option(
        "upstream [ADDRESS…]",
        "",
        "Without effect, as in CoreDNS: CNAME records are always followed.",
        _upstream,
        is_dead=True,
    ),
)


def build(settings: tuple[FileSettings, ...], context: BlockContext) -> Part:
    """Make the part: the zones, which poll their files, and the handler that answers from them."""
    zones = FileZones(settings, context)
    fallthroughs = [line.fallthrough for line in settings if line.fallthrough is not None]
    fallthrough = fallthroughs[-1] if fallthroughs else NO_FALLTHROUGH

    def wrap(following: Handler) -> Handler:
        return FileHandler(zones.files, fallthrough, following, is_last=_is_last(context))

    return Part(
        "file",
        handling=Handling(wrap=wrap, is_for_in_only=True),
        life=LifeCycle(dry_run=zones.load, start=zones.start, stop=zones.stop),
        readiness=Readiness(warning=zones.warning),
        exports=(zones, ZoneSource(zones.zone_records), HeldQuestions(zones.questions)),
    )


def _is_last(context: BlockContext) -> bool:
    """Return whether `file` has the last handler of its block, apart from `cache`, which CoreDNS has above it."""
    names = [part.name for part in context.parts if part.handling.wrap is not None]
    following = names[names.index("file") + 1 :] if "file" in names else []
    return not set(following) - {"cache"}


PLUGIN = Plugin(
    "file",
    parse,
    build,
    doc=Doc(
        usage=("file DBFILE [ZONES…]",),
        about="Serves ZONES, or the zones of the block, from a master file (RFC 1035 §5), with `$INCLUDE` and "
        "`$GENERATE`. Wildcards, delegations, CNAME and DNAME are followed. From a signed zone, clients with DO get "
        "signatures and NSEC records. While a file is missing, its zones are SERVFAIL; a malformed file is an error at "
        "the start.",
        options=OPTIONS,
        example="file /etc/clusterdns/db.example.org example.org {\n    reload 30s\n    fallthrough\n}",
        better="If the file vanishes, becomes malformed or grows beyond 32 MiB, the last good zone stays in use; the "
        "problem is logged once, counted in a metric and shown by /ready. A serial of 0 is valid. Queries are answered "
        "while a file is read.",
    ),
)
