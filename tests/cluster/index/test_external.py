"""What a zone for clients outside the cluster holds, and which changes it depends on."""

from collections.abc import Callable, Hashable

import pytest

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.external import ExternalZone
from clusterdns.cluster.index.lookup import LookupResult
from clusterdns.cluster.objects import Change, Endpoint, EndpointSlice, Namespace, Object, Port, Service, packed
from clusterdns.wire import codes
from clusterdns.wire.name import from_address, from_text, to_text
from clusterdns.wire.presentation.text import rdata_text

ZONE = from_text("ex.org")
HTTP, DNS, NAMELESS = Port("http", 80, "TCP"), Port("dns", 53, "UDP"), Port("", 8080, "TCP")
V4, V6, BALANCER = "192.0.2.1", "2001:db8::1", "lb.example.net"

OBJECTS: list[Object] = [
    Namespace("prod"),
    Service("prod", "web", cluster_ips=("10.96.0.1",), ports=(HTTP, DNS), external=(V4, V6)),
    Service("prod", "one", cluster_ips=("10.96.0.2",), ports=(NAMELESS,), external=("192.0.2.2",)),
    Service("prod", "host", cluster_ips=("10.96.0.3",), ports=(HTTP,), external=(BALANCER, "other.example.net")),
    Service("prod", "both", cluster_ips=("10.96.0.4",), ports=(HTTP,), external=("192.0.2.4", BALANCER)),
    Service("prod", "odd", cluster_ips=("10.96.0.5",), ports=(HTTP,), external=("x" * 70 + ".example",)),
    Service("prod", "inside", cluster_ips=("10.96.0.6",), ports=(HTTP,)),
    Service("prod", "db", headless=True, ports=(HTTP,)),
    Service("prod", "idle", headless=True, ports=(HTTP,)),
    Service("nowhere", "lost", cluster_ips=("10.96.0.7",), external=("192.0.2.7",)),
    Service("prod", "dns", cluster_ips=("10.96.0.10",), external=("192.0.2.53",)),
    EndpointSlice("prod", "db-1", "db", (HTTP,), (Endpoint(("10.1.0.1",), "db-0"), Endpoint(("10.1.0.2",)))),
    EndpointSlice("prod", "inside-1", "inside", (HTTP,), (Endpoint(("10.1.0.3",), "in-0"),)),
    EndpointSlice("prod", "dns-1", "dns", (DNS,), (Endpoint(("10.1.0.53",)),)),
]

Make = Callable[..., tuple[ExternalZone, Index]]


@pytest.fixture
def make() -> Make:
    def make_zone(zone: bytes = ZONE, *, headless: bool = False, local: str = "10.9.9.9") -> tuple[ExternalZone, Index]:
        index = Index()
        for one in OBJECTS[:4]:
            index.apply(Change(None, one))
        found = ExternalZone(
            zone,
            index,
            primary=ZONE,
            apex=b"\x03dns",
            ttl_seconds=30,
            headless=headless,
            local_addresses=lambda: (packed(local),),
        )
        for one in OBJECTS[4:]:
            index.apply(Change(None, one))
        return found, index

    return make_zone


def told(found: LookupResult) -> list[str]:
    if not found.exists:
        return ["NXDOMAIN"]
    if found.cname:
        return [f"CNAME {to_text(found.cname)}"]
    return [f"{codes.type_text(one.rtype)} {rdata_text(one)}" for one in (*found.records, *found.additional)]


