"""Batches of datagrams: each reply goes to its client, from the address that the client asked."""

import ctypes
import errno
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from clusterdns.host.sockets import bind_udp, local_address, receive_local_addresses
from clusterdns.host.udp import datagrams as module
from clusterdns.host.udp.datagrams import (
    BATCH,
    MAX_DATAGRAM_BYTES,
    SLOT_BYTES,
    Datagrams,
    ManyAtOnce,
    OneByOne,
    datagrams,
    new_payload,
)

needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this host has no IPv6")
ADDRESSES = [
    pytest.param("127.0.0.1", "127.0.0.1", id="bound"),
    pytest.param("0.0.0.0", "127.0.0.2", id="wildcard"),
    pytest.param("::1", "::1", id="bound, IPv6", marks=needs_ipv6),
    pytest.param("::", "::1", id="wildcard, IPv6", marks=needs_ipv6),
]
KINDS = pytest.mark.parametrize("kind", [ManyAtOnce, OneByOne])


class Server:
    """A bound socket, its batches, and clients that are connected to one of its addresses."""

    def __init__(self, kind: Any, bound: str, asked: str) -> None:
        self.sock = bind_udp(bound, 0)
        is_wildcard = bound in ("0.0.0.0", "::")
        if is_wildcard:
            receive_local_addresses(self.sock)
        self.batch: Datagrams = kind(self.sock, new_payload(), is_wildcard=is_wildcard)
        self._asked = (asked, self.sock.getsockname()[1])
        self.clients: list[socket.socket] = []

    def client(self) -> socket.socket:
        """A socket that the kernel gives datagrams from the asked address alone."""
        client = socket.socket(self.sock.family, socket.SOCK_DGRAM)
        client.settimeout(30)
        client.connect(self._asked)
        self.clients.append(client)
        return client

    def write(self, slot: int, reply: bytes) -> None:
        start = slot * SLOT_BYTES
        self.batch.payload[start : start + len(reply)] = reply
        self.batch.reply_bytes[slot] = len(reply)

    def read(self, slot: int, size: int) -> bytes:
        return self.batch.payload[slot * SLOT_BYTES : slot * SLOT_BYTES + size]

    def close(self) -> None:
        for one in (self.sock, *self.clients):
            one.close()


@pytest.fixture
def servers() -> Iterator[Any]:
    opened: list[Server] = []

    def make(*arguments: Any) -> Server:
        opened.append(Server(*arguments))
        return opened[-1]

    yield make
    for server in opened:
        server.close()


@KINDS
@pytest.mark.parametrize(("bound", "asked"), ADDRESSES)
def test_replies_reach_their_clients_from_the_address_they_asked(
    servers: Any, kind: type, bound: str, asked: str
) -> None:
    server = servers(kind, bound, asked)
    for turn in range(3):  # what the kernel wrote into the buffers must not matter to the next batch
        clients = [server.client() for _ in range(5 + turn)]
        for number, client in enumerate(clients):
            client.send(b"query %d" % number * (1 + number))
        sizes = server.batch.receive()
        assert [server.read(slot, size) for slot, size in enumerate(sizes)] == [
            b"query %d" % number * (1 + number) for number in range(len(clients))
        ]
        assert [server.batch.client(slot) for slot in range(len(sizes))] == [one.getsockname() for one in clients]
        assert [server.batch.server(slot) for slot in range(len(sizes))] == [asked] * len(sizes)
        for slot in range(len(sizes)):
            server.write(slot, b"reply %d" % slot)
        assert server.batch.send(0, len(sizes)) == []
        assert [client.recv(100) for client in clients] == [b"reply %d" % slot for slot in range(len(sizes))]


@KINDS
@pytest.mark.parametrize(("bound", "asked"), ADDRESSES)
def test_a_later_reply_has_the_same_source(servers: Any, kind: type, bound: str, asked: str) -> None:
    server = servers(kind, bound, asked)
    clients = [server.client() for _ in range(3)]
    for client in clients:
        client.send(b"query")
    kept = [(server.batch.client(slot), server.batch.source(slot)) for slot, _ in enumerate(server.batch.receive())]
    server.client().send(b"another")
    server.batch.receive()
    for address, source in kept:
        server.sock.sendmsg((b"later",), source, 0, address)
    assert [client.recv(100) for client in clients] == [b"later"] * 3


@KINDS
def test_slots_without_a_reply_are_left_out(servers: Any, kind: type) -> None:
    server = servers(kind, "0.0.0.0", "127.0.0.1")
    clients = [server.client() for _ in range(4)]
    for client in clients:
        client.send(b"query")
    assert server.batch.receive() == [5] * 4
    for slot in (0, 2, 3):
        server.write(slot, b"%d" % slot)
    assert server.batch.send(0, 1) == server.batch.send(2, 4) == []
    clients[1].settimeout(0)
    assert [clients[slot].recv(9) for slot in (0, 2, 3)] == [b"0", b"2", b"3"]
    with pytest.raises(BlockingIOError):
        clients[1].recv(9)


