"""A new slice is read when it is first asked for, and no answer shows whether it was."""

from itertools import permutations

import pytest

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.reverse import MAX_UNREAD_SLICES, AddressPrefixes
from clusterdns.cluster.index.service import MAX_UNREAD_ENDPOINTS
from clusterdns.cluster.index.slices import MAX_ADDRESSES_AT_ONCE, EndpointAddress, SliceReader
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import Change, Endpoint, EndpointSlice, Namespace, Object, Port, Service, packed
from clusterdns.wire import codes
from clusterdns.wire.name import from_address, from_text

PRIMARY, V4, V6 = map(from_text, ("cluster.local.", "in-addr.arpa.", "ip6.arpa."))
PORTS = (Port("http", 80, "TCP"),)


def endpoints(first: int, count: int) -> tuple[Endpoint, ...]:
    return tuple(Endpoint((f"10.{1 + one // 250}.0.{one % 250}",)) for one in range(first, first + count))


def slice_of(service: str, several: tuple[Endpoint, ...], number: int = 0) -> EndpointSlice:
    return EndpointSlice("prod", f"{service}-{number}", service, PORTS, several, (), "IPv4")


class Cluster:
    """An index with its zones."""

    def __init__(self, *objects: Object) -> None:
        self.index = Index()
        self.zones = {
            zone: ClusterZone(zone, self.index, primary=PRIMARY, ttl_seconds=5, pods=PodMode.DISABLED)
            for zone in (PRIMARY, V4, V6)
        }
        self.add(Namespace("prod"), *objects)

    def add(self, *objects: Object) -> None:
        for one in objects:
            self.index.apply(Change(None, one))

    def remove(self, obj: Object) -> None:
        self.index.apply(Change(obj, None))

    def count(self, qname: str, qtype: int = codes.A) -> int:
        return len(self.zones[PRIMARY].find(from_text(qname), qtype).records)

    def targets(self, address: str) -> list[bytes]:
        records = self.zones[V6 if ":" in address else V4].find(from_address(packed(address)), codes.PTR).records
        return [one.body for one in records]

    def exists(self, qname: str) -> bool:
        zone = V4 if qname.endswith("in-addr.arpa.") else V6
        return self.zones[zone].find(from_text(qname), codes.PTR).exists


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many endpoints were read, each time that some were."""
    counts: list[int] = []
    read_all = SliceReader.read

    def counted(reader: SliceReader, several: tuple[Endpoint, ...]) -> tuple[EndpointAddress, ...]:
        counts.append(len(several))
        return read_all(reader, several)

    monkeypatch.setattr(SliceReader, "read", counted)
    return counts


def test_nothing_is_read_before_it_is_asked_for(read: list[int]) -> None:
    cluster = Cluster(
        Service("prod", "web", cluster_ips=("10.96.0.1",), ports=PORTS), slice_of("web", endpoints(0, 3)),
        Service("prod", "db", headless=True, ports=PORTS), slice_of("db", endpoints(3, 5)),
    )  # fmt: skip
    assert cluster.count("web.prod.svc.cluster.local.") == 1
    assert cluster.targets("10.96.0.1")
    assert cluster.exists("1.10.in-addr.arpa.")
    assert not cluster.exists("2.10.in-addr.arpa.")
    assert not cluster.targets("10.1.0.9")
    assert read == []
    assert cluster.count("db.prod.svc.cluster.local.") == 5
    assert cluster.count("10-1-0-3.db.prod.svc.cluster.local.") == 1
    assert len(cluster.targets("10.1.0.4")) == 1
    assert read == [5]
    assert len(cluster.targets("10.1.0.2")) == 1
    assert len(cluster.targets("10.1.0.0")) == 1
    assert read == [5, 3]


def test_a_large_service_is_read_before_it_is_asked_for(read: list[int]) -> None:
    count = MAX_UNREAD_ENDPOINTS // 64
    slices = [slice_of("db", endpoints(64 * number, 64), number) for number in range(count + 2)]
    cluster = Cluster(Service("prod", "db", headless=True, ports=PORTS), *slices[:count])
    assert read == []
    cluster.add(*slices[count:])
    assert read == [64] * (count + 2)
    assert cluster.count("db.prod.svc.cluster.local.") == 64 * (count + 2)
    for one in slices:
        cluster.remove(one)
    assert cluster.count("db.prod.svc.cluster.local.") == 0
    assert not cluster.exists("10.in-addr.arpa.")


def test_an_address_of_many_services_is_read_before_it_is_asked_for(read: list[int]) -> None:
    services = [f"web-{number}" for number in range(5 * MAX_UNREAD_SLICES)]
    cluster = Cluster(*(Service("prod", one, headless=True, ports=PORTS) for one in services))
    slices = [slice_of(one, endpoints(0, 2)) for one in services]
    cluster.add(*slices)
    unread = len(slices) - len(read)
    assert unread <= MAX_UNREAD_SLICES
    assert len(cluster.targets("10.1.0.0")) == len(cluster.targets("10.1.0.1")) == len(services)
    assert len(read) == len(slices)
    for one in slices[1:]:
        cluster.remove(one)
    assert len(cluster.targets("10.1.0.1")) == 1
    assert cluster.exists("0.1.10.in-addr.arpa.")
    cluster.remove(slices[0])
    assert not cluster.exists("0.1.10.in-addr.arpa.")


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize(
    "several",
    [
        pytest.param(endpoints(0, MAX_ADDRESSES_AT_ONCE + 1), id="too many for one step"),
        pytest.param((Endpoint(("10.1.0.1",)), Endpoint(("10.1.0.2", "10.1.0.1"), "db")), id="an address twice"),
        pytest.param((Endpoint(("10.1.0.1",), "db"),) * 2, id="an endpoint twice"),
        pytest.param((Endpoint(("10.1.0.1", "fd00::1")), Endpoint(("10.1.0.2", "fd00::2"))), id="two addresses each"),
        pytest.param((), id="none"),
    ],
)
def test_a_slice_that_is_changed_or_deleted_is_answered_as_it_is_then(
    several: tuple[Endpoint, ...], asks: bool
) -> None:
    other = Endpoint(("10.9.0.9",), "other")
    first = slice_of("db", several)
    second = slice_of("db", (*several[1:], other))
    cluster = Cluster(Service("prod", "db", headless=True, ports=PORTS), first)

    def answers() -> set[tuple[str, int]]:
        texts = {text for one in (*several, other) for text in one.addresses}
        found = {(text, len(cluster.targets(text))) for text in texts}
        return found | {("A", cluster.count("db.prod.svc.cluster.local."))}

    if asks:
        answers()
    cluster.index.apply(Change(first, second))
    fresh = Cluster(Service("prod", "db", headless=True, ports=PORTS), second)
    found = answers()
    cluster.remove(second)
    assert answers() == {(text, 0) for text, _ in found}
    cluster = fresh
    assert answers() == found


def test_prefixes_exist_while_an_address_is_below_them() -> None:
    addresses = [packed(text) for text in ("10.1.2.3", "10.1.2.4", "10.9.2.3", "fd00::1", "fd00::2", "fd10::1")]

    def below(several: list[bytes]) -> set[bytes | str]:
        paths = [one if len(one) == 4 else one.hex() for one in several]
        return {path[:size] for path in paths for size in range(1, len(path))}

    every = below(addresses)
    for order in list(permutations(addresses))[::7]:
        prefixes, known = AddressPrefixes(), [*order, order[0]]  # one of them twice
        prefixes.add(known)
        while known:
            assert {one for one in every if one in prefixes} == below(known)
            prefixes.remove(known.pop())
        assert not prefixes
