"""`python -m bench.memory`: whether a large cluster fits into a container's memory limit while its names are asked for.

    10,000 Services with ten endpoints each (`--services`, `--endpoints`), every other one headless, in a control group
    of 170 MiB (`--limit`), which takes root; without it nothing is limited.

Filling a real API server with as many objects takes more than half an hour, so a fake one serves the lists, page by
page. The server under test is clusterdns alone: it is not compared.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from bench import load, objects
from testing import peers
from testing.dns_client import has_records, question
from testing.fake_apiserver import NAMESPACES, SERVICES, SLICES, FakeApiServer, serving
from testing.limits import MIB, Limits, limited
from testing.loop_thread import LoopThread
from testing.ports import free_ports
from testing.process import ServerProcess

PER_NAMESPACE = 100
LOAD_SECONDS = 15
START_SECONDS = 120
COREFILE = """\
.:{dns} {{
    bind 127.0.0.1
    errors
    health 127.0.0.1:{health}
    ready 127.0.0.1:{ready}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        endpoint {api}
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}
    prometheus 127.0.0.1:{metrics}
    forward . 127.0.0.1:9
    cache 30
    loop
    reload
    loadbalance
}}
"""


class LargeCluster:
    """The fake API server with its objects, and every name that they make."""

    def __init__(self, services: int, endpoints: int) -> None:
        self.names: list[str] = []
        self.api = FakeApiServer()
        for number in range(services):
            namespace, name = f"team-{number // PER_NAMESPACE:03}", f"service-{number:05}"
            if not number % PER_NAMESPACE:
                self.api.lists[NAMESPACES].append({"metadata": {"name": namespace}})
            is_headless = bool(number % 2)
            service = objects.service(namespace, name, headless=is_headless)
            service["spec"].setdefault("clusterIP", str(IPv4Address("10.96.0.0") + number))
            first = IPv4Address("10.128.0.0") + number * endpoints
            addresses = [str(first + step) for step in range(endpoints)]
            hostnames = [f"pod-{step}" for step in range(endpoints)]
            self.api.lists[SERVICES].append(service)
            self.api.lists[SLICES].append(objects.endpoint_slice(namespace, name, f"{name}-0", addresses, hostnames))
            self.names.append(f"{name}.{namespace}.svc.{objects.ZONE}.")
            if is_headless:
                self.names += [f"{host}.{self.names[-1]}" for host in hostnames]


def measure(cluster: LargeCluster, limits: Limits, folder: Path) -> None:
    """Run the server, ask it, and print its memory. Raises ServerFailed and WrongAnswers."""
    names = ("dns", "health", "ready", "metrics")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    path = folder / "names"
    load.write_questions(path, [(name, qtype) for name in cluster.names for qtype in ("A", "AAAA", "SRV")])
    with running(cluster.api):
        (folder / "Corefile").write_text(COREFILE.format(api=cluster.api.url, **ports))
        command = ["sh", "-c", 'for group in $GROUPS_TO_ENTER; do echo $$ > "$group"; done; exec "$0" "$@"']
        command += [str(peers.clusterdns()), "-conf", str(folder / "Corefile")]
        entrances = {"GROUPS_TO_ENTER": " ".join(limits.entrances)}
        with ServerProcess("clusterdns", command, folder / "log", entrances) as server:
            last = question(cluster.names[-1])
            ready_seconds = server.wait_until(
                lambda: has_records(ports["dns"], last), "answer for the last name", START_SECONDS, 0.05
            )
            time.sleep(1)  # the memory of the lists is returned
            base_bytes = server.rss_bytes()
            found = load.flat_out(ports["dns"], path, 1_000, "NOERROR", LOAD_SECONDS)
            print(f"answers the last name after {ready_seconds:.1f} s, then {base_bytes / MIB:.0f} MiB resident")
            print(f"{found.answers_per_second:,.0f} answers/s for {LOAD_SECONDS} s, {server.rss_bytes() / MIB:.0f} MiB")
            if peak_bytes := limits.peak_bytes():
                print(f"peak of the control group {peak_bytes / MIB:.1f} MiB, limit held: {limits.holds_memory}")


@contextmanager
def running(api: FakeApiServer) -> Iterator[None]:
    """Run the fake API server in a thread of its own."""
    thread = LoopThread("api")
    thread.start()
    open_servers = AsyncExitStack()
    thread.call(open_servers.enter_async_context(serving(api)))
    try:
        yield
    finally:
        thread.call(open_servers.aclose())
        thread.stop()


def main(words: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--endpoints", type=int, default=10)
    parser.add_argument("--limit", type=int, default=170, help="MiB; 0 for none")
    options = parser.parse_args(words)
    cluster = LargeCluster(options.services, options.endpoints)
    with tempfile.TemporaryDirectory() as folder, limited(memory_mib=options.limit) as limits:
        measure(cluster, limits, Path(folder))


if __name__ == "__main__":
    main()
