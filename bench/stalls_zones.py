"""The longest turns of `python -m bench.stalls` over files: a zone of `file`, `hosts`, and what changes its replies.

The files are read in a thread or in steps; the turns are those of the start, and of a query for each kind of name.
"""

import asyncio
import socket
import tempfile
from collections.abc import Coroutine
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, cast

from bench.turns import Turns
from clusterdns.corefile.load import parse
from clusterdns.server.assembly import assemble
from clusterdns.server.instance import Instance
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire import codes
from testing.dns_client import question

SOA = "$ORIGIN example.org.\n$TTL 60\n@ SOA ns host 1 7200 1800 86400 60\n@ NS ns\nns A 10.0.0.1\n"
CLIENT = ("fd00::1", 4, 0, 0)
COREFILES = {
    "file": ".:53 {{\n file {}/zone example.org\n}}\n",
    "hosts": ".:53 {{\n hosts {}/hosts\n}}\n",
    "dns64": ".:53 {{\n dns64\n file {}/zone example.org\n}}\n",
    "rewrite": ".:53 {{\n rewrite name suffix .example.net .example.org answer auto\n file {}/zone example.org\n}}\n",
}
QUESTIONS = {
    "file": [
        ("web-7.example.org.", codes.A), ("big.example.org.", codes.A), ("mail.example.org.", codes.MX),
        ("ptr.example.org.", codes.PTR), ("_pg._tcp.example.org.", codes.SRV), ("nothing.example.org.", codes.A),
    ],
    "hosts": [
        ("web-7.example.org.", codes.A), ("big.example.org.", codes.A), ("0.0.0.0.in-addr.arpa.", codes.PTR)
    ],
    "rewrite": [("big.example.net.", codes.A), ("ptr.example.net.", codes.PTR)],
    "dns64": [("big.example.org.", codes.AAAA), ("web-7.example.org.", codes.AAAA)],
}  # fmt: skip


def _zone(count: int) -> str:
    """Make a zone with as many names, and as many records of one name for some types."""
    rows = [SOA]
    for number in range(count):
        address = IPv4Address("10.0.0.0") + number
        rows.append(f"web-{number} A {address}\nbig A {address}\nptr PTR web-{number}\nmail MX 10 web-{number}\n")
        rows.append(f"_pg._tcp SRV 0 1 5432 web-{number}\n")
    return "".join(rows)


def _hosts(count: int) -> str:
    """Make lines of one address, and lines of one name."""
    names = "".join([f"0.0.0.0 web-{number}.example.org\n" for number in range(count)])
    return names + "".join([f"{IPv4Address('10.0.0.0') + number} big.example.org\n" for number in range(count)])


def _write(folder: Path, count: int) -> None:
    (folder / "zone").write_text(_zone(count))
    (folder / "hosts").write_text(_hosts(count))


async def measure_zones(turns: Turns, count: int) -> None:
    """Measure the start of each, and queries over UDP and TCP."""
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), count)
        for plugin, text in COREFILES.items():
            configuration = assemble(parse(text.format(folder), "/Corefile", {}), Registry(), dns_port=53)
            instance = Instance(configuration, "")
            async with turns.measured(f"{plugin} with {count:,} records, start"):
                await instance.start()
            (point,) = configuration.listen_points
            for qname, qtype in QUESTIONS[plugin]:
                for protocol in ("udp", "tcp"):
                    await _ask(turns, plugin, instance, point, protocol, qname, codes.type_text(qtype))
            await instance.stop()


async def _ask(
    turns: Turns, plugin: str, instance: Instance, point: Any, protocol: str, qname: str, qtype_text: str
) -> None:
    """Ask twice: the second reply is compiled where it may be."""
    dispatch, context = instance.dispatch_for(point, protocol, socket.AF_INET6)
    packet = question(qname, qtype_text)
    for _ in range(2):
        await asyncio.sleep(0)
        turns.doing = f"{plugin}: {qname} {qtype_text}, {protocol}"
        reply = dispatch.miss(packet, CLIENT, "fd00::53", context)
        if not isinstance(reply, bytes):
            reply = await cast(Coroutine[Any, Any, bytes | None], reply)
        await asyncio.sleep(0)
        turns.doing = ""
        assert reply
        assert reply[3] & 0xF == (codes.NXDOMAIN if qname.startswith("nothing") else codes.NOERROR)
