"""Runs the server as a process, on a copy of zones/ with free ports or on any Corefile."""

import contextlib
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from testing.peers import clusterdns
from testing.ports import LOOPBACK, free_ports
from testing.process import ServerProcess

ROOT = Path(__file__).resolve().parents[2]
PORTS = ("1053", "18080", "18181", "18053", "19153")  # of zones/Corefile: DNS, health, ready, dashboard, metrics
START_SECONDS = 60.0


class Demo(NamedTuple):
    """A copy of zones/ whose Corefile has free ports instead of its own."""

    folder: Path
    ports: dict[str, int]

    def with_own_port(self, command: str) -> str:
        """Replace the DNS port in a command line by that of the copy."""
        return command.replace("-p 1053", f"-p {self.ports['1053']}")


def copy_zones(into: Path) -> Demo:
    """Copy zones/ into a folder."""
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
    """Run the server on a Corefile, and enter the context once it is ready. Fails if it ends with an error."""
    command = [str(clusterdns()), "-conf", str(corefile)]
    with ServerProcess("clusterdns", command, corefile.with_name("clusterdns.log"), cwd=ROOT) as server:
        server.wait_until(lambda: is_ready(ready_port), "readiness", START_SECONDS)
        yield
        assert server.stop() == 0, server.tail()


def is_ready(port: int) -> bool:
    """Return whether /ready reports readiness."""
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/ready", timeout=10):
            return True
    except OSError:
        return False
