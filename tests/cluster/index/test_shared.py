"""Zones of several server blocks, or from before and after a reload, on one index: each has settings of its own."""

import pytest

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.slices import MIN_CACHED_ENDPOINTS
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import Change, Endpoint, EndpointSlice, Namespace, Port, Service
from clusterdns.wire import codes
from clusterdns.wire.name import from_text

ZONE = from_text("cluster.local.")
PORTS = (Port("pg", 5432, "TCP"),)


@pytest.mark.parametrize("size", [2, MIN_CACHED_ENDPOINTS, 100])
@pytest.mark.parametrize(
    ("qname", "qtype"),
    [("db.prod.svc", codes.A), ("db.prod.svc", codes.SRV), ("_pg._tcp.db.prod.svc", codes.SRV)],
)
def test_each_zone_has_its_ttl(size: int, qname: str, qtype: int) -> None:
    index = Index()
    zones = [ClusterZone(ZONE, index, primary=ZONE, ttl_seconds=ttl, pods=PodMode.DISABLED) for ttl in (30, 5)]
    endpoints = tuple(Endpoint((f"10.1.0.{number}",), f"db-{number}") for number in range(1, size + 1))
    index.apply(Change(None, Namespace("prod")))
    index.apply(Change(None, Service("prod", "db", headless=True, ports=PORTS)))
    index.apply(Change(None, EndpointSlice("prod", "db", "db", PORTS, endpoints)))
    for zone in (*zones, *zones):
        found = zone.find(from_text(f"{qname}.cluster.local."), qtype)
        assert {one.ttl for one in (*found.records, *found.additional)} == {zone.ttl_seconds}
