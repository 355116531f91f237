"""The `file` directive: its settings, what becomes of a file, and aliases that lead out of a zone."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plugins.example_zones import EXAMPLE, OTHER
from plugins.serving import Running, running

from clusterdns.chain import BlockContext
from clusterdns.chain.fallthrough import Fallthrough
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins.file import directive as file
from clusterdns.plugins.file import zone as file_zone
from clusterdns.plugins.file.tree import ZoneTree
from clusterdns.plugins.file.zone import ZoneFile
from clusterdns.server.instance import StartError
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire.name import from_text
from clusterdns.wire.zonetext import zone_from_text

ZONE = from_text("a.org")


def content(serial: int, *lines: str) -> str:
    return "\n".join((f"$TTL 60\n@ IN SOA ns hm {serial} 7200 1800 86400 60\n@ IN NS ns", *lines, ""))


class Clock:
    """Each look is an hour after the last write, but where the test says otherwise."""

    def __init__(self) -> None:
        self.ahead_ns = 3_600_000_000_000

    def __call__(self) -> int:
        return time.time_ns() + self.ahead_ns


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db.a.org"


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def zone(path: Path, registry: Registry) -> ZoneFile:
    return ZoneFile(str(path), ZONE, registry, now_ns=Clock())


def write(path: Path, text: str) -> None:
    path.write_text(text)


def do_damage(damage: str, path: Path) -> None:
    """The file as it is found one day."""
    path.unlink()
    raw = {
        "broken": content(2, "x A 192.0.2.256").encode(),
        "no zone": b"$TTL 60\nx A 192.0.2.1\n",
        "large": content(2, *(f"x{n} A 192.0.2.1" for n in range(500))).encode(),
        "binary": bytes(range(256)),
    }
    if damage == "folder":
        path.mkdir()
    elif damage in raw:
        path.write_bytes(raw[damage])


def failures(registry: Registry, path: Path) -> float:
    family = registry.counter("clusterdns_file_read_failures_total", "Zone files that could not be read.", "file")
    return family.labels(str(path)).value


def serial(zone: ZoneFile) -> int:
    assert zone.tree is not None
    return zone.tree.serial


# Settings


def test_lines_share_a_plugin(context: BlockContext, read_directives: Callable[[str], Sequence[Directive]]) -> None:
    lines = file.parse(
        read_directives("file db.a a.org\nfile /c c.org 10.0.0.0/24 {\n reload 5s\n reload_by_mtime\n"
                        " fallthrough c.org\n upstream 8.8.8.8\n}"),
        context,
    )  # fmt: skip
    assert [(one.path, one.zones, one.reload_seconds, one.by_mtime, one.fallthrough) for one in lines] == [
        ("db.a", (from_text("a.org"),), 60.0, False, None),
        ("/c", (from_text("c.org"), from_text("0.0.10.in-addr.arpa")), 5.0, True, Fallthrough((from_text("c.org"),))),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("file", "Corefile:2.*Wrong argument count.*file DBFILE"),
        ("file db {\n nonsense\n}", "Corefile:3.*unknown property 'nonsense'"),
        ("file db {\n reload\n}", "Corefile:3.*at least 1 argument"),
        ("file db {\n reload 5\n}", "Corefile:3.*is not a duration"),
        ("file db {\n reload_by_mtime yes\n}", "Corefile:3.*no argument"),
        ("file db {\n reload 0\n}", "Corefile:2.*cannot read the zone file db.*remove 'reload 0'"),
    ],
)
def test_what_is_no_directive(
    text: str, problem: str, context: BlockContext, read_directives: Callable[[str], Sequence[Directive]]
) -> None:
    with pytest.raises((CorefileError, CorefileErrors), match=f"(?s){problem}"):
        file.parse(read_directives(text), context)


# What becomes of a file


async def test_a_missing_file_is_waited_for(
    zone: ZoneFile, path: Path, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    await zone.load()
    assert zone.tree is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "SERVFAIL is answered until it can be read" in caplog.text
    await zone.look()
    assert failures(registry, path) == 1
    write(path, content(0, "x A 192.0.2.1"))
    await zone.look()
    assert serial(zone) == 0, "0 is a serial like any other"
    assert zone.problem == ""


async def test_a_broken_file_ends_the_start(zone: ZoneFile, path: Path) -> None:
    write(path, "garbage here\n")
    with pytest.raises(ValueError, match=r"db\.a\.org:1: "):
        await zone.load()


@pytest.mark.parametrize("damage", ["broken", "no zone", "gone", "folder", "large", "binary"])
async def test_the_last_good_content_stays(
    damage: str, zone: ZoneFile, path: Path, registry: Registry, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(file_zone, "MAX_FILE_BYTES", 4096)
    write(path, content(1, "x A 192.0.2.1"))
    await zone.load()
    before = zone.tree
    changes: list[int] = []
    zone.tell(lambda: changes.append(1))
    do_damage(damage, path)
    caplog.clear()
    for _ in range(3):
        await zone.look()
    assert zone.tree is before
    assert [record.levelname for record in caplog.records] == ["ERROR"], "told once"
    assert str(path) in caplog.text
    assert "the last zone stays" in caplog.text
    assert failures(registry, path) == 1
    assert zone.problem
    assert changes == []
    if damage == "folder":
        os.rmdir(path)
    write(path, content(3, "x A 192.0.2.3"))
    await zone.look()
    assert (serial(zone), zone.problem, changes) == (3, "", [1])
    assert "can be read again" in caplog.text


async def test_a_file_that_comes_back_as_it_was_is_no_problem_any_more(zone: ZoneFile, path: Path) -> None:
    write(path, content(1))
    await zone.load()
    before = zone.tree
    os.rename(path, f"{path}.away")
    await zone.look()
    assert zone.problem
    os.rename(f"{path}.away", path)
    await zone.look()
    assert (zone.problem, zone.tree) == ("", before)


async def test_another_content_counts_with_another_serial(
    zone: ZoneFile, path: Path, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, content(0, "x A 192.0.2.1"))
    await zone.load()
    by_mtime = ZoneFile(str(path), ZONE, registry, by_mtime=True, now_ns=Clock())
    await by_mtime.load()
    write(path, content(0, "x A 192.0.2.22"))
    for _ in range(3):
        await zone.look()
        await by_mtime.look()
    assert zone.tree is not None
    assert by_mtime.tree is not None
    assert [one.rdata[-1] for one in zone.tree.records() if len(one.rdata) == 4] == [1]
    assert [one.rdata[-1] for one in by_mtime.tree.records() if len(one.rdata) == 4] == [22]
    assert caplog.text.count("its serial is still 0") == 1
    write(path, content(5, "x A 192.0.2.33"))
    await zone.look()
    assert serial(zone) == 5


async def test_a_configmap_swap_is_seen_and_a_half_written_file_left_for_later(tmp_path: Path) -> None:
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
    (tmp_path / "one" / "db").write_text(content(1))
    (tmp_path / "two" / "db").write_text(content(2))
    link = tmp_path / "data"
    link.symlink_to("one")
    clock = Clock()
    zone = ZoneFile(str(link / "db"), ZONE, Registry(), now_ns=clock)
    await zone.load()
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").rename(link)
    clock.ahead_ns = 0
    os.utime(tmp_path / "two" / "db")
    await zone.look()
    assert serial(zone) == 1, "written this very moment, perhaps not to its end"
    clock.ahead_ns = 1_000_000_000
    await zone.look()
    assert serial(zone) == 2


async def test_the_loop_goes_on_while_a_file_is_read(
    zone: ZoneFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, content(1))
    may_go_on = threading.Event()

    def slowly(*arguments: object) -> object:
        assert may_go_on.wait(10)
        return zone_from_text(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(file_zone, "zone_from_text", slowly)
    loading = asyncio.create_task(zone.load())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not loading.done()
    may_go_on.set()
    await loading
    assert serial(zone) == 1


async def test_what_is_outside_is_told_once(zone: ZoneFile, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(path, content(1, "x.other. A 192.0.2.1", "y.other. A 192.0.2.1"))
    await zone.load()
    assert "2 records that are not in zone a.org. are left out, the first at x.other." in caplog.text


async def test_a_fault_of_ours_does_not_end_the_looking(
    zone: ZoneFile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks: list[int] = []
    done = asyncio.Event()

    async def look() -> None:
        looks.append(1)
        if len(looks) > 1:
            done.set()
        raise RuntimeError("a fault")

    monkeypatch.setattr(zone, "look", look)
    task = asyncio.create_task(zone.look_forever(0))
    async with asyncio.timeout(5):
        await done.wait()
    task.cancel()
    assert caplog.text.count("cannot be looked at") >= 1


@given(text=st.text(st.sampled_from('@$ \t\n()";\\.aA19IN*SOACNMETXNS-'), max_size=120))
def test_any_text_is_a_zone_or_an_error(text: str) -> None:
    try:
        tree = ZoneTree(ZONE, zone_from_text(text, ZONE, "/nowhere", "db"))
    except ValueError as error:
        told = str(error)
    else:
        records = list(tree.records())
        told = "zone" if records[0] == records[-1] == tree.soa else ""
    assert told


# Answers through the server


COREFILE = """
    file db.example example.org
    file db.other other.test sub.example.org
    log
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "db.example").write_text(EXAMPLE)
    (tmp_path / "db.other").write_text(OTHER)
    return tmp_path


