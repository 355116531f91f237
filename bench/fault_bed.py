"""What the rows of `bench.faults` run on: a cluster that changes, and the two servers beside each other, under load.

Each server reaches the API server on a way of its own, which the faults break: over HTTP through an `ApiProxy`, or over
TLS through a `TcpRelay`.
"""

import asyncio
import itertools
import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from bench.asking import Asker
from bench.objects import ZONE, endpoint_slice, service
from bench.servers import COREDNS, COREFILE, OURS, MeasuredServer, kubernetes_server
from bench.truth import Truth
from testing.api import ApiClient
from testing.api_proxy import ApiProxy, proxying
from testing.controlplane import ControlPlane
from testing.controlplane.apiserver import FurtherApiServer
from testing.loop_thread import LoopThread
from testing.tcp_relay import TcpRelay, relaying

NAMESPACE = "bench-faults"
MOVING = 20  # Services that change again and again
CHANGES_PER_SECOND = 10
_FIRST_ADDRESS = IPv4Address("10.64.0.1")
_NEW_ADDRESS = IPv4Address("10.72.0.1")


class ChangingCluster:
    """Headless Services of one endpoint each, that gets another address time and again. `changed` has the names."""

    def __init__(self, api: ApiClient, services: int) -> None:
        self.truth = Truth(NAMESPACE)
        self.truth.follow(api)
        self.names = [f"web-{number:05}" for number in range(services)]
        self.pool: Sequence[str] = self.names[:MOVING]
        self.changed: list[str] = list(self.pool)
        self._api = api
        self._addresses = (str(_NEW_ADDRESS + number) for number in itertools.count())
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._change, daemon=True)

    def create(self) -> None:
        """Create the objects, and begin to change them."""
        self._api.apply_all(service(NAMESPACE, name, headless=True) for name in self.names)
        self._api.apply_all(
            endpoint_slice(NAMESPACE, name, f"{name}-0", [str(_FIRST_ADDRESS + number)], ["pod-0"])
            for number, name in enumerate(self.names)
        )
        self._thread.start()

    def change_each_once(self) -> None:
        """Change one Service after another from now on, so that no second event repairs what a lost one did."""
        self.pool, self.changed = self.names, []

    def change_a_few(self) -> None:
        """Change the same few Services from now on."""
        self.pool = self.names[:MOVING]
        self.changed = list(self.pool)

    def next_name(self) -> str:
        """Choose a name to ask: every other time of one that changes."""
        names = self.changed if self.changed and random.random() < 0.5 else self.names
        return full_name(random.choice(names))

    def stop(self) -> None:
        """Stop changing."""
        self._stopping.set()
        self._thread.join()

    def _change(self) -> None:
        pool, turn = self.pool, itertools.cycle(self.pool)
        while not self._stopping.wait(1 / CHANGES_PER_SECOND):
            if pool is not self.pool:
                pool, turn = self.pool, itertools.cycle(self.pool)
            name = next(turn)
            self._api.apply(endpoint_slice(NAMESPACE, name, f"{name}-0", [next(self._addresses)], ["pod-0"]))
            if name not in self.changed:
                self.changed.append(name)


def full_name(service_name: str) -> str:
    """Return the name of a Service in DNS."""
    return f"{service_name}.{NAMESPACE}.svc.{ZONE}."


@dataclass
class Contender:
    """A server, its way to the API server, and the load that asks it."""

    name: str
    loop: asyncio.AbstractEventLoop  # of the ways
    proxy: ApiProxy
    relay: TcpRelay
    measured: MeasuredServer
    asker: Asker

    def requests(self) -> int:
        """Count the requests, or the connections where these pass unread, since the start."""
        return len(self.proxy.queries) or self.relay.accepted


@dataclass
class FaultBed:
    """The cluster, and the servers of the present row."""

    control_plane: ControlPlane
    cluster: ChangingCluster
    folder: Path
    only_ours: bool = False
    further: FurtherApiServer | None = None  # which the servers use instead, in rows that kill it
    contenders: list[Contender] = field(default_factory=list)

    @contextmanager
    def running(self, options: str, per_second: int, *, over_http: bool) -> Iterator[None]:
        """Run the servers, asked at a rate; `options` are those of our `kubernetes` block."""
        with ExitStack() as running:
            for name in (OURS,) if self.only_ours else (OURS, COREDNS):
                loop, ways = LoopThread(f"ways of {name}"), AsyncExitStack()
                loop.start()
                running.callback(loop.stop)
                proxy = loop.call(ways.enter_async_context(proxying(self.control_plane)))
                relay = loop.call(ways.enter_async_context(relaying((self.further or self.control_plane).url)))
                running.callback(lambda loop=loop, ways=ways: loop.call(ways.aclose()))  # type: ignore[misc]
                kubeconfig = self._kubeconfig(name, proxy.url if over_http else relay.url)
                text = COREFILE.replace("ttl 30", f"ttl 30\n{options}") if name == OURS else COREFILE
                wanted = [full_name(one) for one in self.cluster.names]
                measured = running.enter_context(
                    kubernetes_server(name, kubeconfig, self.folder, text, wanted=(wanted[0], wanted[-1]))
                )
                asker = Asker(measured.port, self.cluster.truth, self.cluster.next_name, per_second)
                running.callback(asker.stop)
                self.contenders.append(Contender(name, loop.loop, proxy, relay, measured, asker))
            try:
                yield
            finally:
                self.contenders = []

    @property
    def token_file(self) -> Path:
        """The file of the token that the servers send."""
        return self.folder / "token"

    def cut(self) -> None:
        """Abort the connections of all servers to the API."""
        for one in self.contenders:
            for way in (one.proxy, one.relay):
                one.loop.call_soon_threadsafe(way.cut)
        time.sleep(0.05)  # until the loop has done it

    def _kubeconfig(self, name: str, url: str) -> Path:
        content = json.loads(self.control_plane.kubeconfig.read_text())
        content["clusters"][0]["cluster"]["server"] = url
        if url.startswith("http:"):
            content["clusters"][0]["cluster"].pop("certificate-authority")
            content["users"][0]["user"] = {"tokenFile": str(self.token_file)}
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(json.dumps(content))
        return path
