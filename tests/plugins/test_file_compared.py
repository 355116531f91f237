"""The `file` directive compared with CoreDNS: every name of the example zones, and missing names near them, by type.

Each difference has a name here and a predicate for its queries; docs/differences.md has the reasons.
"""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import peers
import pytest
from plugins.example_zones import EXAMPLE, OTHER, SIGNED
from plugins.serving import question, running

from testing.ports import LOOPBACK, free_ports
from testing.process import ServerProcess
from testing.waiting import PATIENCE_SECONDS

BLOCK = "file db.example example.org\nfile db.other other.test\nfile db.signed a.org\n"
TYPES = ("A", "AAAA", "NS", "SOA", "CNAME", "DNAME", "MX", "TXT", "SRV", "HTTPS", "DS", "ANY", "NSEC", "RRSIG")
MISSING = (
    "nothere", "x.nothere", "x.www", "x.wild", "y.x.wild", "x.host.wild", "x.b.wild", "b.wild", "wild", "x.cwild",
    "y.cloop", "x.cloop", "x.sub", "a.b.sub", "x.outsub", "x.ent", "h.dn", "n.dn", "a.b.dnout", "host.dnout",
    "x.dnlong", f"{'y' * 60}.dnlong",
)  # fmt: skip
SIGNED_NAMES = ("", "ns", "nx", "a", "zz", "b", "c.b", "x.c.b", "sub", "x.sub", "w", "x.w", "y.x.w", "*.w")

Seen = tuple[str, bool, frozenset[str], frozenset[str], frozenset[str]]


def names() -> Iterator[tuple[str, bool]]:
    """Iterate over the names, each with whether it is asked with DO."""
    owners = {line.split()[0].lower() for line in EXAMPLE.splitlines() if line and line[0] not in "$@"}
    for label in sorted(owners | set(MISSING)):
        yield f"{label}.example.org.", False
    yield "example.org.", False
    for label in SIGNED_NAMES:
        for do in (False, True):
            yield f"{label}.a.org." if label else "a.org.", do


def seen(reply: dns.message.Message) -> Seen:
    """Return what a client acts on: the rcode, the AA flag and the sections as sets of lines."""
    sections = [
        frozenset(
            f"{rrset.name} {rrset.ttl} {dns.rdatatype.to_text(rrset.rdtype)} {one}".lower()
            for rrset in section
            for one in rrset
        )
        for section in (reply.answer, reply.authority, reply.additional)
    ]
    return dns.rcode.to_text(reply.rcode()), bool(reply.flags & dns.flags.AA), *sections  # type: ignore[return-value]


def types_in(section: frozenset[str]) -> set[str]:
    return {one.split()[2] for one in section}


# name of the difference → whether this query shows it: (qname, qtype, theirs, ours)
DIFFERENCES: dict[str, Callable[[str, str, Seen, Seen], bool]] = {
    "any-hinfo": lambda qname, qtype, theirs, ours: qtype == "ANY",
    "file-empty-below-wildcard": lambda qname, qtype, theirs, ours: (
        qname in ("b.wild.example.org.", "w.a.org.") and not ours[2] and types_in(ours[3]) >= {"soa"}
    ),
    "file-alias-type": lambda qname, qtype, theirs, ours: (
        qtype in ("NSEC", "RRSIG") and (types_in(theirs[2]) >= {"cname"} or qname == "to-self.example.org.")
    ),
    "file-cname-ring": lambda qname, qtype, theirs, ours: (
        types_in(ours[2]) <= {"cname", "dname"} and ("loop" in qname or qname == "to-self.example.org.")
    ),
    "file-alias-long": lambda qname, qtype, theirs, ours: (
        ours[0] == "NOERROR" and ours[2] >= theirs[2] and len(theirs[2]) >= 9
        and types_in(theirs[2]) <= {"cname", "dname"}
    ),
    "file-cname-nodata": lambda qname, qtype, theirs, ours: (
        ours[2] == theirs[2] and ours[0] == theirs[0] and types_in(ours[2]) <= {"cname", "dname"}
        and types_in(ours[3]) == {"soa"}
    ),
    "file-dname-too-long": lambda qname, qtype, theirs, ours: ours[0] == "YXDOMAIN",
    "file-sibling-glue": lambda qname, qtype, theirs, ours: (
        ours[:4] == theirs[:4] and ours[4] > theirs[4] and types_in(ours[3]) <= {"ns", "ds", "rrsig", "nsec"}
        and types_in(ours[4]) <= {"a", "aaaa"}
    ),
    "file-unsigned-referral": lambda qname, qtype, theirs, ours: (
        not ours[1] and types_in(ours[3] - theirs[3]) == {"nsec", "rrsig"}
    ),
    "file-signatures-of-the-top": lambda qname, qtype, theirs, ours: (
        (qname, qtype) == ("a.org.", "RRSIG") and theirs[2] < ours[2]
    ),
}  # fmt: skip


@pytest.fixture
def coredns(tmp_path: Path) -> Iterator[int]:
    """Run CoreDNS with the zones on a port of 127.0.0.1."""
    binary = peers.need("coredns")
    for label, text in (("example", EXAMPLE), ("other", OTHER), ("signed", SIGNED)):
        (tmp_path / f"db.{label}").write_text(text)
    (port,) = free_ports(1)
    (tmp_path / "Corefile").write_text(f".:{port} {{\nbind {LOOPBACK}\n{BLOCK}}}\n")
    log = tmp_path / "coredns.log"
    with ServerProcess("coredns", [binary, "-conf", "Corefile"], log, cwd=tmp_path) as server:
        server.wait_until(lambda: is_listening(port), "open port")
        yield port


def is_listening(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), PATIENCE_SECONDS).close()
    except OSError:
        return False
    return True


@pytest.mark.peer("coredns")
async def test_every_difference_has_a_name(coredns: int, tmp_path: Path) -> None:
    asked = [(qname, qtype, do) for qname, do in names() for qtype in TYPES]

    def ask_coredns() -> list[Seen]:
        with socket.create_connection(("127.0.0.1", coredns), PATIENCE_SECONDS) as sock:
            replies: list[Seen] = []
            for qname, qtype, do in asked:
                message = question(qname, qtype, do=do)
                dns.query.send_tcp(sock, message, time.time() + PATIENCE_SECONDS)
                try:
                    replies.append(seen(dns.query.receive_tcp(sock, time.time() + PATIENCE_SECONDS)[0]))
                except dns.name.NameTooLong:
                    replies.append(("a name that is too long", True, frozenset(), frozenset(), frozenset()))
            return replies

    theirs = await asyncio.to_thread(ask_coredns)
    counts: Counter[str] = Counter()
    unnamed = []
    async with running(BLOCK, tmp_path) as server:
        for (qname, qtype, do), their in zip(asked, theirs, strict=True):
            our = seen(await server.ask(qname, qtype, do=do, transport="tcp"))
            if our != their:
                name = next((name for name, fits in DIFFERENCES.items() if fits(qname, qtype, their, our)), "")
                counts[name] += 1
                if not name:
                    unnamed.append((qname, qtype, do, their, our))
    assert unnamed == []
    assert set(counts) == set(DIFFERENCES), "a difference that no query shows any more"
