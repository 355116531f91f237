"""Random zones, answered as by Knot: delegations and their glue, wildcards, DNAMEs, chains, empty non-terminals."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from random import Random

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import peers
import pytest
from plugins import random_zones
from plugins.serving import running

from testing import dns_client
from testing.ports import LOOPBACK, free_ports
from testing.process import ServerProcess

COUNT = 12
SEED = 9471
KNOT_CONF = """
server:
    rundir: "{folder}"
    listen: {address}@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{folder}"
template:
  - id: default
    storage: "{folder}"
    semantic-checks: off
    zonefile-sync: -1
zone:
"""

Seen = tuple[str, bool, frozenset[str], frozenset[str], frozenset[str]]


def zones() -> list[random_zones.Zone]:
    random = Random(SEED)
    return [random_zones.zone(random) for _ in range(COUNT)]


def seen(raw: bytes) -> Seen:
    """Return the rcode, AA, and the answer, authority and additional records as `owner type RDATA`."""
    reply = dns.message.from_wire(raw)
    sections = [
        frozenset(
            f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)} {one}".lower() for rrset in section for one in rrset
        )
        for section in (reply.answer, reply.authority, reply.additional)
    ]
    return dns.rcode.to_text(reply.rcode()), bool(reply.flags & dns.flags.AA), sections[0], sections[1], sections[2]


def packet_of(number: int, name: str, qtype: str) -> bytes:
    suffix = f"z{number}.test"
    message = dns.message.make_query(suffix if name == "@" else f"{name}.{suffix}", qtype)
    message.flags &= ~dns.flags.RD
    return message.to_wire()


@pytest.fixture
def knot(tmp_path: Path) -> Iterator[int]:
    binary = peers.need("knotd")
    (port,) = free_ports(1)
    conf = KNOT_CONF.format(folder=tmp_path, address=LOOPBACK, port=port)
    for number, zone in enumerate(zones()):
        (tmp_path / f"db.{number}").write_text(random_zones.text(zone))
        conf += f"  - domain: z{number}.test\n    file: db.{number}\n"
    (tmp_path / "knot.conf").write_text(conf)
    with ServerProcess("knot", [binary, "-c", tmp_path / "knot.conf"], tmp_path / "log", cwd=tmp_path) as server:
        last = packet_of(COUNT - 1, "@", "SOA")
        server.wait_until(lambda: (raw := ask(port, last)) is not None and raw[3] & 15 == 0, "the last zone")
        yield port


def ask(port: int, packet: bytes) -> bytes | None:
    return dns_client.reply_to(port, packet, timeout_seconds=30)


def is_as_knot(ours: Seen, theirs: Seen) -> bool:
    """Return whether the answers are alike, but for the ways in which both servers are right."""
    if ours[:2] != theirs[:2]:
        return False
    is_chain = {one.split()[1] for one in ours[2] | theirs[2]} <= {"cname", "dname"}
    has_answer = ours[2] == theirs[2] or (is_chain and ours[2] > theirs[2] and len(theirs[2]) > 5)  # Knot stops earlier
    is_referral = not ours[1] and not ours[2]
    if is_referral:
        return has_answer and ours[3:] == theirs[3:]
    # as CoreDNS, the apex NS come with an answer; Knot adds addresses that wildcards make
    servers = {one for one in ours[3] if one.split()[1] == "ns"} if ours[2] else set()
    return has_answer and ours[3] - servers == theirs[3] and ours[4] <= theirs[4]


@pytest.mark.peer("knotd")
async def test_random_zones_are_answered_as_by_knot(knot: int, tmp_path: Path) -> None:
    asked = [
        (number, name, qtype)
        for number in range(COUNT)
        for name in random_zones.query_names()
        for qtype in random_zones.QUERY_TYPES
    ]
    theirs = await asyncio.to_thread(lambda: [ask(knot, packet_of(*one)) for one in asked])
    block = "\n".join(f"file db.{number} z{number}.test" for number in range(COUNT))
    different = []
    referrals = 0
    async with running(block, tmp_path) as server:
        for one, raw in zip(asked, theirs, strict=True):
            assert raw is not None
            ours, their = seen(await server.raw(packet_of(*one), "tcp")), seen(raw)
            referrals += not their[1]
            if not is_as_knot(ours, their):
                different.append((one, their, ours))
    assert different == []
    assert referrals > 50
