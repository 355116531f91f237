"""Mistakes in zones that are served all the same: each is a warning with file and line, and the answers are defined."""

import subprocess
from pathlib import Path

import dns.rdatatype
import pytest
from plugins.serving import running

from clusterdns.plugins.file.zone import ZoneFile
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire.name import from_text
from testing.peers import clusterdns

HEAD = "$TTL 60\n@ IN SOA ns hm 1 7200 1800 86400 60\n@ NS ns\nns A 192.0.2.1\n"  # the cases begin at line 5

# lines below the head → line and text of the warnings
WARNINGS: dict[str, list[tuple[int, str]]] = {
    "a A 192.0.2.1": [],
    "a CNAME b\na CNAME c": [(6, "a.t. has more than one CNAME; only the first is served (RFC 2181 §10.1)")],
    "a CNAME b\na A 192.0.2.1\na TXT x": [(5, "a.t. has a CNAME beside A, TXT; the CNAME is answered instead")],
    "a A 192.0.2.1\na CNAME b": [(6, "a.t. has a CNAME beside A;")],
    "a DNAME b\na DNAME c": [(6, "a.t. has more than one DNAME; only the first is served (RFC 6672 §2.4)")],
    "a CNAME b\na DNAME c": [(5, "a.t. has a CNAME beside DNAME")],
    "a DNAME b\nx.a A 192.0.2.1": [(6, "x.a.t. is below the DNAME of a.t.; its records are ignored")],
    "a DNAME b\ny.x.a NS ns\nz.y.x.a A 192.0.2.1": [(6, "y.x.a.t. is below the DNAME"), (7, "z.y.x.a.t. is below")],
    "@ 60 SOA ns hm 2 1 1 1 1": [(5, "a second SOA of t.; the last one is served")],
    "a 60 A 192.0.2.1\na 30 A 192.0.2.2": [(6, "the A records of a.t. have different TTLs; all get the lowest")],
    "a 60 A 192.0.2.1\na 30 AAAA ::1": [],
    "a A 192.0.2.1\na A 192.0.2.1": [(6, "the A record of a.t. is repeated; it is served once")],
    "a 60 A 192.0.2.1\na 30 A 192.0.2.1": [
        (6, "the A record of a.t. is repeated"), (6, "the A records of a.t. have different TTLs"),
    ],
    "@ CNAME b.test.": [(5, "t., the apex of the zone, has a CNAME; only SOA and NS are answered beside it")],
    "x.other. A 192.0.2.1": [(5, "x.other. is not in zone t.; the record is ignored")],
    "x CH TXT a": [(5, "x.t. has a record of class CH, which is not served; the record is ignored")],
    "a NS ns.a\nns.a A 192.0.2.2\nh.a A 192.0.2.3": [(7, "h.a.t. is below the delegation of a.t., and its A records")],
    "a NS ns.a\nns.a A 192.0.2.2\nns.a TXT x": [(6, "ns.a.t. is below the delegation of a.t., and its TXT records")],
    "a NS ns.b\nb NS ns.a\nns.a A 192.0.2.2\nns.b A 192.0.2.3": [],
    "a NS ns\na TXT x": [(5, "a.t. has TXT records beside a delegation, which are not answered")],
    "a NS ns\na DS 1 8 2 ab": [],
    "a NS a\na A 192.0.2.2": [],
    "a NS ns.a": [(5, "the NS record of a.t. points to ns.a.t., which has no address in this zone; add an A or AAAA")],
    "a NS ns.b\nb CNAME c": [],
    "@ NS ns2": [(5, "the NS record of t. points to ns2.t., which has no address in this zone")],
    "@ NS x.w\n*.w A 192.0.2.1": [],
    "@ NS ns.b\nb NS ns.elsewhere.": [],
    "@ NS c\nc CNAME ns": [(5, "the NS record of t. points to c.t., which is a CNAME; name its target")],
    "a NS c\nc CNAME ns": [(5, "the NS record of a.t. points to c.t., which is a CNAME")],
    "a MX 5 ns\na MX 9 c\nc CNAME ns": [(6, "the MX record of a.t. points to c.t., which is a CNAME")],
    "_x._tcp SRV 0 0 1 c\nc CNAME ns": [(5, "the SRV record of _x._tcp.t. points to c.t., which is a CNAME")],
}  # fmt: skip


def written(folder: Path, content: str) -> Path:
    path = folder / "db"
    path.write_text(content)
    return path


async def warnings_of(path: Path, caplog: pytest.LogCaptureFixture) -> list[str]:
    await ZoneFile(str(path), from_text("t"), Registry()).load()
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("lines", WARNINGS)
async def test_a_mistake_is_a_warning_with_its_line(
    lines: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path, HEAD + lines + "\n")
    found = await warnings_of(path, caplog)
    expected = [f"{path}:{line}: {text}" for line, text in WARNINGS[lines]]
    assert len(found) == len(expected)
    for one, start in zip(found, expected, strict=True):
        assert one.startswith(start)


