"""An endpoint that moves between two slices of its Service never disappears, in whatever order the two changes come.

Asked after every change: the Service's name, the endpoint's own name, and the reverse name. What is really gone is gone
at once, or after the time that a move may take.
"""

import time
from collections.abc import Callable

import pytest

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import (
    Change,
    Endpoint,
    EndpointSlice,
    ImportedSlice,
    Namespace,
    Port,
    Service,
    packed,
)
from clusterdns.wire import codes
from clusterdns.wire.name import from_address, from_text

PORTS = (Port("pg", 5432, "TCP"),)
NEW_PORTS = (Port("pg", 5433, "TCP"),)
STAYS, MOVES = "10.1.0.1", "10.1.0.2"


def slice_of(
    name: str, *addresses: str, unready: tuple[str, ...] = (), ports: tuple[Port, ...] = PORTS
) -> EndpointSlice:
    return EndpointSlice(
        "prod", name, "db", ports, tuple(Endpoint((one,), f"db-{one[-1]}") for one in addresses), unready
    )


class Cluster:
    """An index with a headless Service of two slices, queried through its zones, with a clock that tests advance."""

    def __init__(self) -> None:
        self.timers: list[Callable[[], None]] = []
        self.forgotten: set[object] = set()
        self.index = Index(call_later=self.timers.append)
        self.index.subscribe(self.forgotten.update)
        names = [from_text("cluster.local."), from_text("in-addr.arpa.")]
        self.zones = [
            ClusterZone(zone, self.index, primary=names[0], ttl_seconds=5, pods=PodMode.DISABLED) for zone in names
        ]
        self.slices: dict[str, EndpointSlice] = {}
        self.index.apply(Change(None, Namespace("prod")))
        self.index.apply(Change(None, Service("prod", "db", headless=True, ports=PORTS)))

    def put(self, new: EndpointSlice, *, is_event: bool = False) -> None:
        self.forgotten.clear()
        self.index.apply(Change(self.slices.get(new.name), new, is_event))
        self.slices[new.name] = new

    def remove(self, name: str) -> None:
        self.index.apply(Change(self.slices.pop(name), None))

    def pass_time(self) -> None:
        timers, self.timers[:] = list(self.timers), []
        for timer in timers:
            timer()

    def has(self, address: str) -> bool:
        """Whether the endpoint exists, under all its names or none."""
        forward, reverse = self.zones
        service = forward.find(from_text("db.prod.svc.cluster.local."), codes.A).records
        own = forward.find(from_text(f"db-{address[-1]}.db.prod.svc.cluster.local."), codes.A).records
        pointer = reverse.find(from_address(packed(address)), codes.PTR).records
        answers = {any(one.rdata == packed(address) for one in service), bool(own), bool(pointer)}
        assert len(answers) == 1
        return answers.pop()


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.put(slice_of("one", STAYS, MOVES))
    made.put(slice_of("two", "10.1.0.9"))
    return made


LEAVE, ARRIVE = slice_of("one", STAYS), slice_of("two", "10.1.0.9", MOVES)


@pytest.mark.parametrize("events", [(LEAVE, ARRIVE), (ARRIVE, LEAVE)], ids=["leaves first", "arrives first"])
def test_an_endpoint_that_moves_is_always_answered(cluster: Cluster, events: tuple[EndpointSlice, ...]) -> None:
    for event in events:
        cluster.put(event)
        assert cluster.has(MOVES)
        assert cluster.has(STAYS)
    cluster.pass_time()
    assert cluster.has(MOVES)
    cluster.put(slice_of("two", "10.1.0.9", unready=(MOVES,)))
    assert not cluster.has(MOVES)


def test_an_event_takes_an_endpoint_away_at_once(cluster: Cluster) -> None:
    cluster.put(LEAVE, is_event=True)
    assert not cluster.has(MOVES)
    assert not cluster.timers
    cluster.put(ARRIVE, is_event=True)
    assert cluster.has(MOVES)


@pytest.mark.parametrize("first", ["one", "two"])
def test_slices_that_are_filled_anew_for_other_ports_may_change_places(cluster: Cluster, first: str) -> None:
    changes = {
        "one": slice_of("one", "10.1.0.9", ports=NEW_PORTS),
        "two": slice_of("two", STAYS, MOVES, ports=NEW_PORTS),
    }
    for change in sorted(changes.values(), key=lambda one: one.name != first):
        cluster.put(change, is_event=True)
        assert all(map(cluster.has, (STAYS, MOVES, "10.1.0.9")))
    cluster.pass_time()
    assert all(map(cluster.has, (STAYS, MOVES, "10.1.0.9")))


def test_a_slice_is_deleted_after_its_endpoints_have_moved(cluster: Cluster) -> None:
    cluster.put(ARRIVE, is_event=True)
    cluster.remove("one")
    assert cluster.has(MOVES)
    assert not cluster.has(STAYS)
    assert not cluster.timers


def test_an_endpoint_that_no_slice_lists_again_is_removed_after_a_while(cluster: Cluster) -> None:
    cluster.put(LEAVE)
    assert cluster.has(MOVES)
    cluster.forgotten.clear()
    cluster.pass_time()
    assert not cluster.has(MOVES)
    assert cluster.has(STAYS)
    assert {(b"prod", b"db"), packed(MOVES)} <= cluster.forgotten


