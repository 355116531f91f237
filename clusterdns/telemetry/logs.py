"""Logging to standard output in CoreDNS's line form: `[LEVEL] text`, or `[LEVEL] plugin/<name>: text`.

The logger's name decides the form: `clusterdns.plugin.<name>` is a plugin, the Kubernetes client speaks as
`plugin/kubernetes`, all else has no prefix. There is no time stamp: who collects the lines adds one. What a query-log
line says is `plugins.log_line`'s business.
"""

import logging
import sys
from typing import TextIO

PLUGIN_LOGGERS = "clusterdns.plugin."
BARE_LINES = "clusterdns.bare"  # the logger of lines that are whole as they are, such as JSON objects

_LEVEL_WORDS = {logging.CRITICAL: "FATAL"}
_CLIENT_LOGGERS = "kubernetes_asyncio"
_HOUR, _MINUTE = 3600, 60


class LineFormatter(logging.Formatter):
    """Every line of a message begins with the level, so that text from outside cannot pass for a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, or one per line of its text and traceback."""
        text = record.getMessage()
        if record.name == BARE_LINES:
            return text
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        start = f"[{_LEVEL_WORDS.get(record.levelno, record.levelname)}] {_speaker(record.name)}"
        if "\n" not in text and "\r" not in text:
            return start + text
        return "\n".join([start + line for line in text.splitlines()])


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes lines, as long as anyone takes them: a collector that is gone must cost nothing and end nobody."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Drop a line that cannot be written; tell of one that cannot be formatted."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def _speaker(logger_name: str) -> str:
    if logger_name.startswith(PLUGIN_LOGGERS):
        return f"plugin/{logger_name[len(PLUGIN_LOGGERS) :]}: "
    if logger_name.partition(".")[0] == _CLIENT_LOGGERS:
        return "plugin/kubernetes: "
    return ""


def set_up(stream: TextIO | None = None) -> None:
    """Send every log line of the process to `stream` (standard output): ours from INFO, libraries' from WARNING."""
    # nothing we print needs them, and each costs a system call or a look-up per line
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = LineHandler(stream or sys.stdout)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("clusterdns").setLevel(logging.INFO)


class DebugLines:
    """Whether debug lines are written: as long as anybody wants them. One of these for the process."""

    def __init__(self) -> None:
        self._wanting: set[object] = set()

    def want(self, who: object) -> None:
        """Write them until the same releases them."""
        self._wanting.add(who)
        logging.getLogger("clusterdns").setLevel(logging.DEBUG)

    def release(self, who: object) -> None:
        """One who may have wanted them does not any more."""
        self._wanting.discard(who)
        if not self._wanting:
            logging.getLogger("clusterdns").setLevel(logging.INFO)


debug_lines = DebugLines()


def duration_text(seconds: float) -> str:
    """A duration as Corefiles and CoreDNS's lines spell it: `30s`, `1m0s`, `1h0m0.5s`, `250ms`."""
    nanoseconds = round(seconds * 1e9)
    if nanoseconds == 0:
        return "0s"
    if nanoseconds < 0:
        return "-" + duration_text(-seconds)
    for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if nanoseconds < size * 1000:
            return f"{_shortest(nanoseconds, size)}{unit}"
    hours, left = divmod(nanoseconds, _HOUR * 1_000_000_000)
    minutes, left = divmod(left, _MINUTE * 1_000_000_000)
    text = f"{_shortest(left, 1_000_000_000)}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text


def seconds_text(nanoseconds: int) -> str:
    """Seconds as the shortest decimal that is exact, never with an exponent: `0.000113502`."""
    return _shortest(nanoseconds, 1_000_000_000)


def _shortest(count: int, unit: int) -> str:
    whole, part = divmod(count, unit)
    if not part:
        return str(whole)
    digits = len(str(unit)) - 1
    return f"{whole}.{part:0{digits}}".rstrip("0")