async def text_of(server: Running, qname: str, qtype: str = "A") -> str:
    reply = await server.ask(qname, qtype)
    answer = [f"{one.name} {dns.rdatatype.to_text(one.rdtype)}" for one in reply.answer]
    authority = [f"{one.name} {dns.rdatatype.to_text(one.rdtype)}" for one in reply.authority]
    return f"{dns.rcode.to_text(reply.rcode())}: {', '.join(answer)} | {', '.join(authority)}"


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("out.example.org A", "NOERROR: out.example.org. CNAME, host.other.test. A | example.org. NS"),
        ("out.example.org MX", "NOERROR: out.example.org. CNAME | other.test. SOA"),
        ("outnx.example.org A", "NXDOMAIN: outnx.example.org. CNAME | other.test. SOA"),
        ("outref.example.org A", "NOERROR: outref.example.org. CNAME | example.org. NS"),
        ("dangle.example.org A", "NXDOMAIN: dangle.example.org. CNAME | example.org. SOA"),
        ("towild.example.org A", "NOERROR: towild.example.org. CNAME, some.wild.example.org. A | example.org. NS"),
        ("y.cloop.example.org A", "NOERROR: y.cloop.example.org. CNAME, x.cloop.example.org. CNAME | example.org. NS"),
        # another zone of this server below the cut
        ("tocut.example.org A", "NXDOMAIN: tocut.example.org. CNAME | sub.example.org. SOA"),
        ("sub.example.org DS", "NOERROR: sub.example.org. DS | example.org. NS"),
        ("sub.example.org NS", "NOERROR: sub.example.org. NS | "),
        ("elsewhere.net A", "REFUSED:  | "),
        ("example.org AXFR", "REFUSED:  | "),
    ],
)
async def test_aliases_that_lead_out(question: str, expected: str, folder: Path) -> None:
    (folder / "db.other").write_text(OTHER.replace("ns.other.test. h.other.test.", "ns h"))
    async with running(COREFILE, folder) as server:
        assert await text_of(server, *question.split()) == expected


