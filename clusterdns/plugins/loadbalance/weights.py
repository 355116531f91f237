"""The weights file of `loadbalance weighted`: how often each address of a name is to come first.

A line with one word is a name, and the lines `ADDRESS WEIGHT` after it are its addresses; `#` begins a comment. The
file is looked at again from time to time; one that cannot be read then changes nothing.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address

from clusterdns.host.files import open_file
from clusterdns.telemetry.logs import duration_text
from clusterdns.wire.name import from_text

DEFAULT_RELOAD_SECONDS = 30.0
MAX_WEIGHT = 255
MAX_FILE_BYTES = 16 << 20  # half a million addresses

Table = Mapping[bytes, Mapping[bytes, int]]  # name → packed address → weight
Sleep = Callable[[float], Awaitable[object]]

log = logging.getLogger("clusterdns.plugin.loadbalance")


class WeightsError(ValueError):
    """What is wrong with a weights file, and where."""


def read_table(text: str, path: str) -> dict[bytes, dict[bytes, int]]:
    """The weights of a file's text. Raises WeightsError."""
    table: dict[bytes, dict[bytes, int]] = {}
    current: dict[bytes, int] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        try:
            if len(words) == 1:
                current = table.setdefault(from_text(words[0]), {})
            elif len(words) == 2 and current is not None:
                current[ip_address(words[0]).packed] = _weight(words[1])
            elif words:
                raise ValueError("neither a name nor, below a name, an address and its weight")
        except ValueError as problem:
            raise WeightsError(f"{path}:{number}: {problem}") from problem
    return table


def _weight(word: str) -> int:
    if not word.isascii() or not word.isdigit() or not 1 <= int(word[:4]) <= MAX_WEIGHT:
        raise ValueError(f"wrong weight {word!r}, write 1 to {MAX_WEIGHT}")
    return int(word)


def load(path: str) -> dict[bytes, dict[bytes, int]]:
    """The weights of a file. Raises WeightsError, and OSError where it cannot be read."""
    with open_file(path) as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise WeightsError(f"{path}: more than {MAX_FILE_BYTES >> 20} MiB")
    try:
        return read_table(content.decode(), path)
    except UnicodeDecodeError as problem:
        raise WeightsError(f"{path}: not UTF-8 text: {problem}") from problem


class Weights:
    """The weights of one file, as of its last good reading."""

    def __init__(self, path: str, table: Table, reload_seconds: float, sleep: Sleep = asyncio.sleep) -> None:
        """A period of 0 seconds: the file is read once."""
        self.table = table
        self._path = path
        self._reload_seconds = reload_seconds
        self._sleep = sleep
        self._seen = _state(path)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look at the file."""
        if self._seen is None:
            again = f"Will try again in {duration_text(self._reload_seconds)}" if self._reload_seconds else ""
            log.warning("Failed to open weight file %s: every address weighs 1. %s", self._path, again)
        if self._reload_seconds:
            self._task = asyncio.create_task(self._follow(), name=f"weights {self._path}")

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        try:
            while True:
                await self._sleep(self._reload_seconds)
                await asyncio.to_thread(self.look)
        except Exception:  # the task's edge: the weights stay as they are
            log.exception("Following the weight file %s ended", self._path)

    def look(self) -> None:
        """Read the file if it has changed."""
        state = _state(self._path)
        if state == self._seen:
            return
        self._seen = state
        try:
            self.table = load(self._path)
        except (OSError, WeightsError) as problem:
            log.error("Weight file %s stays as it was: %s", self._path, problem)
        else:
            log.info("Successfully reloaded weight file %s", self._path)


def _state(path: str) -> tuple[int, int, int] | None:
    """What differs when a file was written or exchanged; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
