"""Whole zones for secondaries: which clients may have them, what dnspython reads in them, and NOTIFY."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import dns.asyncquery
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone
import pytest
from fakes.held_clock import HeldClock, until
from plugins.example_zones import EXAMPLE, SIGNED
from plugins.serving import Running, question, running

from clusterdns.chain import BlockContext
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import Change, Endpoint, EndpointSlice, Namespace, Port, Service, packed
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins.file.tree import ZoneTree
from clusterdns.plugins.file.zones import FileZones
from clusterdns.plugins.kubernetes.transfer import ClusterTransfer
from clusterdns.plugins.transfer import directive as transfer
from clusterdns.plugins.transfer.notify import TRY_SECONDS, Notifier
from clusterdns.server.listeners.connection import Connection
from clusterdns.upstream.address import Address
from clusterdns.wire import codes
from clusterdns.wire.name import from_text, to_text
from clusterdns.wire.presentation.text import rdata_text
from clusterdns.wire.record import Record
from testing.waiting import until as wait_until

FROM_ELSEWHERE = ("198.51.100.7", 40222)
MESSAGE_BYTES = 1 << 10


PLAIN = EXAMPLE.replace('both IN TXT "both"\n', "")  # dnspython refuses other records beside a CNAME


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "db.example").write_text(PLAIN)
    (tmp_path / "db.signed").write_text(SIGNED)
    (tmp_path / "db.large").write_text(
        "$TTL 60\n@ IN SOA ns hm 7 7200 1800 86400 60\n@ IN NS ns\n$GENERATE 0-29999 host-$ A 192.0.2.1\n"
    )
    return tmp_path


ANY_CLIENT = "transfer {\n to *\n}\n"


async def ixfr(server: Running, serial: int | None, *, transport: str = "tcp", count: int = 1) -> dns.message.Message:
    message = question("example.org", "IXFR")
    if serial is not None:
        for number in range(count):
            soa = f"ns. hm. {serial} 1 1 1 {number + 1}"
            message.authority.append(dns.rrset.from_text("example.org.", 0, "IN", "SOA", soa))
    return dns.message.from_wire(await server.raw(message.to_wire(), transport), one_rr_per_rrset=True)


async def transferred(address: tuple[str, int], zone: str) -> dns.zone.Zone:
    found = dns.zone.Zone(dns.name.from_text(zone), relativize=False)
    async with asyncio.timeout(30):
        await dns.asyncquery.inbound_xfr(address[0], found, port=address[1])
    return found


@pytest.mark.parametrize(
    ("zone", "file", "text"), [("example.org", "db.example", PLAIN), ("a.org", "db.signed", SIGNED)]
)
async def test_the_zone_arrives_whole(zone: str, file: str, text: str, folder: Path) -> None:
    async with running(f"{ANY_CLIENT} file {file} {zone}", folder) as server, server.listening() as address:
        found = await transferred(address, zone)
    assert found == dns.zone.from_text(text, dns.name.from_text(zone), relativize=False, check_origin=False)


async def test_a_large_zone_is_sent_piece_by_piece_and_others_are_answered_meanwhile(folder: Path) -> None:
    async with running(f"{ANY_CLIENT} file db.large example.org", folder) as server, server.listening() as address:
        reader, writer = await asyncio.open_connection(*address)
        asked = question("example.org", "AXFR").to_wire()
        writer.write(len(asked).to_bytes(2, "big") + asked)
        records = messages = 0
        longest = 0.0
        async with asyncio.timeout(30):
            while records < 30_003:
                size = int.from_bytes(await reader.readexactly(2), "big")
                raw = await reader.readexactly(size)
                assert size <= MESSAGE_BYTES
                messages += 1
                records += int.from_bytes(raw[6:8], "big")
                if messages in (1, 2):
                    parsed = dns.message.from_wire(raw)
                    assert parsed.flags & dns.flags.AA
                    assert parsed.id == dns.message.from_wire(asked).id
                began = time.thread_time()
                await asyncio.sleep(0)
                longest = max(longest, time.thread_time() - began)
        writer.close()
    assert records == 30_003
    assert messages > 30
    assert longest < 0.5, "no other client waits long"


async def test_a_client_that_does_not_read_holds_one_message(folder: Path) -> None:
    async with running(f"{ANY_CLIENT} file db.large example.org", folder) as server, server.listening() as address:
        reader, writer = await asyncio.open_connection(*address, limit=1024)
        asked = question("example.org", "AXFR").to_wire()
        writer.write(len(asked).to_bytes(2, "big") + asked)
        await reader.readexactly(2)
        await wait_until(lambda: server.listener.table.budget.stalled, "the reply to fill the client's buffers")
        (stalled,) = server.listener.table.connections
        assert cast(Connection, stalled).transport.get_write_buffer_size() < 1 << 15
        other_reader, other = await asyncio.open_connection(*address)
        packet = question("host-7.example.org", "A").to_wire()
        other.write(len(packet).to_bytes(2, "big") + packet)
        async with asyncio.timeout(30):
            size = int.from_bytes(await other_reader.readexactly(2), "big")
            assert dns.message.from_wire(await other_reader.readexactly(size)).answer
        other.close()
        writer.transport.abort()


async def test_a_zone_whose_records_end_in_an_error_ends_the_connection(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(tree: ZoneTree) -> Iterator[Record]:
        for _ in range(3_000):
            yield tree.soa
        raise RuntimeError("half a zone")

    monkeypatch.setattr(ZoneTree, "records", broken)
    async with running(f"{ANY_CLIENT} file db.example example.org", folder) as server, server.listening() as address:
        reader, writer = await asyncio.open_connection(*address)
        asked = question("example.org", "AXFR").to_wire()
        writer.write(len(asked).to_bytes(2, "big") + asked)
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionError):
                while await reader.read(65536):
                    pass
        writer.transport.abort()
    assert "is cut off" in caplog.text


async def test_an_unencodable_first_record_is_a_failure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(tree: ZoneTree) -> Iterator[Record]:
        yield tree.soa
        raise RuntimeError("no zone at all")

    monkeypatch.setattr(ZoneTree, "records", broken)
    async with running(f"{ANY_CLIENT} file db.example example.org", folder) as server:
        reply = await server.ask("example.org", "AXFR", transport="tcp")
    assert reply.rcode() == dns.rcode.SERVFAIL


def test_a_cluster_that_changes_while_it_is_sent(cluster: Index) -> None:
    cluster.synced = True
    records = cluster_transfer(cluster).zone_records(from_text("cluster.local"))
    assert records is not None
    seen = [next(records)]
    while to_text(seen[-1].name) != "db.prod.svc.cluster.local.":  # until the names of `db` are under way
        seen.append(next(records))
    assert not any(one.rtype == codes.CNAME for one in seen)
    http = Port("http", 80, "TCP")
    old = EndpointSlice("prod", "db-1", "db", (http,), (Endpoint(("10.1.0.5",), "db-0"),))
    new = EndpointSlice("prod", "db-1", "db", (http,), (Endpoint(("10.1.0.7",), "db-7"), Endpoint(("10.1.0.8",))))
    cluster.apply(Change(old, new))
    cluster.apply(Change(Service("prod", "far", "ExternalName", external_name="far.example"), None))
    rest = list(records)
    assert rest[-1] == seen[0]
    assert not any(one.rtype == codes.CNAME for one in rest)


@pytest.mark.parametrize(
    ("serial", "is_noop"),
    [(2024010101, True), (2024010102, True), (2024010100, False), (2024010101 + (1 << 31) + 1, False), (0, False)],
)
async def test_an_ixfr_gets_one_soa_or_the_whole_zone(serial: int, is_noop: bool, folder: Path) -> None:
    async with running(f"{ANY_CLIENT} file db.example example.org", folder) as server:
        reply = await ixfr(server, serial & 0xFFFFFFFF)
    assert reply.rcode() == dns.rcode.NOERROR
    assert reply.answer[0].rdtype == dns.rdatatype.SOA
    assert (len(reply.answer) == 1) == is_noop


@pytest.mark.parametrize(
    ("to", "qname", "transport", "client", "expected"),
    [
        ("*", "example.org", "udp", FROM_ELSEWHERE, "REFUSED"),
        ("*", "example.org", "tcp", FROM_ELSEWHERE, "NOERROR"),
        ("127.0.0.1", "example.org", "tcp", FROM_ELSEWHERE, "REFUSED"),
        ("127.0.0.1 198.51.100.7:5353", "example.org", "tcp", FROM_ELSEWHERE, "NOERROR"),
        ("fd00::1 198.51.100.7", "example.org", "tcp", ("::ffff:198.51.100.7", 1), "NOERROR"),
        ("[fd00::1]:53", "example.org", "tcp", ("fd00::1", 1), "NOERROR"),
        ("*", "www.example.org", "tcp", FROM_ELSEWHERE, "REFUSED"),  # not the top of a zone
        ("*", "elsewhere.net", "tcp", FROM_ELSEWHERE, "REFUSED"),
    ],
)
async def test_clients_that_may_transfer_a_zone(
    to: str, qname: str, transport: str, client: tuple[str, int], expected: str, folder: Path
) -> None:
    async with running(f"transfer {{\n to {to}\n}}\nfile db.example example.org", folder) as server:
        reply = await server.ask(qname, "AXFR", transport=transport, client=client)
    assert dns.rcode.to_text(reply.rcode()) == expected


async def test_the_longest_zone_applies_and_other_zones_go_to_the_next_plugin(folder: Path) -> None:
    block = "transfer org {\n to 127.0.0.9\n}\ntransfer example.org {\n to *\n}\nfile db.example example.org a.org\n"
    (folder / "db.example").write_text("$TTL 60\n@ IN SOA ns hm 7 7200 1800 86400 60\n")
    async with running(block, folder) as server:
        assert (await server.ask("example.org", "AXFR", transport="tcp")).rcode() == dns.rcode.NOERROR
        assert (await server.ask("a.org", "AXFR", transport="tcp")).rcode() == dns.rcode.REFUSED
        assert (await server.ask("example.net", "AXFR", transport="tcp")).rcode() == dns.rcode.REFUSED


async def test_an_ixfr_without_a_serial_or_of_a_zone_that_is_not_loaded_fails(folder: Path) -> None:
    async with running(f"{ANY_CLIENT} file db.none example.org", folder) as server:
        assert (await ixfr(server, None)).rcode() == dns.rcode.SERVFAIL
        assert (await ixfr(server, 1)).rcode() == dns.rcode.SERVFAIL
        assert (await server.ask("example.org", "AXFR", transport="tcp")).rcode() == dns.rcode.SERVFAIL


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("transfer", "Corefile:2.*'to' is required"),
        ("transfer {\n source 10.0.0.1\n}", "Corefile:2.*'to' is required"),
        ("transfer {\n to\n}", "Corefile:3.*Wrong argument count"),
        ("transfer {\n to ns.example\n}", "Corefile:3.*must specify an IP address: 'ns.example'"),
        ("transfer {\n to 10.0.0.0/8\n}", "Corefile:3.*must specify an IP address"),
        ("transfer {\n to 10.0.0.1:0\n}", "Corefile:3.*port '0'"),
        ("transfer {\n to *\n source x\n}", "Corefile:4.*is not an IP address"),
        ("transfer {\n to *\n source ::1\n source ::2\n}", "Corefile:5.*source is already ::1"),
        ("transfer {\n to *\n from *\n}", "Corefile:4.*unknown property 'from'"),
    ],
)
def test_mistakes(
    text: str, problem: str, context: BlockContext, read_directives: Callable[[str], Sequence[Directive]]
) -> None:
    with pytest.raises((CorefileError, CorefileErrors), match=f"(?s){problem}"):
        transfer.parse(read_directives(text), context)


# NOTIFY


class Secondary(asyncio.DatagramProtocol):
    """A server that records each NOTIFY and answers with the given codes; None is silence."""

    def __init__(self, *rcodes: int | None) -> None:
        self.rcodes = list(rcodes)
        self.notified: list[dns.message.Message] = []
        self.come = asyncio.Event()

    async def wait_for(self, count: int) -> None:
        await until(lambda: len(self.notified) >= count)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.DatagramTransport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = dns.message.from_wire(data)
        self.notified.append(message)
        rcode = self.rcodes.pop(0) if self.rcodes else 0
        if rcode is not None:
            reply = dns.message.make_response(message)
            reply.set_rcode(dns.rcode.Rcode(rcode))
            self.transport.sendto(b"\0\0not a reply", addr)
            self.transport.sendto(reply.to_wire(), addr)
        self.come.set()


@asynccontextmanager
async def secondary(*rcodes: int | None) -> AsyncIterator[tuple[Secondary, int]]:
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    transport, protocol = await loop.create_datagram_endpoint(lambda: Secondary(*rcodes), sock=sock)
    try:
        yield protocol, sock.getsockname()[1]
    finally:
        transport.close()


async def test_secondaries_are_notified_at_the_start_and_of_changed_content(folder: Path) -> None:
    async with secondary() as (other, port):
        block = (
            f"transfer {{\n to 127.0.0.1:{port} *\n source 127.0.0.1\n}}\nfile db.example example.org {{\n reload 0\n}}"
        )
        async with running(block, folder) as server:
            async with asyncio.timeout(30):
                await other.come.wait()
            (zones,) = server.instance.configuration.exports(FileZones)
            zone = zones.files[from_text("example.org")]
            (folder / "db.example").write_text(PLAIN.replace("2024010101", "2024010102"))
            zone._file._now_ns = lambda: time.time_ns() + 10**10
            other.come.clear()
            await zone.poll()
            async with asyncio.timeout(30):
                await other.come.wait()
    assert len(other.notified) == 2
    message = other.notified[0]
    assert message.opcode() == dns.opcode.NOTIFY
    assert message.flags & dns.flags.AA
    assert [str(one) for one in message.question] == ["example.org. IN SOA"]


@pytest.mark.parametrize(
    ("rcodes", "times", "problem"),
    [
        ((0,), 1, ""),
        ((None, 0), 2, ""),
        ((4, 4, 4), 3, "was not accepted by 127.0.0.1:{port}: NOTIMP"),
        ((None, None, None), 3, "was not accepted by 127.0.0.1:{port}: no reply"),
    ],
)
async def test_a_secondary_is_notified_up_to_three_times(
    rcodes: tuple[int | None, ...],
    times: int,
    problem: str,
    caplog: pytest.LogCaptureFixture,
    held_clock: HeldClock,
) -> None:
    caplog.set_level(logging.INFO)
    notifier = Notifier()
    async with secondary(*rcodes) as (other, port):
        notifier.notify(from_text("a.org"), [Address("dns", "127.0.0.1", port)], "")
        (task,) = notifier._tasks.values()
        for tries in range(1, times + 1):
            await other.wait_for(tries)
            await held_clock.pass_seconds(TRY_SECONDS)
        assert task.done()
        await notifier.stop()
    assert len(other.notified) == times
    assert (problem.format(port=port) in caplog.text) if problem else not caplog.text


# The cluster's zone


@pytest.fixture
def cluster() -> Index:
    index = Index(clock=lambda: 1_700_000_000)
    http = Port("http", 80, "TCP")
    for obj in (
        Namespace("prod"),
        Service("prod", "web", cluster_ips=("10.96.0.10", "fd00::10"), ports=(http,)),
        Service("prod", "bare", cluster_ips=("10.96.0.11",)),
        Service("prod", "db", headless=True, ports=(http,)),
        Service("prod", "far", "ExternalName", external_name="far.example"),
        Service("hidden", "gone", cluster_ips=("10.96.0.12",)),
        EndpointSlice("prod", "db-1", "db", (http,), (Endpoint(("10.1.0.5",), "db-0"),)),
        EndpointSlice("prod", "web-1", "web", (http,), (Endpoint(("10.1.0.6",)),)),
    ):
        index.apply(Change(None, obj))
    return index


def cluster_transfer(index: Index) -> ClusterTransfer:
    names = [from_text("cluster.local"), from_text("10.in-addr.arpa")]
    return ClusterTransfer(
        [
            ClusterZone(
                zone, index, primary=names[0], ttl_seconds=5, pods=PodMode.INSECURE,
                local_addresses=lambda: [packed("10.0.0.53")],
            )
            for zone in names
        ],
    )  # fmt: skip


def test_the_records_of_the_clusters_zone(cluster: Index) -> None:
    source = cluster_transfer(cluster)
    zone = from_text("cluster.local")
    assert list(source.zone_records(zone) or ()) == [], "no records before the index is synced"
    cluster.synced = True
    records = list(source.zone_records(zone) or ())
    assert records[0] == records[-1]
    shown = [
        " ".join((to_text(one.name).removesuffix("cluster.local."), codes.type_text(one.rtype))) for one in records
    ]
    assert shown == [
        " SOA", " NS", "ns.dns. A",
        "web.prod.svc. A", "web.prod.svc. AAAA", "web.prod.svc. SRV",
        "_http._tcp.web.prod.svc. A", "_http._tcp.web.prod.svc. AAAA", "_http._tcp.web.prod.svc. SRV",
        "bare.prod.svc. A",
        "db.prod.svc. A", "db.prod.svc. SRV", "db-0.db.prod.svc. A", "db-0.db.prod.svc. SRV",
        "_http._tcp.db.prod.svc. A", "_http._tcp.db.prod.svc. SRV",
        "far.prod.svc. CNAME",
        " SOA",
    ]  # fmt: skip
    assert {one.ttl for one in records} == {5}
    assert all("65535" not in rdata_text(one) for one in records)
    assert source.zone_records(from_text("prod.svc.cluster.local")) is None
    assert source.zone_records(from_text("10.in-addr.arpa")) is None