async def test_a_zone_without_servers_or_ttls_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, "@ IN SOA ns hm 1 2 3 4 5\nx IN A 192.0.2.1\n")
    assert await warnings_of(path, caplog) == [
        f"{path}:1: zone t. has no NS record at its apex; add its name servers",
        f"{path}:1: 2 records from here on state no TTL and get 0; add a $TTL line",
    ]


async def test_warnings_in_an_included_file_name_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "more").write_text("\na CNAME b\na CNAME c\n")
    path = written(tmp_path, HEAD + "$INCLUDE more\nd A 192.0.2.1\nd A 192.0.2.1\n")
    found = await warnings_of(path, caplog)
    assert [one.split(": ")[0] for one in found] == [f"{tmp_path}/more:3", f"{path}:7"]


async def test_many_warnings_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, HEAD + "a A 192.0.2.1\n" * 50)
    found = await warnings_of(path, caplog)
    assert len(found) == 21
    assert found[-1] == f"{path}: 29 more warnings"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (HEAD + "x SOA ns hm 1 2 3 4 5\n", ":5: has an SOA at x.t. that does not match origin t."),
        (HEAD + "x NSEC3PARAM 1 0 0 -\n", ":5: has NSEC3 records, at x.t.: sign the zone with NSEC"),
        ("$TTL 5\nx A 192.0.2.1\n", ": has no SOA record for origin t."),
    ],
)
async def test_a_zone_that_cannot_be_served_is_an_error_with_its_line(
    content: str, problem: str, tmp_path: Path
) -> None:
    path = written(tmp_path, content)
    zone = ZoneFile(str(path), from_text("t"), Registry())
    with pytest.raises(ValueError, match=r"SOA|NSEC3") as caught:
        await zone.load()
    assert zone.describe(caught.value) == f"{path}{problem}"


@pytest.mark.parametrize(
    ("lines", "question", "expected"),
    [
        ("a CNAME b\na CNAME c\nb A 192.0.2.2", "a A", ["60 CNAME b.t.", "60 A 192.0.2.2"]),
        ("a A 192.0.2.9\na CNAME b\nb A 192.0.2.2", "a A", ["60 CNAME b.t.", "60 A 192.0.2.2"]),
        ("a DNAME b\na DNAME c\nx.b A 192.0.2.2", "x.a A", ["60 DNAME b.t.", "60 CNAME x.b.t.", "60 A 192.0.2.2"]),
        ("a DNAME b\nx.a A 192.0.2.9\nx.b A 192.0.2.2", "x.a A",
         ["60 DNAME b.t.", "60 CNAME x.b.t.", "60 A 192.0.2.2"]),
        ("a 60 A 192.0.2.2\na 30 A 192.0.2.3", "a A", ["30 A 192.0.2.2", "30 A 192.0.2.3"]),
        ("a 60 A 192.0.2.2\na 30 A 192.0.2.2", "a A", ["30 A 192.0.2.2"]),
        ("@ CNAME a\na A 192.0.2.2", "@ A", ["60 CNAME a.t.", "60 A 192.0.2.2"]),
        ("@ CNAME a\na A 192.0.2.2", "@ NS", ["60 NS ns.t."]),
        ("@ CNAME a\na A 192.0.2.2", "@ SOA", ["60 SOA ns.t. hm.t. 1 7200 1800 86400 60"]),
        ("@ CNAME a\na A 192.0.2.2", "nothere A", []),
    ],
)  # fmt: skip
async def test_answers_of_zones_with_mistakes(lines: str, question: str, expected: list[str], tmp_path: Path) -> None:
    written(tmp_path, HEAD + lines + "\n")
    qname, qtype = question.replace("@ ", " ").split(" ")
    async with running("file db t", tmp_path) as server:
        reply = await server.ask(f"{qname}.t".lstrip("."), qtype)
    found = [f"{rrset.ttl} {dns.rdatatype.to_text(rrset.rdtype)} {one}" for rrset in reply.answer for one in rrset]
    assert sorted(found) == sorted(expected)


def test_check_prints_the_warnings(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + "a CNAME b\na CNAME c\n")
    (tmp_path / "Corefile").write_text(f".:5300 {{\n file {path} t\n}}\n")
    done = subprocess.run(
        [clusterdns(), "check", str(tmp_path / "Corefile")], capture_output=True, text=True, check=False
    )
    assert f"{path}:6: a.t. has more than one CNAME" in done.stdout + done.stderr
    assert done.returncode == 0
