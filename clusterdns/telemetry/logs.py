"""Logging to standard output in CoreDNS's line form: `[LEVEL] text`, or `[LEVEL] plugin/<name>: text`.

The logger's name decides the prefix: `clusterdns.plugin.<name>` has `plugin/<name>`, the Kubernetes client's loggers
have `plugin/kubernetes`, others have none. Lines have no time stamp, because collectors of container logs add one. The
`log` plugin writes the lines of the query log. With `-log-format json` every line is an object: see `jsonlines`.
"""

import logging
import sys
from typing import TextIO

from clusterdns.telemetry.printable import one_line

PLUGIN_LOGGERS = "clusterdns.plugin."
BARE_LINES = "clusterdns.bare"  # the logger of lines without level and prefix: zones, version, JSON objects

_LEVEL_WORDS = {logging.CRITICAL: "FATAL"}
_CLIENT_LOGGERS = "kubernetes_asyncio"
_HOUR, _MINUTE = 3600, 60


class LineFormatter(logging.Formatter):
    """Begins each line with the level and escapes it: text from outside forges no line and controls no terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line, or one per line of its text and traceback."""
        text = record.getMessage()
        if record.name == BARE_LINES:
            return text
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        plugin = plugin_of(record.name)
        prefix = f"plugin/{plugin}: " if plugin else ""
        start = f"[{_LEVEL_WORDS.get(record.levelno, record.levelname)}] {prefix}"
        if text.isascii() and text.isprintable():
            return start + text
        return "\n".join([start + _shown(line) for line in text.splitlines()])


def _shown(line: str) -> str:
    """Escape what a terminal would interpret, except for tabs, which a format of the query log may have."""
    return "\t".join(map(one_line, line.split("\t")))


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes lines to a stream; a write error drops the line, so that a lost log collector does not stop the server."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Drop a line that cannot be written; report one that cannot be formatted."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def plugin_of(logger_name: str) -> str:
    """Return the name of the plugin whose logger this is; empty for others."""
    if logger_name.startswith(PLUGIN_LOGGERS):
        return logger_name[len(PLUGIN_LOGGERS) :]
    return "kubernetes" if logger_name.partition(".")[0] == _CLIENT_LOGGERS else ""


def set_up(stream: TextIO | None = None, *, is_json: bool = False) -> None:
    """Send all log lines to `stream` (standard output): our own from INFO on, those of libraries from WARNING on.

    With `is_json` each is a JSON object, and so are Python's own warnings and the traceback of a crash.
    """
    # no line shows them, and each costs a system call or a look-up per line
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = LineHandler(stream or sys.stdout)
    if is_json:
        from clusterdns.telemetry.jsonlines import JsonFormatter, capture_interpreter  # -log-format json alone needs it

        handler.setFormatter(JsonFormatter())
        capture_interpreter()
    else:
        handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("clusterdns").setLevel(logging.INFO)


class DebugLevel:
    """The log level DEBUG of the process, on while at least one user has it enabled."""

    def __init__(self) -> None:
        self._users: set[object] = set()

    def enable(self, user: object) -> None:
        """Log debug lines until this user disables them."""
        self._users.add(user)
        logging.getLogger("clusterdns").setLevel(logging.DEBUG)

    def disable(self, user: object) -> None:
        """End the need of a user, if it had one."""
        self._users.discard(user)
        if not self._users:
            logging.getLogger("clusterdns").setLevel(logging.INFO)


debug_level = DebugLevel()


def bracketed(address: str) -> str:
    """Return an address as log lines show it before a port: IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address


def duration_text(seconds: float) -> str:
    """Return a duration in Go's form, as Corefiles and CoreDNS's lines have it: `30s`, `1m0s`, `1h0m0.5s`, `250ms`."""
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
    """Return seconds as the shortest exact decimal, never with an exponent: `0.000113502`."""
    return _shortest(nanoseconds, 1_000_000_000)


def _shortest(count: int, unit: int) -> str:
    whole, part = divmod(count, unit)
    if not part:
        return str(whole)
    digits = len(str(unit)) - 1
    return f"{whole}.{part:0{digits}}".rstrip("0")