ADDRESSES = ["A 192.0.2.1", "AAAA 2001:db8::1"]
CASES = [
    ("ex.org", "SOA", ["SOA ns1.dns.ex.org. hostmaster.dns.ex.org. 0 7200 1800 86400 30"]),
    ("ex.org", "NS", ["NS ns1.dns.ex.org.", "A 10.9.9.9"]),
    ("ex.org", "A", []),
    ("ns1.dns.ex.org", "A", ["A 10.9.9.9"]),
    ("ns1.dns.ex.org", "AAAA", []),
    ("dns.ex.org", "A", []),
    ("x.dns.ex.org", "A", ["NXDOMAIN"]),
    ("prod.ex.org", "A", []),
    ("absent.ex.org", "A", ["NXDOMAIN"]),
    ("lost.nowhere.ex.org", "A", ["NXDOMAIN"]),
    ("web.prod.ex.org", "A", ADDRESSES[:1]),
    ("web.prod.ex.org", "AAAA", ADDRESSES[1:]),
    ("web.prod.ex.org", "TXT", []),
    ("web.prod.ex.org", "SRV", ["SRV 0 50 80 web.prod.ex.org.", "SRV 0 50 53 web.prod.ex.org.", *ADDRESSES]),
    ("_dns._udp.web.prod.ex.org", "A", ADDRESSES[:1]),
    ("_dns._udp.web.prod.ex.org", "SRV", ["SRV 0 100 53 web.prod.ex.org.", *ADDRESSES]),
    ("_dns._tcp.web.prod.ex.org", "SRV", ["NXDOMAIN"]),
    ("_udp.web.prod.ex.org", "SRV", []),
    ("_sctp.web.prod.ex.org", "SRV", ["NXDOMAIN"]),
    ("x.web.prod.ex.org", "A", ["NXDOMAIN"]),
    ("x._dns._udp.web.prod.ex.org", "A", ["NXDOMAIN"]),
    ("one.prod.ex.org", "SRV", ["SRV 0 100 8080 one.prod.ex.org.", "A 192.0.2.2"]),
    ("_tcp.one.prod.ex.org", "SRV", ["NXDOMAIN"]),
    ("host.prod.ex.org", "A", ["CNAME lb.example.net."]),
    ("host.prod.ex.org", "SRV", ["SRV 0 50 80 lb.example.net.", "SRV 0 50 80 other.example.net."]),
    ("both.prod.ex.org", "A", ["A 192.0.2.4"]),
    ("both.prod.ex.org", "SRV", ["SRV 0 50 80 both.prod.ex.org.", "SRV 0 50 80 lb.example.net.", "A 192.0.2.4"]),
    ("odd.prod.ex.org", "A", []),
    ("inside.prod.ex.org", "A", ["NXDOMAIN"]),
    ("in-0.inside.prod.ex.org", "A", ["NXDOMAIN"]),
    ("db.prod.ex.org", "A", ["NXDOMAIN"]),
]
HEADLESS = [
    ("inside.prod.ex.org", "A", ["NXDOMAIN"]),
    ("in-0.inside.prod.ex.org", "A", ["A 10.1.0.3"]),
    ("in-9.inside.prod.ex.org", "A", ["NXDOMAIN"]),
    ("db.prod.ex.org", "A", ["A 10.1.0.1", "A 10.1.0.2"]),
    ("db.prod.ex.org", "TXT", []),
    ("db-0.db.prod.ex.org", "A", ["A 10.1.0.1"]),
    ("db-0.db.prod.ex.org", "SRV", ["SRV 0 100 80 db-0.db.prod.ex.org.", "A 10.1.0.1"]),
    ("_tcp.db.prod.ex.org", "A", []),
    ("_udp.db.prod.ex.org", "A", ["NXDOMAIN"]),
    ("_http._tcp.db.prod.ex.org", "SRV", [
        "SRV 0 50 80 db-0.db.prod.ex.org.", "SRV 0 50 80 10-1-0-2.db.prod.ex.org.", "A 10.1.0.1", "A 10.1.0.2",
    ]),
    ("_nope._tcp.db.prod.ex.org", "SRV", ["NXDOMAIN"]),
    ("idle.prod.ex.org", "A", ["NXDOMAIN"]),
    ("web.prod.ex.org", "A", ADDRESSES[:1]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "qtype", "expected"), CASES)
def test_services(make: Make, name: str, qtype: str, expected: list[str]) -> None:
    zone, _ = make()
    assert told(zone.find(from_text(name), getattr(codes, qtype))) == expected


@pytest.mark.parametrize(("name", "qtype", "expected"), HEADLESS)
def test_headless_services(make: Make, name: str, qtype: str, expected: list[str]) -> None:
    zone, _ = make(headless=True)
    assert told(zone.find(from_text(name), getattr(codes, qtype))) == expected


