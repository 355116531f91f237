"""`python -m bench.floods`: floods of connections, and what is left for a client that asks.

A server runs in a process of its own, on a simulated cluster. Each flood opens connections from addresses of
127.0.0.0/8 that are silent, half-asked or idle, and replaces those that the server closes. Meanwhile a client opens one
connection after the other, asks, and counts its answers. The table shows the client's share of answers, and the
server's memory before, during and after the flood.
"""

import argparse
import contextlib
import socket
import ssl
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from testing import dns_client, peers
from testing.certificates import self_sign
from testing.ports import LOOPBACK, free_ports
from testing.process import ServerProcess

TRIES = 200
GOOD_HOST = "127.0.9.9"  # the source of the client that asks
TIMEOUT_SECONDS = 2.0
SETTLE_SECONDS = 12.0  # longer than each time limit of a silent connection
NAME = "web.prod.svc.cluster.local"
QUERY = dns_client.question(NAME)
FRAMED = len(QUERY).to_bytes(2, "big") + QUERY
MANIFEST = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: prod}
spec: {clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10], ipFamilies: [IPv4], ports: [{port: 80}]}
"""


@dataclass(frozen=True)
class Target:
    """A running server and its ports."""

    server: ServerProcess
    dns_port: int
    tls_port: int
    health_port: int
    certificate: Path

    def port(self, kind: str) -> int:
        """Return the port of "tcp", "tls" or "http"."""
        return {"tcp": self.dns_port, "tls": self.tls_port, "http": self.health_port}[kind]

    def rss_mib(self) -> float:
        """Return the resident set size of the server."""
        words = Path(f"/proc/{self.server.pid}/statm").read_text(encoding="ascii").split()
        return int(words[1]) * 4096 / (1 << 20)


def client_hello() -> bytes:
    """Return the first message of a TLS client."""
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="dns.example").do_handshake()
    return outgoing.read()


@dataclass(frozen=True)
class Flood:
    """Connections of one kind: how many, from how many addresses, and what each of them sends."""

    name: str
    kind: str
    count: int
    addresses: int
    sends: bytes = b""
    open_files: int = 0  # the server's limit; 0: the host's


FLOODS = (
    Flood("silent DoT, one address", "tls", 8_000, 1),
    Flood("silent DoT, 20 addresses", "tls", 2_000, 20),
    Flood("half a ClientHello, 20 addresses", "tls", 2_000, 20, b"\x16\x03\x01\x40\x00\x01"),
    Flood("a ClientHello alone, 20 addresses", "tls", 2_000, 20, client_hello()),
    Flood("half-asked TCP, 16 addresses", "tcp", 6_000, 16, FRAMED[:-1]),
    Flood("asked and idle TCP, 16 addresses", "tcp", 6_000, 16, FRAMED),
    Flood("half-asked TCP, 16 addresses, 256 files", "tcp", 1_000, 16, FRAMED[:-1], open_files=256),
    Flood("silent TCP, one address, 256 files", "tcp", 1_000, 1, open_files=256),
    Flood("idle admin connections", "http", 4_000, 1),
)


@contextlib.contextmanager
def running(folder: Path, open_files: int) -> Iterator[Target]:
    """Run a server on a simulated cluster, with this limit of open files."""
    (folder / "cluster").mkdir(parents=True)
    (folder / "cluster" / "web.yaml").write_text(MANIFEST)
    pair = self_sign(folder, "dns.example")
    dns_port, tls_port, health_port = free_ports(3)
    zone = f"kubernetes cluster.local {{\n manifests {folder}/cluster\n}}\nbind {LOOPBACK}\n"
    (folder / "Corefile").write_text(
        f"cluster.local:{dns_port} {{\n{zone}health {LOOPBACK}:{health_port}\n}}\n"
        f"tls://cluster.local:{tls_port} {{\n{zone}tls {pair.cert} {pair.key}\n}}\n"
    )
    command: list[str | Path] = [peers.clusterdns(), "-conf", folder / "Corefile"]
    if open_files:
        command = ["prlimit", f"--nofile={open_files}", *command]
    with ServerProcess("clusterdns", command, folder / "log") as server:
        target = Target(server, dns_port, tls_port, health_port, pair.cert)
        server.wait_until(lambda: is_answered(target, "tcp"), "an answer over TCP", 30, 0.05)
        yield target


def is_answered(target: Target, kind: str) -> bool:
    """Return whether a new connection gets an answer."""
    try:
        with socket.create_connection((LOOPBACK, target.port(kind)), TIMEOUT_SECONDS, (GOOD_HOST, 0)) as sock:
            if kind == "http":
                sock.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                return sock.recv(65535).startswith(b"HTTP/1.1 200")
            if kind == "tcp":
                sock.sendall(FRAMED)
                return len(sock.recv(65535)) > len(FRAMED)
            context = ssl.create_default_context(cafile=target.certificate)
            context.check_hostname = False
            with context.wrap_socket(sock) as secured:
                secured.sendall(FRAMED)
                return len(secured.recv(65535)) > len(FRAMED)
    except OSError:
        return False


@contextlib.contextmanager
def flooding(target: Target, flood: Flood) -> Iterator[None]:
    """Keep the flood's connections open, with new ones in the place of the oldest, until the context ends."""
    ended = threading.Event()
    first = threading.Event()
    opened: deque[socket.socket] = deque()

    def open_one(number: int) -> None:
        source = f"127.0.1.{1 + number % flood.addresses}"
        try:
            sock = socket.create_connection((LOOPBACK, target.port(flood.kind)), TIMEOUT_SECONDS, (source, 0))
        except OSError:
            return
        opened.append(sock)
        with contextlib.suppress(OSError):  # closed by the server already
            sock.sendall(flood.sends)

    def go_on() -> None:
        number = 0
        while not ended.is_set():
            open_one(number)
            number += 1
            if number == flood.count:
                first.set()
            if len(opened) >= flood.count:
                opened.popleft().close()
                time.sleep(0.001)
        first.set()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        first.wait(120)
        yield
    finally:
        ended.set()
        thread.join()
        for sock in opened:
            sock.close()


def measure(flood: Flood, folder: Path, settle: Callable[[float], None] = time.sleep) -> str:
    """Run one flood and return its row."""
    with running(folder, flood.open_files) as target:
        before = target.rss_mib()
        with flooding(target, flood):
            good = sum(is_answered(target, flood.kind) for _ in range(TRIES))
            during = target.rss_mib()
        settle(SETTLE_SECONDS)
        return (
            f"{flood.name:42} {100 * good / TRIES:6.1f} % {before:7.0f} {during:7.0f} {target.rss_mib():7.0f}"
            f"   {len(target.server.out.splitlines())} lines of log"
        )


def main(words: list[str]) -> int:
    """Run the floods whose names contain the given word; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.floods", description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="WORD", help="only floods whose name contains this")
    chosen = parser.parse_args(words).only
    print(f"{'flood':42} {'answered':>8} {'RSS MiB: before, during, after':>31}")
    for number, flood in enumerate(one for one in FLOODS if chosen in one.name):
        with tempfile.TemporaryDirectory() as folder:
            print(measure(flood, Path(folder) / str(number)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
