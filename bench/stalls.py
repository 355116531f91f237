"""`python -m bench.stalls`: the longest time for which one event or query holds the event loop, by kind of object.

    A headless Service of 10,000 endpoints (`--endpoints`) in slices of 1,000, named in each way that the API allows,
    as many Pods and Services, ServiceImports, and compiled answers for their names; then 100,000 compiled answers
    (`--answers`) and full caches, which are forgotten, evicted, counted for a scrape and given up by a reload. Exit
    code 1 if a turn of the loop takes more than 5 ms (`--limit`) of CPU time.

The reflector, the index, the answer table and the dispatch run in this process; the lines of the watch come from
memory. `turns` measures, `stalls_answers` has the turns over all answers at once.
"""

import argparse
import asyncio
import gc
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from itertools import count, product
from typing import cast

from bench.stalls_answers import ANSWERS, measure_answers, measure_cache
from bench.stalls_manifests import measure_manifests
from bench.stalls_replies import measure_replies
from bench.turns import Turns
from clusterdns.chain import Query, Reply, failure
from clusterdns.chain.fallthrough import Fallthrough
from clusterdns.cluster.api.client import Client
from clusterdns.cluster.api.collection import Collection
from clusterdns.cluster.api.follow.listing import PagedList
from clusterdns.cluster.api.follow.reflector import Reflector
from clusterdns.cluster.api.follow.retry import RetryQueue, Timing
from clusterdns.cluster.api.follow.watch import Watch
from clusterdns.cluster.api.settings import Intervals
from clusterdns.cluster.api.status import ApiStatus
from clusterdns.cluster.api.store import ObjectStore
from clusterdns.cluster.freshness import Freshness
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.imports import ImportZone
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import EndpointSlice, ImportedSlice, Kind, Namespace, Pod, Service, ServiceImport
from clusterdns.host.collector import collect_in_short_runs
from clusterdns.plugins.kubernetes.handler import ClusterHandler
from clusterdns.plugins.loadbalance.handler import mark_rotating
from clusterdns.server.dispatch import Dispatch, ListenerContext
from clusterdns.server.routes import Chain, Route, Routes
from clusterdns.server.shared import SharedState
from clusterdns.telemetry.metrics import Registry, Series
from clusterdns.telemetry.queries import HitTime, QueryCounters
from clusterdns.wire import codes, name
from testing.api import Manifest
from testing.dns_client import question

LIMIT_MS = 5.0
_VERSIONS = count(10)  # of the resources, one for each event and page
PER_SLICE = 1_000
PAGE_LIMIT = 500
KINDS: dict[str, Kind] = {
    one.__name__: one for one in (Service, EndpointSlice, Namespace, Pod, ServiceImport, ImportedSlice)
}
ZONES = ("cluster.local.", "in-addr.arpa.", "ip6.arpa.")
QUESTIONS = (
    ("db.prod.svc.cluster.local.", codes.A),
    ("db.prod.svc.cluster.local.", codes.AAAA),
    ("db.prod.svc.cluster.local.", codes.SRV),
    ("_pg._tcp.db.prod.svc.cluster.local.", codes.SRV),
    ("db.db.prod.svc.cluster.local.", codes.A),
    ("db.db.prod.svc.cluster.local.", codes.SRV),
    ("db-7.db.prod.svc.cluster.local.", codes.A),
    ("_pg._tcp.db.prod.svc.cluster.local.", codes.A),
    ("1.0.0.10.in-addr.arpa.", codes.PTR),
)


def v4(number: int) -> str:
    """Return an address of an endpoint."""
    return str(IPv4Address("10.128.0.0") + number)


