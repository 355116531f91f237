"""A small cluster behind a dispatcher, in process or behind real sockets, and the rules that every reply must keep.

The cluster is that of the CoreDNS test vectors: namespace `prod`, TTL 5, reverse zones served. Beside it a zone `test.`
whose handler misbehaves in every way that a handler can.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rdataclass
import pytest
import uvloop
from server.misbehaving import TTL_SECONDS, MisbehavingHandler

from clusterdns.answers.table import AnswerTable
from clusterdns.chain import Query, Reply, failure
from clusterdns.chain.fallthrough import Fallthrough
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import Change, Endpoint, EndpointSlice, Namespace, Object, Pod, Port, Service, packed
from clusterdns.host.sockets import bind_tcp, bind_udp
from clusterdns.host.udp.datagrams import new_payload
from clusterdns.plugins.kubernetes.handler import ClusterHandler
from clusterdns.plugins.loadbalance.handler import mark_rotating
from clusterdns.server.dispatch import Dispatch, ListenerContext
from clusterdns.server.listeners import tcp, udp
from clusterdns.server.routes import Chain, Route, Routes
from clusterdns.server.tap import Tap
from clusterdns.telemetry.metrics import Registry, Series
from clusterdns.telemetry.queries import HitTime, QueryCounters
from clusterdns.wire import codes, name
from testing.ports import free_ports
from testing.waiting import PATIENCE_SECONDS

ZONES = ("cluster.local.", "in-addr.arpa.", "ip6.arpa.")
NOW = 1_700_000_000


def _port(text: str) -> Port:
    label, protocol, number = text.split("/")
    return Port(label, int(number), protocol)


def _service(label: str, *ips: str, ports: str = "", **facts: Any) -> Service:
    return Service(
        "prod", label, cluster_ips=ips, headless=not ips and not facts, ports=tuple(map(_port, ports.split())), **facts
    )


def _slice(label: str, service: str, ports: str, *endpoints: Endpoint) -> EndpointSlice:
    return EndpointSlice("prod", label, service, tuple(map(_port, ports.split())), endpoints)


def _many(service: str, count: int) -> list[Object]:
    """A headless Service of `count` endpoints, a hundred to a slice as the controller makes them."""
    slices = [
        _slice(
            f"{service}-{first}",
            service,
            "http/TCP/80",
            *(Endpoint((f"10.{200 + n // 65536}.{n // 256 % 256}.{n % 256}",)) for n in range(first, first + 100)),
        )
        for first in range(0, count, 100)
    ]
    return [_service(service, ports="http/TCP/80"), *slices]


CLUSTER: list[Object] = [
    Namespace("prod"),
    _service("web", "10.96.0.10", ports="http/TCP/80"),
    _service("bare", "10.96.0.12", ports="/TCP/8080"),
    _service("dual", "10.96.0.11", "fd00::11", ports="grpc/TCP/9000"),
    _service("dnsx", "10.96.0.53", ports="dns/UDP/53 dns-tcp/TCP/53"),
    _service("db", ports="pg/TCP/5432"),
    _service("idle", ports="pg/TCP/5432"),
    _service("ext", type="ExternalName", external_name="example.com"),
    _service("near", type="ExternalName", external_name="slow.test"),
    _service("alias", type="ExternalName", external_name="web.prod.svc.cluster.local"),
    _service("loopx", type="ExternalName", external_name="nosuch.prod.svc.cluster.local"),
    _service("empty", type="ExternalName", external_name=""),
    _service("number", type="ExternalName", external_name="10.0.0.9"),
    _service("ring", type="ExternalName", external_name="ring.prod.svc.cluster.local"),
    *(
        _service(f"link-{n}", type="ExternalName", external_name=f"link-{n - 1}.prod.svc.cluster.local")
        for n in range(1, 12)
    ),
    _service("link-0", "10.96.0.13"),
    _service("nine", ports="http/TCP/80"),
    _slice("web-1", "web", "http/TCP/80", Endpoint(("10.1.0.20",))),
    _slice("db-1", "db", "pg/TCP/5432", Endpoint(("10.1.0.5",), "db-0"), Endpoint(("10.1.0.6",))),
    _slice("nine-1", "nine", "http/TCP/80", *(Endpoint((f"10.1.9.{n}",)) for n in range(1, 10))),
    Pod("prod", "runner-1", ("10.9.8.7", "fd00:9::7")),
]
LARGE: list[Object] = [*_many("four", 4_000), *_many("ten", 10_000)]


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the server runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def tables() -> list[AnswerTable]:
    """Every answer table of the test: what a change makes forget."""
    return []


@pytest.fixture
def index(tables: list[AnswerTable]) -> Index:
    """The cluster, synced."""

    def forget(dependencies: set[Hashable]) -> None:
        for table in tables:
            table.forget(dependencies)

    index = Index(clock=lambda: NOW)
    index.subscribe(forget)
    for obj in CLUSTER:
        index.apply(Change(None, obj))
    index.synced = True
    return index


@pytest.fixture
def large_index(index: Index) -> Index:
    """The cluster with a Service of 4,000 endpoints and one of 10,000."""
    for obj in LARGE:
        index.apply(Change(None, obj))
    return index


@pytest.fixture
def panics() -> Series:
    """Counts handlers that failed."""
    return Series()


@pytest.fixture
def held_queries() -> MisbehavingHandler:
    """The handler of `test.`, which holds queries for `held.test.` until the test releases them."""
    return MisbehavingHandler()


@pytest.fixture
def make_dispatch(index: Index, panics: Series, held_queries: MisbehavingHandler) -> Callable[..., Dispatch]:
    """A dispatcher of the cluster's zones and `test.`, with the given pods mode and fallthrough zones."""

    def make(pods: PodMode = PodMode.DISABLED, fallthrough: tuple[bytes, ...] = ()) -> Dispatch:
        names = [name.from_text(text) for text in ZONES]
        zones = [
            ClusterZone(
                zone,
                index,
                primary=names[0],
                ttl_seconds=TTL_SECONDS,
                pods=pods,
                local_addresses=lambda: [packed("10.0.0.53")],
            )
            for zone in names
        ]

        async def next_plugin(query: Query) -> Reply:
            return failure(codes.REFUSED, "no zone", is_unhandled=True)

        handler = ClusterHandler(zones, TTL_SECONDS, Fallthrough(fallthrough), next_plugin, unready=lambda: "as asked")
        observers = (mark_rotating,)
        routes = [
            Route(zone, text, Chain(handler, observers=observers)) for zone, text in zip(names, ZONES, strict=True)
        ]
        routes.append(Route(name.from_text("test"), "test.", Chain(held_queries.handle)))
        return Dispatch(Routes(routes), QueryCounters(Registry(), "dns://:53"), panics)

    return make