@KINDS
def test_a_batch_holds_no_more_than_its_slots(servers: Any, kind: type) -> None:
    server = servers(kind, "127.0.0.1", "127.0.0.1")
    client = server.client()
    for _ in range(BATCH + 3):
        client.send(b"x")
    assert [len(server.batch.receive()) for _ in range(3)] == [BATCH, 3, 0]


@KINDS
def test_sizes_from_nothing_to_more_than_a_slot(servers: Any, kind: type) -> None:
    server = servers(kind, "0.0.0.0", "127.0.0.1")
    client = server.client()
    for size in (0, 1, MAX_DATAGRAM_BYTES, MAX_DATAGRAM_BYTES + 1, 60_000, 2):
        client.send(b"x" * size)
    assert server.batch.receive() == [0, 1, *[MAX_DATAGRAM_BYTES] * 3, 2]


@KINDS
def test_a_short_reply_does_not_shorten_the_next_query(servers: Any, kind: type) -> None:
    server = servers(kind, "127.0.0.1", "127.0.0.1")
    client = server.client()
    for _ in range(2):
        client.send(b"x" * 100)
        assert server.batch.receive() == [100]
        server.write(0, b"y")
        server.batch.send(0, 1)


def test_a_reply_that_cannot_be_sent_holds_up_no_other(servers: Any) -> None:
    server = servers(ManyAtOnce, "0.0.0.0", "127.0.0.1")
    clients = [server.client() for _ in range(3)]
    for client in clients:
        client.send(b"query")
    assert len(server.batch.receive()) == 3
    for slot in range(3):
        server.write(slot, b"reply")
    server.batch.reply_bytes[1] = 70_000  # more than a datagram can have
    ((slot, error),) = server.batch.send(0, 3)
    assert (slot, error.errno) == (1, errno.EMSGSIZE)
    assert clients[0].recv(9) == clients[2].recv(9) == b"reply"


@KINDS
def test_every_failure_is_returned(servers: Any, kind: type) -> None:
    server = servers(kind, "127.0.0.1", "127.0.0.1")
    for _ in range(2):
        server.client().send(b"query")
    assert len(server.batch.receive()) == 2
    server.sock.close()
    assert [(slot, error.errno) for slot, error in server.batch.send(0, 2)] == [(0, errno.EBADF), (1, errno.EBADF)]
    with pytest.raises(OSError, match="Bad file descriptor"):
        server.batch.receive()


class Library:
    """A C library whose calls fail with an error."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __getattr__(self, name: str) -> Any:
        def call(*_: object) -> int:
            ctypes.set_errno(self.number)
            return -1

        return call


@pytest.mark.parametrize(
    ("library", "kind"),
    [
        (Library(0), OneByOne),
        (Library(errno.ENOSYS), OneByOne),
        (Library(errno.EPERM), OneByOne),
        (Library(errno.EAGAIN), ManyAtOnce),
    ],
    ids=["no such function", "no such system call", "forbidden by seccomp", "nothing to receive"],
)
def test_the_calls_are_used_where_the_system_has_them(
    monkeypatch: pytest.MonkeyPatch, library: Library, kind: type
) -> None:
    monkeypatch.setattr(module, "_libc", library)
    monkeypatch.setattr(module, "_HAS_FUNCTIONS", library.number != 0)
    module._has_many.cache_clear()
    with bind_udp("127.0.0.1", 0) as sock:
        assert isinstance(datagrams(sock, new_payload()), kind)
    module._has_many.cache_clear()


@pytest.mark.parametrize(
    ("local", "text"),
    [
        (struct.pack("=I4s4s", 7, bytes((192, 0, 2, 1)), bytes((192, 0, 2, 255))), "192.0.2.1"),
        (struct.pack("=16sI", socket.inet_pton(socket.AF_INET6, "2001:db8::1"), 0), "2001:db8::1"),
        (struct.pack("=16sI", socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.1"), 0), "::ffff:192.0.2.1"),
        (struct.pack("=16sI", socket.inet_pton(socket.AF_INET6, "fe80::1"), socket.if_nametoindex("lo")), "fe80::1%lo"),
        (struct.pack("=16sI", socket.inet_pton(socket.AF_INET6, "fe80::1"), 2**31 - 1), "fe80::1"),
    ],
)
def test_the_local_address_of_a_datagram_as_text(local: bytes, text: str) -> None:
    assert local_address(local) == text
