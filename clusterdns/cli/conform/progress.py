"""What the suite is doing, in a line on standard error, where that is a terminal and the work takes over a second."""

import os
import sys
import time

SHOWN_AFTER_SECONDS = 1.0


class ProgressLine:
    """The line; `show` replaces its text, `end` removes it."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._is_shown = False

    def show(self, text: str) -> None:
        """Show a text in place of the last one."""
        if self._is_terminal and time.monotonic() - self._started > SHOWN_AFTER_SECONDS:
            self._is_shown = True
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Remove the line."""
        if self._is_shown:
            self._is_shown = False
            print("\r\033[K", end="", file=sys.stderr, flush=True)
