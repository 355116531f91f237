"""The longest turns of `python -m bench.stalls` over what Services share: addresses, a zone transfer.

As in a cluster where ten thousand Services select the same pod.
"""

from ipaddress import ip_network
from types import SimpleNamespace
from typing import cast

from bench.stalls_cluster import PROD, Watched, meta, no_next
from bench.turns import Turns
from clusterdns.answers.table import AnswerTable
from clusterdns.chain import Handler, Query, Reply
from clusterdns.chain.fallthrough import Fallthrough
from clusterdns.chain.query import read_query
from clusterdns.cluster.index.external import ExternalZone
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.turns import LoopTurns
from clusterdns.plugins.kubernetes.handler import ClusterHandler
from clusterdns.plugins.kubernetes.transfer import ClusterTransfer
from clusterdns.plugins.loadbalance.handler import ReorderingHandler, by_preference, by_weight
from clusterdns.plugins.loadbalance.weights import WeightsFile
from clusterdns.server.dispatch import Dispatch, LargeReply, ListenerContext
from clusterdns.server.routes import Chain, Route, Routes
from clusterdns.server.tap import Tap
from clusterdns.telemetry.metrics import Registry, Series
from clusterdns.telemetry.queries import HitTime, QueryCounters
from clusterdns.wire import codes
from clusterdns.wire.name import from_text, to_text
from clusterdns.wire.runs import RecordRun
from clusterdns.wire.stream import transfer_messages
from testing.api import Manifest
from testing.dns_client import question

ZONE = from_text("cluster.local.")
QNAME = "db.prod.svc.cluster.local."
POINTERS = "1.0.0.10.in-addr.arpa."


def _headless(number: int) -> tuple[Manifest, Manifest]:
    name_text, ports = f"web-{number}", [{"name": "pg", "port": 5432}]
    service = {"metadata": meta(name_text), "spec": {"clusterIP": "None", "ports": ports, "externalIPs": ["192.0.2.1"]}}
    labels = {"kubernetes.io/service-name": name_text}
    endpoints = [{"addresses": ["10.0.0.1"], "hostname": "db"}]
    return service, {
        "metadata": meta(name_text, **labels),
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": endpoints,
    }


async def measure_shared(turns: Turns, count: int) -> None:
    """Measure as many headless Services, all of the same endpoint and external address."""
    watched = Watched(turns)
    await watched.event("", "Namespace", "ADDED", PROD)
    services, slices = zip(*map(_headless, range(count)), strict=True)
    await watched.relist("Service list, one external address", "Service", services)
    await watched.relist("EndpointSlice list, one address of many Services", "EndpointSlice", slices)
    await watched.ask("query, address of many Services", [(POINTERS, codes.PTR)])
    await watched.event("EndpointSlice deleted, address of many Services", "EndpointSlice", "DELETED", slices[0])
    async with turns.measured(f"external addresses of {count:,} Services, first use"):
        pace = LoopTurns()
        pace.begin()
        await pace.take(watched.index.fill_external())
    external = ExternalZone(
        from_text("in-addr.arpa."), watched.index,
        primary=ZONE, apex=from_text("dns")[:-1], ttl_seconds=5, headless=True, local_addresses=tuple,
    )  # fmt: skip
    for transport in ("udp", "tcp"):
        await _ask(
            turns, f"external address of many Services, {transport}",
            ClusterHandler([external], 5, Fallthrough(), no_next, unready=str),
            "1.2.0.192.in-addr.arpa.", codes.PTR, transport,
        )  # fmt: skip
    await _measure_servers(turns, watched)
    await _measure_transfer(turns, watched)
    await _measure_preference(turns, count)


async def _measure_servers(turns: Turns, watched: Watched) -> None:
    """Measure the NS records, where every Service has this host among its endpoints."""
    local = [bytes((10, 0, 0, 1))]
    zone = ClusterZone(
        ZONE, watched.index, primary=ZONE, ttl_seconds=5, pods=PodMode.DISABLED, local_addresses=lambda: local
    )
    external = ExternalZone(
        from_text("example.org."), watched.index,
        primary=ZONE, apex=from_text("dns")[:-1], ttl_seconds=5, headless=True, local_addresses=lambda: local,
    )  # fmt: skip
    for one in (zone, external):
        doing, handler = (
            f"NS of {to_text(one.zone)}, host of many Services",
            ClusterHandler([one], 5, Fallthrough(), no_next, unready=str),
        )
        await _ask(turns, doing, handler, to_text(one.zone), codes.NS, "tcp")


async def _measure_transfer(turns: Turns, watched: Watched) -> None:
    zone = ClusterZone(ZONE, watched.index, primary=ZONE, ttl_seconds=5, pods=PodMode.DISABLED)
    records = ClusterTransfer([zone]).zone_records(ZONE)
    assert records is not None
    query = _query("cluster.local.", codes.AXFR, "tcp")
    async with turns.measured("first message of a transfer"):
        first = transfer_messages(query, Reply(codes.NOERROR), records)
    for _ in range(100):
        async with turns.measured("another message of a transfer"):
            next(first.rest)


async def _measure_preference(turns: Turns, count: int) -> None:
    query = _query(QNAME, codes.A, "tcp")
    starts = [(0x0A000000 + number).to_bytes(4, "big") for number in range(count)]
    reply = Reply(codes.NOERROR, RecordRun(query.name, codes.A, 5, starts))

    async def following(_: Query) -> Reply:
        return reply

    networks = [ip_network(text) for text in ("10.0.7.0/24", "10.0.0.0/19", "192.168.0.0/16")]
    weights = cast(WeightsFile, SimpleNamespace(table={query.name: dict.fromkeys(starts[::3], 7)}))
    for text, arrange in (("prefer", by_preference(networks)), ("weighted", by_weight(weights))):
        handler = ReorderingHandler(arrange, following)
        await _ask(turns, f"loadbalance {text}, {count:,} addresses", handler, QNAME, codes.A, "tcp")


async def _ask(turns: Turns, doing: str, handler: Handler, qname: str, qtype: int, transport: str) -> None:
    """Measure a query from packet to packet."""
    zone = from_text(qname)
    chain = Chain(handler, counts_queries=False)
    dispatch = Dispatch(Routes([Route(zone, qname, chain)]), QueryCounters(Registry(), ""), Series())
    context = ListenerContext(transport, "1", AnswerTable(), HitTime(), Tap())
    async with turns.measured(doing):
        reply = dispatch.miss(question(qname, codes.type_text(qtype)), ("127.0.0.1", 4), "127.0.0.1", context)
        if isinstance(reply, LargeReply):
            reply = await reply
    assert isinstance(reply, bytes)


def _query(qname: str, qtype: int, transport: str) -> Query:
    query = read_query(question(qname, codes.type_text(qtype)))
    assert isinstance(query, Query)
    query.transport = transport
    return query
