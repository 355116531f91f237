"""`cache` and the answer table: cached replies are compiled, and forgotten when their TTLs count down."""

import asyncio
import inspect
from collections.abc import Callable

import dns.message
import dns.rcode
import pytest
from fakes.aging import Bed, FakeUpstream, said

from clusterdns.answers.table import AnswerTable
from clusterdns.chain import BlockContext, Handler, Query, Reply
from clusterdns.chain.fallthrough import Fallthrough
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import Change, Namespace, Service
from clusterdns.plugins.kubernetes.handler import ClusterHandler
from clusterdns.plugins.loadbalance.handler import mark_rotating
from clusterdns.plugins.order import ORDER
from clusterdns.server.dispatch import Dispatch, ListenerContext
from clusterdns.server.routes import Chain, Route, Routes
from clusterdns.server.tap import Tap
from clusterdns.telemetry.metrics import Series
from clusterdns.telemetry.queries import HitTime, QueryCounters
from clusterdns.wire import record
from clusterdns.wire.name import ROOT, from_text

SOA = "org 300 SOA 300"


class Server:
    """A cache behind dispatch, queried as by a listener."""

    def __init__(self, bed: Bed, table: AnswerTable, handler: Handler | None = None) -> None:
        self.bed = bed
        self.table = table
        self.misses = 0
        counters = QueryCounters(bed.registry, "dns://:53")
        counters.before_flush.append(table.fold_hits)
        route = Route(ROOT, ".", Chain(handler or bed.handler, observers=(mark_rotating,)))
        self.dispatch = Dispatch(Routes([route]), counters, Series())
        self.listener = ListenerContext("udp", "1", table, HitTime(), Tap())

    async def ask(self, name: str, qtype: str = "A") -> dns.message.Message:
        packet = dns.message.make_query(name, qtype).to_wire()
        answer = self.table.entries.get(packet[2:])
        if answer is not None:
            answer.counter.count += 1
            return dns.message.from_wire(packet[:2] + answer.message())
        self.misses += 1
        said = self.dispatch.miss(packet, ("10.1.0.9", 1), "127.0.0.1", self.listener)
        raw = await said if inspect.isawaitable(said) else said
        assert isinstance(raw, bytes)
        return dns.message.from_wire(raw)

    async def ttl(self, name: str) -> int:
        reply = await self.ask(name)
        return [*reply.answer, *reply.authority][0].ttl


@pytest.fixture
async def make_server(context: BlockContext) -> Callable[..., Server]:
    def make(text: str, *says: Reply | None) -> Server:
        table = AnswerTable()
        context.shared.forget = table.forget  # type: ignore[method-assign]
        bed = Bed(text, context, FakeUpstream(*says))
        bed.cache.success.open()
        bed.cache.denial.open()
        return Server(bed, table)

    return make


@pytest.mark.parametrize("reply", [said(0, "a.org 4 A"), said(3, "", "org 300 SOA 5"), said(0, "", "org 5 SOA 300")])
async def test_the_chain_runs_once_per_second(make_server: Callable[..., Server], reply: Reply) -> None:
    ttl = 5  # the minimum, or the SOA's MINIMUM, or the SOA's TTL
    server = make_server("cache .", reply)
    await server.ask("a.org")  # the miss
    if not reply.answer:
        await server.ask("a.org")  # negative answers are compiled when asked for again
    passed = server.misses
    for second in range(ttl):
        for _ in range(10):
            assert await server.ttl("a.org") == ttl - second
            server.bed.clock.pass_seconds(0.09375)
        server.bed.clock.pass_seconds(0.0625)
    assert server.misses - passed == ttl
    assert len(server.bed.upstream.asked) == 1
    await server.ask("a.org")
    assert len(server.bed.upstream.asked) == 2, "an expired reply is asked for again"


async def test_hits_are_counted_exactly(make_server: Callable[..., Server]) -> None:
    server = make_server("cache .", said(0, "a.org 300 A"), said(3, "", SOA))
    for number in range(100):
        await server.ask("a.org")
        await server.ask("b.org")
        if number % 10 == 9:
            server.bed.clock.pass_seconds(0.55)
    assert server.misses < 30
    found = server.bed.counts()
    assert (found["requests"], found["misses"]) == (200, 2)
    assert found["hits.success"] + found["hits.denial"] == 198
    assert found["hits.success"] == 99


async def test_a_cache_without_compiled_answers_has_no_timer(make_server: Callable[..., Server]) -> None:
    server = make_server("cache .", said(0, "", SOA))
    clock = server.bed.clock
    for number in range(100):
        await server.ask(f"n{number}.org")
    assert not clock.waiting(), "a reply of an upstream is not compiled"
    for number in range(100):
        await server.ask(f"n{number}.org")
        await server.ask(f"n{number}.org")
        clock.pass_seconds(0.001)
    assert len(clock.waiting()) == 1, "all were stored within one sixteenth of a second"
    assert len(server.table.entries) == 100
    clock.pass_seconds(1)
    assert not clock.waiting()
    assert not server.table.entries