@pytest.mark.parametrize(
    ("below", "expected"),
    [
        ("", "NOERROR"),  # nobody's name: the client goes on by itself
        ("forward elsewhere.net 127.0.0.1:1", "SERVFAIL"),  # somebody's, who had no answer (RFC 6604 §2)
        ("template ANY ANY other.test {\n rcode REFUSED\n}", "REFUSED"),
    ],
)
async def test_an_alias_that_leads_to_no_answer_has_its_code(below: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "db").write_text(content(1, "out CNAME host.other.test."))
    async with running(f"file db example.org\n{below}", tmp_path) as server:
        reply = await server.ask("out.example.org")
        assert (dns.rcode.to_text(reply.rcode()), len(reply.answer)) == (expected, 1)


async def test_a_ring_through_wildcards_of_two_zones_ends(folder: Path) -> None:
    for here, there in (("one", "two"), ("two", "one")):
        (folder / f"db.{here}").write_text(content(1, f"* CNAME x.{there}.test."))
    async with running("file db.one one.test\nfile db.two two.test", folder) as server:
        reply = await server.ask("a.one.test")
        assert len(reply.answer) == 3
        assert reply.rcode() == dns.rcode.SERVFAIL


@pytest.mark.parametrize("name", ["nothere", "a.nothere", "x.host"])
async def test_the_root_zone_has_no_more_names_than_its_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "db").write_text(content(1, "@ A 192.0.2.1", "host A 192.0.2.2"))
    async with running("file db .", tmp_path) as server:
        reply = await server.ask(name)
        assert (dns.rcode.to_text(reply.rcode()), reply.answer) == ("NXDOMAIN", [])
        assert [dns.rdatatype.to_text(rrset.rdtype) for rrset in reply.authority] == ["SOA"]


