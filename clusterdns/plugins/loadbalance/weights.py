"""The weights file of `loadbalance weighted`: how often each address of a name comes first.

A line with one word is a name, and the lines `ADDRESS WEIGHT` after it are its addresses; `#` begins a comment. The
file is polled; if it cannot be read or is malformed, the last good weights stay in use.
"""

import asyncio
import errno
import logging
from collections.abc import Mapping
from ipaddress import ip_address

from clusterdns.host.followed_file import FollowedFile
from clusterdns.telemetry.logs import duration_text
from clusterdns.wire.name import from_text

MAX_WEIGHT = 255
MAX_FILE_BYTES = 16 << 20  # half a million addresses

WeightTable = Mapping[bytes, Mapping[bytes, int]]  # name → packed address → weight

log = logging.getLogger("clusterdns.plugin.loadbalance")


class WeightsError(ValueError):
    """A malformed weights file; the text has the file and the line."""


def read_table(text: str, path: str) -> dict[bytes, dict[bytes, int]]:
    """Parse the text of a weights file. Raises WeightsError."""
    table: dict[bytes, dict[bytes, int]] = {}
    current: dict[bytes, int] | None = None
    for number, line in enumerate(text.split("\n"), 1):
        words = line.partition("#")[0].split()
        try:
            if len(words) == 1:
                current = table.setdefault(from_text(words[0]), {})
            elif len(words) == 2 and current is not None:
                current[ip_address(words[0]).packed] = _weight(words[1])
            elif words:
                raise ValueError("expected a name, or below a name an address and its weight")
        except ValueError as problem:
            raise WeightsError(f"{path}:{number}: {problem}") from problem
    return table


def _weight(word: str) -> int:
    if not word.isascii() or not word.isdigit() or not 1 <= int(word[:4]) <= MAX_WEIGHT:
        raise ValueError(f"invalid weight {word!r}; write 1 to {MAX_WEIGHT}")
    return int(word)


class WeightsFile:
    """A weights file that is polled, and the last good weights read from it."""

    def __init__(self, path: str) -> None:
        self.table: WeightTable = {}
        self._path = path
        self._file = FollowedFile(path)
        self._digest = b""  # of the content of `table`
        self._problem = ""  # why the table differs from the file; empty: it does not
        self._task: asyncio.Task[None] | None = None

    def load(self) -> None:
        """Read the file for the first time; the table stays empty if it cannot be opened. Raises WeightsError."""
        try:
            self._read(is_first=True)
        except OSError as problem:
            self._problem = str(problem)

    async def start(self, reload_seconds: float) -> None:
        """Poll the file from now on; with a period of 0 it is not read again."""
        if self._problem:
            again = f"Will try again in {duration_text(reload_seconds)}" if reload_seconds else ""
            log.warning("Failed to open weight file %s: every address weighs 1. %s", self._path, again)
        if reload_seconds:
            self._task = asyncio.create_task(self._poll_forever(reload_seconds), name=f"weights {self._path}")

    async def stop(self) -> None:
        """End the polling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _poll_forever(self, period_seconds: float) -> None:
        try:
            while True:
                await asyncio.sleep(period_seconds)
                await asyncio.to_thread(self.poll)
        except Exception:  # the task's edge: the weights stay as they are
            log.exception(
                "Polling the weight file %s ended unexpectedly; its last good weights stay in use", self._path
            )

    def poll(self) -> None:
        """Read the file if it has changed, and replace the weights. Each problem is logged once while it lasts."""
        try:
            has_changed = self._read(is_first=False)
        except (OSError, WeightsError) as problem:
            if str(problem) != self._problem:
                self._problem = str(problem)
                log.error("Cannot use the weight file: %s; the last good weights stay in use", problem)
        else:
            if has_changed:
                log.info("Successfully reloaded weight file %s", self._path)

    def _read(self, *, is_first: bool) -> bool:
        """Read the file if it has changed; return whether the table was replaced. Raises OSError or WeightsError."""
        try:
            found = self._file.read(MAX_FILE_BYTES, skip_recent=not is_first)
        except OSError as problem:
            if problem.errno == errno.EFBIG:
                raise WeightsError(f"{self._path}: {problem.strerror}") from problem
            raise
        if found is None:
            return False
        if found.digest == self._digest:
            self._problem = ""
            return False
        text = found.raw.decode(errors="surrogateescape")  # comments may have any encoding
        self.table = read_table(text, self._path)
        self._digest = found.digest
        self._problem = ""
        return True
