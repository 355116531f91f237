"""A client that makes up names or EDNS sizes, over real sockets: the answers that others ask for stay stored."""

import asyncio
import itertools
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import pytest
from fakes.metrics import collect
from server.in_process import MANIFEST, WEB, Process

from clusterdns.server.dispatch import Dispatch
from testing.ports import free_ports

SHARE = 0.02  # of the memory for compiled answers: some 300 of them
CAPACITY = 1_024  # of each store of `cache`, the least
AT_ONCE = 25  # queries under way
POD = "192-0-2-1.prod.pod.cluster.local."
TEMPLATE = "www.made.example."

TTL_BYTES = (3600).to_bytes(4, "big")
ADDRESS = b"\0\1\0\1" + TTL_BYTES + b"\0\4\xc0\0\2\1"  # type to data, of an A record
SOA = b"\0\6\0\1" + TTL_BYTES + b"\0\x16\0\0" + bytes(16) + TTL_BYTES

Packets = Iterator[bytes]


class UdpClient:
    """A socket to the server; each query has an ID of its own."""

    def __init__(self, port: int) -> None:
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._sock.connect(("127.0.0.1", port))

    async def ask(self, *packets: bytes) -> list[bytes]:
        """Send the queries at once; return their replies, in the same order."""
        loop = asyncio.get_running_loop()
        for number, packet in enumerate(packets):
            await loop.sock_sendall(self._sock, number.to_bytes(2, "big") + packet[2:])
        received = [await asyncio.wait_for(loop.sock_recv(self._sock, 4096), 30) for _ in packets]
        return sorted(received)

    def close(self) -> None:
        self._sock.close()


class FastUpstream(asyncio.DatagramProtocol):
    """A server with an address for every name, but NXDOMAIN for those under `nxdomain.`; it counts its queries."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.DatagramTransport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        end = data.index(0, 12) + 1
        name = dns.name.from_wire(data, 12)[0].to_text().lower()
        self.asked[name] += 1
        is_denied = ".nxdomain." in name
        head = data[:2] + (b"\x81\x83\0\1\0\0\0\1\0\0" if is_denied else b"\x81\x80\0\1\0\1\0\0\0\0")
        self._transport.sendto(head + data[12 : end + 4] + b"\xc0\x0c" + (SOA if is_denied else ADDRESS), addr)


@pytest.fixture
async def upstream() -> AsyncIterator[FastUpstream]:
    loop = asyncio.get_running_loop()
    transport, upstream = await loop.create_datagram_endpoint(FastUpstream, ("127.0.0.1", 0))
    yield upstream
    transport.close()


@pytest.fixture
def misses(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The queries that no compiled answer was there for, without their IDs."""
    found: list[bytes] = []
    miss = Dispatch.miss

    def recording(dispatch: Dispatch, packet: bytes, *rest: Any) -> Any:
        found.append(bytes(packet[2:]))
        return miss(dispatch, packet, *rest)

    monkeypatch.setattr(Dispatch, "miss", recording)
    return found


@pytest.fixture
async def process(tmp_path: Path, upstream: FastUpstream, misses: list[bytes]) -> AsyncIterator[Process]:
    (tmp_path / "web.yaml").write_text(MANIFEST)
    process = Process(tmp_path, free_ports(1)[0])
    text = process.corefile().replace("manifests", "pods insecure\nmanifests")
    text += f"""
made.example:{process.port} {{
    bind 127.0.0.1
    template IN A made.example {{
        answer "{{{{ .Name }}}} 60 IN A 192.0.2.1"
    }}
}}
.:{process.port} {{
    bind 127.0.0.1
    cache 3600 {{
        success 1
        denial 1
    }}
    forward . 127.0.0.1:{upstream.port}
}}
"""
    process.text = text
    await process.reloader.begin()
    assert process.reloader.running is not None
    answers, *_ = process.reloader.running.configuration.shared.budgets
    answers.scale(SHARE)
    yield process
    await process.end()


@pytest.fixture
async def client(process: Process) -> AsyncIterator[UdpClient]:
    client = UdpClient(process.port)
    yield client
    client.close()


def queries(texts: Iterator[str]) -> Packets:
    return (dns.message.make_query(text, "A").to_wire() for text in texts)


def pod_names() -> Packets:
    return queries(f"10-{n // 65536}-{n // 256 % 256}-{n % 256}.prod.pod.cluster.local." for n in itertools.count())


def template_names() -> Packets:
    return queries(f"made-up-{n}.made.example." for n in itertools.count())


def names_that_do_not_exist() -> Packets:
    return queries(f"made-up-{n}.prod.svc.cluster.local." for n in itertools.count())


