"""The name servers of a benchmark run, side by side on loopback: clusterdns, CoreDNS and Knot.

CoreDNS and clusterdns read the same Corefile, byte for byte; only the ports differ, which come from the environment.
There are two Corefiles: one without a forward, and kubeadm's, whose upstream is a second Knot. Knot serves the
cluster's names from a static zone, as the baseline of a name server without Kubernetes.
"""

import string
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import objects
from testing import dns_client, peers
from testing.api import ApiClient
from testing.knot import configure
from testing.ports import LOOPBACK, free_ports
from testing.process import ServerProcess

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

# As kubeadm writes it, without its lameduck of 5 s, which would only delay each stop; {$BENCH_UPSTREAM} stands for
# /etc/resolv.conf.
KUBEADM_COREFILE = string.Template("""\
.:{$$BENCH_DNS_PORT} {
    bind 127.0.0.1
    errors
    health 127.0.0.1:{$$BENCH_HEALTH_PORT}
    ready 127.0.0.1:{$$BENCH_READY_PORT}
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig {$$BENCH_KUBECONFIG}
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    prometheus 127.0.0.1:{$$BENCH_METRICS_PORT}
$more    forward . {$$BENCH_UPSTREAM} {
        max_concurrent 1000
    }
    cache 30 {
        disable success cluster.local
        disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
""")
EXTERNAL = "example"  # the zone that Knot answers for upstreams
EXTERNAL_NAMES = 1_000

EXTERNAL_ZONE = f"""\
$ORIGIN {EXTERNAL}.
$TTL 300
@ SOA ns hostmaster 1 7200 1800 86400 300
@ NS ns
ns A 192.0.2.53
*.new A 192.0.2.99
"""


@dataclass(frozen=True)
class MeasuredServer:
    """A running server, the port it answers on, and the seconds from its start to its first correct answer."""

    server: ServerProcess
    port: int
    first_answer_seconds: float
    corefile: Path

    @property
    def name(self) -> str:
        """The server's name in results and tables."""
        return self.server.name


def load_objects(api: ApiClient) -> None:
    """Create the objects of the benchmark's cluster."""
    api.apply_all(objects.namespaces())
    api.apply_all(objects.objects())


def external_names() -> list[str]:
    """Return the names that Knot answers as an upstream, beside a wildcard for every name under `new.example.`."""
    return [f"www-{number:04}.{EXTERNAL}." for number in range(EXTERNAL_NAMES)]


@contextmanager
def kubernetes_server(
    name: str,
    kubeconfig: Path,
    folder: Path,
    text: str = COREFILE,
    env: Mapping[str, str] | None = None,
    wanted: Sequence[str] = (),
) -> Iterator[MeasuredServer]:
    """Run CoreDNS or clusterdns on a Corefile, which is written to `folder`, until it knows all objects.

    `wanted` are the names to wait for, in order; without them, those of the benchmark's cluster.
    """
    first, *last = wanted or (next(objects.names())[0], *objects.last_names())
    program = peers.clusterdns() if name == OURS else peers.find(COREDNS)
    folder.mkdir(exist_ok=True)
    corefile = folder / f"Corefile.{name}"
    corefile.write_text(text)
    port, health, ready, metrics = free_ports(4)
    environment = {
        "BENCH_DNS_PORT": str(port),
        "BENCH_HEALTH_PORT": str(health),
        "BENCH_READY_PORT": str(ready),
        "BENCH_METRICS_PORT": str(metrics),
        "BENCH_KUBECONFIG": str(kubeconfig),
    }
    with ServerProcess(
        name, [program, "-conf", corefile], folder / f"{name}.log", {**environment, **(env or {})}
    ) as server:
        seconds = server.wait_until(lambda: knows(port, first), "first correct answer")
        server.wait_until(lambda: all(knows(port, one) for one in last), "correct answer to all names")
        yield MeasuredServer(server, port, seconds, corefile)


@contextmanager
def kubeadm_pair(
    kubeconfig: Path,
    folder: Path,
    upstream: str,
    others: Mapping[str, tuple[str, str]] | None = None,
    envs: Mapping[str, Mapping[str, str]] | None = None,
) -> Iterator[list[MeasuredServer]]:
    """Run clusterdns and CoreDNS on kubeadm's Corefile.

    `others` adds forwards, as zone → (address, option); `envs` adds to the environment, by the server's name.
    """
    more = "".join(
        f"    forward {zone} {address} {{\n        max_concurrent 1000\n        {option}\n    }}\n"
        for zone, (address, option) in (others or {}).items()
    )
    text = KUBEADM_COREFILE.substitute(more=more)
    with ExitStack() as running:
        runners = []
        for name in (OURS, COREDNS):
            env = {"BENCH_UPSTREAM": upstream, **(envs or {}).get(name, {})}
            runners.append(running.enter_context(kubernetes_server(name, kubeconfig, folder, text, env)))
        yield runners


@contextmanager
def knot(api: ApiClient, folder: Path) -> Iterator[MeasuredServer]:
    """Run Knot on a static zone of the cluster's names."""
    cluster_ips = [
        (one["metadata"]["namespace"], one["metadata"]["name"], one["spec"]["clusterIP"]) for one in api.list("Service")
    ]
    zone_text = objects.zone_file(cluster_ips)
    with _knot(folder / "knot", objects.ZONE, zone_text, next(objects.names())[0]) as runner:
        yield runner


@contextmanager
def resolver(folder: Path) -> Iterator[MeasuredServer]:
    """Run Knot as an upstream: 1,000 names, and any name under `new.example.`."""
    names = external_names()
    zone_text = EXTERNAL_ZONE + "".join(
        f"{name} A 198.51.{100 + number // 250}.{number % 250 + 1}\n" for number, name in enumerate(names)
    )
    with _knot(folder / "resolver", EXTERNAL, zone_text, names[-1]) as runner:
        yield runner


@contextmanager
def _knot(home: Path, zone: str, zone_text: str, known: str) -> Iterator[MeasuredServer]:
    home.mkdir(exist_ok=True)
    (port,) = free_ports(1)
    conf = configure(home, LOOPBACK, port, zone, zone_text)
    with ServerProcess(KNOT, [peers.find("knotd"), "-c", conf], home / "log") as server:
        seconds = server.wait_until(lambda: knows(port, known), "first correct answer")
        yield MeasuredServer(server, port, seconds, conf)


def knows(port: int, name_text: str) -> bool:
    """Ask a server once, and return whether it answers a name with addresses."""
    return dns_client.has_records(port, dns_client.question(name_text))