@pytest.fixture
def make_listener(tables: list[AnswerTable]) -> Callable[[str], ListenerContext]:
    """The facts of a listening socket, by its transport."""

    def make(transport: str) -> ListenerContext:
        tables.append(AnswerTable())
        return ListenerContext(transport, "1", tables[-1], HitTime(), Tap())

    return make


@pytest.fixture
async def make_udp(
    make_listener: Callable[[str], ListenerContext],
) -> AsyncIterator[Callable[[Dispatch], tuple[udp.UdpListener, tuple[str, int]]]]:
    """Put a dispatcher behind a UDP socket; gives the listener, which the test closes, and its address."""
    opened: list[socket.socket] = []

    def make(dispatch: Dispatch) -> tuple[udp.UdpListener, tuple[str, int]]:
        opened.append(bind_udp("127.0.0.1", 0))
        listener = udp.UdpListener(opened[-1], dispatch, make_listener("udp"), new_payload())
        listener.start(asyncio.get_running_loop())
        return listener, opened[-1].getsockname()

    yield make
    for one in opened:
        one.close()


@pytest.fixture
async def serve(
    make_listener: Callable[[str], ListenerContext],
) -> AsyncIterator[Callable[..., Awaitable[tuple[str, int]]]]:
    """Put a dispatcher behind a UDP and a TCP socket of the same port; gives their address."""
    opened: list[udp.UdpListener | tcp.TcpListener] = []

    async def start(dispatch: Dispatch, host: str = "127.0.0.1") -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        (port,) = free_ports(1)
        tcp_socket, udp_socket = bind_tcp(host, port), bind_udp(host, port)
        streams = tcp.TcpListener(tcp_socket, dispatch, make_listener("tcp"), clock=lambda: 0.0)  # none is idle
        streams.start(loop)
        datagrams = udp.UdpListener(udp_socket, dispatch, make_listener("udp"), new_payload())
        datagrams.start(loop)
        opened.extend((datagrams, streams))
        address: tuple[str, int] = tcp_socket.getsockname()
        return address

    yield start
    for listener in opened:
        await listener.close(PATIENCE_SECONDS)


@pytest.fixture
async def address(
    serve: Callable[[Dispatch], Awaitable[tuple[str, int]]], make_dispatch: Callable[..., Dispatch]
) -> tuple[str, int]:
    """Where the cluster is served."""
    return await serve(make_dispatch())


