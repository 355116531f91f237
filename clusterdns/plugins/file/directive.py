"""The `file` directive: zones out of master files.

All `file` lines of a block make one plugin: the longest zone wins, and of two lines for one zone the last. Files are
read when the configuration starts, in threads, and then looked at again; see `file_zone`. Answers are `file_handler`'s.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from clusterdns.chain import BlockContext, Doc, Handler, Handling, LifeCycle, Part, Plugin, Readiness
from clusterdns.chain.exports import ZoneSource
from clusterdns.chain.fallthrough import Fallthrough, fallthrough_option
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.errors import ErrorList
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block
from clusterdns.plugins.file.handler import FileHandler
from clusterdns.plugins.file.zone import ZoneFile
from clusterdns.wire.record import Record

RELOAD_SECONDS = 60.0

log = logging.getLogger("clusterdns.plugin.file")


@dataclass(frozen=True)
class Settings:
    """One `file` line."""

    path: str
    token: Token  # the file's name in the Corefile
    zones: tuple[bytes, ...]
    reload_seconds: float = RELOAD_SECONDS  # 0: never
    by_mtime: bool = False
    fallthrough: Fallthrough | None = None


class FileZones:
    """The zones of one block: what `transfer` reads, and is told of."""

    def __init__(self, lines: Sequence[Settings], context: BlockContext) -> None:
        self.files: dict[bytes, ZoneFile] = {}
        self._settings: dict[bytes, Settings] = {}
        for settings in lines:
            for zone in settings.zones:
                self.files[zone] = _file(settings, zone, context)
                self._settings[zone] = settings
        asked = [one.fallthrough for one in lines if one.fallthrough is not None]
        self._fallthrough = asked[-1] if asked else Fallthrough()
        self._context = context
        self._changed: dict[bytes, Callable[[], None]] = {}
        self._others: list[Callable[[bytes], None]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def wrap(self, following: Handler) -> Handler:
        """The handler above `following`."""
        names = [part.name for part in self._context.parts if part.handling.wrap is not None]
        after = names[names.index("file") + 1 :] if "file" in names else []
        is_last = not set(after) - {"cache"}  # which stands above in CoreDNS
        return FileHandler(self.files, self._fallthrough, following, is_last=is_last)

    def tell(self, changed: Callable[[bytes], None]) -> None:
        """Call this with the zone whenever one has another content."""
        self._others.append(changed)

    def zone_records(self, zone: bytes) -> Iterator[Record] | None:
        """See `chain.exports.ZoneSource`; nothing for a zone that could not be read yet."""
        file = self.files.get(zone)
        if file is None:
            return None
        return file.tree.records() if file.tree is not None else iter(())

    async def load(self) -> None:
        """The first reading of every file. Raises CorefileErrors with all that are there and cannot be served."""
        errors = ErrorList()
        for zone, file in self.files.items():
            with errors.collect():
                try:
                    await file.load()
                except (OSError, ValueError) as error:
                    token = self._settings[zone].token
                    raise token.error(file.told(error), "correct the file, or remove the line") from error
        errors.raise_if_any()

    async def start(self) -> None:
        """Read every file, and begin to look whether it has become another. Raises CorefileErrors."""
        await self.load()
        for zone, file in self.files.items():
            changed = self._changed[zone] = partial(self._note, zone)
            file.tell(changed)
            if reload_seconds := self._settings[zone].reload_seconds:
                looking = file.look_forever(reload_seconds)
                self._tasks.append(asyncio.create_task(looking, name=f"file {file.path}"))

    async def stop(self) -> None:
        """End looking."""
        for zone, changed in self._changed.items():
            self.files[zone].tell_no_more(changed)
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def remark(self) -> str:
        """What is wrong with files whose last good content is answered."""
        return "; ".join(dict.fromkeys(file.problem for file in self.files.values() if file.problem))

    def _note(self, zone: bytes) -> None:
        self._context.shared.forget((self.files[zone],))
        for changed in self._others:
            changed(zone)


def _file(settings: Settings, zone: bytes, context: BlockContext) -> ZoneFile:
    key = ("file", settings.path, zone, settings.by_mtime)
    return context.shared.keep(key, lambda: ZoneFile(settings.path, zone, context.registry, by_mtime=settings.by_mtime))


def parse(directives: Sequence[Directive], context: BlockContext) -> tuple[Settings, ...]:
    """`file DBFILE [ZONES…] { options }`, any number of them. Raises CorefileError."""
    errors = ErrorList()
    lines = []
    for directive in directives:
        with errors.collect():
            lines.append(_parse_line(directive, context))
    errors.raise_if_any()
    return tuple(lines)


def _parse_line(directive: Directive, context: BlockContext) -> Settings:
    token = directive.arguments_between(1, None, "DBFILE [ZONES…]")[0]
    zones = lenient.zones(directive.args[1:], context.zones)
    path = context.path(token.text)
    settings = read_block(Settings(path, token, zones), (directive,), OPTIONS)
    if not settings.reload_seconds and not os.path.exists(path):
        told = f"cannot read the zone file {path}, and with 'reload 0' it is read only now"
        raise token.error(told, "name a file that exists, or remove 'reload 0'")
    return settings


def _reload(settings: Settings, line: Line) -> Settings:
    return replace(settings, reload_seconds=values.duration_seconds(lenient.first_argument(line, "DURATION")))


def _reload_by_mtime(settings: Settings, line: Line) -> Settings:
    line.no_arguments()
    return replace(settings, by_mtime=True)


def _upstream(settings: Settings, line: Line) -> Settings:
    """Once the servers for targets of aliases; without effect in CoreDNS as well, and still in many a Corefile."""
    return settings


OPTIONS: tuple[Option[Settings], ...] = (
    Option("reload DURATION", "1m", "How often the file is looked at; 0 for never.", _reload),
    Option(
        "reload_by_mtime",
        "by serial",
        "Another content counts although its SOA has the same serial.",
        _reload_by_mtime,
    ),
    fallthrough_option(
        "NXDOMAIN",
        "Names that are not there go to the next plugin, all or those below ZONES; holds for all `file` lines of the "
        "block.",
    ),
    Option("upstream [ADDRESS…]", "", "Without effect, as in CoreDNS: aliases are followed anyway.", _upstream),
)


def build(settings: tuple[Settings, ...], context: BlockContext) -> Part:
    """The zones, their handler, and the tasks that follow the files."""
    zones = FileZones(settings, context)
    return Part(
        "file",
        handling=Handling(wrap=zones.wrap, is_for_in_only=True),
        life=LifeCycle(dry_run=zones.load, start=zones.start, stop=zones.stop),
        readiness=Readiness(warning=zones.remark),
        exports=(zones, ZoneSource(zones.zone_records)),
    )


PLUGIN = Plugin(
    "file",
    parse,
    build,
    doc=Doc(
        usage=("file DBFILE [ZONES…]",),
        about="Serves ZONES, or the zones of the block, out of a master file (RFC 1035 §5), with `$INCLUDE` and "
        "`$GENERATE`. Wildcards, delegations, CNAME and DNAME are followed; of zones that are signed already the "
        "signatures and NSEC records are sent to those who ask for them. A file that is missing is SERVFAIL until it "
        "appears; one that is broken ends the start.",
        options=OPTIONS,
        example="file /etc/clusterdns/db.example.org example.org {\n    reload 30s\n    fallthrough\n}",
        better="A file that vanishes, breaks or grows beyond 32 MiB leaves the last zone in force, with one line in "
        "the log, a metric and a remark at /ready; a serial of 0 is a serial; queries go on while a file is read.",
    ),
)
