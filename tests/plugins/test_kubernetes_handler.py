"""The handler of the cluster's zones with other plugins behind it; tests/server has the answers themselves."""

from collections.abc import Callable, Hashable

import pytest
from msgspec.structs import replace

from clusterdns.chain import BlockContext, ListenerOptions, Query, Reply, failure
from clusterdns.chain.fallthrough import Fallthrough
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import Change, Namespace, Service, packed
from clusterdns.plugins.kubernetes import directive as kubernetes
from clusterdns.plugins.kubernetes.handler import ClusterHandler
from clusterdns.plugins.kubernetes.settings import KubernetesSettings
from clusterdns.wire import codes
from clusterdns.wire.name import from_text

ZONE = from_text("cluster.local")


async def test_the_error_of_a_cname_target_is_passed_on(make_query: Callable[..., Query]) -> None:
    index = Index()
    for obj in (Namespace("prod"), Service("prod", "far", "ExternalName", external_name="far.example")):
        index.apply(Change(None, obj))
    index.synced = True

    async def next_plugin(query: Query) -> Reply:
        return failure(codes.REFUSED, "no zone", is_unhandled=True)

    async def lookup(query: Query, name: bytes, qtype: int) -> Reply:
        assert (name, qtype) == (from_text("far.example"), codes.A)
        return failure(codes.SERVFAIL, "the upstream is on fire")

    zone = ClusterZone(ZONE, index, primary=ZONE, ttl_seconds=5, pods=PodMode.DISABLED)
    query = make_query("far.prod.svc.cluster.local")
    query.lookup = lookup
    reply = await ClusterHandler([zone], 5, Fallthrough(), next_plugin, unready=lambda: "as asked")(query)
    assert (reply.rcode, reply.error, reply.reusable) == (codes.SERVFAIL, "the upstream is on fire", False)
    assert [one.rtype for one in reply.answer] == [codes.CNAME]


async def test_the_next_plugins_answer_is_dropped_when_the_name_appears(make_query: Callable[..., Query]) -> None:
    forgotten: set[Hashable] = set()
    index = Index()
    index.subscribe(forgotten.update)
    index.apply(Change(None, Namespace("prod")))
    index.synced = True
    forwarded = Reply(codes.NXDOMAIN, dependencies=("phase",), reusable=True)

    async def next_plugin(query: Query) -> Reply:
        return forwarded

    zone = ClusterZone(ZONE, index, primary=ZONE, ttl_seconds=5, pods=PodMode.DISABLED)
    handler = ClusterHandler([zone], 5, Fallthrough((ZONE,)), next_plugin, unready=lambda: "as asked")
    reply = await handler(make_query("new.prod.svc.cluster.local"))
    assert reply.reusable
    assert forwarded.dependencies == ("phase",), "others may hold the same reply"
    forgotten.clear()
    index.apply(Change(None, Service("prod", "new", cluster_ips=("10.96.0.9",))))
    assert forgotten & set(reply.dependencies)
    assert (await handler(make_query("new.prod.svc.cluster.local"))).rcode == codes.NOERROR
    elsewhere = await handler(make_query("example.org"))
    assert elsewhere is forwarded


OWN = {"lo": ["127.0.0.1", "::1"], "eth0": ["10.0.0.5", "fd00::5", "fe80::5%eth0"]}
EVERY_OWN = ("10.0.0.5", "fd00::5", "fe80::5")


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ((), EVERY_OWN),
        (("127.0.0.1", "fe80::7%eth0"), ("127.0.0.1", "fe80::7")),
        (("0.0.0.0",), ("10.0.0.5",)),
        (("10.0.0.9", "::"), ("10.0.0.9", "fd00::5", "fe80::5")),
        (("0.0.0.0", "::"), EVERY_OWN),
    ],
)
async def test_the_zones_servers_are_the_addresses_that_clients_reach(
    context: BlockContext,
    monkeypatch: pytest.MonkeyPatch,
    make_query: Callable[..., Query],
    bound: tuple[str, ...],
    expected: tuple[str, ...],
) -> None:
    monkeypatch.setattr(kubernetes, "interface_addresses", lambda: OWN)
    settings = KubernetesSettings((ZONE,))
    part = kubernetes.build(settings, replace(context, listener=ListenerOptions(addresses=bound)))

    async def next_plugin(query: Query) -> Reply:
        raise AssertionError

    assert part.handling.wrap is not None
    reply = await part.handling.wrap(next_plugin)(make_query("cluster.local", "NS"))
    assert [one.rdata for one in reply.additional] == [packed(text) for text in expected]
