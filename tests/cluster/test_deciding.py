"""The kinds of objects that decide about a name, form by form."""

import pytest

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.external import ExternalZone
from clusterdns.cluster.index.imports import ImportZone
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.namespaces import Namespaces
from clusterdns.cluster.objects import Change, Namespace, Service, ServiceImport
from clusterdns.wire.name import from_text

CLUSTER, REVERSE, REVERSE6 = from_text("cluster.local"), from_text("in-addr.arpa"), from_text("ip6.arpa")
ENDPOINTS = "EndpointSlice Service"


def index_of(service: Service, *, served: tuple[str, ...] = (), zonal: bool = False) -> Index:
    index = Index(namespaces=Namespaces(served), zonal=zonal)
    for obj in (Namespace("prod"), service):
        index.apply(Change(None, obj))
    return index


@pytest.fixture
def index() -> Index:
    return index_of(Service("prod", "web", cluster_ips=("10.96.0.1",), external=("192.0.2.1",)))


def kinds(zone: ClusterZone | ExternalZone, qname: str) -> str:
    return " ".join(sorted(kind.__name__ for kind in zone.deciding_kinds(from_text(qname))))


@pytest.mark.parametrize(
    ("qname", "expected"),
    [
        ("cluster.local", ENDPOINTS),
        ("svc.cluster.local", ""),
        ("pod.cluster.local", ""),
        ("dns.cluster.local", ""),
        ("dns-version.cluster.local", ""),
        ("ns.dns.cluster.local", ENDPOINTS),
        ("example.cluster.local", ""),
        ("www.example.com.cluster.local", ""),
        ("prod.svc.cluster.local", "Namespace"),
        ("new.svc.cluster.local", "Namespace"),
        ("web.new.svc.cluster.local", "Namespace"),
        ("new.prod.svc.cluster.local", "Service"),
        ("*.prod.svc.cluster.local", "Service"),
        ("_http._tcp.new.prod.svc.cluster.local", "Service"),
        ("a.new.prod.svc.cluster.local", "Service"),
        ("web.prod.svc.cluster.local", ENDPOINTS),
        ("_http._tcp.web.prod.svc.cluster.local", ENDPOINTS),
        ("10-1-0-1.web.prod.svc.cluster.local", ENDPOINTS),
        ("www.example.com.prod.svc.cluster.local", "Service"),  # a port's name, with optional underscores
        ("a.www.example.com.prod.svc.cluster.local", ""),
    ],
)
def test_names_of_services(index: Index, qname: str, expected: str) -> None:
    zone = ClusterZone(CLUSTER, index, primary=CLUSTER, ttl_seconds=5, pods=PodMode.DISABLED)
    assert kinds(zone, qname) == expected


@pytest.mark.parametrize(
    ("mode", "qname", "expected"),
    [
        (PodMode.DISABLED, "10-1-0-1.prod.pod.cluster.local", ""),
        (PodMode.DISABLED, "prod.pod.cluster.local", ""),
        (PodMode.INSECURE, "10-1-0-1.prod.pod.cluster.local", "Namespace"),
        (PodMode.INSECURE, "10-1-0-1.new.pod.cluster.local", "Namespace"),
        (PodMode.INSECURE, "prod.pod.cluster.local", "Namespace"),
        (PodMode.VERIFIED, "10-1-0-1.prod.pod.cluster.local", "Pod"),
        (PodMode.VERIFIED, "10-1-0-1.new.pod.cluster.local", "Namespace"),
        (PodMode.VERIFIED, "runner.prod.pod.cluster.local", ""),
        (PodMode.VERIFIED, "a.10-1-0-1.prod.pod.cluster.local", ""),
    ],
)
def test_names_of_pods(index: Index, mode: PodMode, qname: str, expected: str) -> None:
    zone = ClusterZone(CLUSTER, index, primary=CLUSTER, ttl_seconds=5, pods=mode)
    assert kinds(zone, qname) == expected


