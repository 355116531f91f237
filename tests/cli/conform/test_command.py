"""The command `conform`: its flags, what it prints, its exit codes, and reports that nothing in a name can spoil."""

import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from program import Program

from clusterdns.cli.conform import fixtures
from clusterdns.cli.conform.case import MUST, SHOULD, Ask, Case, CaseVerdict, EdnsFields, Level, Outcome, SuitePart, Way
from clusterdns.cli.conform.exchange import ServerAddress, read_server
from clusterdns.cli.conform.report import as_json, dig, junit, reason, table
from testing.ports import free_ports
from testing.upstream.zone import ZoneUpstream

SERVER = ServerAddress("192.0.2.1", 53)
EVIL = '"/><script>\x1b[31m\u202e$(reboot)'


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("10.96.0.10", "10.96.0.10", 53),
        ("127.0.0.1:1053", "127.0.0.1", 1053),
        ("::1", "::1", 53),
        ("[::1]", "::1", 53),
        ("[fd00::10]:5353", "fd00::10", 5353),
    ],
)
def test_servers(text: str, host: str, port: int) -> None:
    assert read_server(text) == ServerAddress(host, port)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("127.0.0.1", "127.0.0.2"),
        ("dns.example",),
        ("127.0.0.1:",),
        ("127.0.0.1:0",),
        ("127.0.0.1:65536",),
        ("127.0.0.1:5x",),
        ("[::1",),
        ("[::1]5",),
        ("127.0.0.1", "--part", "kubernetes"),
        ("127.0.0.1", "--timeout", "0"),
        ("127.0.0.1", "--zone", "a..b"),
        ("127.0.0.1", "--kubeconfig", "x", "--manifests", "y"),
        ("--list", "--only", "no-such-case"),
    ],
    ids=" ".join,
)
def test_wrong_command_lines_are_named(program: Program, arguments: tuple[str, ...]) -> None:
    code, out, err = program("conform", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("clusterdns conform: ")
    assert len(err.splitlines()) == 2


def test_a_server_that_does_not_listen_cannot_be_asked(program: Program) -> None:
    (port,) = free_ports(1)
    code, out, err = program("conform", f"127.0.0.1:{port}")
    assert (code, out) == (2, "")
    assert f"127.0.0.1:{port} cannot be asked: no reply over UDP: connection refused" in err


def test_the_printed_objects_are_those_that_are_asked_about(program: Program, tmp_path: Path) -> None:
    printed = program("conform", "--print-fixtures", "--zone", "k8s.example").out
    (tmp_path / "own.yaml").write_text(printed)
    assert {one["kind"] for one in yaml.safe_load_all(printed)} == fixtures.KINDS - {"Endpoints"}
    assert "externalName: web.dns-conform.svc.k8s.example" in printed
    own = program("conform", "--list", "--zone", "k8s.example")
    given = program("conform", "--list", "--zone", "k8s.example", "--manifests", "own.yaml")
    assert own == given
    (tmp_path / "list.json").write_text(json.dumps({"kind": "List", "items": list(yaml.safe_load_all(printed))}))
    assert program("conform", "--list", "--zone", "k8s.example", "--manifests", "list.json") == own


def test_patterns_choose_cases(program: Program) -> None:
    def ids(*arguments: str) -> list[str]:
        return [line.split()[0] for line in program("conform", "--list", *arguments).out.splitlines()]

    assert all(one.startswith("spec-2.3.") for one in ids("--only", "spec-2.3.*"))
    assert ids("--only", "spec-2.3.1-a-web", "--only", "spec-2.2-VERSION") == [
        "spec-2.2-version", "spec-2.2-version-1.1.0", "spec-2.3.1-a-web",
    ]  # fmt: skip
    assert {one.partition("-")[0] for one in ids("--part", "mcs", "--part", "rfc")} == {"mcs", "rfc"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("kind: [", "not YAML"),
        ("kind: ConfigMap\nmetadata: {name: a}", "no Services"),
        ("kind: Service\nmetadata: {}", "a Service without metadata.name"),
        ("kind: Service\nmetadata: {name: a}\nspec: {ports: 5}", "'ports' is not a list"),
        ("kind: Service\nmetadata: {name: a}\nspec: {ports: [http]}", "an entry of 'ports' is not complete"),
        (f"kind: Service\nmetadata: {{name: {'a' * 64}}}", "label of 64 bytes"),
        ("kind: Service\nmetadata: {name: a}\nspec: {clusterIPs: 5}", "cannot be asked about"),
    ],
)
def test_manifests_that_cannot_be_read_are_named(program: Program, tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "own.yaml").write_text(content)
    code, out, err = program("conform", "127.0.0.1:1", "--manifests", "own.yaml")
    assert (code, out) == (2, "")
    assert problem in err
    assert "Traceback" not in err


