"""The server as a process on ports of its own: on a copy of zones/, for what README and zones/questions.txt say, or on
any Corefile."""

import contextlib
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from testing.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
PORTS = ("1053", "18080", "18181", "19153")  # of zones/Corefile: DNS, health, ready, metrics
START_SECONDS = 20.0


class Demo(NamedTuple):
    """A copy of zones/ whose Corefile has free ports instead of its own."""

    folder: Path
    ports: dict[str, int]

    def ours(self, command: str) -> str:
        """A command line for the copy's DNS port."""
        return command.replace("-p 1053", f"-p {self.ports['1053']}")


def copy_zones(into: Path) -> Demo:
    """Copy zones/ there."""
    folder = into / "zones"
    shutil.copytree(ROOT / "zones", folder)
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    corefile = folder / "Corefile"
    text = corefile.read_text(encoding="utf-8")
    for port, free in ports.items():
        assert f":{port}" in text, f"zones/Corefile does not use port {port}"
        text = text.replace(f":{port}", f":{free}")
    corefile.write_text(text, encoding="utf-8")
    return Demo(folder, ports)


@contextlib.contextmanager
def serving(demo: Demo) -> Iterator[Demo]:
    """Run the server on the copy."""
    with running(demo.folder / "Corefile", demo.ports["18181"]):
        yield demo


@contextlib.contextmanager
def running(corefile: Path, ready_port: int) -> Iterator[None]:
    """Run the server on this Corefile; it must become ready, and end well."""
    command = [sys.executable, "-m", "clusterdns", "-conf", str(corefile)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as server:
        try:
            wait_until_ready(ready_port)
            yield
        finally:
            server.terminate()
            server.wait(timeout=START_SECONDS)
    assert server.returncode == 0


def wait_until_ready(port: int) -> None:
    """Wait for /ready."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=1):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