def edns_sizes() -> Packets:
    return (dns.message.make_query(WEB, "A", use_edns=0, payload=size).to_wire() for size in itertools.count(512))


def edns_options() -> Packets:
    for number in itertools.count():
        option = dns.edns.GenericOption(dns.edns.OptionType.make(65001), number.to_bytes(4, "big"))
        yield dns.message.make_query(WEB, "A", use_edns=0, options=[option]).to_wire()


def letter_cases() -> Packets:
    for bits in itertools.product((str.lower, str.upper), repeat=11):
        text = "".join(change(letter) for change, letter in zip(bits, "prodservice", strict=True))
        yield dns.message.make_query(f"{text}.svc.cluster.local.", "A").to_wire()


@pytest.mark.parametrize("times", [1, 2], ids="each query {} times".format)
@pytest.mark.parametrize(
    "scan",
    [pod_names, template_names, names_that_do_not_exist, edns_sizes, edns_options, letter_cases],
    ids=lambda scan: scan.__name__,
)
async def test_a_scan_evicts_no_compiled_answer_that_others_ask_for(
    client: UdpClient, misses: list[bytes], scan: Callable[[], Packets], times: int
) -> None:
    texts = (WEB, POD, TEMPLATE, "none.prod.svc.cluster.local.")
    used = [dns.message.make_query(text, "A").to_wire() for text in texts]
    for _ in range(3):
        replies = await client.ask(*used)
    assert [len(dns.message.from_wire(reply).answer) for reply in replies] == [1, 1, 1, 0]
    misses.clear()
    made_up = scan()
    for _ in range(700 // AT_ONCE):
        batch = tuple(itertools.islice(made_up, AT_ONCE))
        for _ in range(times):
            await client.ask(*batch)
        await client.ask(*used)
    assert len(set(misses)) == 700, "every made-up query was a miss, as the server's small memory makes sure"
    assert not {packet[2:] for packet in used} & set(misses)


async def test_a_scan_evicts_no_cached_reply_that_others_ask_for(
    client: UdpClient, process: Process, upstream: FastUpstream
) -> None:
    """The upstream answers every name; names in use, positive and negative ones, are asked of it once."""
    used = [f"used-{n}{kind}.example.org." for kind in ("", ".nxdomain") for n in range(20)]
    packets = list(queries(iter(used)))
    for _ in range(3):
        await client.ask(*packets)
    kinds = itertools.cycle(("", ".nxdomain"))
    made_up = queries(f"made-up-{n}{kind}.example.org." for n, kind in enumerate(kinds))
    for number in range(2 * 1_300 // AT_ONCE):
        replies = await client.ask(*itertools.islice(made_up, AT_ONCE))
        assert {reply[3] & 0xF for reply in replies} == {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}
        if number % 10 == 0:
            await client.ask(*packets)
    assert {text: upstream.asked[text] for text in used} == dict.fromkeys(used, 1)
    counts = cache_counts(process)
    for kind in ("success", "denial"):
        assert counts["entries", kind] == CAPACITY
        assert counts["evictions_total", kind] == 1_300 + 20 - CAPACITY


async def test_the_flags_that_a_client_varies_evict_no_cached_reply_that_others_ask_for(
    client: UdpClient, process: Process, upstream: FastUpstream
) -> None:
    used = [f"used-{n}.example.org." for n in range(20)]
    packets = list(queries(iter(used)))
    for _ in range(3):
        await client.ask(*packets)
    variants = tuple(itertools.product((False, True), ("RD", "RD CD", "CD", "RD AD")))
    for number in range(250):
        made_up = []
        for is_dnssec, flags in variants:
            query = dns.message.make_query(f"made-up-{number}.example.org.", "A", want_dnssec=is_dnssec)
            query.flags = dns.flags.from_text(flags)
            made_up.append(query.to_wire())
        await client.ask(*made_up)
        if number % 50 == 0:
            await client.ask(*packets)
    assert upstream.asked["made-up-0.example.org."] == len(variants) - 2, "AD makes no difference"
    assert {text: upstream.asked[text] for text in used} == dict.fromkeys(used, 1)
    assert cache_counts(process)["evictions_total", "success"] > 0


def cache_counts(process: Process) -> dict[tuple[str, str], float]:
    """Return the metrics of `cache` by their names without the prefix, and their type."""
    assert process.reloader.running is not None
    prefix = "coredns_cache_"
    return {
        (sample.name.removeprefix(prefix), sample.labels["type"]): sample.value
        for metric in collect(process.reloader.running.configuration.registry)
        for sample in metric.samples
        if sample.name.startswith(prefix) and "type" in sample.labels
    }
