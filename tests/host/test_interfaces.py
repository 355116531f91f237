"""The addresses of interfaces, read from netlink messages."""

import ipaddress
import socket
import struct
import sys

import pytest

from clusterdns.host import interfaces

DONE = struct.pack("=IHHII", 20, 3, 2, 1, 0) + bytes(4)


def attribute(kind: int, value: bytes) -> bytes:
    size = 4 + len(value)
    return struct.pack("=HH", size, kind) + value + bytes(-size % 4)


def address_message(index: int, *attributes: bytes) -> bytes:
    body = struct.pack("=BBBBI", 2, 24, 0, 0, index) + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), 20, 2, 1, 0) + body


NEAR, FAR, SIX = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)), ipaddress.ip_address("2001:db8::1").packed


@pytest.mark.parametrize(
    ("datagram", "found", "is_done"),
    [
        (DONE, [], True),
        (address_message(2, attribute(1, NEAR)), [(2, NEAR)], False),
        (address_message(2, attribute(1, FAR), attribute(2, NEAR)), [(2, NEAR)], False),
        (address_message(1, attribute(3, b"lo\0"), attribute(1, SIX)) + DONE, [(1, SIX)], True),
        (address_message(1, attribute(1, NEAR)) + address_message(2, attribute(1, FAR)), [(1, NEAR), (2, FAR)], False),
        (address_message(1, attribute(3, b"lo\0")), [], False),
        (b"", [], False),
    ],
)
def test_read_addresses(datagram: bytes, found: list[tuple[int, bytes]], is_done: bool) -> None:
    assert interfaces.read_addresses(datagram) == (found, is_done)


@pytest.mark.parametrize(
    "datagram",
    [
        struct.pack("=IHHIIi", 20, 2, 0, 1, 0, -1),
        struct.pack("=IHHII", 0, 20, 0, 1, 0),
        address_message(1, struct.pack("=HH", 0, 1)),
    ],
)
def test_a_refusal_or_a_malformed_message_is_an_error(datagram: bytes) -> None:
    with pytest.raises(OSError, match="kernel"):
        interfaces.read_addresses(datagram)


@pytest.mark.skipif(sys.platform != "linux", reason="netlink exists on Linux only")
def test_every_interface_of_this_host_is_listed() -> None:
    found = interfaces.interface_addresses()
    assert found.keys() == {name for _, name in socket.if_nameindex()}
    assert any("127.0.0.1" in addresses for addresses in found.values())
