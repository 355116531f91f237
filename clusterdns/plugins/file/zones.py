"""The zones of one server block: they are read at the start and polled while the configuration runs.

All `file` lines of a block share one part: the longest zone answers, and of two lines for one zone the last applies.
`transfer` reads the zones and subscribes to their changes.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

from clusterdns.chain import BlockContext, Shared
from clusterdns.corefile.errors import ErrorList
from clusterdns.plugins.file.settings import FileSettings
from clusterdns.plugins.file.zone import ZoneFile
from clusterdns.wire.record import Record


class FileZones:
    """The zone files of one block by zone, and the life cycle of their polling."""

    def __init__(self, lines: Sequence[FileSettings], context: BlockContext) -> None:
        self._settings = {zone: settings for settings in lines for zone in settings.zones}
        self.files: Mapping[bytes, ZoneFile] = {
            zone: _file(settings, zone, context) for zone, settings in self._settings.items()
        }
        self._shared: Shared = context.shared
        self._callbacks: dict[bytes, Callable[[], None]] = {}
        self._subscribers: list[Callable[[bytes], None]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def subscribe(self, changed: Callable[[bytes], None]) -> None:
        """Call `changed` with the name of each zone whose content changes from now on."""
        self._subscribers.append(changed)

    def zone_records(self, zone: bytes) -> Iterator[Record] | None:
        """Return the records of a zone (see `chain.exports.ZoneSource`); none while it has not been read."""
        file = self.files.get(zone)
        if file is None:
            return None
        return file.tree.records() if file.tree is not None else iter(())

    def questions(self) -> Iterator[tuple[bytes, int]]:
        """Yield the name and type of each record (see `chain.exports.HeldQuestions`)."""
        trees = (file.tree for file in self.files.values() if file.tree is not None)
        return ((record.name.lower(), record.rtype) for tree in trees for record in tree.records())

    async def load(self) -> None:
        """Read every file for the first time. Raises CorefileErrors if files exist and cannot be served."""
        errors = ErrorList()
        for zone, file in self.files.items():
            with errors.collect():
                try:
                    await file.load()
                except (OSError, ValueError) as error:
                    token = self._settings[zone].token
                    raise token.error(file.describe(error), "correct the file, or remove the line") from error
        errors.raise_if_any()

    async def start(self) -> None:
        """Read every file, and poll them from now on. Raises CorefileErrors."""
        await self.load()
        for zone, file in self.files.items():
            callback = self._callbacks[zone] = partial(self._zone_changed, zone)
            file.subscribe(callback)
            if reload_seconds := self._settings[zone].reload_seconds:
                polling = file.poll_forever(reload_seconds)
                self._tasks.append(asyncio.create_task(polling, name=f"file {file.path}"))

    async def stop(self) -> None:
        """End the polling."""
        for zone, callback in self._callbacks.items():
            self.files[zone].unsubscribe(callback)
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def warning(self) -> str:
        """Return the problems of files whose last good zone stays in use; empty if there are none."""
        return "; ".join(dict.fromkeys(file.problem for file in self.files.values() if file.problem))

    def _zone_changed(self, zone: bytes) -> None:
        self._shared.forget((self.files[zone],))
        for changed in self._subscribers:
            changed(zone)


def _file(settings: FileSettings, zone: bytes, context: BlockContext) -> ZoneFile:
    """Return the zone file that the running configuration has for the same line, or a new one."""
    key = ("file", settings.path, zone, settings.by_mtime)
    return context.shared.keep(key, lambda: ZoneFile(settings.path, zone, context.registry, by_mtime=settings.by_mtime))