@pytest.mark.parametrize(
    ("apex", "qname", "expected"),
    [
        (REVERSE, "1.0.96.10.in-addr.arpa", f"EndpointSlice Namespace {ENDPOINTS.split()[1]}"),
        (REVERSE, "2.0.96.10.in-addr.arpa", ENDPOINTS),
        (REVERSE, "8.8.8.8.in-addr.arpa", ENDPOINTS),
        (REVERSE, "96.10.in-addr.arpa", ENDPOINTS),
        (REVERSE, "a.10.in-addr.arpa", ""),
        (REVERSE, "256.10.in-addr.arpa", ""),
        (REVERSE, "lb._dns-sd._udp.0.0.96.10.in-addr.arpa", ""),
        (REVERSE6, "1." * 32 + "ip6.arpa", ENDPOINTS),
        (REVERSE6, "0.d.f.ip6.arpa", ENDPOINTS),
        (REVERSE6, "xx.d.f.ip6.arpa", ""),
        (REVERSE, "dns-version.in-addr.arpa", ""),
    ],
)
def test_reverse_names(index: Index, apex: bytes, qname: str, expected: str) -> None:
    zone = ClusterZone(apex, index, primary=CLUSTER, ttl_seconds=5, pods=PodMode.DISABLED)
    assert kinds(zone, qname) == expected


@pytest.mark.parametrize(
    ("zonal", "qname", "expected"),
    [
        (True, "eu.pin._zone.web.prod.svc.cluster.local", ENDPOINTS),
        (False, "a.eu.pin._zone.web.prod.svc.cluster.local", ""),
        (True, "a.eu.pin._zone.web.prod.svc.cluster.local", ENDPOINTS),
    ],
)
def test_names_of_topology_zones(zonal: bool, qname: str, expected: str) -> None:
    index = index_of(Service("prod", "web", headless=True), zonal=zonal)
    zone = ClusterZone(CLUSTER, index, primary=CLUSTER, ttl_seconds=5, pods=PodMode.DISABLED, zonal=zonal)
    assert kinds(zone, qname) == expected


def test_namespaces_that_are_not_served_never_come() -> None:
    index = index_of(Service("prod", "web"), served=("prod",))
    zone = ClusterZone(CLUSTER, index, primary=CLUSTER, ttl_seconds=5, pods=PodMode.INSECURE)
    names = ("web.dev.svc.cluster.local", "dev.svc.cluster.local", "10-1-0-1.dev.pod.cluster.local")
    assert [kinds(zone, qname) for qname in names] == ["", "", ""]
    assert kinds(zone, "new.prod.svc.cluster.local") == "Service"


@pytest.mark.parametrize(
    ("qname", "expected"),
    [
        ("web.prod.svc.set.local", "ImportedSlice ServiceImport"),
        ("a.c1.web.prod.svc.set.local", "ImportedSlice ServiceImport"),
        ("new.prod.svc.set.local", "ServiceImport"),
        ("web.new.svc.set.local", "Namespace"),
    ],
)
def test_names_of_imports(qname: str, expected: str) -> None:
    apex = from_text("set.local")
    zone = ImportZone(apex, index_of(ServiceImport("prod", "web")), primary=apex, ttl_seconds=5, pods=PodMode.DISABLED)
    assert kinds(zone, qname) == expected


@pytest.mark.parametrize(
    ("apex", "qname", "expected"),
    [
        ("example.org", "example.org", ENDPOINTS),
        ("example.org", "ns1.dns.example.org", ENDPOINTS),
        ("example.org", "dns.example.org", ""),
        ("example.org", "prod.example.org", "Namespace"),
        ("example.org", "web.prod.example.org", ENDPOINTS),
        ("example.org", "new.prod.example.org", "Service"),
        ("example.org", "_http._tcp.new.prod.example.org", "Service"),
        ("example.org", "a._http._tcp.web.prod.example.org", ""),
        ("in-addr.arpa", "9.2.0.192.in-addr.arpa", ENDPOINTS),
    ],
)
def test_names_of_k8s_external(index: Index, apex: str, qname: str, expected: str) -> None:
    zone = ExternalZone(
        from_text(apex), index, primary=from_text("example.org"), apex=b"\x03dns", ttl_seconds=5, headless=False,
        local_addresses=tuple,
    )  # fmt: skip
    assert kinds(zone, qname) == expected
