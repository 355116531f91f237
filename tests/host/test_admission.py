"""Which connection gives way to a new one, and the shares of clients."""

import pytest

from clusterdns.host.admission import Admission, ConnectionLimits, address_of, network_of


class FakeConnection:
    def __init__(self, name: str) -> None:
        self.name = name
        self.is_busy = False
        self.is_open = True

    def abort(self) -> None:
        self.is_open = False


class Scene:
    """An admission, and the connections that a test opened, by name."""

    def __init__(self, **limits: int) -> None:
        self.admission = Admission(ConnectionLimits(**limits))
        self.connections: dict[str, FakeConnection] = {}

    def open(self, names: str, host: str = "192.0.2.1", *, is_tls: bool = False) -> list[str]:
        """Open connections; gives the addresses whose connections were closed for them."""
        evicted = []
        for name in names:
            self.connections[name] = FakeConnection(name)
            evicted += self.admission.admit(self.connections[name], host, is_tls=is_tls)
        return evicted

    def ask(self, names: str) -> None:
        for name in names:
            self.admission.asked(self.connections[name])

    @property
    def left(self) -> str:
        return "".join(name for name, one in self.connections.items() if one.is_open)


def test_the_oldest_connection_without_a_query_gives_way_first() -> None:
    scene = Scene(in_all=3)
    scene.open("abc")
    scene.ask("a")
    scene.open("d")
    assert scene.left == "acd"
    scene.open("e")
    assert scene.left == "ade"


def test_the_clients_whose_connections_give_way_are_named() -> None:
    scene = Scene(in_all=3, per_address=2)
    assert scene.open("ab", "::ffff:192.0.2.1") == []
    assert scene.open("c", "192.0.2.1") == ["192.0.2.1"]
    assert scene.open("de", "192.0.2.2") == ["192.0.2.1"]


def test_among_those_that_have_asked_the_one_idle_longest_gives_way() -> None:
    scene = Scene(in_all=3)
    scene.open("abc")
    scene.ask("abca")
    scene.open("d")
    assert scene.left == "acd"


def test_a_connection_whose_query_is_under_way_gives_way_last() -> None:
    scene = Scene(in_all=2)
    scene.open("ab")
    scene.ask("ab")
    scene.connections["a"].is_busy = True
    scene.open("c")
    assert scene.left == "ac"
    scene.ask("c")
    scene.connections["c"].is_busy = True
    scene.open("d")
    assert scene.left == "cd", "where all are busy, the one that has waited longest"


def test_above_its_share_an_address_loses_its_own_connection() -> None:
    scene = Scene(in_all=10, per_address=2)
    scene.open("ab", "192.0.2.1")
    scene.open("cd", "192.0.2.2")
    scene.open("e", "192.0.2.2")
    assert scene.left == "abde"


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        ("2001:db8::1", "2001:db8::2", "bc"),
        ("2001:db8::1", "2001:db8:0:1::1", "abc"),
        ("fe80::1%2", "fe80::2%3", "abc"),
        ("192.0.2.1", "192.0.3.1", "abc"),
    ],
    ids=["one /64", "two networks", "two links", "IPv4"],
)
def test_the_addresses_of_one_ipv6_network_share_its_limit(first: str, second: str, left: str) -> None:
    scene = Scene(in_all=10, per_address=5, per_network=2)
    scene.open("ab", first)
    scene.open("c", second)
    assert scene.left == left


def test_tls_connections_have_a_limit_of_their_own() -> None:
    scene = Scene(in_all=10, over_tls=2)
    scene.open("a")
    scene.open("bcd", is_tls=True)
    assert scene.left == "acd"


def test_ended_connections_leave_nothing_behind() -> None:
    scene = Scene(in_all=2)
    scene.open("abc", "2001:db8::1")
    scene.ask("bc")
    for one in scene.connections.values():
        scene.admission.dismiss(one)
        scene.admission.dismiss(one)
        scene.admission.asked(one)
    assert (len(scene.admission), scene.admission._shares) == (0, {})
    scene.admission.evict(3)


def test_silent_connections_of_16_addresses_take_nothing_from_one_that_asks() -> None:
    scene = Scene(in_all=64, per_address=4)
    good = 0
    for number in range(1_000):
        scene.admission.admit(FakeConnection("silent"), f"192.0.2.{number % 16}")
        if number % 10 == 0:
            one = FakeConnection("good")
            scene.admission.admit(one, "198.51.100.1")
            scene.admission.asked(one)
            good += one.is_open
            scene.admission.dismiss(one)
    assert good == 100
    assert len(scene.admission) == 64


@pytest.mark.parametrize(
    ("most", "expected"),
    [(100_000, (4096, 256, 1024, 1024)), (96, (96, 24, 48, 96)), (1, (1, 1, 2, 1)), (0, (1, 1, 2, 1))],
)
def test_limits_follow_a_smaller_number(most: int, expected: tuple[int, ...]) -> None:
    found = ConnectionLimits().within(most)
    assert (found.in_all, found.per_address, found.per_network, found.over_tls) == expected


@pytest.mark.parametrize(
    ("host", "address"),
    [("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::1"), ("::1", "::1")],
)
def test_an_ipv4_mapped_address_counts_as_ipv4(host: str, address: str) -> None:
    assert address_of(host) == address


def test_the_network_of_an_address() -> None:
    assert network_of("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::"
    assert network_of("fe80::1%eth0") == "fe80::%eth0"
