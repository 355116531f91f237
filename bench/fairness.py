"""What other clients get while one source floods the server over UDP: `python -m bench.fairness`; 1 minute.

Fifty clients, each at an address of its own, ask 20 times a second; beside them one source sends as fast as it can:
queries that are answered at once, names that do not exist, and garbage. Shows what the clients lose and the latency of
their answers, calm and during each flood.
"""

import argparse
import multiprocessing
import random
import selectors
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.synchronize import Event as EventType
from pathlib import Path

from dnslib import DNSRecord

from testing.ports import LOOPBACK, free_ports
from testing.process import ServerProcess

CLIENTS, PER_SECOND = 50, 20
TIMEOUT_SECONDS = 1.0
SECONDS = 10.0
ATTACKER = "127.0.0.2"
NAME = "kube-dns.kube-system.svc.cluster.local"
COREFILE = """\
.:{dns} {{
    bind 127.0.0.1
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        manifests {zones}
        pods insecure
    }}
    prometheus 127.0.0.1:{metrics}
    loadbalance
}}
"""


@dataclass(frozen=True)
class Seen:
    """The queries of the clients: how many, the lost ones, and the latencies of the others, sorted."""

    asked: int
    lost: int
    seconds: list[float]

    @property
    def p99_seconds(self) -> float:
        """The latency that 99 of 100 answers did not exceed; infinity without answers."""
        return self.seconds[int(len(self.seconds) * 0.99)] if self.seconds else float("inf")


def clients(port: int, seconds: float) -> Seen:
    """Ask from all client addresses for this time."""
    selector = selectors.DefaultSelector()
    query = DNSRecord.question(NAME).pack()[2:]
    sockets = []
    for number in range(CLIENTS):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        one.bind((f"127.0.1.{number + 1}", 0))
        one.connect((LOOPBACK, port))
        selector.register(one, selectors.EVENT_READ)
        sockets.append(one)
    sent: dict[tuple[socket.socket, int], float] = {}
    latencies: list[float] = []
    began = time.perf_counter()
    asked, period = 0, 1 / (CLIENTS * PER_SECOND)
    while True:
        now = time.perf_counter()
        while asked * period <= now - began < seconds:
            one = sockets[asked % CLIENTS]
            one.send((asked % 65536).to_bytes(2, "big") + query)
            sent[one, asked % 65536] = time.perf_counter()
            asked += 1
        if now - began > seconds + TIMEOUT_SECONDS:
            break
        wait = max(0.0, began + asked * period - now) if now - began < seconds else 0.05
        for key, _ in selector.select(wait):
            reader = key.fileobj
            assert isinstance(reader, socket.socket)
            reply = reader.recv(4096)
            at = sent.pop((reader, int.from_bytes(reply[:2], "big")), None)
            if at is not None:
                latencies.append(time.perf_counter() - at)
    for one in sockets:
        one.close()
    return Seen(asked, len(sent), sorted(latencies))


def flood(port: int, kind: str, seconds: float, begun: EventType) -> None:
    """Send as fast as one process can; `begun` is set at the first packet."""
    rng = random.Random(3)
    if kind == "hits":
        packets = [number.to_bytes(2, "big") + DNSRecord.question(NAME).pack()[2:] for number in range(256)]
    elif kind == "random names":
        packets = [DNSRecord.question(f"x{rng.getrandbits(60):x}.prod.svc.cluster.local").pack() for _ in range(65536)]
    else:
        packets = [bytes(11), b"\0\0\x80\0" + bytes(20), b"\0\0\x84\0\0\1" + bytes(60)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((ATTACKER, 0))
        sock.connect((LOOPBACK, port))
        begun.set()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for packet in packets[:256]:
                try:
                    sock.send(packet)
                except OSError:  # the send buffer is full, or the server has gone
                    continue
            packets = packets[256:] + packets[:256]


def attacked(port: int, kind: str, seconds: float) -> Seen:
    """Ask while one source floods."""
    begun = multiprocessing.Event()
    attacker = multiprocessing.Process(target=flood, args=(port, kind, seconds + 2.0, begun))
    attacker.start()
    try:
        begun.wait(60)
        time.sleep(0.5)
        return clients(port, seconds)
    finally:
        attacker.join(seconds + 10)
        attacker.kill()


def show(label: str, seen: Seen, calm: Seen | None = None) -> None:
    """Print a line."""
    ratio = f", {seen.p99_seconds / calm.p99_seconds:5.1f} × calm" if calm is not None else ""
    print(f"  {label:14} lost {seen.lost / seen.asked:7.3%}, p99 {seen.p99_seconds * 1e3:7.2f} ms{ratio}", flush=True)


def measure(port: int, seconds: float) -> None:
    """Measure one server, calm and in each flood."""
    calm = clients(port, seconds)
    show("calm", calm)
    for kind in ("hits", "random names", "garbage"):
        show(kind, attacked(port, kind, seconds), calm)
        time.sleep(2)


def main() -> int:
    """Measure clusterdns; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.fairness", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each measurement")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dns, metrics = free_ports(2)
        path = Path(folder) / "Corefile"
        path.write_text(COREFILE.format(dns=dns, metrics=metrics, zones=Path("zones/demo").resolve()))
        command = [sys.executable, "-m", "clusterdns", "-conf", str(path)]
        with ServerProcess("clusterdns", command, Path(folder) / "log") as process:
            process.wait_until(lambda: "clusterdns" in process.out, "the start")
            measure(dns, options.seconds)
            print(process.tail())
    return 0


if __name__ == "__main__":
    sys.exit(main())
