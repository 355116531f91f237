"""Zones of ServiceImports: their names, their relation to the cluster's own, and when answers are dropped."""

from collections.abc import Callable, Hashable

import pytest

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.imports import ImportZone
from clusterdns.cluster.index.listing import records
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.pointers import SetPointers
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import (
    Change,
    Endpoint,
    ImportedSlice,
    Namespace,
    Object,
    Pod,
    Port,
    Service,
    ServiceImport,
    packed,
)
from clusterdns.plugins.kubernetes.transfer import ClusterTransfer
from clusterdns.wire import codes
from clusterdns.wire.name import from_text, to_text
from clusterdns.wire.presentation.text import rdata_text

ZONE = from_text("set.local")
LOCAL = packed("10.0.0.53")
HTTP, DNS = Port("http", 80, "TCP"), Port("dns", 53, "UDP")
DB_C2 = ImportedSlice("prod", "db-b", "db", (HTTP,), (Endpoint(("10.2.1.1",), "db-0"),), cluster="c2")
LOCALS: list[Object] = [
    Namespace("prod"),
    Service("prod", "plain", cluster_ips=("10.96.0.1",), ports=(HTTP,)),
    Pod("prod", "p", ("10.1.9.9",)),
]
IMPORTS: list[Object] = [
    ServiceImport("prod", "web", cluster_ips=("10.200.0.1", "fd00::200"), ports=(HTTP, DNS)),
    ImportedSlice("prod", "web-a", "web", (HTTP,), (Endpoint(("10.1.0.1",)), Endpoint(("fd00::1",))), cluster="c1"),
    ServiceImport("prod", "db", headless=True, ports=(HTTP,)),
    ImportedSlice(
        "prod", "db-a", "db", (HTTP,),
        (Endpoint(("10.1.1.1",), "db-0"), Endpoint(("10.1.1.2",), "db-1")), ("10.1.1.3",), cluster="c1",
    ),
    DB_C2,
    ImportedSlice("prod", "db-c", "db", (HTTP,), (Endpoint(("10.3.1.1",), "db-0"),), cluster="C3.eu"),
    ServiceImport("prod", "quiet", cluster_ips=("10.200.0.2",)),
    ServiceImport("prod", "bare", cluster_ips=("10.200.0.3",)),
    ImportedSlice("prod", "bare-a", "bare", (), (Endpoint(("10.1.2.1",), "x"),), cluster="c1"),
    ServiceImport("prod", "lonely", headless=True),
    ImportedSlice("prod", "lonely-a", "lonely", (), (Endpoint(("10.1.3.1",), "x"),)),
    ServiceImport("prod", "idle", headless=True, ports=(HTTP,)),
    ServiceImport("prod", "empty", cluster_ips=("10.200.0.4",), ports=(HTTP,)),
    ServiceImport("absent", "web", cluster_ips=("10.200.0.9",), ports=(HTTP,)),
]  # fmt: skip

Make = Callable[..., tuple[ImportZone, Index, Index]]


@pytest.fixture
def make() -> Make:
    def make_zone(forget: Callable[[set[Hashable]], object] | None = None, **options: bool) -> tuple[
        ImportZone, Index, Index
    ]:  # fmt: skip
        cluster = Index()
        imports = Index(namespaces=cluster.namespaces, pods=cluster.pods)
        if forget is not None:
            cluster.subscribe(forget)
            imports.subscribe(forget)
        for obj in LOCALS:
            cluster.apply(Change(None, obj))
        for obj in IMPORTS:
            imports.apply(Change(None, obj))
        zone = ImportZone(
            ZONE, imports, primary=ZONE, ttl_seconds=5, pods=PodMode.VERIFIED,
            local_addresses=lambda: [LOCAL], **options,
        )  # fmt: skip
        return zone, imports, cluster

    return make_zone


def told(zone: ClusterZone, prefix: str, qtype: int = codes.A) -> list[str] | None:
    """The answer as text; None where the name does not exist."""
    found = zone.find(from_text(f"{prefix}.set.local"), qtype)
    return [rdata_text(one) for one in found.records] if found.exists else None


