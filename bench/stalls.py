"""`python -m bench.stalls`: the longest time for which one event or query holds the event loop, by kind of object.

    A headless Service of 10,000 endpoints (`--endpoints`) in slices of 1,000, named in each way that the API allows,
    as many Pods and Services, ServiceImports, and compiled answers for their names; then 100,000 compiled answers
    (`--answers`) and full caches, which are forgotten, evicted, counted for a scrape and given up by a reload. Exit
    code 1 if a turn of the loop takes more than 5 ms (`--limit`) of CPU time. Where one does, its part of the benchmark
    is measured twice more, and the median of the three counts; the output shows all of them.

`turns` measures, `stalls_cluster` has the cluster in memory, `stalls_shared` an address of as many Services and zone
transfers, `stalls_replies` upstreams, `stalls_zones` files, `stalls_answers` the turns over all answers at once.
"""

import argparse
import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address

from bench.stalls_answers import ANSWERS, measure_answers, measure_cache
from bench.stalls_cluster import PROD, Watched, meta
from bench.stalls_manifests import measure_manifests
from bench.stalls_replies import measure_replies
from bench.stalls_shared import measure_shared
from bench.stalls_zones import measure_zones
from bench.turns import Turns
from clusterdns.host.collector import collect_in_short_runs
from clusterdns.wire import codes
from testing.api import Manifest

LIMIT_MS = 5.0
PER_SLICE = 1_000


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


def _slice(naming: Callable[[int], Manifest], number: int, size: int = PER_SLICE, *, offset: int = 0) -> Manifest:
    endpoints = [naming(number * PER_SLICE + step + offset) for step in range(size)]
    return {
        "metadata": meta(
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


SERVICE: Manifest = {"metadata": meta("db"), "spec": {"clusterIP": "None", "ports": [{"name": "pg", "port": 5432}]}}
IMPORT: Manifest = {"metadata": meta("db"), "spec": {"type": "Headless"}}


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
        await watched.ask(f"first query, {naming_name}" if service == "Service" else "", only_tcp=True)
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
        {"metadata": meta(f"pod-{number}"), "status": {"podIPs": [{"ip": v4(number)}, {"ip": "10.0.0.1"}]}}
        for number in range(count)
    ]
    await watched.relist("Pod list", "Pod", pods)
    await watched.event("Pod added", "Pod", "ADDED", {**pods[0], "metadata": meta("another")})
    await watched.event("Pod deleted", "Pod", "DELETED", pods[0])
    await watched.relist("Pod relist, all gone", "Pod", [])
    services = [
        {"metadata": meta(f"web-{number}"), "spec": {"clusterIP": v4(number), "externalIPs": ["192.0.2.1"]}}
        for number in range(count)
    ]
    await watched.relist("Service list", "Service", services)
    await watched.ask("", ((f"web-{number}.prod.svc.cluster.local.", codes.A) for number in range(count)), times=1)
    await watched.event("Namespace deleted, all names compiled", "Namespace", "DELETED", PROD)
    await watched.relist("Service relist, all gone", "Service", [])
    imports = [{"metadata": meta(f"web-{number}"), "spec": {"ips": [v4(number)]}} for number in range(count)]
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

    count = options.endpoints
    parts: list[Callable[[], Awaitable[None]]] = [partial(_measure, one, count, turns) for one in NAMINGS]
    parts += [partial(_measure_many, count, turns), partial(measure_manifests, turns, count)]
    parts += [partial(measure_shared, turns, count), partial(measure_replies, turns)]
    parts += [partial(measure_zones, turns, count), partial(measure_answers, turns, options.answers)]
    parts += [partial(measure_cache, turns)]

    async def measure() -> None:
        for one in parts:
            await turns.repeated(options.limit, one)

    collect_in_short_runs()
    gc.freeze()
    asyncio.run(measure())
    for doing, longest in sorted(turns.longest_ms.items(), key=lambda one: -one[1]):
        times = ", ".join(f"{one:.2f}" for one in turns.repeats.get(doing, ()))
        note = f"  median of {times}" if times else ""
        print(f"{longest:8.2f} ms  {doing}{note}{'  too long' if longest > options.limit else ''}")
    return int(max(turns.longest_ms.values()) > options.limit)


if __name__ == "__main__":
    sys.exit(main())
