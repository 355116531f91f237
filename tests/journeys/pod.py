"""A pod as DNS sees it: a network namespace with a pod's resolv.conf, in which the server under test runs as well.

The addresses of the `kube-dns` Service are on the namespace's loopback interface, where a cluster would have the node's
NAT. Needs root; `ip netns` does the work.
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
CLIENT_SECONDS = 20.0
_GET = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
connection.request("GET", sys.argv[2])
page = connection.getresponse()
print(page.status, page.read().decode(), sep="\\n")
"""


class Pod:
    """Runs programs in the namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def command(self, *words: str) -> list[str]:
        """The command line that runs these words inside; the process replaces `ip`, so its pid is the program's."""
        return [need("ip"), "netns", "exec", self.namespace, *words]

    def run(self, *words: str) -> str:
        """What a program prints, both streams together. Its exit code is not looked at."""
        done = subprocess.run(
            self.command(*words),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=CLIENT_SECONDS,
        )  # fmt: skip
        return done.stdout.decode()

    def add_address(self, address: str) -> None:
        """Give the loopback interface one more address."""
        prefix = 128 if ":" in address else 32
        words = ("addr", "replace", f"{address}/{prefix}", "dev", "lo")
        subprocess.run([need("ip"), "-n", self.namespace, *words], check=True, capture_output=True)

    def http(self, port: int, path: str) -> tuple[str, str]:
        """Status and body of a page of the server's own; both empty where nobody listens."""
        printed = self.run(sys.executable, "-I", "-c", _GET, str(port), path)
        status, _, body = printed.partition("\n")
        return (status, body.rstrip("\n")) if status.isdigit() else ("", "")


@contextlib.contextmanager
def network_namespace(label: str) -> Iterator[Pod]:
    """A namespace with loopback, both addresses of the Service and the resolv.conf; gone at the end."""
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
        with contextlib.suppress(OSError):  # the second only where it was ours and is empty
            settings.rmdir()
            settings.parent.rmdir()
        subprocess.run([ip, "netns", "del", name], check=True)
