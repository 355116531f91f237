"""A listing has every name that exists, each with the records that the zone answers with, and no others."""

from collections.abc import Callable
from ipaddress import ip_address

import pytest

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.listing import TYPES, records
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import Change, Endpoint, EndpointSlice, Namespace, Object, Pod, Port, Service
from clusterdns.wire.codes import type_text
from clusterdns.wire.name import from_text, to_text
from clusterdns.wire.presentation.text import rdata_text

ZONE = from_text("cluster.local")
HTTP, PG, NAMELESS = Port("http", 80, "TCP"), Port("pg", 5432, "TCP"), Port("", 8080, "TCP")

OBJECTS: list[Object] = [
    Namespace("prod"),
    Namespace("aside"),
    Service("prod", "web", cluster_ips=("10.96.0.10", "fd00::10"), ports=(HTTP,)),
    Service("prod", "bare", cluster_ips=("10.96.0.12",), ports=(NAMELESS,)),
    Service("prod", "db", headless=True, ports=(PG,)),
    Service("prod", "idle", headless=True, ports=(PG,)),
    Service("aside", "ext", type="ExternalName", external_name="example.com"),
    Service("nowhere", "lost", cluster_ips=("10.96.0.99",)),  # its namespace is not known
    EndpointSlice("prod", "db-1", "db", (PG,), (Endpoint(("10.1.0.5",), "db-0"), Endpoint(("10.1.0.6",)))),
    EndpointSlice("prod", "web-1", "web", (HTTP,), (Endpoint(("10.1.0.20",)),)),
    EndpointSlice("prod", "early-1", "early", (HTTP,), (Endpoint(("10.1.0.30",)),)),  # before its Service
    Pod("prod", "p", ("10.1.0.5",)),
]


@pytest.fixture
def make() -> Callable[..., tuple[ClusterZone, Index]]:
    def make_zone(zone_text: str = "cluster.local", pods: PodMode = PodMode.DISABLED) -> tuple[ClusterZone, Index]:
        index = Index(clock=lambda: 1700000000)
        for one in OBJECTS:
            index.apply(Change(None, one))
        return ClusterZone(from_text(zone_text), index, primary=ZONE, ttl_seconds=5, pods=pods), index

    return make_zone


Make = Callable[..., tuple[ClusterZone, Index]]


def rows(zone: ClusterZone, index: Index) -> list[str]:
    return [
        f"{to_text(one.record.name)} {type_text(one.record.rtype)} {rdata_text(one.record)}"
        for one in records(zone, index)
    ]


def test_a_forward_zone(make: Make) -> None:
    in_prod = "prod.svc.cluster.local."
    assert rows(*make()) == [
        "cluster.local. SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 5",
        'dns-version.cluster.local. TXT "1.1.0"',
        "ext.aside.svc.cluster.local. CNAME example.com.",
        f"bare.{in_prod} A 10.96.0.12",
        f"bare.{in_prod} SRV 0 100 8080 bare.{in_prod}",
        f"db.{in_prod} A 10.1.0.5",
        f"db.{in_prod} A 10.1.0.6",
        f"db.{in_prod} SRV 0 50 5432 db-0.db.{in_prod}",
        f"db.{in_prod} SRV 0 50 5432 10-1-0-6.db.{in_prod}",
        f"10-1-0-6.db.{in_prod} A 10.1.0.6",
        f"10-1-0-6.db.{in_prod} SRV 0 100 5432 10-1-0-6.db.{in_prod}",
        f"_pg._tcp.db.{in_prod} A 10.1.0.5",
        f"_pg._tcp.db.{in_prod} A 10.1.0.6",
        f"_pg._tcp.db.{in_prod} SRV 0 50 5432 db-0.db.{in_prod}",
        f"_pg._tcp.db.{in_prod} SRV 0 50 5432 10-1-0-6.db.{in_prod}",
        f"db-0.db.{in_prod} A 10.1.0.5",
        f"db-0.db.{in_prod} SRV 0 100 5432 db-0.db.{in_prod}",
        f"web.{in_prod} A 10.96.0.10",
        f"web.{in_prod} AAAA fd00::10",
        f"web.{in_prod} SRV 0 100 80 web.{in_prod}",
        f"10-1-0-20.web.{in_prod} A 10.1.0.20",
        f"10-1-0-20.web.{in_prod} SRV 0 100 80 10-1-0-20.web.{in_prod}",
        f"_http._tcp.web.{in_prod} A 10.96.0.10",
        f"_http._tcp.web.{in_prod} AAAA fd00::10",
        f"_http._tcp.web.{in_prod} SRV 0 100 80 web.{in_prod}",
    ]


def test_names_of_pods_where_they_are_verified(make: Make) -> None:
    row = "10-1-0-5.prod.pod.cluster.local. A 10.1.0.5"
    assert row in rows(*make(pods=PodMode.VERIFIED))
    assert row not in rows(*make(pods=PodMode.DISABLED))


@pytest.mark.parametrize(
    ("zone_text", "addresses"),
    [
        ("in-addr.arpa", ["10.1.0.5", "10.1.0.6", "10.1.0.20", "10.96.0.10", "10.96.0.12"]),
        ("96.10.in-addr.arpa", ["10.96.0.10", "10.96.0.12"]),
        ("168.192.in-addr.arpa", []),
        ("ip6.arpa", ["fd00::10"]),
    ],
)
def test_a_reverse_zone_is_listed_by_address(make: Make, zone_text: str, addresses: list[str]) -> None:
    zone, index = make(zone_text)
    listed = list(records(zone, index))
    assert [to_text(one.record.name) for one in listed if one.record.rtype == 6] == [zone_text + "."]
    expected = [ip_address(text).reverse_pointer + "." for text in addresses]
    assert [to_text(one.record.name) for one in listed if one.record.rtype == 12] == expected


def test_a_name_that_is_too_long_is_not_listed() -> None:
    zone_text = ".".join(["z" * 57] * 4)
    index = Index()
    index.apply(Change(None, Namespace("n")))
    index.apply(Change(None, Service("n", "x" * 63, cluster_ips=("10.0.0.1",))))
    zone = ClusterZone(from_text(zone_text), index, primary=ZONE, ttl_seconds=5, pods=PodMode.DISABLED)
    assert {to_text(one.record.name) for one in records(zone, index)} == {f"{zone_text}.", f"dns-version.{zone_text}."}


def test_the_listing_agrees_with_the_zone(make: Make) -> None:
    for zone_text in ("cluster.local", "in-addr.arpa", "ip6.arpa"):
        zone, index = make(zone_text, PodMode.VERIFIED)
        listed = [one.record for one in records(zone, index)]
        assert len(set(listed)) == len(listed)
        for qname in {one.name for one in listed}:
            for qtype in TYPES:
                found = zone.find(qname, qtype)
                told = [one for one in listed if (one.name, one.rtype) == (qname, qtype)]
                assert found.exists
                assert len(told) == len(found.records) or found.cname
