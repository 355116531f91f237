"""A server as a process: its start, readiness, output, figures from /proc, and end.

Both output streams go to files; errors quote their last lines. `testing.dns_client` sends queries.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_TAIL_LINES = 30
_END_SECONDS = 60.0


class ServerFailed(RuntimeError):
    """A server that ended early, or did not get ready in time; the text ends with the last lines of its output."""


class ServerProcess:
    """A running server. Leaving its context stops it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        env: Mapping[str, str] | None = None,
        *,
        cwd: Path | None = None,
        error_log: Path | None = None,
    ) -> None:
        """Start the command; `env` is added to the environment, `error_log` takes standard error out of `log`."""
        self.name = name
        self._command = [str(word) for word in command]
        self._log, self._error_log = log, error_log
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self.start()

    def start(self) -> None:
        """Start the process, or start it again after its end; the output begins anew."""
        self.started = time.monotonic()
        with contextlib.ExitStack() as opened:
            out = opened.enter_context(self._log.open("wb"))
            err = opened.enter_context(self._error_log.open("wb")) if self._error_log else out
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=self._env, cwd=self._cwd
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def child(self) -> int:
        """Return the id of the only child process: the command may launch the server as one. Raises ValueError."""
        (pid,) = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(pid)

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    @property
    def out(self) -> str:
        """The output so far; with standard error, where that has no file of its own."""
        return self._log.read_text(errors="replace")

    @property
    def err(self) -> str:
        """Standard error so far, where it has a file of its own."""
        return self._error_log.read_text(errors="replace") if self._error_log else ""

    def tail(self) -> str:
        """Quote the last lines of the output, indented."""
        lines = (self.out + self.err).splitlines()[-_TAIL_LINES:]
        return "".join(f"\n    {line}" for line in lines)

    def cpu_seconds(self) -> float:
        """Read the user and system time of all threads so far; the kernel counts ticks of 10 ms."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    def rss_bytes(self) -> int:
        """Read the resident set."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def wait_until(
        self, check: Callable[[], object], what: str, timeout_seconds: float = 60, every_seconds: float = 0.02
    ) -> float:
        """Wait until `check` is true, and return the seconds since the start of the process. Raises ServerFailed."""
        deadline = time.monotonic() + timeout_seconds
        while not check():
            self.require_running(what)
            if time.monotonic() > deadline:
                raise ServerFailed(f"{self.name}: no {what} within {timeout_seconds:g} s{self.tail()}")
            time.sleep(every_seconds)
        return time.monotonic() - self.started

    def require_running(self, awaited: str) -> None:
        """Raise ServerFailed where the process has ended."""
        if not self.is_running:
            status = self._process.returncode
            raise ServerFailed(f"{self.name} ended with status {status} before {awaited}{self.tail()}")

    def wait_ended(self) -> int:
        """Wait until the process has ended by itself, and return its exit status. Raises subprocess.TimeoutExpired."""
        if self.is_running:
            descriptor = os.pidfd_open(self.pid)  # `Popen.wait` polls, and returns up to 50 ms late
            try:
                select.select([descriptor], [], [], _END_SECONDS)
            finally:
                os.close(descriptor)
        return self._process.wait(0)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, then SIGKILL where the process does not end in time, and return the exit status."""
        if self.is_running:
            self.send_signal(number)
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._process.wait()

    def kill(self) -> None:
        """Send SIGKILL, and wait for the end."""
        self._process.kill()
        self._process.wait()