NAMINGS: dict[str, Callable[[int], Manifest]] = {
    "address": lambda number: {"addresses": [v4(number)]},
    "IPv6 address": lambda number: {"addresses": [str(IPv6Address("fd00::") + number)]},
    "one hostname": lambda number: {"addresses": [v4(number)], "hostname": "db"},
    "hostnames": lambda number: {"addresses": [v4(number)], "hostname": f"Db-{number}"},
    "pods": lambda number: {"addresses": [v4(number)], "targetRef": {"kind": "Pod", "name": f"Db-{number}"}},
    "one address": lambda number: {"addresses": ["10.0.0.1"], "hostname": f"db-{number}"},
}


class Watched:
    """The reflectors of one cluster, its index, and the dispatch with its answer table."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        shared = SharedState()
        self.contexts = [ListenerContext(transport, "1", shared.new_table(), HitTime()) for transport in ("udp", "tcp")]
        loop = asyncio.get_running_loop()
        self.index = Index(use_pod_names=True, call_later=lambda call: loop.call_later(0.05, call))
        self.imports = Index(
            namespaces=self.index.namespaces, pods=self.index.pods, call_later=lambda call: loop.call_later(0.05, call)
        )
        for one in (self.index, self.imports):
            one.synced = True
            one.subscribe(shared.forget)
        names = [name.from_text(text) for text in ZONES]
        zones: list[ClusterZone] = [
            ClusterZone(zone, self.index, primary=names[0], ttl_seconds=5, pods=PodMode.VERIFIED) for zone in names
        ]
        imported = name.from_text("clusterset.local.")
        zones.append(ImportZone(imported, self.imports, primary=imported, ttl_seconds=5, pods=PodMode.DISABLED))
        chain = Chain(
            ClusterHandler(zones, 5, Fallthrough(), _nobody, unready=str),
            observers=(mark_rotating,), counts_queries=False,
        )  # fmt: skip
        routes = Routes(Route(zone.zone, "", chain) for zone in zones)
        self._dispatch = Dispatch(routes, QueryCounters(Registry(), ""), Series())
        self._reflectors = {kind: self._reflector(KINDS[kind]) for kind in KINDS}

    def _reflector(self, kind: Kind) -> Reflector:
        registry = Registry()
        index = self.imports if kind in (ServiceImport, ImportedSlice) else self.index
        return Reflector(
            Collection(kind.__name__, "", {}), cast(Client, None), ObjectStore(kind, index.steps, registry),
            ApiStatus(), registry, lambda: None, Freshness().track(kind, "", int),
            queue=RetryQueue(Intervals(), Timing()), page_limit=PAGE_LIMIT, intervals=Intervals(), timing=Timing(),
        )  # fmt: skip

    async def event(self, doing: str, kind: str, what: str, *manifests: Manifest) -> None:
        """Send events of a watch, each as a chunk of its own, and measure the turns that they take."""
        for one in manifests:
            metadata = {**one["metadata"], "resourceVersion": str(next(_VERSIONS))}
            line = json.dumps({"type": what, "object": {**one, "metadata": metadata}}).encode()
            await asyncio.sleep(0)
            self._turns.doing = doing
            await Watch(self._reflectors[kind].followed).apply([line])
            await self._end_of_work()
            self._turns.doing = ""

    async def relist(self, doing: str, kind: str, manifests: Sequence[Manifest]) -> None:
        """Read a list again, page by page."""
        reflector = self._reflectors[kind]
        client = cast(Client, _Pages(kind, manifests, PAGE_LIMIT))
        pages = PagedList(replace(reflector.followed, client=client), PAGE_LIMIT)
        await asyncio.sleep(0)  # making the pages is no part of the turn that is measured
        self._turns.doing = doing
        await pages.read()
        await self._end_of_work()
        self._turns.doing = ""

    async def _end_of_work(self) -> None:
        """Wait until forgotten answers are removed."""
        await asyncio.sleep(0)
        for _ in iter(lambda: any(one.answers.has_forgotten for one in self.contexts), False):
            await asyncio.sleep(0)

    async def ask(self, doing: str, questions: Iterable[tuple[str, int]] = QUESTIONS, *, times: int = 3) -> None:
        """Ask each question a few times; the answer is compiled on the way, and sent from the table at last."""
        for (qname, qtype), context in product(questions, self.contexts):
            packet = question(qname, codes.type_text(qtype))
            text = f"{doing}: {qname} {codes.type_text(qtype)}, {context.transport}" if doing else ""
            for _ in range(times):
                await asyncio.sleep(0)
                self._turns.doing = text
                kept = context.answers.entries.get(packet[2:])
                if kept is None:
                    self._dispatch.miss(packet, ("127.0.0.1", 4), "127.0.0.1", context)
                else:
                    kept.message()
                await asyncio.sleep(0)
                self._turns.doing = ""


class _Pages:
    """A client whose only list is in memory, as the bytes of its pages."""

    def __init__(self, kind: str, manifests: Sequence[Manifest], limit: int) -> None:
        starts = range(0, max(1, len(manifests)), limit)
        self._pages = {start: self._page(kind, manifests, start, limit) for start in starts}

    @staticmethod
    def _page(kind: str, manifests: Sequence[Manifest], start: int, limit: int) -> bytearray:
        rest = str(start + limit) if start + limit < len(manifests) else None
        meta = {"resourceVersion": str(next(_VERSIONS)), "continue": rest}
        page = {"kind": f"{kind}List", "metadata": meta, "items": manifests[start : start + limit]}
        return bytearray(json.dumps(page, separators=(",", ":")).encode())

    async def page(self, path: str, params: dict[str, str], *, is_last_of_connection: bool) -> bytearray:
        """Return one page of the list."""
        return self._pages[int(params.get("continue", "0"))]


async def _nobody(query: Query) -> Reply:
    return failure(codes.REFUSED, "no zone", is_unhandled=True)


def _meta(name_text: str, **labels: str) -> Manifest:
    return {"name": name_text, "namespace": "prod", "resourceVersion": "1", "labels": labels}


def _slice(naming: Callable[[int], Manifest], number: int, size: int = PER_SLICE, *, offset: int = 0) -> Manifest:
    endpoints = [naming(number * PER_SLICE + step + offset) for step in range(size)]
    return {
        "metadata": _meta(
            f"db-{number}",
            **{
                "kubernetes.io/service-name": "db",
                "multicluster.kubernetes.io/service-name": "db",
                "multicluster.kubernetes.io/source-cluster": "east",
            },
        ),
        "addressType": "IPv6" if ":" in endpoints[0]["addresses"][0] else "IPv4",
        "ports": [{"name": "pg", "port": 5432, "protocol": "TCP"}],
        "endpoints": endpoints,
    }


SERVICE: Manifest = {"metadata": _meta("db"), "spec": {"clusterIP": "None", "ports": [{"name": "pg", "port": 5432}]}}
IMPORT: Manifest = {"metadata": _meta("db"), "spec": {"type": "Headless"}}
PROD: Manifest = {"metadata": {"name": "prod", "resourceVersion": "1"}}


async def _measure(naming_name: str, endpoints: int, turns: Turns) -> None:
    """Measure every event and query at a Service whose endpoints are named in one way."""
    naming, watched = NAMINGS[naming_name], Watched(turns)
    count = endpoints // PER_SLICE
    await watched.event("Namespace added", "Namespace", "ADDED", PROD)
    for service, slices, owner in (("Service", "EndpointSlice", SERVICE), ("ServiceImport", "ImportedSlice", IMPORT)):
        await watched.event(f"{service} added", service, "ADDED", owner)
        several = [_slice(naming, number) for number in range(count)]
        await watched.relist(f"{slices} list, {naming_name}", slices, several[:-1])
        await watched.event(f"{slices} added, {naming_name}", slices, "ADDED", several[-1])
        await watched.ask(f"query, {naming_name}" if service == "Service" else "")
        moved = _slice(naming, 0, offset=PER_SLICE // 2)
        await watched.event(f"{slices} half changed, {naming_name}", slices, "MODIFIED", moved)
        await watched.ask(f"query, {naming_name}" if service == "Service" else "")
        fewer = {**moved, "endpoints": moved["endpoints"][1:]}
        await watched.event(f"{slices} less one, {naming_name}", slices, "MODIFIED", fewer)
        await watched.relist(f"{slices} relist, {naming_name}", slices, several)
        await watched.event(f"{slices} deleted, {naming_name}", slices, "DELETED", several[-1])
        turns.doing = f"{slices}: moves end, {naming_name}"
        await asyncio.sleep(0.1)
        turns.doing = ""
    await watched.ask("", ((f"db-{number}.db.prod.svc.cluster.local.", codes.A) for number in range(endpoints)))
    await watched.event(
        "Service changed, its names compiled", "Service", "MODIFIED", {**SERVICE, "spec": {"ports": []}}
    )
    await watched.event("Service deleted", "Service", "DELETED", SERVICE)
    await watched.event("ServiceImport deleted", "ServiceImport", "DELETED", IMPORT)


async def _measure_many(count: int, turns: Turns) -> None:
    """Measure Pods, and a namespace with as many Services, all of them compiled."""
    watched = Watched(turns)
    await watched.event("Namespace added", "Namespace", "ADDED", PROD)
    pods = [
        {"metadata": _meta(f"pod-{number}"), "status": {"podIPs": [{"ip": v4(number)}, {"ip": "10.0.0.1"}]}}
        for number in range(count)
    ]
    await watched.relist("Pod list", "Pod", pods)
    await watched.event("Pod added", "Pod", "ADDED", {**pods[0], "metadata": _meta("another")})
    await watched.event("Pod deleted", "Pod", "DELETED", pods[0])
    await watched.relist("Pod relist, all gone", "Pod", [])
    services = [
        {"metadata": _meta(f"web-{number}"), "spec": {"clusterIP": v4(number), "externalIPs": ["192.0.2.1"]}}
        for number in range(count)
    ]
    await watched.relist("Service list", "Service", services)
    await watched.ask("", ((f"web-{number}.prod.svc.cluster.local.", codes.A) for number in range(count)), times=1)
    await watched.event("Namespace deleted, all names compiled", "Namespace", "DELETED", PROD)
    await watched.relist("Service relist, all gone", "Service", [])
    imports = [{"metadata": _meta(f"web-{number}"), "spec": {"ips": [v4(number)]}} for number in range(count)]
    namespaces = [{"metadata": {"name": f"ns-{number}"}} for number in range(count)]
    for kind, objects in (("ServiceImport", imports), ("Namespace", namespaces)):
        await watched.relist(f"{kind} list", kind, objects)
        await watched.relist(f"{kind} relist, all gone", kind, [])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns 1 where a turn was longer than the limit."""
    parser = argparse.ArgumentParser(prog="python -m bench.stalls", description="The longest turns of the event loop.")
    parser.add_argument("--endpoints", type=int, default=10_000)
    parser.add_argument("--answers", type=int, default=ANSWERS)
    parser.add_argument("--limit", type=float, default=LIMIT_MS, help="milliseconds of CPU time of one turn")
    options = parser.parse_args(arguments)
    turns = Turns()

    async def measure() -> None:
        for naming_name in NAMINGS:
            await _measure(naming_name, options.endpoints, turns)
        await _measure_many(options.endpoints, turns)
        await measure_manifests(turns, options.endpoints)
        await measure_replies(turns)
        await measure_answers(turns, options.answers)
        await measure_cache(turns)

    collect_in_short_runs()
    gc.freeze()
    asyncio.run(measure())
    for doing, longest in sorted(turns.longest_ms.items(), key=lambda one: -one[1]):
        print(f"{longest:8.2f} ms  {doing}{'  too long' if longest > options.limit else ''}")
    return int(max(turns.longest_ms.values()) > options.limit)


if __name__ == "__main__":
    sys.exit(main())