async def test_entries_of_other_phases_stay(make_server: Callable[..., Server]) -> None:
    server = make_server("cache .", said(0, "a.org 300 A"), said(0, "b.org 300 A"))
    await server.ask("a.org")
    server.bed.clock.pass_seconds(0.5)
    await server.ask("b.org")
    await server.ask("a.org")
    await server.ask("b.org")
    server.bed.clock.pass_seconds(0.5)
    assert len(server.table.entries) == 1


async def test_keepttl_is_forgotten_when_it_expires(make_server: Callable[..., Server]) -> None:
    server = make_server("cache . {\nkeepttl\n}", said(0, "a.org 5 A"), said(0, "a.org 50 A"))
    await server.ask("a.org")
    for _ in range(10):
        assert await server.ttl("a.org") == 5
        server.bed.clock.pass_seconds(0.49)
    server.bed.clock.pass_seconds(0.1)
    assert await server.ttl("a.org") == 50


async def test_prefetch_through_compiled_answers(make_server: Callable[..., Server]) -> None:
    server = make_server("cache . {\nprefetch 3 1m 10%\n}", said(0, "a.org 20 A"), said(0, "a.org 40 A"))
    ttls = []
    for _ in range(250):
        ttls.append(await server.ttl("a.org"))
        server.bed.clock.pass_seconds(0.1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert len(server.bed.upstream.asked) == 2
    assert server.misses <= 3 + 26
    change = ttls.index(40)
    assert min(ttls[:change]) == 2, "refreshed in the first second with a tenth of the TTL left"
    assert ttls[:change].count(2) <= 10, "the old answer is forgotten within that second"


async def test_stale_answers_are_not_compiled(make_server: Callable[..., Server]) -> None:
    server = make_server("cache . {\nserve_stale\n}", said(0, "a.org 5 A"), None)
    await server.ask("a.org")
    server.bed.clock.pass_seconds(5)
    for _ in range(3):
        assert await server.ttl("a.org") == 0
    assert not server.table.entries
    assert server.bed.counts()["served_stale"] == 3
    await server.bed.cache.stop()


async def test_a_verified_reply_is_not_compiled(make_server: Callable[..., Server]) -> None:
    server = make_server("cache . {\nserve_stale 1h verify 1s\n}", said(0, "a.org 5 A"), said(0, "a.org 50 A"))
    await server.ask("a.org")
    server.bed.clock.pass_seconds(5)
    assert await server.ttl("a.org") == 50
    assert not server.table.entries, "a handler that waited is not compiled"


async def test_addresses_rotate(make_server: Callable[..., Server]) -> None:
    reply = said(0, "a.org 300 A")
    one = reply.answer[0]
    reply.answer = [record.address(one.name, 300, bytes((192, 0, 2, number))) for number in range(3)]
    server = make_server("cache .", reply)
    await server.ask("a.org")
    firsts = {str((await server.ask("a.org")).answer[0][0]) for _ in range(3)}
    assert firsts == {"192.0.2.0", "192.0.2.1", "192.0.2.2"}


async def test_handlers_of_one_cache_share_its_replies(context: BlockContext, make_query: Callable[..., Query]) -> None:
    bed = Bed("cache .", context, FakeUpstream(said(0, "a.org 300 A")))
    await bed.cache.start()
    other = bed.wrap(bed.upstream)
    await bed.handler(make_query("a.org"))
    await other(make_query("a.org"))
    assert len(bed.upstream.asked) == 1


async def test_a_new_service_is_seen_at_once(context: BlockContext) -> None:
    """Even if an upstream's NXDOMAIN for its name is cached and compiled."""
    table = AnswerTable()
    context.shared.forget = table.forget  # type: ignore[method-assign]
    bed = Bed("cache 30 .", context, FakeUpstream(said(3, "", SOA)))
    await bed.cache.start()
    index = Index()
    index.subscribe(table.forget)
    index.apply(Change(None, Namespace("prod")))
    index.synced = True
    root = from_text("cluster.local")
    zone = ClusterZone(root, index, primary=root, ttl_seconds=5, pods=PodMode.DISABLED)
    server = Server(bed, table, ClusterHandler([zone], 5, Fallthrough((ROOT,)), bed.handler, unready=str))
    for _ in range(4):
        assert (await server.ask("new.prod.svc.cluster.local")).rcode() == dns.rcode.NXDOMAIN
    assert len(bed.upstream.asked) == 1
    assert len(table.entries) == 1
    index.apply(Change(None, Service("prod", "new", cluster_ips=("10.96.0.9",))))
    reply = await server.ask("new.prod.svc.cluster.local")
    assert [one.to_text() for one in reply.answer] == ["new.prod.svc.cluster.local. 5 IN A 10.96.0.9"]
    index.apply(Change(Service("prod", "new", cluster_ips=("10.96.0.9",)), None))
    assert (await server.ask("new.prod.svc.cluster.local")).rcode() == dns.rcode.NXDOMAIN
    assert bed.counts()["requests"] == 5, "answers of our own do not count as queries of the cache"
    await bed.cache.stop()


def test_only_forwarding_plugins_follow_the_cache() -> None:
    below = ORDER[ORDER.index("cache") + 1 :]
    assert set(below) <= {"loop", "forward", "whoami"}, "plugins with data of their own are above the cache"