@pytest.mark.parametrize(("qtype", "answered"), [("A", []), ("PTR", []), ("ANY", ["HINFO"])])
async def test_a_zone_of_nothing_but_its_top_exists(qtype: str, answered: list[str], tmp_path: Path) -> None:
    (tmp_path / "db").write_text(content(1))
    async with running("file db 10.in-addr.arpa", tmp_path) as server:
        reply = await server.ask("10.in-addr.arpa", qtype)
        types = [dns.rdatatype.to_text(rrset.rdtype) for rrset in reply.answer]
        assert (dns.rcode.to_text(reply.rcode()), types) == ("NOERROR", answered)


async def test_fallthrough_is_for_names_that_hold_nothing(folder: Path) -> None:
    block = "file db.example example.org {\n fallthrough\n}\nfile db.other other.test\nwhoami"
    async with running(block, folder) as server:
        for qname, additional in (
            ("nothere.example.org", 2),
            ("ent.example.org", 2),
            ("nothere.other.test", 2),  # one fallthrough for all lines, as in CoreDNS
            ("elsewhere.net", 2),
            ("txt.example.org", 0),
            ("x.wild.example.org", 0),
        ):
            assert len((await server.ask(qname)).additional) == additional, qname


@pytest.mark.parametrize(
    ("below", "expected"), [("", "REFUSED"), ("cache 30\nerrors", "REFUSED"), ("whoami", "NOERROR")]
)
async def test_other_names_are_refused_where_nobody_is_below(below: str, expected: str, folder: Path) -> None:
    async with running(f"file db.other other.test\n{below}", folder) as server:
        assert dns.rcode.to_text((await server.ask("elsewhere.net")).rcode()) == expected


async def test_compiled_answers_end_with_the_content(tmp_path: Path) -> None:
    path = tmp_path / "db"
    write(path, content(1, "x A 192.0.2.1"))
    async with running("file db a.org {\n reload 0\n}", tmp_path) as server:
        assert str((await server.ask("x.a.org")).answer[0][0]) == "192.0.2.1"
        assert server.udp.answers.entries
        (zones,) = server.instance.configuration.exports(file.FileZones)
        write(path, content(2, "x A 192.0.2.2"))
        zone = zones.files[ZONE]
        zone._file._now_ns = Clock()
        await zone.look()
        assert str((await server.ask("x.a.org")).answer[0][0]) == "192.0.2.2"


async def test_a_broken_file_stops_the_configuration_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("@ IN NONSENSE\n")
    with pytest.raises(StartError, match=r"Corefile:3: .*db:1: .*NONSENSE"):
        async with running("file db a.org", tmp_path):
            pass


async def test_one_missing_file_is_servfail_for_its_zone_alone(folder: Path) -> None:
    async with running("file db.none a.org\nfile db.other other.test", folder) as server:
        assert (await server.ask("x.a.org")).rcode() == dns.rcode.SERVFAIL
        assert (await server.ask("host.other.test")).rcode() == dns.rcode.NOERROR
        assert "db.none" in next(iter(server.instance.configuration.shared.warnings().values()))
