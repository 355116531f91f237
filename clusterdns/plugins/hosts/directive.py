"""The `hosts` directive: names and addresses out of a hosts file and out of lines in the Corefile itself.

Every answer that passed here depends on the file, those of other plugins too: a name that the file gains tomorrow is
ours from then on. So all of them have this block's file as an owner, and are forgotten when it has other content.
Reading is in `hosts_file`, the tables in `hosts_table`.
"""

import asyncio
import errno
import logging
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from clusterdns.chain import (
    BlockContext,
    Doc,
    Handler,
    Handling,
    LifeCycle,
    Part,
    Plugin,
    Query,
    Readiness,
    Reply,
    failure,
)
from clusterdns.chain.fallthrough import NO_FALLTHROUGH, Fallthrough, ask_next, fallthrough_option
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.errors import ErrorList
from clusterdns.corefile.options import Option, read_block
from clusterdns.corefile.suggest import hint_for
from clusterdns.plugins.hosts.hosts_file import HostsFile
from clusterdns.plugins.hosts.table import HostsTable, packed
from clusterdns.wire import codes, record
from clusterdns.wire.name import is_under, to_address
from clusterdns.wire.record import Record

DEFAULT_FILE = "/etc/hosts"
MAX_TTL_SECONDS = 65535

log = logging.getLogger("clusterdns.plugin.hosts")


@dataclass(frozen=True)
class Settings:
    """One hosts directive."""

    path: str
    zones: tuple[bytes, ...]
    inline: tuple[str, ...] = ()
    ttl_seconds: int = 3600
    has_reverse: bool = True
    reload_seconds: float = 5.0  # 0: never
    fallthrough: Fallthrough = NO_FALLTHROUGH
    passes_other_types: bool = False

    def new_table(self) -> HostsTable:
        """An empty table for what the zones take."""
        return HostsTable(self.zones, has_reverse=self.has_reverse)


