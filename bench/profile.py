"""`python -m bench.profile`: the CPU time of a query inside the process, stage by stage.

The benchmark's objects are put into the index without an API server. The hit path runs over a real socket of loopback,
so that the kernel's share is included; the miss path runs in the order of `server.dispatch`. Times are the best of
several repetitions, in µs per query. Stages are timed alone, so that their sum differs a little from the whole.
"""

import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from bench import objects
from clusterdns.answers.compiled import Answer, compile_answer
from clusterdns.answers.table import AnswerTable
from clusterdns.chain import Query, Reply, code_only
from clusterdns.chain.fallthrough import Fallthrough
from clusterdns.chain.query import read_query
from clusterdns.cluster.decoding import from_data
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import Change, EndpointSlice, Kind, Namespace, Service
from clusterdns.host.sockets import bind_udp
from clusterdns.host.udp.datagrams import new_payload
from clusterdns.plugins.kubernetes.handler import ClusterHandler
from clusterdns.server.dispatch import Dispatch, ListenerContext
from clusterdns.server.listeners.udp import UdpListener
from clusterdns.server.routes import Chain, Route, Routes
from clusterdns.server.tap import Tap
from clusterdns.telemetry.metrics import Registry
from clusterdns.telemetry.queries import QueryCounters, QueryOutcome, panics
from clusterdns.wire import encode
from clusterdns.wire.name import from_text
from testing import dns_client
from testing.api import Manifest
from testing.ports import LOOPBACK

TTL_SECONDS = 30
REPETITIONS = 7
BATCH = 64
ROUNDS_PER_REPETITION = 200
CLIENT = (LOOPBACK, 4)
SERVER = LOOPBACK
_KINDS: dict[str, Kind] = {"Namespace": Namespace, "Service": Service, "EndpointSlice": EndpointSlice}

large = f"{objects.LARGE}.svc.{objects.ZONE}."
QUESTIONS = {
    "Service, A": (next(objects.names())[0], "A"),
    "Service, SRV": (next(objects.names())[0], "SRV"),
    "pod among 10, A": (f"pod-3.{objects.large_name(10, headless=True)}.{large}", "A"),
    "pod among 10,000, A": (f"pod-7777.{objects.large_name(10_000, headless=True)}.{large}", "A"),
    "headless of 10, A": (f"{objects.large_name(10, headless=True)}.{large}", "A"),
    "headless of 10,000, A": (f"{objects.large_name(10_000, headless=True)}.{large}", "A"),
    "absent name": (f"x7f3a.{objects.NAMESPACES[0]}.svc.{objects.ZONE}.", "A"),
}


class InProcessServer:
    """The server's parts, put together as for a Corefile with `kubernetes`, `prometheus` and `loadbalance`."""

    def __init__(self) -> None:
        self.table = AnswerTable()
        index = Index()
        index.subscribe(self.table.forget)
        for number, manifest in enumerate((*objects.namespaces(), *objects.objects())):
            obj = from_data(_KINDS[manifest["kind"]], _allotted(manifest, number)).object
            index.apply(Change(None, obj))
        index.synced = True
        zone = from_text(f"{objects.ZONE}.")
        cluster = ClusterZone(zone, index, primary=zone, ttl_seconds=TTL_SECONDS, pods=PodMode.INSECURE)
        handler = ClusterHandler([cluster], TTL_SECONDS, Fallthrough(), _end_of_chain, unready=str)
        route = Route(zone, f"{objects.ZONE}.", Chain(handler))
        registry = Registry()
        counters = self.counters = QueryCounters(registry, "dns://:53")
        self.dispatch = Dispatch(Routes([route]), counters, panics(registry))
        self.listener = ListenerContext("udp", "1", self.table, counters.new_hit_time(), Tap())

    def miss(self, packet: bytes) -> bytes:
        """Answer a query that the table does not hold, from packet to packet."""
        self.table.drop(packet[2:])
        message = self.dispatch.miss(packet, CLIENT, SERVER, self.listener)
        assert isinstance(message, bytes)
        return message

    def _put(self, packet: bytes, answer: Answer) -> None:
        self.table.put(packet[2:], answer)
        self.table.drop(packet[2:])

    def stages(self, packet: bytes) -> Iterable[tuple[str, Callable[[], Any]]]:
        """Yield the stages of a miss, in order."""
        query = read_query(packet)
        assert isinstance(query, Query)
        query.transport, query.client, query.server = "udp", CLIENT, SERVER
        query.lookup = self.dispatch.lookup
        route = self.dispatch.routes.find(query.name, query.qtype)
        assert route is not None
        assert route.chain.handler is not None
        reply = _finished(route.chain.handler(query))
        encoded = encode.encode(query, reply, for_reuse=True)
        outcome = self.counters.counter(QueryOutcome("cluster.local.", "udp", "1", "A", "NOERROR", False, 0, 0))
        answer = compile_answer(encoded, reply.serial, outcome, reply.dependencies, reply.is_empty)
        chain = route.chain.handler
        yield "read the packet", lambda: read_query(packet)
        yield "find the route", lambda: self.dispatch.routes.find(query.name, query.qtype)
        yield "handler and index", lambda: _finished(chain(query))
        yield "encode", lambda: encode.encode(query, reply, for_reuse=True)
        yield "compile", lambda: compile_answer(encoded, reply.serial, outcome, reply.dependencies, reply.is_empty)
        yield "put and forget", lambda: self._put(packet, answer)
        yield "the whole miss", lambda: self.miss(packet)


