"""Every name that a zone gives out resolves in the zones: targets of PTR, SRV, NS and the name in the SOA."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.imports import ImportZone
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.namespaces import Namespaces
from clusterdns.cluster.objects import (
    Change,
    Endpoint,
    EndpointSlice,
    ImportedSlice,
    Namespace,
    Object,
    Port,
    Service,
    ServiceImport,
    packed,
)
from clusterdns.wire import codes
from clusterdns.wire.name import from_address, from_text, to_text

PRIMARY = from_text("cluster.local.")
ZONES = (PRIMARY, from_text("in-addr.arpa."), from_text("ip6.arpa."))
IPS = ("10.0.0.1", "10.0.0.2", "10.96.0.1", "fd00::1", "fd00::")
NAMESPACES = ("prod", "Test", "kube-system")
PORTS = (Port("http", 80, "TCP"), Port("", 8080, "TCP"), Port("dns", 53, "UDP"))
HOSTNAMES = ("", "db-0", "DB-0", "db-1", "10-0-0-1", "_tcp", "web.0", "x" * 63)

some_ips = st.lists(st.sampled_from(IPS), min_size=1, max_size=3, unique=True).map(tuple)
some_ports = st.lists(st.sampled_from(PORTS), max_size=2, unique=True).map(tuple)
namespaces = st.sampled_from(NAMESPACES)
names = st.sampled_from(("web", "Web", "y" * 63))
endpoints = st.builds(
    Endpoint, some_ips, hostname=st.sampled_from(HOSTNAMES), target_name=st.sampled_from(("", "web.0", "Pod-1"))
)
several = st.lists(endpoints, max_size=3).map(tuple)


def of_kind(service: type[Service], slices: type[EndpointSlice]) -> st.SearchStrategy[Object]:
    aliases = [] if service is ServiceImport else [
        st.builds(service, namespaces, names, type=st.just("ExternalName"), external_name=st.just("example.com"))
    ]  # fmt: skip
    return st.one_of(
        st.builds(Namespace, namespaces),
        st.builds(service, namespaces, names, cluster_ips=some_ips, ports=some_ports),
        st.builds(service, namespaces, names, headless=st.just(True), ports=some_ports),
        st.builds(slices, namespaces, st.sampled_from(("s1", "s2")), names, some_ports, several),
        *aliases,
    )


def index_of(objects: Iterable[Object], *, served: tuple[str, ...], use_pod_names: bool) -> Index:
    index = Index(namespaces=Namespaces(served), use_pod_names=use_pod_names)
    index.synced = True
    state: dict[tuple[type, str, str], Object] = {}
    for one in objects:
        key = (type(one), one.namespace, one.name)
        index.apply(Change(state.get(key), one))
        state[key] = one
    return index


def has(zones: list[ClusterZone], target: bytes, qtype: int, rdata: bytes | None = None) -> bool:
    zone = next(one for one in zones if target.endswith(one.zone))
    found = zone.find(target, qtype)
    return found.exists and (rdata is None or rdata in {one.rdata for one in found.records})


def assert_all_names_resolve(zones: list[ClusterZone]) -> None:
    for address in map(packed, IPS):
        qtype = codes.A if len(address) == 4 else codes.AAAA
        qname = from_address(address)
        reverse = next(one for one in zones if qname.endswith(one.zone))
        for pointer in reverse.find(qname, codes.PTR).records:
            assert has(zones, pointer.rdata, qtype, address), to_text(pointer.rdata)
    for zone in zones:
        server = zone.soa.rdata[: zone.soa.rdata.index(b"\0") + 1]
        assert zone.find(server, codes.A).records or zone.find(server, codes.AAAA).records
        glue = zone.find(zone.zone, codes.NS)
        assert glue.records
        addresses = {(one.name, one.rtype, one.rdata) for one in glue.additional}
        assert {one.rdata for one in glue.records} == {name for name, _, _ in addresses}
        fixed = {one.rdata for qtype in (codes.A, codes.AAAA) for one in zone.find(server, qtype).records}
        assert fixed == {rdata for _, _, rdata in addresses}
        for target, qtype, rdata in addresses:
            assert has(zones, target, qtype, rdata), to_text(target)


made = {"objects": st.lists(of_kind(Service, EndpointSlice), max_size=12), "use_pod_names": st.booleans()}


@settings(max_examples=100, deadline=None)
@given(
    ignores_empty=st.booleans(),
    served=st.sampled_from(((), ("prod",), ("prod", "kube-system"))),
    local=some_ips,
    **made,
)
def test_every_name_that_a_zone_gives_out_resolves(
    objects: list[Object], use_pod_names: bool, ignores_empty: bool, served: tuple[str, ...], local: tuple[str, ...]
) -> None:
    index = index_of(objects, served=served, use_pod_names=use_pod_names)
    zones = [
        ClusterZone(
            zone,
            index,
            primary=PRIMARY,
            ttl_seconds=5,
            pods=PodMode.DISABLED,
            ignores_empty=ignores_empty,
            local_addresses=lambda: tuple(map(packed, local)),
        )
        for zone in ZONES
    ]
    assert_all_names_resolve(zones)


@settings(max_examples=100, deadline=None)
@given(
    objects=st.lists(of_kind(ServiceImport, ImportedSlice), max_size=12), use_pod_names=st.booleans(), local=some_ips
)
def test_every_name_of_a_zone_of_imports_resolves(
    objects: list[Object], use_pod_names: bool, local: tuple[str, ...]
) -> None:
    index = index_of(objects, served=(), use_pod_names=use_pod_names)
    zones: list[ClusterZone] = [
        ImportZone(
            zone,
            index,
            primary=PRIMARY,
            ttl_seconds=5,
            pods=PodMode.DISABLED,
            local_addresses=lambda: tuple(map(packed, local)),
        )
        for zone in ZONES
    ]
    assert_all_names_resolve(zones)


WITHOUT_POINTER = {
    "a slice without a Service": ([], {}),
    "the slice of an ExternalName": ([Service("prod", "web", type="ExternalName", external_name="example.com")], {}),
    "a Service whose namespace does not exist": ([Service("gone", "web", headless=True)], {}),
    "a Service of another namespace": ([Service("kube-system", "web", headless=True)], {"served": ("prod",)}),
}


@pytest.mark.parametrize(("objects", "options"), WITHOUT_POINTER.values(), ids=WITHOUT_POINTER)
def test_an_address_whose_name_would_not_resolve_has_no_pointer(
    objects: list[Object], options: dict[str, tuple[str, ...]]
) -> None:
    namespace = objects[0].namespace if objects else "prod"
    listed = EndpointSlice(namespace, "s", "web", PORTS, (Endpoint(("10.0.0.1",), "db-0"),))
    known: list[Object] = [Namespace(one) for one in ("prod", "kube-system")]
    index = index_of([*known, *objects, listed], served=options.get("served", ()), use_pod_names=False)
    reverse = ClusterZone(ZONES[1], index, primary=PRIMARY, ttl_seconds=5, pods=PodMode.DISABLED)
    qname = from_address(packed("10.0.0.1"))
    before = reverse.find(qname, codes.PTR)
    assert not before.exists
    # the Service turns up, and the answer depended on that
    dependencies: set[object] = set()
    index.subscribe(dependencies.update)
    index.apply(Change(None, Namespace("prod")))
    old = objects[0] if namespace == "prod" and objects else None
    index.apply(Change(old, Service("prod", "web", headless=True)))
    index.apply(Change(None, EndpointSlice("prod", "s", "web", PORTS, listed.endpoints)))
    assert dependencies & set(before.dependencies)
    assert [to_text(one.rdata) for one in reverse.find(qname, codes.PTR).records] == [
        "db-0.web.prod.svc.cluster.local."
    ]


SHARED = packed("10.0.0.1")


def shared_address(*services: tuple[str, str, tuple[str, ...]], served: tuple[str, ...] = ()) -> Index:
    """Make an index of headless Services, each with endpoints of these hostnames at one address, and some without."""
    objects: list[Object] = [Namespace(one) for one in sorted({namespace for namespace, _, _ in services})]
    for namespace, service, hostnames in services:
        objects.append(Service(namespace, service, headless=True))
        for number, start in enumerate(range(0, len(hostnames), 50)):
            several = tuple(Endpoint(("10.0.0.1",), one) for one in hostnames[start : start + 50])
            objects.append(EndpointSlice(namespace, f"{service}-{number}", service, PORTS, several))
    return index_of(objects, served=served, use_pod_names=False)


def reverse_of(index: Index) -> ClusterZone:
    return ClusterZone(ZONES[1], index, primary=PRIMARY, ttl_seconds=5, pods=PodMode.DISABLED)


MANY = tuple(f"db-{number}" for number in range(150))
SERVICES = {
    "one Service": [("prod", "web", MANY)],
    "a Service whose slices repeat names": [("prod", "web", (*MANY, *MANY, *("db-7",) * 200))],
    "Services of one namespace": [("prod", f"web-{number}", ("db",)) for number in range(150)],
    "Services of a namespace each": [(f"ns-{number}", "web", ("db",)) for number in range(150)],
    "both, and endpoints without a hostname": [
        *[(f"ns-{number}", "web", ("db", "", "10-0-0-1")) for number in range(70)],
        *[("prod", f"web-{number}", MANY[: 1 + number % 40]) for number in range(70)],
        ("zoo", "web", ("", *MANY)),
    ],
    "names of 255 bytes, and longer ones": [
        ("n" * 63, "s" * 63, tuple("h" * size + f"{number:02}" for size in (61, 49) for number in range(50)))
    ],
}


@pytest.mark.parametrize("services", SERVICES.values(), ids=SERVICES)
def test_an_address_of_many_endpoints_has_the_name_of_each(services: list[tuple[str, str, tuple[str, ...]]]) -> None:
    targets = [
        to_text(one.rdata)
        for one in reverse_of(shared_address(*services)).find(from_address(SHARED), codes.PTR).records
    ]
    names = {
        f"{hostname or '10-0-0-1'}.{service}.{namespace}.svc.cluster.local."
        for namespace, service, hostnames in services
        for hostname in hostnames
    }
    assert sorted(targets) == sorted(one for one in names if len(one) <= 254)


def test_the_pointers_of_many_endpoints_are_made_once_for_each_state() -> None:
    namespaces = Namespaces()
    indexes = [Index(namespaces=namespaces), Index(namespaces=namespaces)]  # a change of one affects the other
    indexes[0].apply(Change(None, Namespace("prod")))
    for number in range(40):
        indexes[1].apply(Change(None, Service("prod", f"web-{number}", headless=True)))
        listed = EndpointSlice("prod", f"web-{number}", f"web-{number}", PORTS, (Endpoint(("10.0.0.1",), "db"),))
        indexes[1].apply(Change(None, listed))
    reverse, qname = reverse_of(indexes[1]), from_address(SHARED)
    found = reverse.find(qname, codes.PTR)
    assert len(found.records) == 40
    assert reverse.find(qname, codes.PTR) is found
    assert not reverse.find(qname, codes.TXT).records
    assert reverse.find(qname, codes.PTR) == found
    indexes[0].apply(Change(Namespace("prod"), None))
    assert not reverse.find(qname, codes.PTR).exists
    indexes[0].apply(Change(None, Namespace("prod")))
    assert reverse.find(qname, codes.PTR) == found
    indexes[1].apply(Change(Service("prod", "web-7", headless=True), None))
    assert len(reverse.find(qname, codes.PTR).records) == 39
    indexes[1].apply(Change(None, EndpointSlice("prod", "more", "web-8", PORTS, (Endpoint(("10.0.0.1",), "more"),))))
    assert len(reverse.find(qname, codes.PTR).records) == 40


def test_an_address_of_many_endpoints_leaves_out_services_without_names() -> None:
    services = [(namespace, f"web-{number}", ("db",)) for namespace in ("prod", "dev") for number in range(100)]
    index = shared_address(*services, served=("prod",))
    index.apply(Change(Service("prod", "web-1", headless=True), None))
    index.apply(Change(Service("prod", "web-2", headless=True), Service("prod", "web-2", type="ExternalName")))
    reverse, qname = reverse_of(index), from_address(SHARED)
    expected = {f"db.web-{number}.prod.svc.cluster.local." for number in range(100) if number not in (1, 2)}
    assert {to_text(one.rdata) for one in reverse.find(qname, codes.PTR).records} == expected
    assert reverse.find(qname, codes.TXT) == reverse.find(qname, codes.PTR)._replace(records=())
    index.apply(Change(Namespace("prod"), None))
    assert not reverse.find(qname, codes.PTR).exists


@pytest.mark.parametrize(
    "change",
    [
        Change(Service("prod", "web-7", headless=True), None),
        Change(Service("prod", "web-7", headless=True), Service("prod", "web-7", type="ExternalName")),
        Change(Namespace("prod"), None),
        Change(None, EndpointSlice("prod", "more", "web-7", PORTS, (Endpoint(("10.0.0.1",), "more"),))),
        Change(EndpointSlice("prod", "web-7-0", "web-7", PORTS, (Endpoint(("10.0.0.1",), "db"),)), None),
    ],
    ids=["Service deleted", "Service renamed", "namespace deleted", "endpoint added", "endpoint removed"],
)
def test_the_pointers_of_many_services_depend_on_each_with_few_dependencies(change: Change) -> None:
    index = shared_address(*[("prod", f"web-{number}", ("db",)) for number in range(100)])
    reverse, qname = reverse_of(index), from_address(SHARED)
    before = reverse.find(qname, codes.PTR)
    touched: set[object] = set()
    index.subscribe(touched.update)
    index.apply(change)
    assert len(before.dependencies) < 5
    assert touched & set(before.dependencies)
    assert reverse.find(qname, codes.PTR).records != before.records


@pytest.mark.parametrize("ignores_empty", [False, True])
def test_a_service_that_is_hidden_while_empty_has_no_pointer_then(ignores_empty: bool) -> None:
    index = index_of(
        [Namespace("prod"), Service("prod", "web", cluster_ips=("10.96.0.1",))], served=(), use_pod_names=False
    )
    reverse = ClusterZone(
        ZONES[1], index, primary=PRIMARY, ttl_seconds=5, pods=PodMode.DISABLED, ignores_empty=ignores_empty
    )
    qname = from_address(packed("10.96.0.1"))
    found = reverse.find(qname, codes.PTR)
    assert found.exists != ignores_empty
    dependencies: set[object] = set()
    index.subscribe(dependencies.update)
    index.apply(Change(None, EndpointSlice("prod", "s", "web", PORTS, (Endpoint(("10.0.0.1",)),))))
    assert dependencies & set(found.dependencies)
    assert reverse.find(qname, codes.PTR).exists


@pytest.mark.parametrize("zone", ZONES[:2])
@pytest.mark.parametrize(
    ("served", "target"),
    [((), "kube-dns.kube-system.svc."), (("kube-system",), "kube-dns.kube-system.svc."), (("prod",), "ns.dns.")],
)
def test_the_name_server_is_the_dns_service_only_where_its_namespace_is_served(
    served: tuple[str, ...], target: str, zone: bytes
) -> None:
    dns = Service("kube-system", "kube-dns", cluster_ips=("10.96.0.10",), ports=PORTS)
    listed = EndpointSlice("kube-system", "s", "kube-dns", PORTS, (Endpoint(("10.0.0.1",)),))
    index = index_of([Namespace("kube-system"), dns, listed], served=served, use_pod_names=False)
    own = ClusterZone(
        zone,
        index,
        primary=PRIMARY,
        ttl_seconds=5,
        pods=PodMode.DISABLED,
        local_addresses=lambda: (packed("10.0.0.1"),),
    )
    found = own.find(zone, codes.NS)
    assert [one.rdata for one in found.records] == [from_text(target + to_text(zone))]
    address = packed("10.0.0.1" if target == "ns.dns." else "10.96.0.10")
    assert [(one.name, one.rdata) for one in found.additional] == [(found.records[0].rdata, address)]


DOTTED = b"\x05web.0\x02db\x04prod\x03svc" + PRIMARY


def test_a_pod_name_with_a_dot_is_one_label_which_resolves() -> None:
    pod = Endpoint(("10.0.0.1",), target_name="web.0")
    objects: list[Object] = [
        Namespace("prod"),
        Service("prod", "db", headless=True),
        EndpointSlice("prod", "s", "db", PORTS, (pod,)),
    ]
    index = index_of(objects, served=(), use_pod_names=True)
    forward, reverse = (
        ClusterZone(zone, index, primary=PRIMARY, ttl_seconds=5, pods=PodMode.DISABLED) for zone in ZONES[:2]
    )
    pointers = reverse.find(from_address(packed("10.0.0.1")), codes.PTR).records
    targets = {one.rdata[6:] for one in forward.find(from_text("db.prod.svc.cluster.local."), codes.SRV).records}
    assert {one.rdata for one in pointers} == targets == {DOTTED}
    assert [one.rdata for one in forward.find(DOTTED, codes.A).records] == [packed("10.0.0.1")]


@pytest.mark.parametrize(
    ("qname", "qtype", "expected"),
    [
        ("svc.in-addr.arpa.", codes.A, 0),
        ("pod.in-addr.arpa.", codes.A, 0),
        ("dns.in-addr.arpa.", codes.SOA, 0),
        ("ns.dns.in-addr.arpa.", codes.A, 1),
        ("dns-version.in-addr.arpa.", codes.TXT, 1),
        ("db.prod.svc.in-addr.arpa.", codes.A, 1),
        ("prod.svc.in-addr.arpa.", codes.A, 0),
        ("svc.10.in-addr.arpa.", codes.A, None),
        ("x.svc.in-addr.arpa.", codes.A, None),
        ("other.in-addr.arpa.", codes.A, None),
    ],
)
def test_the_names_of_a_cluster_exist_below_a_reverse_zone(qname: str, qtype: int, expected: int | None) -> None:
    listed = EndpointSlice("prod", "s", "db", PORTS, (Endpoint(("10.0.0.1",)),))
    index = index_of([Namespace("prod"), Service("prod", "db", headless=True), listed], served=(), use_pod_names=False)
    reverse = ClusterZone(
        ZONES[1],
        index,
        primary=PRIMARY,
        ttl_seconds=5,
        pods=PodMode.DISABLED,
        local_addresses=lambda: (packed("10.9.9.9"),),
    )
    found = reverse.find(from_text(qname), qtype)
    assert (len(found.records) if found.exists else None) == expected
