"""The `hosts` directive in the Corefile: its options, its documentation, and the part built from them."""

import errno
import logging
import os
import stat
from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace

from clusterdns.chain import BlockContext, Doc, Handling, LifeCycle, Part, Plugin, Query, Readiness
from clusterdns.chain.exports import Deciding, Decision, HeldQuestions
from clusterdns.chain.fallthrough import fallthrough_option
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.errors import ErrorList, hint_for
from clusterdns.corefile.options import Option, read_block
from clusterdns.plugins.hosts.handler import HostsHandler
from clusterdns.plugins.hosts.hosts_file import HostsFile
from clusterdns.plugins.hosts.settings import HostsSettings
from clusterdns.plugins.hosts.table import HostsTable, address_from_text
from clusterdns.wire import codes

DEFAULT_FILE = "/etc/hosts"
MAX_TTL_SECONDS = 65535

log = logging.getLogger("clusterdns.plugin.hosts")


def parse(directives: Sequence[Directive], context: BlockContext) -> HostsSettings:
    """Read `hosts [FILE [ZONES…]] { [ADDRESS NAME…] options }`. Raises CorefileError."""
    directive = directives[0]
    path = context.path(directive.args[0].text) if directive.args else DEFAULT_FILE
    if directive.args:
        _check_file(path, directive)
    zones = lenient.zones(directive.args[1:], context.zones)
    inline: list[str] = []
    known: list[Line] = []
    errors = ErrorList()
    for line in directive.block:
        if line.name in _NAMES:
            known.append(line)
        elif any(one.name == "fallthrough" for one in known):
            hint = "write lines with an address before 'fallthrough'" if _is_entry(line) else ""
            errors.add(line.error(f"unknown property '{line.name}'", hint or hint_for(line.name, _NAMES)))
        else:
            inline.append(" ".join(word.text for word in line.words))
            if not _is_entry(line):
                log.warning("%s: '%s' is neither an address nor an option; the line is ignored", line.place, line.name)
    settings = HostsSettings(path, zones, tuple(inline))
    with errors.collect():
        settings = read_block(settings, (replace(directive, block=tuple(known)),), OPTIONS)
    errors.raise_if_any()
    if settings.passes_other_types and not settings.fallthrough.zones:
        raise directive.error(
            "fallthrough_unsupported requires fallthrough", "add 'fallthrough', or remove 'fallthrough_unsupported'"
        )
    return settings


def _is_entry(line: Line) -> bool:
    return address_from_text(line.name.encode(errors="replace")) is not None


def _check_file(path: str, directive: Directive) -> None:
    """Check the file as CoreDNS does: warn if it is missing, raise CorefileError if it cannot be accessed."""
    try:
        is_folder = stat.S_ISDIR(os.stat(path).st_mode)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOENT:
            log.warning("File does not exist: %s", path)
            return
        problem = f"unable to access hosts file '{path}': {error}"
        raise directive.args[0].error(problem, "name a readable file") from error
    if is_folder:
        log.warning('Hosts file "%s" is a directory', path)


def _ttl(settings: HostsSettings, line: Line) -> HostsSettings:
    return replace(settings, ttl_seconds=values.integer(lenient.first_argument(line, "SECONDS"), 1, MAX_TTL_SECONDS))


def _no_reverse(settings: HostsSettings, line: Line) -> HostsSettings:
    lenient.ignore_arguments(line)
    return replace(settings, has_reverse=False)


def _reload(settings: HostsSettings, line: Line) -> HostsSettings:
    return replace(settings, reload_seconds=values.duration_seconds(line.one_argument("DURATION")))


def _fallthrough_unsupported(settings: HostsSettings, line: Line) -> HostsSettings:
    line.no_arguments()
    return replace(settings, passes_other_types=True)


OPTIONS: tuple[Option[HostsSettings], ...] = (
    Option("ttl SECONDS", "3600", "The TTL of the answers, 1 to 65535.", _ttl),
    Option("no_reverse", "PTR is answered", "PTR queries for the addresses are not answered.", _no_reverse),
    Option("reload DURATION", "5s", "How often the file is polled for changes; 0: never.", _reload),
    fallthrough_option(
        "SERVFAIL",
        "Queries for missing names go to the next plugin: all, or those for names in ZONES. Lines with addresses come "
        "before this option.",
    ),
    Option(
        "fallthrough_unsupported",
        "NODATA",
        "Queries for types other than A, AAAA and PTR go to the next plugin if `fallthrough` covers the name.",
        _fallthrough_unsupported,
    ),
)
_NAMES = tuple(option.name for option in OPTIONS)


def build(settings: HostsSettings, context: BlockContext) -> Part:
    """Make the part: the handler, the tables it answers from, and the polling of the file."""
    new_table = partial(HostsTable, settings.zones, has_reverse=settings.has_reverse)
    inline = new_table()
    for _ in inline.load("\n".join(settings.inline).encode(errors="surrogateescape")):
        pass
    file = HostsFile(
        settings.path,
        new_table,
        lambda: context.shared.forget((file,)),
        context.registry,
        inline_count=inline.entry_count,
    )
    return Part(
        "hosts",
        handling=Handling(wrap=partial(HostsHandler, settings, file, inline), is_for_in_only=True),
        life=LifeCycle(start=lambda: file.start(settings.reload_seconds), stop=file.stop),
        readiness=Readiness(warning=lambda: file.problem),
        exports=(
            HeldQuestions(lambda: (*inline.questions(), *file.table.questions())),
            Deciding(lambda query: _listing(file, inline, query)),
        ),
    )


def _listing(file: HostsFile, inline: HostsTable, query: Query) -> Decision:
    """Describe which addresses of a name are listed, and where."""
    tables = ((file.path, file.table), ("lines of the block", inline))
    found = [
        f"{place} has {' and '.join(families)}"
        for place, table in tables
        if (families := [text for text, listed in (("A", table.v4), ("AAAA", table.v6)) if listed(query.name)])
    ]
    if query.qtype not in codes.ADDRESS_TYPES:
        return Decision("")
    return Decision("; ".join(found) or f"the name is not listed ({file.path} and the lines of the block)")


PLUGIN = Plugin(
    "hosts",
    parse,
    build,
    once=True,
    doc=Doc(
        usage=("hosts [FILE [ZONES…]]",),
        about="Answers A, AAAA and PTR queries from a hosts file (`/etc/hosts` by default) and from lines of the form "
        "`ADDRESS NAME…` in the block, for names in ZONES or, without ZONES, in the zones of the block. `*.NAME` "
        "matches exactly one label. A name that exists without the queried type is NODATA. A missing name is SERVFAIL "
        "unless it falls through.",
        options=OPTIONS,
        example="hosts /etc/hosts cluster.example {\n"
        "    10.0.0.1 registry.cluster.example registry\n"
        "    ttl 60\n"
        "    reload 15s\n"
        "    fallthrough\n"
        "}",
        better="If the file vanishes, becomes unreadable or binary or grows beyond 32 MiB, its last good content stays "
        "in use; the problem is logged once, counted in a metric and shown by /ready. A file replaced by one of equal "
        "time and size is read again.",
    ),
)
