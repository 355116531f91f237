"""The terminal of a live picture: keys one at a time, signals that are noted, and its modes as they were afterwards."""

import errno
import os
import select
import signal
import sys
import termios
import tty
from types import FrameType, TracebackType
from typing import Any, Self

from clusterdns.cli.top.keys import KeyReader

TICK_SECONDS = 0.1  # how late a signal may be noticed
MAX_READ_BYTES = 1024
DEFAULT_SIZE = (80, 24)  # of a terminal that does not know its own
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def is_interactive() -> bool:
    """Return whether there is a terminal that can be drawn on, and that keys come from."""
    streams = (sys.stdin, sys.stdout)
    can_move = os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    return can_move and all(stream is not None and stream.isatty() for stream in streams)


def terminal_size() -> tuple[int, int]:
    """Return columns and lines, as the terminal has them now."""
    columns, lines = os.get_terminal_size(sys.stdout.fileno())
    return (columns, lines) if columns > 0 and lines > 0 else DEFAULT_SIZE


class KeyTerminal:
    """The terminal between `with` and its end, in which a signal does not end the process but is noted.

    `ended_by` is the signal that asked for the end, or 0; `is_suspend_asked` that Ctrl-Z was pressed.
    """

    def __init__(self) -> None:
        self.ended_by = 0
        self.is_suspend_asked = False
        self._descriptor = sys.stdin.fileno()
        self._reader = KeyReader()
        self._modes: list[Any] = []
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (*_ENDING, signal.SIGTSTP):
            self._handlers[number] = signal.signal(number, self._note)
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def begin(self) -> None:
        """Let keys come one at a time, and not be shown."""
        self._modes = termios.tcgetattr(self._descriptor)
        tty.setcbreak(self._descriptor, termios.TCSANOW)

    def end(self) -> None:
        """Put the modes back to what they were, unless the terminal is gone."""
        try:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._modes)
        except termios.error as error:
            if error.args[0] != errno.EIO:
                raise

    def keys(self) -> list[str]:
        """Wait for keys for a moment, and return those that came. Raises OSError where the terminal is gone."""
        readable, _, _ = select.select([self._descriptor], [], [], TICK_SECONDS)
        if not readable:
            return []
        received = os.read(self._descriptor, MAX_READ_BYTES)
        if not received:
            self.ended_by = signal.SIGHUP
        return self._reader.read(received)

    def stop_process(self) -> None:
        """Stop until the shell continues the process, as Ctrl-Z does elsewhere."""
        self.is_suspend_asked = False
        os.kill(os.getpid(), signal.SIGSTOP)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTSTP:
            self.is_suspend_asked = True
        else:
            self.ended_by = number
