"""The work of an event or a query does not grow faster than what changed, however endpoints are named.

Work is counted as calls of functions, those written in C too, not as time.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from wire.messages import make_query

from clusterdns.answers.compiled import compile_answer
from clusterdns.chain import Reply
from clusterdns.cluster.index.cluster import MAX_ADDRESSES_PER_STEP, Index
from clusterdns.cluster.index.external import ExternalZone
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.service import ServiceEntry
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import (
    Change,
    Endpoint,
    EndpointSlice,
    Namespace,
    Object,
    Pod,
    Port,
    Service,
    ServiceImport,
    packed,
)
from clusterdns.plugins.loadbalance.handler import mark_rotating
from clusterdns.telemetry.metrics import Registry
from clusterdns.telemetry.queries import QueryCounters, QueryOutcome
from clusterdns.wire import codes, encode
from clusterdns.wire.name import from_address, from_text

ZONE = from_text("cluster.local.")
PORTS = (Port("pg", 5432, "TCP"),)
SMALL, LARGE = 500, 4_000
OUTCOME = QueryCounters(Registry(), "dns://:53").counter(
    QueryOutcome("cluster.local.", "udp", "1", "A", "NOERROR", False, 57, 106)
)

Naming = Callable[[int], Endpoint]


def v4(number: int) -> str:
    return str(IPv4Address("10.128.0.0") + number)


NAMINGS: dict[str, Naming] = {
    "by address": lambda number: Endpoint((v4(number),)),
    "IPv6": lambda number: Endpoint((str(IPv6Address("fd00::") + number),)),
    "one hostname": lambda number: Endpoint((v4(number),), "db"),
    "one hostname in two spellings": lambda number: Endpoint((v4(number),), ("db", "DB")[number % 2]),
    "hostnames": lambda number: Endpoint((v4(number),), f"db-{number}"),
    "one pod": lambda number: Endpoint((v4(number),), "", "Db-0"),
    "pods": lambda number: Endpoint((v4(number),), "", f"Db-{number}"),
    "one address": lambda number: Endpoint(("10.0.0.1",), f"db-{number}"),
    "all the same": lambda number: Endpoint(("10.0.0.1",), "db", f"pod-{number}"),
}


def calls_of(work: Callable[[], object]) -> int:
    count = 0

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def slice_of(naming: Naming, number: int, size: int, offset: int = 0) -> EndpointSlice:
    endpoints = tuple(naming(number * size + step + offset) for step in range(size))
    return EndpointSlice("prod", f"db-{number}", "db", PORTS, endpoints)


def index_of(naming: Naming, size: int, *, per_slice: int = 100, moves: bool = True) -> Index:
    index = Index(use_pod_names=True, zonal=True, call_later=(lambda call: None) if moves else None)
    index.synced = True
    index.apply(Change(None, Namespace("prod")))
    index.apply(Change(None, Service("prod", "db", headless=True, ports=PORTS)))
    for number in range(size // per_slice):
        index.apply(Change(None, slice_of(naming, number, per_slice)))
    return index


@functools.cache
def zone_of(naming_name: str, size: int) -> ClusterZone:
    """A zone over an index that no test changes."""
    index = index_of(NAMINGS[naming_name], size)
    return ClusterZone(ZONE, index, primary=ZONE, ttl_seconds=5, pods=PodMode.DISABLED, zonal=True)


def events(naming: Naming) -> Iterator[tuple[str, Change]]:
    """One change of each kind, for a Service that has slices 1 and 2 of 100 endpoints."""
    old = slice_of(naming, 1, 100)
    one_less = EndpointSlice("prod", "db-1", "db", PORTS, old.endpoints[1:])
    yield "endpoint removed", Change(old, one_less)
    yield "endpoint added", Change(one_less, old)
    yield "other ports", Change(old, EndpointSlice("prod", "db-1", "db", (Port("x", 1, "TCP"),), old.endpoints))
    yield "slice deleted", Change(slice_of(naming, 2, 100), None)
    yield "slice added", Change(None, slice_of(naming, 2, 100))
    yield "Service changed", Change(None, Service("prod", "db", headless=True, ports=()))
    yield "Service deleted", Change(Service("prod", "db"), None)
    yield "namespace deleted", Change(Namespace("prod"), None)


@pytest.mark.parametrize("naming", NAMINGS.values(), ids=NAMINGS)
def test_an_event_costs_as_much_as_what_changed(naming: Naming) -> None:
    indexes = [index_of(naming, size) for size in (SMALL, LARGE)]
    for what, change in events(naming):
        small, large = (calls_of(lambda: index.apply(change)) for index in indexes)  # noqa: B023
        assert large < 1.5 * small + 100, what


@pytest.mark.parametrize("naming", NAMINGS.values(), ids=NAMINGS)
def test_a_slice_costs_in_proportion_to_its_size(naming: Naming) -> None:
    costs = []
    for size in (250, 2000):
        index = index_of(naming, SMALL)
        costs.append(calls_of(lambda: index.apply(Change(None, slice_of(naming, 9, size)))))  # noqa: B023
    assert costs[1] < 1.5 * 8 * costs[0]


@pytest.mark.parametrize("naming", NAMINGS.values(), ids=NAMINGS)
def test_a_large_slice_is_applied_in_steps_of_bounded_size(naming: Naming) -> None:
    index = index_of(naming, SMALL, per_slice=500)
    touched: list[int] = []
    index.subscribe(lambda dependencies: touched.append(len(dependencies)))
    for change in (
        Change(None, slice_of(naming, 5, 1000)),
        Change(slice_of(naming, 5, 1000), slice_of(naming, 5, 1000, offset=500)),
        Change(slice_of(naming, 5, 1000, offset=500), None),
    ):
        touched.clear()
        steps = index.steps(change)
        costs = [calls_of(lambda: next(steps, None)) for _ in range(20)]  # noqa: B023
        assert next(steps, None) is None
        assert max(touched) <= 2 * MAX_ADDRESSES_PER_STEP + 1
        assert max(costs) < 20_000  # a few milliseconds


def test_between_two_steps_no_endpoint_is_missing() -> None:
    index = index_of(NAMINGS["hostnames"], SMALL)
    zone = ClusterZone(ZONE, index, primary=ZONE, ttl_seconds=5, pods=PodMode.DISABLED)
    before, after = slice_of(NAMINGS["hostnames"], 5, 1000), slice_of(NAMINGS["hostnames"], 5, 1000, offset=500)
    index.apply(Change(None, before))
    stays = {f"db-{number}" for number in range(5500, 6000)}
    for _ in index.steps(Change(before, after)):
        records = zone.find(from_text("db.prod.svc.cluster.local."), codes.A).records
        shown = {one.rdata for one in records}
        assert {packed(v4(int(name[3:]))) for name in stays} <= shown
        assert all(zone.find(from_text(f"{name}.db.prod.svc.cluster.local."), codes.A).exists for name in stays)
    assert {packed(v4(number)) for number in range(5500, 6500)} <= shown


def test_a_change_that_was_interrupted_is_completed_by_the_next() -> None:
    naming = NAMINGS["hostnames"]
    index, expected = index_of(naming, SMALL, moves=False), index_of(naming, SMALL, moves=False)
    next(iter(index.steps(Change(None, slice_of(naming, 5, 1000)))))
    last = slice_of(naming, 5, 600, offset=777)
    for one in (index, expected):
        one.apply(Change(None, last))
    entries = [one.service(b"prod", b"db") for one in (index, expected)]
    assert entries[0] is not None
    assert entries[1] is not None
    assert list(entries[0].endpoints()) == list(entries[1].endpoints())
    assert sorted(index.reverse.addresses()) == sorted(expected.reverse.addresses())


QUESTIONS = [
    ("db.prod.svc", codes.A),
    ("db.prod.svc", codes.AAAA),
    ("db.prod.svc", codes.SRV),
    ("_pg._tcp.db.prod.svc", codes.A),
    ("_pg._tcp.db.prod.svc", codes.SRV),
    ("db.db.prod.svc", codes.A),
    ("db.db.prod.svc", codes.SRV),
    ("db-0.db.prod.svc", codes.A),
    ("db-0.db.prod.svc", codes.SRV),
    ("_tcp.db.prod.svc", codes.A),
    ("a.prefer._zone.db.prod.svc", codes.SRV),
]


@pytest.mark.parametrize("naming_name", NAMINGS)
@pytest.mark.parametrize(("qname", "qtype"), QUESTIONS)
def test_a_question_costs_little_and_nothing_more_when_asked_again(naming_name: str, qname: str, qtype: int) -> None:
    """The first time it takes a few calls per endpoint, and later those of a small Service."""
    full = from_text(f"{qname}.cluster.local.")
    costs = {}
    for size in (SMALL, LARGE):
        zone = zone_of(naming_name, size)
        entry = zone.index.service(b"prod", b"db")
        assert entry is not None
        entry.clear_cache()
        first = calls_of(lambda: zone.find(full, qtype))  # noqa: B023
        assert first < 32 * size
        costs[size] = calls_of(lambda: zone.find(full, qtype))  # noqa: B023
    if not qname.startswith("a.prefer"):  # clients can make up any number of such names
        assert costs[LARGE] <= costs[SMALL] + 5


@functools.cache
def zones_of(naming_name: str, size: int) -> tuple[Index, dict[int, ClusterZone]]:
    """An index that no test changes, in slices of a thousand, with its zones by QTYPE: PTR is in the reverse zone."""
    index = index_of(NAMINGS[naming_name], size, per_slice=1000)
    forward, backward = (
        ClusterZone(zone, index, primary=ZONE, ttl_seconds=5, pods=PodMode.DISABLED)
        for zone in (ZONE, from_text("in-addr.arpa."))
    )
    return index, {codes.A: forward, codes.AAAA: forward, codes.SRV: forward, codes.PTR: backward}


def asked(naming_name: str, size: int, qname: str, qtype: int, payload: int, transport: str) -> int:
    """Count the calls that make a message after one slice has changed, and those that make it ready for reuse."""
    index, zones = zones_of(naming_name, size)
    entry = index.service(b"prod", b"db")
    assert entry is not None
    query = make_query(qname, transport=transport, use_edns=0, payload=payload)

    def ask(*, for_reuse: bool) -> None:
        found = zones[qtype].find(query.name, qtype)
        reply = Reply(codes.NOERROR, found.records, (), found.additional)
        mark_rotating(query, reply, 0.0)
        encoded = encode.encode(query, reply, for_reuse=for_reuse)
        encode.uncompressed_size(query, reply)
        assert len(compile_answer(encoded, None, OUTCOME, (), False).message()) <= query.size_limit

    ask(for_reuse=False)
    index.apply(Change(None, slice_of(NAMINGS[naming_name], 0, 1000)))
    entry.clear_cache()
    return calls_of(lambda: ask(for_reuse=False)) + calls_of(lambda: ask(for_reuse=True))


@pytest.mark.parametrize("naming_name", NAMINGS)
@pytest.mark.parametrize(
    ("qname", "qtype"),
    [
        ("db.prod.svc.cluster.local.", codes.A),
        ("db.prod.svc.cluster.local.", codes.AAAA),
        ("db.prod.svc.cluster.local.", codes.SRV),
        ("_pg._tcp.db.prod.svc.cluster.local.", codes.A),
        ("_pg._tcp.db.prod.svc.cluster.local.", codes.SRV),
        ("db.db.prod.svc.cluster.local.", codes.A),
        ("db.db.prod.svc.cluster.local.", codes.SRV),
        ("1.0.0.10.in-addr.arpa.", codes.PTR),
    ],
)
def test_a_message_costs_as_much_as_it_has_space_for(naming_name: str, qname: str, qtype: int) -> None:
    for transport, payload in (("udp", 512), ("udp", 1232), ("udp", 4096), ("tcp", 1232)):
        few, many = (asked(naming_name, size, qname, qtype, payload, transport) for size in (6_000, 12_000))
        assert many < 1.1 * few + 200, (transport, payload)


@pytest.mark.parametrize("naming_name", ["one address", "all the same"])
def test_a_reverse_name_has_no_more_pointers_than_fill_a_message(naming_name: str) -> None:
    index = zone_of(naming_name, LARGE).index
    reverse = ClusterZone(from_text("in-addr.arpa."), index, primary=ZONE, ttl_seconds=5, pods=PodMode.DISABLED)
    qname = from_address(packed("10.0.0.1"))
    assert calls_of(lambda: reverse.find(qname, codes.PTR)) < 25 * LARGE
    assert len(reverse.find(qname, codes.PTR).records) <= 65535 // 12


def test_the_pointers_of_an_address_of_many_services_cost_as_much_as_a_message_has_space_for() -> None:
    index = Index(use_pod_names=True)
    index.apply(Change(None, Namespace("prod")))
    for number in range(LARGE):
        endpoints = (Endpoint(("10.0.0.1",), "db"), *([Endpoint(("10.0.0.1",), "", "db")] if number < 3 else ()))
        index.apply(Change(None, Service("prod", f"web-{number:04}", headless=True, ports=PORTS)))
        index.apply(Change(None, EndpointSlice("prod", f"s-{number}", f"web-{number:04}", PORTS, endpoints)))
    for step in range(3):  # the same names once more, of endpoints that share their Service
        more = tuple(Endpoint(("10.0.0.1",), "", pod) for pod in ("db", f"pod-{step}"))
        index.apply(Change(None, EndpointSlice("prod", f"more-{step}", "web-0000", PORTS, more)))
    reverse = ClusterZone(from_text("in-addr.arpa."), index, primary=ZONE, ttl_seconds=5, pods=PodMode.DISABLED)
    qname = from_address(packed("10.0.0.1"))
    targets = [one.rdata for one in reverse.find(qname, codes.PTR).records]
    pods = {from_text(f"pod-{step}.web-0000.prod.svc.cluster.local.") for step in range(3)}
    several = [from_text(f"db.web-{number:04}.prod.svc.cluster.local.") for number in range(LARGE)]
    assert [one for one in targets if one not in pods] == several[: len(set(targets) - pods)]
    assert len(targets) == len(set(targets))
    assert 65535 // 32 < len(targets) < 65535 // 24
    again = ClusterZone(from_text("in-addr.arpa."), index, primary=ZONE, ttl_seconds=5, pods=PodMode.DISABLED)
    assert 100 < calls_of(lambda: again.find(qname, codes.PTR)) < 30 * len(targets)


def test_the_name_servers_of_a_host_of_many_services_cost_the_same_whatever_their_number() -> None:
    calls, names = [], []
    for count in (1_000, 3_000):
        index = Index()
        index.apply(Change(None, Namespace("prod")))
        for number in range(count):
            name = f"web-{number:04}"
            index.apply(Change(None, Service("prod", name, headless=True, ports=PORTS, external=("192.0.2.1",))))
            index.apply(Change(None, EndpointSlice("prod", name, name, PORTS, (Endpoint(("10.0.0.1",), "db"),))))
        for zone in (
            ClusterZone(ZONE, index, primary=ZONE, ttl_seconds=5, pods=PodMode.DISABLED, local_addresses=_local),
            ExternalZone(
                ZONE, index, primary=ZONE, apex=b"\x03dns", ttl_seconds=5, headless=True, local_addresses=_local
            ),
        ):
            found = zone.find(ZONE, codes.NS)
            names.append(len(found.records))
            assert 0 < len(found.dependencies) < 600
            calls.append(calls_of(lambda: zone.find(ZONE, codes.NS)))  # noqa: B023
    assert names == [64, 1, 64, 1]
    assert calls[2] < 1.1 * calls[0]
    assert calls[3] < 1.1 * calls[1]


def _local() -> list[bytes]:
    return [packed("10.0.0.1")]


def test_external_targets_are_read_from_what_slices_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    index = index_of(NAMINGS["hostnames"], LARGE)
    external, cluster = (
        ExternalZone(ZONE, index, primary=ZONE, apex=b"\x03dns", ttl_seconds=5, headless=True, local_addresses=tuple),
        zone_of("hostnames", LARGE),
    )
    monkeypatch.delattr(ServiceEntry, "endpoints")
    for port in ("", "_pg._tcp."):
        for qtype in (codes.A, codes.SRV):
            found = external.find(from_text(f"{port}db.prod.cluster.local."), qtype).records
            expected = cluster.find(from_text(f"{port}db.prod.svc.cluster.local."), qtype).records
            assert len(found) >= len(expected) > 1_000
            assert {one.rdata[:8] for one in found} >= {one.rdata[:8] for one in expected}


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_external_names_of_a_large_service_are_made_once(size: int) -> None:
    index = index_of(NAMINGS["one hostname"], size)
    zone = ExternalZone(ZONE, index, primary=ZONE, apex=b"\x03dns", ttl_seconds=5, headless=True, local_addresses=tuple)
    for qname in ("db.prod", "db.db.prod", "_pg._tcp.db.prod"):
        for qtype in (codes.A, codes.SRV):
            full = from_text(f"{qname}.cluster.local.")
            zone.find(full, qtype)
            assert calls_of(lambda: zone.find(full, qtype)) < 40  # noqa: B023


@pytest.mark.parametrize(
    "make",
    [
        lambda number: Pod("prod", f"pod-{number}", ips=("10.0.0.1",)),
        lambda number: Service("prod", f"web-{number}", cluster_ips=("10.96.0.1",), external=("192.0.2.1",)),
        lambda number: ServiceImport("prod", f"web-{number}", cluster_ips=("10.96.0.1",)),
        lambda number: EndpointSlice("prod", f"s-{number}", "db", PORTS, (Endpoint(("10.0.0.1",), "db"),)),
        lambda number: EndpointSlice("prod", f"s-{number}", f"db-{number}", PORTS, (Endpoint(("10.0.0.1",)),)),
        lambda number: Namespace(f"ns-{number}"),
    ],
    ids=["pods", "services", "imports", "slices", "slices of many services", "namespaces"],
)
def test_objects_that_share_an_address_cost_the_same_each(make: Callable[[int], Object]) -> None:
    index = Index(call_later=lambda call: None)
    assert not list(index.external.addresses())
    for number in range(2000):
        index.apply(Change(None, make(number)))
    added = calls_of(lambda: index.apply(Change(None, make(2000))))
    changed = calls_of(lambda: index.apply(Change(make(1000), None)))
    assert max(added, changed) < 300


def test_external_names_cost_as_much_as_a_message_has_space_for() -> None:
    index = Index()
    index.apply(Change(None, Namespace("prod")))
    hosts = tuple(f"host-{number}.example.com" for number in range(6_000))
    index.apply(Change(None, Service("prod", "balanced", ports=PORTS, external=hosts)))
    for number in range(6_000):
        index.apply(Change(None, Service("prod", f"web-{number}", ports=PORTS, external=("192.0.2.1",))))
    forward, backward = (
        ExternalZone(zone, index, primary=ZONE, apex=b"\x03dns", ttl_seconds=5, headless=True, local_addresses=tuple)
        for zone in (ZONE, from_text("in-addr.arpa."))
    )
    pointers = backward.find(from_address(packed("192.0.2.1")), codes.PTR).records
    assert 65535 // 32 < len(pointers) < 65535 // 15
    balanced = from_text("balanced.prod.cluster.local.")
    assert calls_of(lambda: forward.find(balanced, codes.A)) < 2 * len(hosts)
    assert 65535 // 48 < len(forward.find(balanced, codes.SRV).records) < 65535 // 16