def test_an_endpoint_that_moves_and_is_not_ready_is_removed_at_once(cluster: Cluster) -> None:
    cluster.put(LEAVE)
    cluster.put(slice_of("two", "10.1.0.9", unready=(MOVES,)))
    assert not cluster.has(MOVES)


def test_an_endpoint_that_is_no_longer_ready_is_removed_at_once(cluster: Cluster) -> None:
    cluster.put(slice_of("one", STAYS, unready=(MOVES,)))
    assert not cluster.has(MOVES)
    assert not cluster.timers


def test_an_endpoint_that_is_not_ready_touches_no_answer(cluster: Cluster) -> None:
    serial = cluster.index.serial.wire
    cluster.index.serial.set(0)
    cluster.put(slice_of("one", STAYS, MOVES, unready=("10.1.0.7",)))
    assert not cluster.forgotten
    assert cluster.index.serial.wire == bytes(4)
    cluster.put(slice_of("one", MOVES, STAYS))
    assert (b"prod", b"db") in cluster.forgotten, "without loadbalance the order shows"
    assert cluster.index.serial.wire >= serial


def test_an_endpoint_of_the_only_slice_is_removed_at_once() -> None:
    cluster = Cluster()
    cluster.put(slice_of("one", STAYS, MOVES))
    cluster.put(LEAVE)
    assert not cluster.has(MOVES)
    assert not cluster.timers


def test_leaving_twice_waits_from_the_second_time(cluster: Cluster) -> None:
    cluster.put(LEAVE)
    cluster.put(ARRIVE)
    first = list(cluster.timers)
    cluster.put(slice_of("two", "10.1.0.9"))
    assert cluster.has(MOVES)
    for timer in first:
        timer()
    assert cluster.has(MOVES)
    cluster.put(slice_of("one", STAYS, MOVES))
    cluster.pass_time()
    assert cluster.has(MOVES)


def test_a_removed_service_leaves_no_state(cluster: Cluster) -> None:
    cluster.remove("one")
    cluster.remove("two")
    cluster.index.apply(Change(Service("prod", "db", headless=True, ports=PORTS), None))
    cluster.pass_time()
    assert not cluster.has(MOVES)
    assert not cluster.has(STAYS)
    assert list(cluster.index.services()) == []
    assert list(cluster.index.reverse.addresses()) == []


def test_removing_a_large_service_takes_linear_time(cluster: Cluster) -> None:
    names = [f"s{number}" for number in range(200)]
    for number, name in enumerate(names):
        endpoints = tuple(Endpoint((f"10.{2 + number}.0.{last}",)) for last in range(100))
        cluster.put(EndpointSlice("prod", name, "db", PORTS, endpoints))
    started = time.process_time()
    for name in names:
        cluster.remove(name)
    cluster.pass_time()
    assert time.process_time() - started < 2.0, "some 0.2 s; with each event looking at all that left before, 7 s"
    assert {address[:2] for address in cluster.index.reverse.addresses()} == {b"\x0a\x01"}


V6 = EndpointSlice("prod", "six", "db", PORTS, (Endpoint(("fd00::1",), "db-1"),), address_type="IPv6")


def typed(name: str, *addresses: str, address_type: str = "IPv4") -> EndpointSlice:
    endpoints = tuple(Endpoint((one,), f"db-{one[-1]}") for one in addresses)
    return EndpointSlice("prod", name, "db", PORTS, endpoints, address_type=address_type)


@pytest.mark.parametrize(
    ("other", "stays"),
    [(V6, False), (typed("two"), True), (typed("two", address_type=""), True), (typed("two", "10.1.0.9"), True)],
    ids=["IPv6", "empty", "of unknown type", "IPv4"],
)
def test_an_endpoint_stays_only_where_another_slice_can_list_it(other: EndpointSlice, stays: bool) -> None:
    cluster = Cluster()
    cluster.put(other)
    cluster.put(typed("one", STAYS, MOVES))
    cluster.put(typed("one", STAYS))
    assert cluster.has(MOVES) == stays
    cluster.pass_time()
    assert not cluster.has(MOVES)
    assert cluster.has(STAYS)


@pytest.mark.parametrize(("cluster_name", "stays"), [("east", True), ("west", False)])
def test_an_imported_endpoint_does_not_move_to_another_cluster(cluster_name: str, stays: bool) -> None:
    index = Index(call_later=lambda call: None)
    index.apply(Change(None, Namespace("prod")))
    endpoints = (Endpoint((MOVES,), "db-2"),)
    here = ImportedSlice("prod", "one", "db", PORTS, endpoints, cluster="east")
    index.apply(Change(None, here))
    index.apply(Change(None, ImportedSlice("prod", "two", "db", PORTS, (), cluster=cluster_name)))
    index.apply(Change(here, ImportedSlice("prod", "one", "db", PORTS, (), cluster="east")))
    assert bool(index.reverse.endpoints(packed(MOVES))) == stays
