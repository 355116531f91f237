"""Filters of UDP sockets: the program is run here on made-up datagrams, and by the kernel on real ones."""

import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.host.udp import socket_filter
from clusterdns.host.udp.socket_filter import MAX_SOURCES, attach, memory, program

QUERY = b"\0\1\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"
ADDRESSES = st.sampled_from(["192.0.2.1", "192.0.2.2", "10.0.0.1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"])


def key_of(address: str) -> bytes:
    packed = ip_address(address).packed
    return packed if len(packed) == 4 else packed[:8]


def accepts(code: list[tuple[int, int, int, int]], source: str, message: bytes, chance: int) -> bool:
    """Run a filter as the kernel does; `chance` is the random word."""
    packed = ip_address(source).packed
    header = b"\x45" + bytes(11) + packed + bytes(4) if len(packed) == 4 else b"\x60" + bytes(7) + packed + bytes(16)
    data = bytes(8) + message  # behind the UDP header
    loads: dict[int, Callable[[int], int]] = {
        0x80: lambda _: len(data),
        0x30: lambda at: header[at - 0xFFF00000] if at >= 0xFFF00000 else data[at],
        0x20: lambda at: chance if at == 0xFFFFF000 + 56 else int.from_bytes(header[at - 0xFFF00000 :][:4], "big"),
    }
    tests: dict[int, Callable[[int, int], bool]] = {
        0x15: lambda one, other: one == other,
        0x35: lambda one, other: one >= other,
        0x45: lambda one, other: bool(one & other),
    }
    at = accumulator = 0
    while True:
        op, if_true, if_false, operand = code[at]
        at += 1
        if op == 0x06:
            return bool(operand)
        if op in loads:
            accumulator = loads[op](operand)
        elif op in tests:
            at += if_true if tests[op](accumulator, operand) else if_false
        elif op == 0x74:
            accumulator >>= operand
        else:
            assert op == 0x05
            at += operand


@given(
    st.dictionaries(ADDRESSES, st.floats(0.0, 1.0), max_size=6),
    ADDRESSES,
    st.one_of(st.just(QUERY), st.binary(max_size=40)),
    st.integers(0, 0xFFFFFFFF),
)
def test_the_program_drops_what_is_no_query_and_shares_of_sources(
    dropped: dict[str, float], source: str, message: bytes, chance: int
) -> None:
    shares = {key_of(address): share for address, share in dropped.items()}
    is_query = len(message) >= 12 and not message[2] & 0x80
    limit = min(0xFFFFFFFF, int(shares.get(key_of(source), 0.0) * 2**32))
    assert accepts(program(shares), source, message, chance) is (is_query and chance >= limit)


@pytest.mark.parametrize("family", [4, 8])
def test_a_filter_has_space_for_its_sources_and_no_more(family: int) -> None:
    shares = {number.to_bytes(family, "big"): 1.0 for number in range(1, MAX_SOURCES + 1)}
    code = program(shares)
    last = "0.0.0.32" if family == 4 else "0:0:0:20::1"
    assert not accepts(code, last, QUERY, 0)
    assert accepts(code, "192.0.2.1", QUERY, 0)
    assert accepts(code, "2001:db8::1", QUERY, 0)
    with pytest.raises(ValueError, match="at most 32"):
        program({**shares, bytes(family): 1.0})


@pytest.fixture
def bound() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


def received(sock: socket.socket) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    while True:
        try:
            message, (host, _) = sock.recvfrom(4096)
        except BlockingIOError:
            return found
        found.append((host, message))


def send(address: tuple[str, int], source: str, *messages: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        for message in messages:
            sock.sendto(message, address)


def test_the_kernel_runs_the_filter(bound: socket.socket) -> None:
    address = bound.getsockname()
    assert attach(bound, {})
    send(address, "127.0.0.2", QUERY, QUERY[:11], QUERY[:2] + b"\x80" + QUERY[3:], b"", QUERY[:12])
    assert received(bound) == [("127.0.0.2", QUERY), ("127.0.0.2", QUERY[:12])]
    assert memory(bound).dropped == 3
    assert attach(bound, {key_of("127.0.0.2"): 1.0, key_of("127.0.0.4"): 0.0})
    for source in ("127.0.0.2", "127.0.0.3", "127.0.0.4"):
        send(address, source, *[QUERY] * 20)
    assert [host for host, _ in received(bound)] == ["127.0.0.3"] * 20 + ["127.0.0.4"] * 20
    assert memory(bound).dropped == 23


def test_the_state_of_the_receive_buffer(bound: socket.socket) -> None:
    assert attach(bound, {})
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    assert (memory(bound).used_share, memory(bound).dropped) == (0.0, 0)
    send(bound.getsockname(), "127.0.0.2", *[QUERY] * 200)
    assert memory(bound).used_share > 0.9
    assert memory(bound).dropped == 200 - len(received(bound))


def test_a_system_without_filters_is_served_without(bound: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_filter, "_ATTACH", 9999)
    monkeypatch.setattr(socket_filter, "_MEMORY", 9998)
    assert not attach(bound, {})
    assert memory(bound) == (0, 0, 0)


def test_a_share_is_a_share(bound: socket.socket) -> None:
    assert attach(bound, {key_of("127.0.0.2"): 0.5})
    count = 0
    for _ in range(20):
        send(bound.getsockname(), "127.0.0.2", *[QUERY] * 50)
        count += len(received(bound))
    assert 350 < count < 650  # of 1,000; less likely to fail than one in 10^20
