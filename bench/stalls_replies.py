"""The longest turns of `python -m bench.stalls` over the largest replies of upstreams, also hostile ones."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Mapping
from ipaddress import IPv4Address
from typing import Any, cast

from bench.turns import Turns
from clusterdns.corefile.load import parse
from clusterdns.server.assembly import assemble
from clusterdns.server.instance import Instance
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire import codes
from clusterdns.wire.header import MAX_STREAM_BYTES
from clusterdns.wire.name import from_text
from clusterdns.wire.record import Record, address, ptr, record
from testing.dns_client import question

COREFILE = ".:53 {{\n cache\n forward . 127.0.0.1:{} {{\n  force_tcp\n }}\n}}\n"
QNAME = "www.shop.example.org."
POINTER = b"\xc0\x0c"
AFTER = 12 + len(from_text(QNAME)) + 4  # where the first record begins
LONG_NAME = b"".join([b"\1%c" % (97 + number % 26) for number in range(126)]) + b"\0"
Make = Callable[[int], Record]


def _hostile(number: int) -> Record:
    if not number:
        return record(LONG_NAME, codes.NULL, 60, b"")
    into = [(0xC000 | AFTER + 2 * (number * step % 120)).to_bytes(2, "big") for step in (7, 11)]
    return record(b"\1%c" % (97 + number % 26) + into[0], codes.NS, 60, b"\1%c" % (97 + number % 25) + into[1])


RECORDS: Mapping[str, tuple[int, Make]] = {
    "addresses": (codes.A, lambda number: address(POINTER, 60, IPv4Address(number).packed)),
    "addresses with several TTLs": (
        codes.A, lambda number: address(POINTER, 60 + number % 2, IPv4Address(number).packed)
    ),
    "names": (codes.PTR, lambda number: ptr(POINTER, 60, b"\x06%06d" % number + POINTER)),
    "texts": (codes.TXT, lambda number: record(POINTER, codes.TXT, 60, b"\x06%06d" % number)),
    "services": (
        codes.SRV, lambda number: record(POINTER, codes.SRV, 60, b"\0\1\0\1\0\1\x06%06d" % number + from_text(QNAME))
    ),
    "pointers into a long name": (codes.NS, _hostile),
}  # fmt: skip


def _reply(query: bytes, make: Make) -> bytes:
    """Make the reply to a query with as many records as 64 KiB hold."""
    wire = query[:2] + b"\x81\x80" + query[4:6] + bytes(6) + query[12:AFTER]
    count = 0
    while len(wire) + len(found := b"%b%b" % (lambda one: (one.name, one.body))(make(count))) <= MAX_STREAM_BYTES:
        wire += found
        count += 1
    return wire[:6] + count.to_bytes(2, "big") + wire[8:]


async def measure_replies(turns: Turns) -> None:
    """Measure one forwarded query for each kind of reply, and the same query while its reply is cached."""
    for text, (qtype, make) in RECORDS.items():
        packet = question(QNAME, codes.type_text(qtype))
        sent = _reply(packet, make)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes = sent) -> None:
            while length := await reader.read(2):
                query = await reader.readexactly(int.from_bytes(length, "big"))
                writer.write(len(sent).to_bytes(2, "big") + query[:2] + sent[2:])
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        configuration = assemble(parse(COREFILE.format(port), "/Corefile", {}), Registry(), dns_port=53)
        instance = Instance(configuration, "")
        await instance.start()
        (point,) = configuration.listen_points
        for protocol, doing in (("tcp", "reply"), ("tcp", "cached reply"), ("udp", "cached reply")):
            dispatch, context = instance.dispatch_for(point, protocol, socket.AF_INET)
            await asyncio.sleep(0)
            turns.doing = f"upstream's {doing} with 64 KiB of {text}, {protocol}"
            answer = dispatch.miss(packet, ("127.0.0.1", 4), "127.0.0.1", context)
            if not isinstance(answer, bytes):
                answer = await cast(Coroutine[Any, Any, bytes | None], answer)
            await asyncio.sleep(0)
            turns.doing = ""
            assert answer
            assert answer[3] & 0xF == (codes.SERVFAIL if make is _hostile else codes.NOERROR)
        await instance.stop()
        server.close()