@pytest.fixture
async def exchange(address: tuple[str, int]) -> Callable[..., Awaitable[bytes | None]]:
    """Send packets over one socket, "udp" or "tcp"; gives the first reply, or None where the server closes instead."""

    async def over_udp(packets: Sequence[bytes]) -> bytes:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
            sock.connect(address)
            for packet in packets:
                await loop.sock_sendall(sock, packet)
            return await loop.sock_recv(sock, 65535)

    async def over_tcp(packets: Sequence[bytes]) -> bytes | None:
        reader, writer = await asyncio.open_connection(*address)
        try:
            writer.write(b"".join(struct.pack(">H", len(packet)) + packet for packet in packets))
            return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        except asyncio.IncompleteReadError:
            return None
        finally:
            writer.transport.abort()

    async def exchange(transport: str, *packets: bytes) -> bytes | None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await (over_udp if transport == "udp" else over_tcp)(packets)

    return exchange


@pytest.fixture
def send(exchange: Callable[..., Awaitable[bytes | None]]) -> Callable[[bytes, str], Awaitable[bytes | None]]:
    """Send one packet over "udp" or "tcp"; gives the reply, or None where the server closes the connection."""

    async def send(packet: bytes, transport: str) -> bytes | None:
        return await exchange(transport, packet)

    return send


@pytest.fixture
def is_ignored(exchange: Callable[..., Awaitable[bytes | None]]) -> Callable[[bytes, str], Awaitable[bool]]:
    """Whether a packet gets no reply: the reply to a query after it, over the same socket, is the first."""

    async def is_ignored(packet: bytes, transport: str) -> bool:
        query = dns.message.make_query("web.prod.svc.cluster.local.", "A", id=0x7777)
        reply = await exchange(transport, packet, query.to_wire())
        return reply is not None and reply[:2] == b"\x77\x77"

    return is_ignored


@pytest.fixture
def verify() -> Callable[[bytes, bytes, str], dns.message.Message]:
    """Read a reply to a well-formed query with dnspython; what must hold for every reply is checked here."""

    def check(packet: bytes, raw: bytes, transport: str) -> dns.message.Message:
        asked = dns.message.from_wire(packet, ignore_trailing=True, continue_on_error=True)
        reply = dns.message.from_wire(raw, one_rr_per_rrset=True)  # trailing bytes would raise
        end = 12 + len(asked.question[0].name.to_wire() or b"") + 4
        assert raw[:2] == packet[:2]
        assert raw[12:end] == packet[12:end], "the question comes back as it was sent, byte for byte (RFC 4343)"
        flags = struct.unpack(">H", raw[2:4])[0]
        asked_flags = struct.unpack(">H", packet[2:4])[0]
        assert flags & dns.flags.QR
        assert flags & 0x0110 == asked_flags & 0x0110, "RD and CD as asked"
        assert not flags & 0x00E0, "RA, Z and AD clear"
        assert dns.opcode.from_flags(flags) == dns.opcode.from_flags(asked_flags)
        _check_edns(asked, reply)
        udp_limit = min(max(asked.payload, 512), 1232)  # payload is 0 without EDNS
        assert len(raw) <= (udp_limit if transport == "udp" else 65535)
        if reply.rcode() not in (dns.rcode.REFUSED, dns.rcode.SERVFAIL, dns.rcode.BADVERS):
            assert flags & dns.flags.AA or not reply.authority
        return reply

    def _check_edns(asked: dns.message.Message, reply: dns.message.Message) -> None:
        assert (reply.edns >= 0) == (asked.edns >= 0), "an OPT to those who sent one, and to no others"
        if reply.edns >= 0:
            assert reply.edns == 0
            assert reply.payload == 1232
            is_failure = reply.rcode() in (dns.rcode.SERVFAIL, dns.rcode.REFUSED)
            causes = [one.text for one in reply.options if isinstance(one, dns.edns.EDEOption)]
            assert len(causes) == len(reply.options) == is_failure, (
                "an extended error for each failure, and for no other"
            )
            assert all(causes), "an extended error says why"
            assert reply.ednsflags & 0xFFFF == asked.ednsflags & dns.flags.DO, "DO as asked, unknown flags gone"

    return check


@pytest.fixture
def ask(
    send: Callable[..., Awaitable[bytes | None]], verify: Callable[[bytes, bytes, str], dns.message.Message]
) -> Callable[[bytes, str], Awaitable[dns.message.Message]]:
    """Send a well-formed query, check the reply, give it parsed."""

    async def ask(packet: bytes, transport: str) -> dns.message.Message:
        raw = await send(packet, transport)
        assert raw is not None
        return verify(packet, raw, transport)

    return ask