def _allotted(manifest: Manifest, number: int) -> Manifest:
    """Complete the manifest as the API server does: with a clusterIP."""
    if manifest["kind"] == "Service" and "clusterIP" not in manifest["spec"]:
        address = f"10.96.{number >> 8}.{number & 0xFF}"
        return {**manifest, "spec": {**manifest["spec"], "clusterIP": address, "clusterIPs": [address]}}
    return manifest


async def _end_of_chain(_: Query) -> Reply:
    return code_only(2)


def _finished(handling: Any) -> Reply:
    try:
        handling.send(None)
    except StopIteration as done:
        reply: Reply = done.value
        return reply
    raise AssertionError("a handler of the cluster's zones never waits")


def best_us(run: Callable[[], Any], count: int = ROUNDS_PER_REPETITION) -> float:
    """Measure the shortest mean time of a run, over several repetitions of many."""
    times = []
    for _ in range(REPETITIONS):
        started = time.perf_counter()
        for _ in range(count):
            run()
        times.append((time.perf_counter() - started) / count)
    return min(times) * 1e6


def hit_us(server: InProcessServer, packet: bytes) -> dict[str, float]:
    """Measure the hit path over a real socket, and those of its parts that can run alone."""
    served = bind_udp(LOOPBACK, 0)
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        client.connect(served.getsockname())
        listener = UdpListener(served, server.dispatch, server.listener, new_payload())
        server.miss(packet)
        server.dispatch.miss(packet, CLIENT, SERVER, server.listener)  # a denial is kept when it is asked again
        entries = server.table.entries

        def burst(answer: Callable[[], object]) -> float:
            spent = 0.0
            for _ in range(ROUNDS_PER_REPETITION):
                for _ in range(BATCH):
                    client.send(packet)
                started = time.perf_counter()
                answer()
                spent += time.perf_counter() - started
                for _ in range(BATCH):
                    client.recv(65535)
            return spent / ROUNDS_PER_REPETITION / BATCH * 1e6

        def echo() -> None:
            for _ in range(BATCH):
                received, sender = served.recvfrom(4096)
                served.sendto(received, sender)

        def stamp() -> bytes:
            answer = entries[packet[2:]]
            return packet[:2] + (answer.static or answer.message())

        return {
            "receive and send, nothing else": min(burst(echo) for _ in range(3)),
            "look up and stamp": best_us(stamp, 5000),
            "the whole hit": min(burst(listener._drain) for _ in range(3)),
        }
    finally:
        served.close()
        client.close()


def main() -> None:
    """Print the table."""
    server = InProcessServer()
    for title, (name, qtype) in QUESTIONS.items():
        packet = dns_client.question(name, qtype)
        print(f"{title}: {len(server.miss(packet))} bytes")
        for stage, microseconds in hit_us(server, packet).items():
            print(f"  hit   {stage:32} {microseconds:9.2f} µs")
        for stage, run in server.stages(packet):
            print(f"  miss  {stage:32} {best_us(run):9.2f} µs")


if __name__ == "__main__":
    main()