ALL_DB = ["10.1.1.1", "10.1.1.2", "10.2.1.1", "10.3.1.1"]
NAMES: list[tuple[str, list[str] | None]] = [
    ("web.prod.svc", ["10.200.0.1"]),
    ("_http._tcp.web.prod.svc", ["10.200.0.1"]),
    ("http._tcp.web.prod.svc", ["10.200.0.1"]),
    ("_http.tcp.web.prod.svc", ["10.200.0.1"]),
    ("http.tcp.web.prod.svc", None),
    ("_http._udp.web.prod.svc", None),
    ("_udp.web.prod.svc", []),
    ("10-1-0-1.c1.web.prod.svc", ["10.1.0.1"]),
    ("fd00--1.c1.web.prod.svc", []),
    ("10-1-0-1.web.prod.svc", None),
    ("db.prod.svc", ALL_DB),
    ("_http._tcp.db.prod.svc", ALL_DB),
    ("_tcp.db.prod.svc", []),
    ("db-0.c1.db.prod.svc", ["10.1.1.1"]),
    ("db-0.c2.db.prod.svc", ["10.2.1.1"]),
    (r"db-0.c3\.eu.db.prod.svc", ["10.3.1.1"]),
    ("db-0.c3.eu.db.prod.svc", None),
    ("db-1.c2.db.prod.svc", None),
    ("db-2.c1.db.prod.svc", None),
    ("c1.db.prod.svc", []),
    ("c4.db.prod.svc", None),
    ("quiet.prod.svc", None),
    ("bare.prod.svc", []),
    ("x.c1.bare.prod.svc", ["10.1.2.1"]),
    ("lonely.prod.svc", ["10.1.3.1"]),
    ("x.lonely.prod.svc", ["10.1.3.1"]),
    ("x.c1.lonely.prod.svc", None),
    ("idle.prod.svc", None),
    ("empty.prod.svc", ["10.200.0.4"]),
    ("plain.prod.svc", None),
    ("web.absent.svc", None),
    ("prod.svc", []),
    ("absent.svc", None),
    ("a.db-0.c1.db.prod.svc", None),
    ("10-1-9-9.prod.pod", ["10.1.9.9"]),
    ("10-1-9-8.prod.pod", None),
    ("ns.dns", ["10.0.0.53"]),
]


@pytest.mark.parametrize(("prefix", "expected"), NAMES)
def test_names(make: Make, prefix: str, expected: list[str] | None) -> None:
    found = told(make()[0], prefix)
    assert (found if found is None else sorted(found)) == expected


def test_srv_targets_exist(make: Make) -> None:
    zone, *_ = make()
    for prefix in ("web.prod.svc", "db.prod.svc", "_http._tcp.db.prod.svc", "db-0.c2.db.prod.svc"):
        found = zone.find(from_text(f"{prefix}.set.local"), codes.SRV)
        assert found.records
        glue = {(one.name, one.rtype, one.rdata) for one in found.additional}
        names = {name for name, _, _ in glue}
        assert {from_text(rdata_text(one).split()[3]) for one in found.records} == names
        for name in names:
            for qtype in (codes.A, codes.AAAA):
                answer = {(one.name, one.rtype, one.rdata) for one in zone.find(name, qtype).records}
                assert answer == {one for one in glue if one[:2] == (name, qtype)}


REVERSE = from_text("10.in-addr.arpa")
POINTERS: list[tuple[str, list[str] | None]] = [
    ("1.0.200.10", ["web.prod.svc.set.local."]),
    ("1.0.1.10", ["10-1-0-1.c1.web.prod.svc.set.local."]),
    ("1.1.1.10", ["db-0.c1.db.prod.svc.set.local."]),
    ("3.1.1.10", None),  # is not ready
    ("3.0.200.10", None),  # an import without ports has no addresses
    ("9.0.200.10", None),  # its namespace does not exist
    ("7.7.7.10", ["own.prod.svc.cluster.local."]),
    ("1.1.2.10", ["both.prod.svc.cluster.local."]),  # which an import has too
    ("0.200.10", []),
    ("7.7.10", []),
    ("8.7.10", None),
]


def reverse_zone(imports: Index, cluster: Index) -> ClusterZone:
    cluster.apply(Change(None, Service("prod", "own", cluster_ips=("10.7.7.7",), ports=(HTTP,))))
    cluster.apply(Change(None, Service("prod", "both", cluster_ips=("10.2.1.1",), ports=(HTTP,))))
    options = {"ttl_seconds": 5, "pods": PodMode.VERIFIED}
    zone = ClusterZone(REVERSE, cluster, primary=from_text("cluster.local"), **options)  # type: ignore[arg-type]
    same = ImportZone(REVERSE, imports, primary=ZONE, **options)  # type: ignore[arg-type]
    zone.pointers = SetPointers(zone.pointers, same.pointers)
    return zone


@pytest.mark.parametrize(("prefix", "expected"), POINTERS)
def test_addresses_of_the_set_have_names_where_the_cluster_has_none(
    make: Make, prefix: str, expected: list[str] | None
) -> None:
    _, imports, cluster = make()
    found = reverse_zone(imports, cluster).find(from_text(f"{prefix}.in-addr.arpa"), codes.PTR)
    assert ([rdata_text(one) for one in found.records] if found.exists else None) == expected


def test_pointers_of_the_set_exist_and_are_listed(make: Make) -> None:
    forward, imports, cluster = make()
    zone = reverse_zone(imports, cluster)
    listed = {rdata_text(one.record) for one in records(zone, cluster) if one.record.rtype == codes.PTR}
    assert {"web.prod.svc.set.local.", "own.prod.svc.cluster.local.", "db-0.c1.db.prod.svc.set.local."} <= listed
    of_set = [from_text(one) for one in listed if one.endswith(".set.local.")]
    assert all(forward.find(one, codes.A).exists for one in of_set)


