"""What a command is doing, in a line on standard error, where that is a terminal and the work takes over a second.

The line is removed at the end, and before a line of the log. Nothing is written elsewhere: not for a pipe, a file or a
dumb terminal, and not where the output is for programs.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clusterdns.telemetry.printable import one_line

SHOWN_AFTER_SECONDS = 1.0
REPEATED_EACH_SECONDS = 1.0
DEFAULT_COLUMNS = 80  # of a terminal that does not know its width
_CLEAR = "\r\033[K"


class ProgressLine:
    """The line; `show` replaces its text, `end` removes it. Both may be called in any thread."""

    def __init__(self, *, is_quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        stream = sys.stderr
        is_terminal = stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
        self.is_wanted = is_terminal and not is_quiet
        self._stream = stream
        self._clock = clock
        self._started = clock()
        self._is_shown = False
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """The time since the work began."""
        return self._clock() - self._started

    def show(self, text: str) -> None:
        """Show a text in place of the last one, once the work has taken a second."""
        if not self.is_wanted or self.seconds < SHOWN_AFTER_SECONDS:
            return
        with self._lock:
            self._is_shown = True
            self._stream.write(f"{_CLEAR}{one_line(text)[: self._columns() - 1]}")  # if wrapped, it cannot be removed
            self._stream.flush()

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or DEFAULT_COLUMNS
        except (OSError, ValueError):
            return DEFAULT_COLUMNS

    def end(self) -> None:
        """Remove the line, if it is shown."""
        with self._lock:
            if self._is_shown:
                self._is_shown = False
                self._stream.write(_CLEAR)
                self._stream.flush()


@contextmanager
def progress(text: str, *, is_quiet: bool = False) -> Iterator[None]:
    """Show a text, with the seconds it has taken, while the body runs; `is_quiet` where its output is for programs."""
    line = ProgressLine(is_quiet=is_quiet)
    if not line.is_wanted:
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=repeat, args=(line, text, done.wait), name="progress", daemon=True)
    handlers = [(handler, _before_each_line(line)) for handler in logging.getLogger().handlers]
    for handler, remove in handlers:
        handler.addFilter(remove)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        for handler, remove in handlers:
            handler.removeFilter(remove)
        line.end()


def repeat(line: ProgressLine, text: str, wait: Callable[[float], bool]) -> None:
    """Show a text and the seconds so far, again and again, until `wait` (seconds) returns that the work is done."""
    seconds = SHOWN_AFTER_SECONDS
    while not wait(seconds):
        line.show(f"{text} ({line.seconds:.0f} s)")
        seconds = REPEATED_EACH_SECONDS


def _before_each_line(line: ProgressLine) -> Callable[[logging.LogRecord], bool]:
    """Make a filter that removes the line before a log record is written."""

    def remove(_: logging.LogRecord) -> bool:
        line.end()
        return True

    return remove
