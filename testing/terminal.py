"""A program in a terminal of its own: keys are typed, and pyte, a terminal in memory, says what is on the screen."""

import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyte

from testing.waiting import wait_for

_READ_BYTES = 1 << 16


class ProgramTerminal:
    """A program that has a pseudo-terminal as its controlling one, between `with` and its end."""

    def __init__(
        self, command: Sequence[str | Path], columns: int, lines: int, environ: Mapping[str, str] | None = None
    ) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._master, self._slave = pty.openpty()
        self._set_size(columns, lines)
        self.modes_before = self.modes()
        self.received = b""
        inherited = {name: text for name, text in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        # setsid --ctty, because a function that runs after a fork is not safe beside threads
        self._process = subprocess.Popen(
            [shutil.which("setsid") or "setsid", "--ctty", *map(str, command)], stdin=self._slave, stdout=self._slave,
            stderr=self._slave, env={**inherited, "TERM": "xterm-256color", **(environ or {})},
        )  # fmt: skip
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._master >= 0:
            os.close(self._master)
        os.close(self._slave)

    @property
    def rows(self) -> list[str]:
        """The lines of the screen."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        """The screen as one text."""
        return "\n".join(self.rows)

    def colours(self) -> set[str]:
        """Return the names of the colours that are on the screen."""
        return {cell.fg for line in self._screen.buffer.values() for cell in line.values()} - {"default"}

    def modes(self) -> list[Any]:
        """Return the modes of the terminal, as termios has them."""
        return termios.tcgetattr(self._slave)

    def type(self, keys: str) -> None:
        """Send keys."""
        os.write(self._master, keys.encode())

    def send(self, number: int) -> None:
        """Send a signal to the program."""
        os.kill(self.pid, number)

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size, as when its window is changed."""
        self._screen.resize(lines, columns)
        self._set_size(columns, lines)
        self.send(signal.SIGWINCH)

    def hang_up(self) -> None:
        """Close the terminal, as when its window is closed."""
        os.close(self._master)
        self._master = -1

    def wait_for(self, what: str | Callable[[], bool]) -> None:
        """Read until the screen has a text, or a condition is true. Raises AssertionError with the screen."""
        is_there = what if callable(what) else lambda: what in self.text

        def check() -> bool:
            self._read()
            return is_there()

        try:
            wait_for(check, repr(what))
        except TimeoutError as error:
            raise AssertionError(f"{error}:\n{self.text}") from None

    def end(self) -> int:
        """Read until the program has ended; returns its exit code."""
        self.wait_for(lambda: self._process.poll() is not None)
        self._read()
        return self._process.returncode

    def wait_until_stopped(self) -> None:
        """Wait until the program is stopped, as by Ctrl-Z."""
        path = Path(f"/proc/{self.pid}/stat")
        self.wait_for(lambda: path.read_text().rpartition(")")[2].split()[0] == "T")

    def _read(self) -> None:
        """Show what the program has written."""
        while self._master >= 0 and select.select([self._master], [], [], 0)[0]:
            data = os.read(self._master, _READ_BYTES)
            self.received += data
            self._stream.feed(data)

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
