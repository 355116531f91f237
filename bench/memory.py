"""`python -m bench.memory`: what a large cluster takes of a container's memory limit, while its names are asked for.

    10,000 Services with ten endpoints each (`--services`, `--endpoints`), every other one headless, in a control group
    of 170 MiB (`--limit`), which takes root; without it nothing is limited and the peak is the process's own.

No API server of Kubernetes is filled with as much in less than half an hour, so lists come from a stand-in, page by
page, and its watches stay silent. The server is clusterdns alone: this answers whether it fits, not who needs less.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from aiohttp import web

from bench import load, objects
from bench.field import knows
from testing import peers
from testing.api import Manifest
from testing.limits import Limits, limited
from testing.loop_thread import LoopThread
from testing.ports import LOOPBACK, free_ports
from testing.process import ServerProcess

PER_NAMESPACE = 100
LOAD_SECONDS = 15
START_SECONDS = 120
MIB = 1 << 20
COREFILE = """\
.:{dns} {{
    bind 127.0.0.1
    errors
    health 127.0.0.1:{health}
    ready 127.0.0.1:{ready}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        endpoint http://127.0.0.1:{api}
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


class Cluster:
    """The objects, and the lists that an API server would give."""

    def __init__(self, services: int, endpoints: int) -> None:
        self.names: list[str] = []
        lists: dict[str, list[Manifest]] = {"services": [], "endpointslices": [], "namespaces": []}
        for number in range(services):
            namespace, name = f"team-{number // PER_NAMESPACE:03}", f"service-{number:05}"
            if not number % PER_NAMESPACE:
                lists["namespaces"].append({"metadata": {"name": namespace}})
            is_headless = bool(number % 2)
            service = objects.service(namespace, name, headless=is_headless)
            service["spec"].setdefault("clusterIP", str(IPv4Address("10.96.0.0") + number))
            first = IPv4Address("10.128.0.0") + number * endpoints
            addresses = [str(first + step) for step in range(endpoints)]
            hostnames = [f"pod-{step}" for step in range(endpoints)]
            lists["services"].append(service)
            lists["endpointslices"].append(objects.endpoint_slice(namespace, name, f"{name}-0", addresses, hostnames))
            self.names.append(f"{name}.{namespace}.svc.{objects.ZONE}.")
            if is_headless:
                self.names += [f"{host}.{self.names[-1]}" for host in hostnames]
        self._lists = lists

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """A page of a list, or a watch that never says anything."""
        response = web.StreamResponse(headers={"content-type": "application/json"})
        if "watch" in request.query:
            await response.prepare(request)
            await asyncio.Event().wait()
        return web.json_response(self._page(request.path.rpartition("/")[2], request.query))

    def _page(self, kind: str, query: Any) -> Any:
        items = self._lists.get(kind, [])
        start = int(query.get("continue", 0))
        end = start + int(query.get("limit", len(items) or 1))
        meta = {"resourceVersion": "1"} | ({"continue": str(end)} if end < len(items) else {})
        return {"kind": "List", "metadata": meta, "items": items[start:end]}


def measure(cluster: Cluster, limits: Limits, folder: Path) -> None:
    """Run the server, ask it, and print what it took. Raises ServerFailed, WrongAnswers."""
    names = ("dns", "health", "ready", "metrics", "api")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    (folder / "Corefile").write_text(COREFILE.format(**ports))
    load.write_questions(folder / "names", [(name, qtype) for name in cluster.names for qtype in ("A", "AAAA", "SRV")])
    command = ["sh", "-c", 'for group in $GROUPS_TO_ENTER; do echo $$ > "$group"; done; exec "$0" "$@"']
    command += [str(peers.clusterdns()), "-conf", str(folder / "Corefile")]
    entrances = {"GROUPS_TO_ENTER": " ".join(limits.entrances)}
    with listing(cluster, ports["api"]), ServerProcess("clusterdns", command, folder / "log", entrances) as server:
        ready_seconds = server.wait_until(
            lambda: knows(ports["dns"], cluster.names[-1]), "answering the last name", START_SECONDS, 0.05
        )
        time.sleep(1)  # what the lists left behind is given back
        base_bytes = server.rss_bytes()
        found = load.flat_out(ports["dns"], folder / "names", 1_000, "NOERROR", LOAD_SECONDS)
        print(f"right about the last name after {ready_seconds:.1f} s, then {base_bytes / MIB:.0f} MiB resident")
        print(f"{found.answers_per_second:,.0f} answers/s for {LOAD_SECONDS} s, {server.rss_bytes() / MIB:.0f} MiB")
        if peak_bytes := limits.peak_bytes():
            print(f"peak of the control group {peak_bytes / MIB:.1f} MiB, limit held: {limits.holds_memory}")


@contextmanager
def listing(cluster: Cluster, port: int) -> Iterator[None]:
    """The stand-in for an API server, listening there."""
    thread = LoopThread("api")
    runners: list[web.ServerRunner] = []

    async def start() -> None:
        runners.append(web.ServerRunner(web.Server(cluster.answer), shutdown_timeout=0.1))
        await runners[0].setup()
        await web.TCPSite(runners[0], LOOPBACK, port).start()

    thread.start()
    thread.call(start())
    try:
        yield
    finally:
        thread.call(_end(runners[0]))
        thread.stop()


async def _end(runner: web.ServerRunner) -> None:
    await runner.cleanup()
    waiting = asyncio.all_tasks() - {asyncio.current_task()}
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def main(words: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--endpoints", type=int, default=10)
    parser.add_argument("--limit", type=int, default=170, help="MiB; 0 for none")
    options = parser.parse_args(words)
    cluster = Cluster(options.services, options.endpoints)
    with tempfile.TemporaryDirectory() as folder, limited(memory_mib=options.limit) as limits:
        measure(cluster, limits, Path(folder))


if __name__ == "__main__":
    main()
