"""The `file` directive: its settings, following its files, and CNAME records that lead out of a zone."""

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

from clusterdns.chain import BlockContext, StartError
from clusterdns.chain.fallthrough import Fallthrough
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins.file import directive as file
from clusterdns.plugins.file import zone as file_zone
from clusterdns.plugins.file.tree import ZoneTree
from clusterdns.plugins.file.zone import ZoneFile
from clusterdns.plugins.file.zones import FileZones
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire.name import from_text
from clusterdns.wire.presentation.zonetext import zone_from_text
from testing.waiting import PATIENCE_SECONDS

ZONE = from_text("a.org")


def content(serial: int, *lines: str) -> str:
    return "\n".join((f"$TTL 60\n@ IN SOA ns hm {serial} 7200 1800 86400 60\n@ IN NS ns", *lines, ""))


class AheadClock:
    """A clock that is ahead of the real time, by an hour unless a test sets it."""

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
    return ZoneFile(str(path), ZONE, registry, now_ns=AheadClock())


def write(path: Path, text: str) -> None:
    path.write_text(text)


def do_damage(damage: str, path: Path) -> None:
    """Replace or remove the file."""
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


def test_options_of_several_lines(context: BlockContext, read_directives: Callable[[str], Sequence[Directive]]) -> None:
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
def test_errors_name_their_line(
    text: str, problem: str, context: BlockContext, read_directives: Callable[[str], Sequence[Directive]]
) -> None:
    with pytest.raises((CorefileError, CorefileErrors), match=f"(?s){problem}"):
        file.parse(read_directives(text), context)


# Following a file


