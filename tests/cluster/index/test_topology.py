"""Names of topology zones: which endpoints they have, which names exist, and when answers are dropped."""

from collections.abc import Callable, Hashable

import pytest
from msgspec.structs import replace

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.topology import Topology
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import Change, Endpoint, EndpointSlice, Namespace, Port, Service
from clusterdns.wire import codes
from clusterdns.wire.name import from_text
from clusterdns.wire.presentation.text import rdata_text

ZONE = from_text("cluster.local")
HTTP = Port("http", 80, "TCP")
SLICE = EndpointSlice(
    "prod", "db-1", "db", (HTTP,),
    (
        Endpoint(("10.1.0.1",), "db-0", zone="eu-1a"), Endpoint(("10.1.0.2",), "db-1", zone="EU.1b"),
        Endpoint(("10.1.0.3",), "db-2"),
    ),
)  # fmt: skip
BOTH = ["10.1.0.1", "10.1.0.2", "10.1.0.3"]

Make = Callable[..., tuple[ClusterZone, Index]]


@pytest.fixture
def make() -> Make:
    def make_zone(*, zonal: bool = True) -> tuple[ClusterZone, Index]:
        index = Index(zonal=zonal)
        for obj in (
            Namespace("prod"),
            Service("prod", "db", headless=True, ports=(HTTP,)),
            Service("prod", "idle", headless=True),
            Service("prod", "web", cluster_ips=("10.96.0.1",), ports=(HTTP,)),
            SLICE,
        ):
            index.apply(Change(None, obj))
        return ClusterZone(ZONE, index, primary=ZONE, ttl_seconds=5, pods=PodMode.DISABLED, zonal=zonal), index

    return make_zone


def told(zone: ClusterZone, prefix: str, qtype: int = codes.A) -> list[str]:
    found = zone.find(from_text(f"{prefix}.prod.svc.cluster.local"), qtype)
    return [rdata_text(one) for one in (*found.records, *found.additional)] if found.exists else ["NXDOMAIN"]


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("eu-1a.pin._zone.db", ["10.1.0.1"]),
        ("eu.1b.pin._zone.db", ["10.1.0.2"]),
        ("us.pin._zone.db", []),
        ("eu-1a.prefer._zone.db", ["10.1.0.1"]),
        ("us.prefer._zone.db", BOTH),
        ("us.prefer._zone.idle", []),
        ("pin._zone.db", []),
        ("prefer._zone.db", []),
        ("_zone.db", []),
        ("near._zone.db", ["NXDOMAIN"]),
        ("us.near._zone.db", ["NXDOMAIN"]),
        ("us.pin.zone.db", ["NXDOMAIN"]),
        ("eu-1a.pin._zone.web", ["NXDOMAIN"]),
        ("_zone.web", ["NXDOMAIN"]),
        ("eu-1a.pin._zone.absent", ["NXDOMAIN"]),
    ],
)
def test_names_of_zones(make: Make, prefix: str, expected: list[str]) -> None:
    assert told(make()[0], prefix) == expected
    only_with_the_option = ["NXDOMAIN"]
    assert told(make(zonal=False)[0], prefix) == only_with_the_option


def test_services_and_types(make: Make) -> None:
    zone, _ = make()
    assert told(zone, "eu-1a.pin._zone.db", codes.SRV) == ["0 100 80 db-0.db.prod.svc.cluster.local.", "10.1.0.1"]
    assert told(zone, "eu-1a.pin._zone.db", codes.AAAA) == []
    assert told(zone, "eu-1a.pin._zone.db", codes.TXT) == []


def test_an_endpoint_in_another_zone_is_a_change(make: Make) -> None:
    zone, index = make()
    name = from_text("us.pin._zone.db.prod.svc.cluster.local")
    dependencies = zone.find(name, codes.A).dependencies
    touched: set[Hashable] = set()
    index.subscribe(touched.update)
    moved = EndpointSlice(
        "prod", "db-1", "db", (HTTP,), (Endpoint(("10.1.0.1",), "db-0", zone="us"), *SLICE.endpoints[1:])
    )
    index.apply(Change(SLICE, moved))
    assert touched & set(dependencies)
    assert told(zone, "us.pin._zone.db") == ["10.1.0.1"]
    assert told(zone, "eu-1a.pin._zone.db") == []


def test_an_endpoint_between_two_slices_is_where_it_was() -> None:
    later: list[Callable[[], None]] = []
    index = Index(zonal=True, call_later=later.append)
    other = EndpointSlice("prod", "db-2", "db", (HTTP,), (Endpoint(("10.1.0.9",), zone="us"),))
    for obj in (Namespace("prod"), Service("prod", "db", headless=True), SLICE, other):
        index.apply(Change(None, obj))
    zone = ClusterZone(ZONE, index, primary=ZONE, ttl_seconds=5, pods=PodMode.DISABLED, zonal=True)
    index.apply(Change(SLICE, replace(SLICE, endpoints=())))
    assert told(zone, "eu-1a.pin._zone.db") == ["10.1.0.1"]
    for call in later:
        call()
    assert told(zone, "eu-1a.pin._zone.db") == []


def test_the_zones_of_removed_endpoints_are_dropped(make: Make) -> None:
    _, index = make()
    topology = index.topology
    assert isinstance(topology, Topology)
    old = SLICE
    for number in range(1000):
        address = f"10.2.{number >> 8}.{number & 0xFF}"
        new = EndpointSlice("prod", "db-1", "db", (HTTP,), (Endpoint((address,), zone="us"),))
        index.apply(Change(old, new))
        old = new
    assert topology.size < 200
    index.apply(Change(old, None))
    index.apply(Change(Service("prod", "db", headless=True, ports=(HTTP,)), None))
    assert topology.size == 0


def test_a_large_service_follows_changes_too(make: Make) -> None:
    zone, index = make()
    many = tuple(Endpoint((f"10.3.0.{number}",), zone="eu-1a") for number in range(1, 101))
    slice_ = EndpointSlice("prod", "db-1", "db", (HTTP,), many)
    index.apply(Change(SLICE, slice_))
    assert len(told(zone, "eu-1a.pin._zone.db")) == 100
    fewer = EndpointSlice("prod", "db-1", "db", (HTTP,), (Endpoint(many[0].addresses, zone="us"), *many[1:]))
    index.apply(Change(slice_, fewer))
    assert told(zone, "us.pin._zone.db") == ["10.3.0.1"]
    assert len(told(zone, "eu-1a.pin._zone.db")) == 99
