"""The text and the JSON of an explanation: escaped, bounded, and with colours for terminals only."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from program import Program

from clusterdns.cli import admin_page
from clusterdns.cli.explain.text import as_text
from clusterdns.server.explaining.explanation import (
    DOES_NOT_RESOLVE,
    ExplainedAnswer,
    ExplainedEndpoint,
    ExplainedService,
    ExplainedVerdict,
    Explanation,
)

HOSTILE = "\x1b[31mred\x1b[0m\n\u202eabc\u2066\x07"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def explanation(**changes: Any) -> Explanation:
    verdict = ExplainedVerdict(DOES_NOT_RESOLVE, "NXDOMAIN", "test", "NXDOMAIN: no such name", "ask again")
    fields: dict[str, Any] = {
        "name": "a.", "type": "A", "client": "127.0.0.1", "block": ".:53 at Corefile:1", "zone": ".",
        "verdict": verdict, "answer": ExplainedAnswer("NXDOMAIN"),
    }  # fmt: skip
    return Explanation(**{**fields, **changes})


def test_the_verdict_is_the_first_line() -> None:
    assert as_text(explanation(), io.StringIO()).splitlines()[:2] == ["NXDOMAIN: no such name; ask again", ""]


def test_texts_of_others_are_escaped_wherever_they_stand() -> None:
    endpoint = ExplainedEndpoint([HOSTILE], HOSTILE, False, "no", "", "", HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    service = ExplainedService(
        HOSTILE, HOSTILE, True, True, external_name=HOSTILE, selector={HOSTILE: HOSTILE}, endpoints=[endpoint],
        endpoint_count=1, problems=[HOSTILE], unseen=[HOSTILE],
    )  # fmt: skip
    found = explanation(
        verdict=ExplainedVerdict(DOES_NOT_RESOLVE, "", "", f"x: {HOSTILE}", HOSTILE),
        answer=ExplainedAnswer("NOERROR", answer=[HOSTILE], extended_errors=[HOSTILE]),
        services=[service], notes=[HOSTILE], changes=[HOSTILE],
    )  # fmt: skip
    text = as_text(found, io.StringIO())
    assert all(one.isprintable() for one in text.splitlines())
    assert text.count("\\x1b[31mred") >= 10
    assert "\\u202eabc" in text


@pytest.mark.parametrize("name", ["\x1b[2Jweb.example", "we\u202eb.example", "a\nb.example", 'q"uote.example'])
def test_hostile_names_are_shown_as_dns_text(program: Program, tmp_path: Path, name: str) -> None:
    (tmp_path / "Corefile").write_text(".:53 {\n whoami\n}\n")
    code, out, err = program("explain", "--conf", "Corefile", name)
    assert (code, err) == (1, "")
    assert all(one.isprintable() for one in out.splitlines())
    code, out, err = program("explain", "--conf", "Corefile", name, "--json")
    assert out.isascii()
    assert json.loads(out)["verdict"]["outcome"] == DOES_NOT_RESOLVE


def test_a_section_of_many_lines_is_cut() -> None:
    text = as_text(explanation(notes=[f"note {number}" for number in range(100)]), io.StringIO())
    assert "note 59" in text
    assert "note 60" not in text
    assert "… and 40 more lines; --json has all" in text


@pytest.mark.parametrize("document", ["[]", "{}", '{"name": 5}', "[" * 100_000, "nothing", '{"verdict": {"line": 1}}'])
def test_what_is_no_explanation_is_an_error(program: Program, monkeypatch: pytest.MonkeyPatch, document: str) -> None:
    class Opened(io.BytesIO):
        """A response with this body."""

    class Opener:
        def open(self, url: str, timeout: float) -> Opened:
            return Opened(document.encode())

    monkeypatch.setattr(admin_page, "build_opener", lambda *_: Opener())
    code, out, err = program("explain", "a", "--server", "127.0.0.1:8181")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "http://127.0.0.1:8181/explain: not an explanation" in err


def test_the_longest_name_is_shown_whole(program: Program, tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text(".:53 {\n whoami\n}\n")
    name = ".".join(["\u00e9" * 31, "b" * 63, "c" * 63, "d" * 61])
    code, out, err = program("explain", "--conf", "Corefile", name)
    assert (code, err) == (1, "")
    assert "\\195\\169" * 31 + ".bbbb" in out
    assert all(one.isprintable() for one in out.splitlines())


def test_colours_are_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\033[31mNXDOMAIN:\033[0m" in as_text(explanation(), Terminal())
    assert "\033" not in as_text(explanation(), io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033" not in as_text(explanation(), Terminal())


def test_a_service_of_ten_thousand_endpoints_is_shown_in_part(program: Program, tmp_path: Path) -> None:
    def items() -> list[dict[str, Any]]:
        spec = {"clusterIP": "None", "ports": [{"name": "p", "port": 80}]}
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "big", "namespace": "prod"},
            "spec": spec,
        }
        slices = [
            {
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"name": f"big-{number:03}", "namespace": "prod",
                             "labels": {"kubernetes.io/service-name": "big"}},
                "ports": [{"name": "p", "port": 80}],
                "endpoints": [{"addresses": [f"10.{number}.0.{host}"]} for host in range(100)],
            }
            for number in range(100)
        ]  # fmt: skip
        return [service, *slices]

    (tmp_path / "big.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items()}))
    code, out, err = program("explain", "-f", "big.json", "big.prod.svc.cluster.local")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) < 80
    assert "… and 9980 more records" in out
    assert "endpoints: 10000 of 10000 in DNS" in out
    assert "EndpointSlices of prod: only the first 20 are shown" in out
    assert "do not fit into UDP: clients ask again over TCP" in out.splitlines()[0]