def test_the_verdicts_of_a_server_that_knows_little(program: Program, tmp_path: Path) -> None:
    """Its zone has one of the names, so that most cases fail, each with a reason."""
    with ZoneUpstream("web.dns-conform.svc.cluster.local. 30 A 10.96.200.1") as upstream:
        arguments = ("conform", upstream.address, "--only", "spec-2.3.1-*", "--timeout", "60", "--junit", "junit.xml")
        code, out, err = program(*arguments)
        found = json.loads(program(*arguments, "--json").out)
    assert code == 1
    assert err.startswith("the part mcs is left out: the server does not serve clusterset.local")
    assert "FAIL must spec-2.3.1-a-plain (A of plain is its IPv4 cluster IP): expected A 10.96.200.2; got " in out
    assert f"; see: dig @127.0.0.1 -p {upstream.port} plain.dns-conform.svc.cluster.local. A +noedns +ignore" in out
    assert "PASS" not in out.split("\n\n")[1]
    assert not found["ok"]
    verdicts = {one["id"]: one["verdict"] for one in found["cases"]}
    assert (verdicts["spec-2.3.1-a-web"], verdicts["spec-2.3.1-a-plain"]) == ("pass", "fail")
    assert sum(sum(of_level.values()) for of_level in found["totals"].values()) == len(verdicts)
    suites = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert len(suites.findall(".//testcase")) == len(verdicts)
    assert len(suites.findall(".//failure")) == found["totals"]["must"]["fail"]


def test_a_server_without_the_objects_is_said_to_lack_them(program: Program) -> None:
    with ZoneUpstream("other.test. 30 A 192.0.2.1") as upstream:
        code, out, err = program(
            "conform", upstream.address, "--part", "spec", "--only", "2.2-version", "--timeout", "60"
        )
    assert (code, out.count("FAIL must ")) == (1, 1)
    assert err.startswith(
        f"{upstream.address} has no address for web.dns-conform.svc.cluster.local.: does it serve the"
    )


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("variable", "value"), [("", ""), ("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    if variable:
        monkeypatch.setenv(variable, value)
    outcomes = [outcome(MUST, CaseVerdict.FAIL), outcome(MUST, CaseVerdict.SKIPPED)]
    found = table(SERVER, outcomes, Terminal(), shows_all=False)
    assert ("\x1b[31mFAIL\x1b[0m must" in found) == (not variable)
    assert ("\x1b" in found) == (not variable)


def outcome(level: Level, verdict: CaseVerdict, name: str = "web.test.") -> Outcome:
    case = Case(
        f"rfc-1-{level}-{verdict}", SuitePart.RFC, "RFC 1 §2", level, EVIL, (Ask(name),), (), hint="see the manual"
    )
    return Outcome(case, verdict, "" if verdict is CaseVerdict.PASS else f"got {EVIL}", 0.1)


def test_names_are_shown_as_text() -> None:
    outcomes = [outcome(MUST, CaseVerdict.FAIL, EVIL), outcome(SHOULD, CaseVerdict.SKIPPED)]
    texts = [as_json(SERVER, outcomes), junit(SERVER, outcomes).decode()]
    texts.append(table(SERVER, outcomes, io.StringIO(), shows_all=True))
    for text in texts:
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\\u202e" in text
    assert "<script" not in texts[1]
    assert "'\"/><script>\\u001b[31m\\u202e$(reboot)'" in texts[2]  # quoted for the shell


def test_junit_fails_for_musts_only() -> None:
    outcomes = [outcome(level, verdict) for level in Level for verdict in CaseVerdict]
    suite = ElementTree.fromstring(junit(SERVER, outcomes)).find("testsuite[@name='RFCs']")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("12", "2", "7")
    messages = [one.get("message") or "" for one in suite.iter("skipped")]
    assert sum(one.startswith("should: got") for one in messages) == 3


def test_the_next_step_repeats_the_question() -> None:
    plain = Ask("web.test.", "SRV", "tcp", EdnsFields(512, 1, 0x8000, ((65_001, b"\1"),)), "CH")
    assert dig(SERVER, plain) == (
        "dig @192.0.2.1 -p 53 web.test. SRV -c CH +bufsize=512 +nocookie +edns=1 +noednsneg"
        " +dnssec +ednsopt=65001:01 +tcp"
    )
    failed = outcome(MUST, CaseVerdict.FAIL)
    assert reason(SERVER, failed).endswith("; see: dig @192.0.2.1 -p 53 web.test. A +noedns +ignore; see the manual")
    raw = Case("x", SuitePart.RFC, "RFC 1", MUST, "x", (Ask("web.test.", alter=bytes),), (), Way.SURVIVES)
    assert reason(SERVER, Outcome(raw, CaseVerdict.FAIL, "got nothing")) == "got nothing"


def test_help_has_an_example(program: Program) -> None:
    assert "clusterdns conform --print-fixtures | kubectl apply -f -" in program("conform", "--help").out
