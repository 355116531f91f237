"""The installed console script as a process, on one Corefile and a loopback address of its own."""

import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from peers import need
from prometheus_client.parser import text_string_to_metric_families

from testing.peers import clusterdns
from testing.ports import new_address
from testing.process import ServerProcess
from testing.waiting import PATIENCE_SECONDS

PORT = 1053

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


class Page(NamedTuple):
    """The response of an admin listener; status 0 where it refused the connection."""

    status: int
    text: str


class CorefileServer(ServerProcess):
    """One run of the console script; HOST in its Corefile is its address."""

    def __init__(
        self, folder: Path, corefile: str, arguments: Sequence[str] = (), launcher: Sequence[str] = ()
    ) -> None:
        self.host = new_address()
        self.folder = folder
        path = folder / "Corefile"
        path.write_text(corefile.replace("HOST", self.host))
        command = [*launcher, str(clusterdns()), "-conf", str(path), *arguments]
        super().__init__("clusterdns", command, folder / "stdout", cwd=folder, error_log=folder / "stderr")

    def wait_serving(self) -> Self:
        """Wait for the banner, which follows the first answerable question. Raises ServerFailed."""
        self.wait_until(lambda: "clusterdns-" in self.out, "the banner", PATIENCE_SECONDS)
        return self

    def dig(self, *words: str) -> list[str]:
        """The lines of dig's short form; dig sends one query only, so that queries can be counted."""
        command = [need("dig"), f"@{self.host}", "-p", str(PORT), "+short", "+tries=1", "+time=20", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    def get(self, port: int, path: str) -> Page:
        """Get a page of an admin listener."""
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


Start = Callable[..., CorefileServer]
