"""A simulated pod: a network namespace with a pod's resolv.conf, in which the server under test runs as well.

The namespace's loopback interface has the addresses of the `kube-dns` Service, which a node would translate (NAT). It
is made with `ip netns`, which needs root.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from peers import missing, need

SERVER, SERVER6 = "10.96.0.10", "fd00:10:96::a"
RESOLV_CONF = f"""\
search default.svc.cluster.local svc.cluster.local cluster.local
nameserver {SERVER}
options ndots:5
"""
CLIENT_SECONDS = 60.0
_GET = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
connection.request("GET", sys.argv[2])
page = connection.getresponse()
print(page.status, page.read().decode(), sep="\\n")
"""


class Pod:
    """A network namespace to run programs in."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def command(self, *words: str) -> list[str]:
        """Return the command line that runs a command inside; `ip` executes it, so its pid is the command's."""
        return [need("ip"), "netns", "exec", self.namespace, *words]

    def run(self, *words: str) -> str:
        """Run a command, and return its output, both streams together. Ignores the exit code."""
        done = subprocess.run(
            self.command(*words),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=CLIENT_SECONDS,
        )  # fmt: skip
        return done.stdout.decode()

    def add_address(self, address: str) -> None:
        """Add an address to the loopback interface."""
        prefix = 128 if ":" in address else 32
        words = ("addr", "replace", f"{address}/{prefix}", "dev", "lo")
        subprocess.run([need("ip"), "-n", self.namespace, *words], check=True, capture_output=True)

    def http(self, port: int, path: str) -> tuple[str, str]:
        """Fetch a page from a port of 127.0.0.1: status and body, both empty if the port is closed."""
        printed = self.run(sys.executable, "-I", "-c", _GET, str(port), path)
        status, _, body = printed.partition("\n")
        return (status, body.rstrip("\n")) if status.isdigit() else ("", "")


@contextlib.contextmanager
def network_namespace(label: str) -> Iterator[Pod]:
    """Make a namespace with loopback, both addresses of the Service and the resolv.conf; delete it on exit."""
    name = f"clusterdns-{label}-{os.getpid()}-{time.monotonic_ns() % 1_000_000}"
    settings = Path("/etc/netns") / name
    ip = need("ip")
    made = subprocess.run([ip, "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        missing("a network namespace", f"run the tests as root ({made.stderr.strip()})")
    try:
        settings.mkdir(parents=True)
        (settings / "resolv.conf").write_text(RESOLV_CONF)
        subprocess.run([ip, "-n", name, "link", "set", "lo", "up"], check=True, capture_output=True)
        pod = Pod(name)
        pod.add_address(SERVER)
        pod.add_address(SERVER6)
        yield pod
    finally:
        (settings / "resolv.conf").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # the parent may have other files
            settings.rmdir()
            settings.parent.rmdir()
        subprocess.run([ip, "netns", "del", name], check=True)