class Hosts:
    """Answers from the file's table, then from the inline one."""

    def __init__(self, settings: Settings, context: BlockContext) -> None:
        self._settings = settings
        self._inline = settings.new_table()
        for _ in self._inline.read("\n".join(settings.inline).encode(errors="surrogateescape")):
            pass
        self.file = HostsFile(
            settings.path,
            settings.new_table,
            lambda: context.shared.forget((self.file,)),
            context.registry,
            inline_count=self._inline.entry_count,
        )
        self._task: asyncio.Task[None] | None = None

    def wrap(self, following: Handler) -> Handler:
        """The handler above `following`."""

        async def handle(query: Query) -> Reply:
            reply = self._find(query)
            return reply if reply is not None else await ask_next(following, query, (self.file,))

        return handle

    def _find(self, query: Query) -> Reply | None:
        """The reply; None where it is the next plugin's turn."""
        name, qtype = query.name, query.qtype
        if qtype == codes.PTR:
            records = self._pointers(name)
            if records:
                return self._reply(records)
        settings = self._settings
        if qtype == codes.PTR or not any(is_under(name, zone) for zone in settings.zones):
            return None
        passes = settings.fallthrough.includes(name)
        is_address = qtype in codes.ADDRESS_TYPES
        if passes and settings.passes_other_types and not is_address:
            return None
        tables = (self.file.table, self._inline)
        v4, v6 = (b"".join([table.v4(name) for table in tables]), b"".join([table.v6(name) for table in tables]))
        if not v4 and not v6:
            return None if passes else failure(codes.SERVFAIL)
        if not is_address:
            return self._reply(())
        found, size = (v4, 4) if qtype == codes.A else (v6, 16)
        ttl = settings.ttl_seconds
        return self._reply(
            tuple(record.address(name, ttl, found[start : start + size]) for start in range(0, len(found), size))
        )

    def _pointers(self, name: bytes) -> tuple[Record, ...]:
        address = to_address(name)
        if address is None:
            return ()
        names = (*self.file.table.names(address), *self._inline.names(address))
        return tuple(record.ptr(name, self._settings.ttl_seconds, target) for target in names)

    def _reply(self, records: tuple[Record, ...]) -> Reply:
        return Reply(codes.NOERROR, records, dependencies=(self.file,), reusable=True)

    async def start(self) -> None:
        """Read the file, and begin to look whether it has become another."""
        await self.file.look()
        if self._settings.reload_seconds:
            self._task = asyncio.create_task(self.file.look_forever(self._settings.reload_seconds), name="hosts")

    async def stop(self) -> None:
        """End looking."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task


def parse(directives: Sequence[Directive], context: BlockContext) -> Settings:
    """`hosts [FILE [ZONES…]] { [INLINE…] options }`. Raises CorefileError."""
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
            hint = "lines with an address stand before 'fallthrough'" if _is_entry(line) else ""
            errors.add(line.error(f"unknown property '{line.name}'", hint or hint_for(line.name, _NAMES)))
        else:
            inline.append(" ".join(word.text for word in line.words))
            if not _is_entry(line):
                log.warning("%s: '%s' is neither an address nor an option: the line is left out", line.place, line.name)
    settings = Settings(path, zones, tuple(inline))
    with errors.collect():
        settings = read_block(settings, (replace(directive, block=tuple(known)),), OPTIONS)
    errors.raise_if_any()
    if settings.passes_other_types and not settings.fallthrough.zones:
        raise directive.error("fallthrough_unsupported requires fallthrough", "add fallthrough, or remove it")
    return settings


def _is_entry(line: Line) -> bool:
    return packed(line.name.encode(errors="replace")) is not None


def _check_file(path: str, directive: Directive) -> None:
    """As in CoreDNS: a file that is missing is told and waited for, one that must not be seen ends the start."""
    try:
        is_folder = stat.S_ISDIR(os.stat(path).st_mode)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOENT:
            log.warning("File does not exist: %s", path)
            return
        told = f"unable to access hosts file '{path}': {error}"
        raise directive.args[0].error(told, "name a file that may be read") from error
    if is_folder:
        log.warning('Hosts file "%s" is a directory', path)


def _ttl(settings: Settings, line: Line) -> Settings:
    return replace(settings, ttl_seconds=values.integer(lenient.first_argument(line, "SECONDS"), 1, MAX_TTL_SECONDS))


def _no_reverse(settings: Settings, line: Line) -> Settings:
    lenient.ignore_arguments(line)
    return replace(settings, has_reverse=False)


def _reload(settings: Settings, line: Line) -> Settings:
    return replace(settings, reload_seconds=values.duration_seconds(line.one_argument("DURATION")))


def _fallthrough_unsupported(settings: Settings, line: Line) -> Settings:
    line.no_arguments()
    return replace(settings, passes_other_types=True)


OPTIONS: tuple[Option[Settings], ...] = (
    Option("ttl SECONDS", "3600", "The TTL of what is answered, 1 to 65535.", _ttl),
    Option("no_reverse", "addresses have names", "No PTR is answered for the addresses.", _no_reverse),
    Option("reload DURATION", "5s", "How often the file is looked at; 0 for never.", _reload),
    fallthrough_option(
        "SERVFAIL",
        "Names that are not there go to the next plugin, all or those below ZONES. Lines with addresses stand before.",
    ),
    Option(
        "fallthrough_unsupported",
        "NODATA",
        "Questions for types other than A, AAAA and PTR go to the next plugin where `fallthrough` covers the name.",
        _fallthrough_unsupported,
    ),
)
_NAMES = tuple(option.name for option in OPTIONS)


def build(settings: Settings, context: BlockContext) -> Part:
    """The tables, and the task that follows the file."""
    hosts = Hosts(settings, context)
    return Part(
        "hosts",
        handling=Handling(wrap=hosts.wrap, is_for_in_only=True),
        life=LifeCycle(start=hosts.start, stop=hosts.stop),
        readiness=Readiness(warning=lambda: hosts.file.problem),
    )


PLUGIN = Plugin(
    "hosts",
    parse,
    build,
    once=True,
    doc=Doc(
        usage=("hosts [FILE [ZONES…]]",),
        about="Answers A, AAAA and PTR out of a hosts file (`/etc/hosts` where none is named) and out of lines in the "
        "block, `ADDRESS NAME…`, for names in ZONES or in the zones of the block. `*.NAME` stands for exactly one "
        "label. Other types of a name that is there are NODATA; a name that is not there is SERVFAIL, or goes on.",
        options=OPTIONS,
        example="hosts /etc/hosts cluster.example {\n"
        "    10.0.0.1 registry.cluster.example registry\n"
        "    ttl 60\n"
        "    reload 15s\n"
        "    fallthrough\n"
        "}",
        better="A file that vanishes, cannot be read, is binary or larger than 32 MiB leaves the last content in force,"
        " with one line in the log, a metric and a remark at /ready; a swap of equal time and size is seen.",
    ),
)
