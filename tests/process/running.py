"""The real console script as a process of its own.

Each run has a loopback address that no other test uses; its Corefile calls it HOST.
"""

import itertools
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from peers import need
from program import console_script
from prometheus_client.parser import text_string_to_metric_families

PORT = 1053
PATIENCE_SECONDS = 20.0
POLL_SECONDS = 0.02

MANIFEST = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: prod}
spec:
  clusterIP: 10.96.0.10
  clusterIPs: [10.96.0.10, "fd00::10"]
  ipFamilies: [IPv4, IPv6]
  ipFamilyPolicy: RequireDualStack
  ports: [{name: http, port: 80}]
"""
WEB = "web.prod.svc.cluster.local"

_numbers = itertools.count(1)


class Page(NamedTuple):
    """What an admin listener answered; status 0 where it refused the connection."""

    status: int
    text: str


def new_address() -> str:
    """A loopback address that nobody listens on, another one each time."""
    pid = os.getpid()
    return f"127.{64 + (pid >> 8) % 128}.{pid % 256}.{next(_numbers)}"


def wait_until(is_so: Callable[[], object], what: str) -> None:
    """Look again and again until something is so. Fails the test where it never is."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            pytest.fail(f"in vain waited for {what}")
        time.sleep(POLL_SECONDS)


class Server:
    """One run of the console script. Ended by `end` or with the test."""

    def __init__(
        self, folder: Path, corefile: str, arguments: Sequence[str] = (), launcher: Sequence[str] = ()
    ) -> None:
        self.host = new_address()
        self.folder = folder
        path = folder / "Corefile"
        path.write_text(corefile.replace("HOST", self.host))
        self._out, self._err = folder / "stdout", folder / "stderr"
        self._command = [*launcher, sys.executable, console_script(), "-conf", str(path), *arguments]
        self.start()

    def start(self) -> None:
        """Begin, or begin again after an end, with the same command line."""
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.folder
            )

    @property
    def out(self) -> str:
        """Standard output so far."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """Standard error so far."""
        return self._err.read_text()

    def wait_serving(self) -> "Server":
        """Wait until it says that it serves."""
        wait_until(lambda: "clusterdns-" in self.out or self.process.poll() is not None, "the banner")
        assert self.process.poll() is None, self.out + self.err
        return self

    def wait_ended(self) -> int:
        """Wait until it has ended by itself; gives the exit code."""
        return self.process.wait(PATIENCE_SECONDS)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; gives the exit code."""
        self.process.send_signal(number)
        return self.wait_ended()

    def child(self) -> int:
        """The pid of the server where a launcher runs it as its child."""
        (pid,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(pid)

    def kill(self) -> None:
        """Make sure that it is gone."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_SECONDS)

    def dig(self, *words: str) -> list[str]:
        """What dig prints in short form, line by line; one try only, so that queries can be counted."""
        command = [need("dig"), f"@{self.host}", "-p", str(PORT), "+short", "+tries=1", "+time=5", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    def get(self, port: int, path: str) -> Page:
        """Ask an admin listener."""
        try:
            with urllib.request.urlopen(f"http://{self.host}:{port}{path}", timeout=PATIENCE_SECONDS) as response:
                return Page(response.status, response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Page(error.code, error.read().decode())
        except OSError:
            return Page(0, "")

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels."""
        families = text_string_to_metric_families(self.get(9153, "/metrics").text)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


Start = Callable[..., Server]