@pytest.mark.parametrize("is_import", [True, False])
def test_a_pointer_depends_on_both_indexes(make: Make, is_import: bool) -> None:
    forgotten: set[Hashable] = set()
    _, imports, cluster = make(forgotten.update)
    zone = reverse_zone(imports, cluster)
    qname = from_text("5.5.5.10.in-addr.arpa")
    found = zone.find(qname, codes.PTR)
    assert not found.exists
    forgotten.clear()
    if is_import:
        imports.apply(Change(None, ServiceImport("prod", "new", cluster_ips=("10.5.5.5",), ports=(HTTP,))))
    else:
        cluster.apply(Change(None, Service("prod", "new", cluster_ips=("10.5.5.5",), ports=(HTTP,))))
    assert forgotten & set(found.dependencies)
    assert zone.find(qname, codes.PTR).exists


def test_a_target_too_long_for_a_name_is_ignored(make: Make) -> None:
    zone, imports, _ = make()
    name, long = "s" * 63, "e" * 63
    imports.apply(Change(None, ServiceImport("prod", name, headless=True, ports=(HTTP,))))
    for cluster in ("c" * 63, "c"):
        ends = (Endpoint(("10.1.0.1",), long),)
        obj = ImportedSlice("prod", f"long-{cluster}", name, (HTTP,), ends, cluster=cluster)
        imports.apply(Change(None, obj))
    found = zone.find(from_text(f"{name}.prod.svc.set.local"), codes.SRV)
    assert [rdata_text(one).split()[3] for one in found.records] == [
        f"{long}.{cluster}.{name}.prod.svc.set.local." for cluster in ("c", "c" * 63)
        if len(from_text(f"{long}.{cluster}.{name}.prod.svc.set.local.")) <= 255
    ]  # fmt: skip


def test_empty_imports_can_be_ignored(make: Make) -> None:
    zone, *_ = make(ignores_empty=True)
    assert told(zone, "empty.prod.svc") is None
    assert told(zone, "web.prod.svc") == ["10.200.0.1"]


def test_the_servers_are_an_import_or_this_host(make: Make) -> None:
    zone, imports, _ = make()
    assert [rdata_text(one) for one in zone.find(ZONE, codes.NS).records] == ["ns.dns.set.local."]
    slice_ = ImportedSlice("prod", "web-b", "web", (DNS,), (Endpoint(("10.0.0.53",)),), cluster="c1")
    imports.apply(Change(None, slice_))
    assert [rdata_text(one) for one in zone.find(ZONE, codes.NS).records] == ["web.prod.svc.set.local."]


@pytest.mark.parametrize(
    ("prefix", "old", "new"),
    [
        ("web.prod.svc", IMPORTS[0], None),
        ("web.prod.svc", IMPORTS[0], ServiceImport("prod", "web", cluster_ips=("10.200.0.8",), ports=(HTTP,))),
        ("late.prod.svc", None, ServiceImport("prod", "late", cluster_ips=("10.200.0.7",), ports=(HTTP,))),
        ("db.prod.svc", DB_C2, None),
        ("db-0.c2.db.prod.svc", DB_C2, None),
        ("db-9.c2.db.prod.svc", None,
         ImportedSlice("prod", "db-n", "db", (HTTP,), (Endpoint(("10.2.1.9",), "db-9"),), cluster="c2")),
        ("prod.svc", Namespace("prod"), None),
        ("10-1-9-9.prod.pod", Pod("prod", "p", ("10.1.9.9",)), None),
    ],
)  # fmt: skip
def test_answers_are_dropped_when_they_change(make: Make, prefix: str, old: Object | None, new: Object | None) -> None:
    touched: set[Hashable] = set()
    zone, imports, cluster = make(touched.update)
    qname = from_text(f"{prefix}.set.local")
    before = zone.find(qname, codes.A)
    touched.clear()
    index = imports if isinstance(new or old, ServiceImport | ImportedSlice) else cluster
    index.apply(Change(old, new))
    assert zone.find(qname, codes.A) != before
    assert touched.intersection(before.dependencies)


def test_the_two_indexes_have_serials_of_their_own(make: Make) -> None:
    _, imports, cluster = make()
    before = imports.serial.wire
    cluster.apply(Change(None, Service("prod", "more", cluster_ips=("10.96.0.2",))))
    assert imports.serial.wire == before


def test_a_listing_and_a_transfer_have_every_endpoint(make: Make) -> None:
    zone, imports, _ = make()
    listed = {(to_text(one.record.name), codes.type_text(one.record.rtype)) for one in records(zone, imports)}
    assert {("db-0.c2.db.prod.svc.set.local.", "A"), ("10-1-0-1.c1.web.prod.svc.set.local.", "A")} <= listed
    assert list(ClusterTransfer([zone]).zone_records(ZONE) or ()) == []
    imports.synced = True
    sent = {(to_text(one.name), codes.type_text(one.rtype)) for one in ClusterTransfer([zone]).zone_records(ZONE) or ()}
    assert {("db-0.c2.db.prod.svc.set.local.", "A"), ("_http._tcp.web.prod.svc.set.local.", "SRV")} <= sent
    assert ("10-1-0-1.c1.web.prod.svc.set.local.", "A") not in sent
    assert not any("plain" in name or "10.200.0.9" in name for name, _ in sent | listed)