async def test_a_missing_file_is_servfail_until_it_appears(
    zone: ZoneFile, path: Path, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    await zone.load()
    assert zone.tree is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "No such file or directory; SERVFAIL until it can be read" in caplog.text
    await zone.poll()
    assert failures(registry, path) == 1
    write(path, content(0, "x A 192.0.2.1"))
    await zone.poll()
    assert serial(zone) == 0, "a serial of 0 is valid"
    assert zone.problem == ""


async def test_a_malformed_file_raises_at_the_start(zone: ZoneFile, path: Path) -> None:
    write(path, "garbage here\n")
    with pytest.raises(ValueError, match=r"db\.a\.org:1: "):
        await zone.load()


@pytest.mark.parametrize("damage", ["broken", "no zone", "gone", "folder", "large", "binary"])
async def test_the_last_good_zone_stays_when_the_file_is_damaged(
    damage: str, zone: ZoneFile, path: Path, registry: Registry, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(file_zone, "MAX_FILE_BYTES", 4096)
    write(path, content(1, "x A 192.0.2.1"))
    await zone.load()
    before = zone.tree
    changes: list[int] = []
    zone.subscribe(lambda: changes.append(1))
    do_damage(damage, path)
    caplog.clear()
    for _ in range(3):
        await zone.poll()
    assert zone.tree is before
    assert [record.levelname for record in caplog.records] == ["ERROR"], "logged once"
    assert str(path) in caplog.text
    assert "the last good zone stays in use" in caplog.text
    assert failures(registry, path) == 1
    assert zone.problem
    assert changes == []
    if damage == "folder":
        os.rmdir(path)
    write(path, content(3, "x A 192.0.2.3"))
    await zone.poll()
    assert (serial(zone), zone.problem, changes) == (3, "", [1])
    assert "can be read again" in caplog.text


async def test_a_file_that_comes_back_unchanged_ends_the_problem(zone: ZoneFile, path: Path) -> None:
    write(path, content(1))
    await zone.load()
    before = zone.tree
    os.rename(path, f"{path}.away")
    await zone.poll()
    assert zone.problem
    os.rename(f"{path}.away", path)
    await zone.poll()
    assert (zone.problem, zone.tree) == ("", before)


async def test_changed_content_needs_a_changed_serial(
    zone: ZoneFile, path: Path, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, content(0, "x A 192.0.2.1"))
    await zone.load()
    by_mtime = ZoneFile(str(path), ZONE, registry, by_mtime=True, now_ns=AheadClock())
    await by_mtime.load()
    write(path, content(0, "x A 192.0.2.22"))
    for _ in range(3):
        await zone.poll()
        await by_mtime.poll()
    assert zone.tree is not None
    assert by_mtime.tree is not None
    assert [one.rdata[-1] for one in zone.tree.records() if len(one.rdata) == 4] == [1]
    assert [one.rdata[-1] for one in by_mtime.tree.records() if len(one.rdata) == 4] == [22]
    assert caplog.text.count("its serial is still 0") == 1
    write(path, content(5, "x A 192.0.2.33"))
    await zone.poll()
    assert serial(zone) == 5


async def test_a_configmap_swap_is_seen_and_a_file_being_written_is_left_for_later(tmp_path: Path) -> None:
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
    (tmp_path / "one" / "db").write_text(content(1))
    (tmp_path / "two" / "db").write_text(content(2))
    link = tmp_path / "data"
    link.symlink_to("one")
    clock = AheadClock()
    zone = ZoneFile(str(link / "db"), ZONE, Registry(), now_ns=clock)
    await zone.load()
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").rename(link)
    clock.ahead_ns = 0
    os.utime(tmp_path / "two" / "db")
    await zone.poll()
    assert serial(zone) == 1, "modified just now, perhaps still being written"
    clock.ahead_ns = 1_000_000_000
    await zone.poll()
    assert serial(zone) == 2


async def test_the_event_loop_runs_while_a_file_is_read(
    zone: ZoneFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, content(1))
    may_go_on = threading.Event()

    def slowly(*arguments: object) -> object:
        assert may_go_on.wait(PATIENCE_SECONDS)
        return zone_from_text(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(file_zone, "zone_from_text", slowly)
    loading = asyncio.create_task(zone.load())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not loading.done()
    may_go_on.set()
    await loading
    assert serial(zone) == 1


async def test_records_outside_the_zone_are_warned_of_once(
    zone: ZoneFile, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, content(1, "x.other. A 192.0.2.1", "y.other. A 192.0.2.1"))
    await zone.load()
    found = [record.getMessage().removeprefix(f"{path}:") for record in caplog.records]
    assert found[-2:] == [
        "4: x.other. is not in zone a.org.; the record is ignored",
        "5: y.other. is not in zone a.org.; the record is ignored",
    ]


async def test_an_internal_error_does_not_end_the_polling(
    zone: ZoneFile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    polls: list[int] = []
    done = asyncio.Event()

    async def poll() -> None:
        polls.append(1)
        if len(polls) > 1:
            done.set()
        raise RuntimeError("an internal error")

    monkeypatch.setattr(zone, "poll", poll)
    task = asyncio.create_task(zone.poll_forever(0))
    async with asyncio.timeout(30):
        await done.wait()
    task.cancel()
    assert caplog.text.count("polling failed; retrying") >= 1


@given(text=st.text(st.sampled_from('@$ \t\n()";\\.aA19IN*SOACNMETXNS-'), max_size=120))
def test_any_text_makes_a_zone_or_an_error(text: str) -> None:
    try:
        tree = ZoneTree(ZONE, zone_from_text(text, ZONE, "/nowhere", "db").records)
    except ValueError as error:
        outcome = str(error)
    else:
        records = list(tree.records())
        outcome = "zone" if records[0] == records[-1] == tree.soa else ""
    assert outcome


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
async def test_cname_targets_in_other_zones(question: str, expected: str, folder: Path) -> None:
    (folder / "db.other").write_text(OTHER.replace("ns.other.test. h.other.test.", "ns h"))
    async with running(COREFILE, folder) as server:
        assert await text_of(server, *question.split()) == expected


@pytest.mark.parametrize(
    ("below", "expected"),
    [
        ("", "NOERROR"),  # the target is in no zone here: the client follows it
        ("forward elsewhere.net 127.0.0.1:1", "SERVFAIL"),  # the rcode is that of the target (RFC 6604 §2)
        ("template ANY ANY other.test {\n rcode REFUSED\n}", "REFUSED"),
    ],
)
async def test_the_rcode_is_that_of_the_cname_target(below: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "db").write_text(content(1, "out CNAME host.other.test."))
    async with running(f"file db example.org\n{below}", tmp_path) as server:
        reply = await server.ask("out.example.org")
        assert (dns.rcode.to_text(reply.rcode()), len(reply.answer)) == (expected, 1)


async def test_a_cname_loop_through_wildcards_of_two_zones_ends(folder: Path) -> None:
    for here, there in (("one", "two"), ("two", "one")):
        (folder / f"db.{here}").write_text(content(1, f"* CNAME x.{there}.test."))
    async with running("file db.one one.test\nfile db.two two.test", folder) as server:
        reply = await server.ask("a.one.test")
        assert len(reply.answer) == 3
        assert reply.rcode() == dns.rcode.NOERROR


async def test_a_chain_of_wildcards_dnames_and_cnames_is_followed(folder: Path) -> None:
    async with running(COREFILE, folder) as server:
        reply = await server.ask("a.w1.example.org", transport="tcp")
    types = [dns.rdatatype.to_text(one.rdtype) for one in reply.answer]
    assert types == ["CNAME"] * 6 + ["DNAME", "CNAME"] * 5 + ["CNAME", "CNAME", "A"]
    assert reply.rcode() == dns.rcode.NOERROR


@pytest.mark.parametrize("link", ["*.n{} CNAME x.n{}", "n{} DNAME n{}"])
async def test_of_a_chain_too_long_the_part_followed_is_the_answer(link: str, tmp_path: Path) -> None:
    (tmp_path / "db").write_text(content(1, *(link.format(n, n + 1) for n in range(40)), "*.n40 A 192.0.2.1"))
    async with running("file db example.org", tmp_path) as server:
        reply = await server.ask("x.n0.example.org", transport="tcp")
    cnames = [one for one in reply.answer if one.rdtype == dns.rdatatype.CNAME]
    assert 11 <= len(cnames) < 40
    assert {dns.rdatatype.to_text(one.rdtype) for one in reply.answer} <= {"CNAME", "DNAME"}
    assert reply.rcode() == dns.rcode.NOERROR


@pytest.mark.parametrize("count", [20, 40])
async def test_glue_that_does_not_fit_sets_tc(count: int, tmp_path: Path) -> None:
    lines = [f"sub NS ns{n}.sub" for n in range(count)] + [f"ns{n}.sub A 192.0.2.{n}" for n in range(count)]
    (tmp_path / "db").write_text(content(1, *lines))
    packet = dns.message.make_query("x.sub.example.org", "A").to_wire()  # without EDNS: 512 bytes (RFC 9471 §3.1)
    async with running("file db example.org", tmp_path) as server:
        reply = dns.message.from_wire(await server.raw(packet))
        whole = dns.message.from_wire(await server.raw(packet, "tcp"))
    assert reply.flags & dns.flags.TC
    assert not whole.flags & dns.flags.TC
    assert sum(map(len, whole.additional)) == count


@pytest.mark.parametrize("name", ["nothere", "a.nothere", "x.host"])
async def test_missing_names_of_the_root_zone_are_nxdomain(name: str, tmp_path: Path) -> None:
    (tmp_path / "db").write_text(content(1, "@ A 192.0.2.1", "host A 192.0.2.2"))
    async with running("file db .", tmp_path) as server:
        reply = await server.ask(name)
        assert (dns.rcode.to_text(reply.rcode()), reply.answer) == ("NXDOMAIN", [])
        assert [dns.rdatatype.to_text(rrset.rdtype) for rrset in reply.authority] == ["SOA"]


@pytest.mark.parametrize(("qtype", "answered"), [("A", []), ("PTR", []), ("ANY", ["HINFO"])])
async def test_the_apex_exists_in_a_zone_without_other_names(qtype: str, answered: list[str], tmp_path: Path) -> None:
    (tmp_path / "db").write_text(content(1))
    async with running("file db 10.in-addr.arpa", tmp_path) as server:
        reply = await server.ask("10.in-addr.arpa", qtype)
        types = [dns.rdatatype.to_text(rrset.rdtype) for rrset in reply.answer]
        assert (dns.rcode.to_text(reply.rcode()), types) == ("NOERROR", answered)


async def test_missing_names_fall_through(folder: Path) -> None:
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
async def test_other_names_are_refused_without_a_next_plugin(below: str, expected: str, folder: Path) -> None:
    async with running(f"file db.other other.test\n{below}", folder) as server:
        assert dns.rcode.to_text((await server.ask("elsewhere.net")).rcode()) == expected


async def test_a_reloaded_zone_forgets_its_compiled_answers(tmp_path: Path) -> None:
    path = tmp_path / "db"
    write(path, content(1, "x A 192.0.2.1"))
    async with running("file db a.org {\n reload 0\n}", tmp_path) as server:
        assert str((await server.ask("x.a.org")).answer[0][0]) == "192.0.2.1"
        assert server.udp.answers.entries
        (zones,) = server.instance.configuration.exports(FileZones)
        write(path, content(2, "x A 192.0.2.2"))
        zone = zones.files[ZONE]
        zone._file._now_ns = AheadClock()
        await zone.poll()
        assert str((await server.ask("x.a.org")).answer[0][0]) == "192.0.2.2"


async def test_a_malformed_file_is_an_error_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("@ IN NONSENSE\n")
    with pytest.raises(StartError, match=r"Corefile:3: .*db:1: .*NONSENSE"):
        async with running("file db a.org", tmp_path):
            pass


async def test_a_missing_file_is_servfail_for_its_zone_only(folder: Path) -> None:
    async with running("file db.none a.org\nfile db.other other.test", folder) as server:
        assert (await server.ask("x.a.org")).rcode() == dns.rcode.SERVFAIL
        assert (await server.ask("host.other.test")).rcode() == dns.rcode.NOERROR
        assert "db.none" in next(iter(server.instance.configuration.shared.warnings().values()))
