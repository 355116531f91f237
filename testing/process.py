"""A server under measurement: started, watched through /proc, stopped by its own process id.

CPU seconds are user plus system time of all threads, as the kernel counts them (ticks of 10 ms: measure seconds, not
milliseconds). Memory is the resident set. Output goes to a file, which is quoted when the server does not come up.
"""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

LOOPBACK = "127.0.0.1"
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class ServerFailed(RuntimeError):
    """A server ended, or did not answer in time; the text ends with its last output."""


class Server:
    """A running server process. Use as a context manager: leaving it stops the process."""

    def __init__(
        self, name: str, command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        self.started = time.monotonic()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(env or {})},
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def cpu_seconds(self) -> float:
        """User and system time that the process has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    def rss_bytes(self) -> int:
        """The resident set of the moment."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def wait_until(
        self, is_right: Callable[[], bool], what: str, timeout_seconds: float = 60, every_seconds: float = 0.002
    ) -> float:
        """Seconds from the start until `is_right`. Raises ServerFailed."""
        while time.monotonic() - self.started < timeout_seconds:
            if is_right():
                return time.monotonic() - self.started
            if not self.is_running:
                raise ServerFailed(
                    f"{self.name} ended with status {self._process.returncode} before {what}{self.tail()}"
                )
            time.sleep(every_seconds)
        raise ServerFailed(f"{self.name}: not {what} within {timeout_seconds:.0f} s{self.tail()}")

    def tail(self) -> str:
        """The last lines of output, for a message."""
        lines = self.log.read_text(errors="replace").splitlines()[-15:]
        return "".join(f"\n    {line}" for line in lines)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def stop(self, timeout_seconds: float = 10) -> int:
        """SIGTERM, and SIGKILL to one that does not end; gives the exit status."""
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._process.wait()


class Cost(NamedTuple):
    """What a command used from start to end."""

    cpu_seconds: float
    max_rss_bytes: int


def cost_of(command: Sequence[str | Path]) -> Cost:
    """Run a short command to its end and tell what it used. Raises CalledProcessError."""
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, [str(word) for word in command])
    return _cost(usage)


def _cost(usage: resource.struct_rusage) -> Cost:
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