def test_the_server_is_known_by_its_services_address(make: Make) -> None:
    zone, _ = make(local="10.1.0.53")
    found = zone.find(from_text("ns1.dns.ex.org"), codes.A)
    assert told(found) == ["A 192.0.2.53"]
    assert (b"prod", b"dns") in found.dependencies
    assert packed("10.1.0.53") in found.dependencies


def test_addresses_have_names(make: Make) -> None:
    zone, index = make(from_text("in-addr.arpa"))
    index.apply(Change(None, Service("prod", "twin", external=(V4,))))
    twice = zone.find(from_address(packed(V4)), codes.PTR)
    assert told(twice) == ["PTR twin.prod.ex.org.", "PTR web.prod.ex.org."]
    assert told(zone.find(from_address(packed(V4)), codes.A)) == []
    assert told(zone.find(from_address(packed("192.0.2.7")), codes.PTR)) == ["NXDOMAIN"], "of no known namespace"
    assert told(zone.find(from_text("2.0.192.in-addr.arpa"), codes.PTR)) == []
    assert told(zone.find(from_text("3.0.192.in-addr.arpa"), codes.PTR)) == ["NXDOMAIN"]
    assert told(zone.find(from_text("in-addr.arpa"), codes.NS))[0] == "NS ns1.dns.in-addr.arpa."
    v6, _ = make(from_text("ip6.arpa"))
    assert told(v6.find(from_address(packed(V6)), codes.PTR)) == ["PTR web.prod.ex.org."]


@pytest.mark.parametrize("name", ["web.prod.ex.org", "new.prod.ex.org", "prod.ex.org"])
def test_dependencies_of_changes(make: Make, name: str) -> None:
    zone, index = make()
    assert index.external.services(packed(V4))  # from now on it is kept up to date
    found = zone.find(from_text(name), codes.A)
    touched: set[Hashable] = set()
    index.subscribe(touched.update)
    web, other = OBJECTS[1], Service("prod", "web", external=("192.0.2.9",))
    change = {"web": Change(web, other), "new": Change(None, Service("prod", "new"))}
    index.apply(change.get(name.partition(".")[0], Change(Namespace("prod"), None)))
    assert touched & set(found.dependencies)
    if name.startswith("web"):
        assert {packed(V4), packed(V6), packed("192.0.2.9")} <= touched
        assert told(zone.find(from_text(name), codes.A)) == ["A 192.0.2.9"]
        index.apply(Change(other, None))
        assert not index.external.services(packed("192.0.2.9"))


def test_external_addresses_are_filled_in_steps_between_which_services_change() -> None:
    services = [Service("prod", f"web-{number}", external=(f"192.0.2.{number}",)) for number in range(200)]
    index = Index()
    for one in services:
        index.apply(Change(None, one))
    steps = index.fill_external()
    for number in range(200):
        next(steps, None)
        old, new = services[number], Service("prod", f"web-{number}", external=(f"198.51.100.{number}",))
        index.apply(Change(old, None if number % 3 == 0 else new))
    list(steps)
    expected = {packed(f"198.51.100.{number}") for number in range(200) if number % 3}
    assert set(index.external.addresses()) == expected
    index.apply(Change(None, Service("prod", "more", external=("192.0.2.1",))))
    assert index.external.services(packed("192.0.2.1")) == ((b"prod", b"more"),)


def test_a_zone_follows_an_index_that_was_cleared(make: Make) -> None:
    zone, index = make(from_text("in-addr.arpa"))
    pointer = from_address(packed(V4))
    before = zone.find(pointer, codes.PTR)
    assert before.records
    index.clear()
    assert not zone.find(pointer, codes.PTR).exists
    for one in OBJECTS:
        index.apply(Change(None, one))
    assert zone.find(pointer, codes.PTR) == before


def test_every_listed_name_has_records(make: Make) -> None:
    for zone_text, count in (("ex.org", 15), ("in-addr.arpa", 5), ("ip6.arpa", 1)):
        zone, _ = make(from_text(zone_text), headless=True)
        names = list(zone.names())
        assert len(set(names)) == len(names) == count
        for qname in names:
            found = [zone.find(qname, qtype) for qtype in (codes.A, codes.AAAA, codes.SRV, codes.PTR)]
            is_empty = not any(one.records or one.cname for one in found)
            assert is_empty is (qname == from_address(packed("192.0.2.7")) or b"\x03odd" in qname)
