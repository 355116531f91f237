"""Log lines as JSON objects, for `-log-format json`: one per line, with the fields of CoreDNS 1.15.

Every object has `time`, `level` and `msg`; a plugin's line has `plugin`, a line of the query log the fields of its
query (`LoggedFields`). Text from outside is inside a JSON string, so that it can neither end a line nor begin another.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

from clusterdns.telemetry.logs import plugin_of

_LONE = re.compile("[\ud800-\udfff]")
_LEVELS = {logging.CRITICAL: "FATAL", logging.WARNING: "WARN"}  # as Go's slog writes them


@runtime_checkable
class LoggedFields(Protocol):
    """A log message that is text for people, and fields for JSON; `msg` may be among them."""

    def __str__(self) -> str: ...

    def fields(self) -> dict[str, object]:
        """Return the fields, in the order of the object."""
        ...


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object, whatever line breaks its text has."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object on one line."""
        message: Any = record.msg
        shown: dict[str, object] = {
            "time": _time_text(record.created),
            "level": _LEVELS.get(record.levelno, record.levelname),
        }
        if not isinstance(message, str) and isinstance(message, LoggedFields):
            return _dumped(shown | message.fields())
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        shown["msg"] = text
        if plugin := plugin_of(record.name):
            shown["plugin"] = plugin
        return _dumped(shown)


def fatal_line(text: str) -> str:
    """Write the object for an error that prevents the start."""
    return _dumped({"time": _time_text(datetime.now(UTC).timestamp()), "level": "FATAL", "msg": text})


def capture_interpreter() -> None:
    """Log Python's own warnings, and have the traceback of a crash written as an object on standard error."""
    logging.captureWarnings(True)
    sys.excepthook = _report_crash


def _report_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    print(fatal_line(logging.Formatter().formatException((kind, error, trace))), file=sys.stderr)


def _time_text(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _dumped(shown: dict[str, object]) -> str:
    """Write an object in ASCII; an undecodable byte (a lone surrogate, which JSON readers refuse) is U+FFFD."""
    clean = {key: _LONE.sub("\ufffd", value) if isinstance(value, str) else value for key, value in shown.items()}
    return json.dumps(clean, separators=(",", ":"))
