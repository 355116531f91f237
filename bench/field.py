"""The field of a benchmark run: the API server with its objects, and the three name servers side by side on loopback.

CoreDNS and clusterdns read the same Corefile, byte for byte; only the ports differ, which come from the environment.
Knot serves the same names from a static zone: it knows nothing of Kubernetes and stands for what a name server without
that burden costs.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import ask, objects, peers
from bench.api import Api
from bench.server import LOOPBACK, Server, free_ports

OURS, COREDNS, KNOT = "clusterdns", "coredns", "knot"

COREFILE = """\
.:{$BENCH_DNS_PORT} {
    bind 127.0.0.1
    errors
    health 127.0.0.1:{$BENCH_HEALTH_PORT}
    ready 127.0.0.1:{$BENCH_READY_PORT}
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig {$BENCH_KUBECONFIG}
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    prometheus 127.0.0.1:{$BENCH_METRICS_PORT}
    loadbalance
}
"""

KNOT_CONF = """\
server:
    listen: {address}@{port}
    rundir: {folder}
    user: {user}
database:
    storage: {folder}
log:
  - target: stdout
    any: warning
zone:
  - domain: {zone}.
    file: {folder}/zone
"""


@dataclass(frozen=True)
class Runner:
    """A server on the field, with the port it answers on and the seconds from its start to its first right answer."""

    server: Server
    port: int
    first_answer_seconds: float

    @property
    def name(self) -> str:
        """As in results and tables."""
        return self.server.name


def load_objects(api: Api) -> None:
    """Create the benchmark's cluster; objects that exist already stay."""
    api.load(objects.namespaces())
    api.load(objects.objects())


@contextmanager
def kubernetes_server(name: str, kubeconfig: Path, folder: Path) -> Iterator[Runner]:
    """CoreDNS or clusterdns, serving; stopped at the end."""
    program = peers.coredns() if name == COREDNS else peers.clusterdns()
    corefile = folder / "Corefile"
    corefile.write_text(COREFILE)
    port, health, ready, metrics = free_ports(4)
    env = {
        "BENCH_DNS_PORT": str(port),
        "BENCH_HEALTH_PORT": str(health),
        "BENCH_READY_PORT": str(ready),
        "BENCH_METRICS_PORT": str(metrics),
        "BENCH_KUBECONFIG": str(kubeconfig),
    }
    with Server(name, [program, "-conf", corefile], folder / f"{name}.log", env) as server:
        seconds = server.wait_until(lambda: _knows(port, next(objects.names())[0]), "the first right answer")
        server.wait_until(lambda: all(_knows(port, name) for name in objects.landmarks()), "a right answer to all")
        yield Runner(server, port, seconds)


@contextmanager
def knot(api: Api, folder: Path) -> Iterator[Runner]:
    """Knot with a static zone of the same names, serving; stopped at the end."""
    home = folder / "knot"
    home.mkdir(exist_ok=True)
    cluster_ips = [
        (one["metadata"]["namespace"], one["metadata"]["name"], one["spec"]["clusterIP"]) for one in api.list("Service")
    ]
    (home / "zone").write_text(objects.zone_file(cluster_ips))
    (port,) = free_ports(1)
    conf = home / "knot.conf"
    user = "root" if os.geteuid() == 0 else str(os.geteuid())
    conf.write_text(KNOT_CONF.format(address=LOOPBACK, port=port, folder=home, zone=objects.ZONE, user=user))
    with Server(KNOT, [peers.program("knotd"), "-c", conf], folder / "knot.log") as server:
        seconds = server.wait_until(lambda: _knows(port, next(objects.names())[0]), "the first right answer")
        yield Runner(server, port, seconds)


def _knows(port: int, name_text: str) -> bool:
    return ask.is_up(port, ask.question(name_text))
