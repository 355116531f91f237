"""Comparison with Go's text/template: the stored cases, and generated templates."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from gotemplate.sample import Peer, execute
from gotemplate.writing import TEMPLATES, printf_calls
from hypothesis import HealthCheck, given, settings
from peers import need

from clusterdns.gotemplate import evaluation

HERE = Path(__file__).parent
pytestmark = pytest.mark.peer("go")


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    go = need("go")
    program = tmp_path_factory.mktemp("peer") / "peer"
    subprocess.run([go, "build", "-o", program, HERE / "peer" / "main.go"], check=True, timeout=300)
    running = Peer(str(program))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "MAX_STEPS", 200_000)  # Go has no such bound
        yield running
    running.close()


def test_the_stored_cases_are_go_s_results(peer: Peer) -> None:
    for line in (HERE / "cases.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        outcome = peer.execute(case["template"])
        assert (outcome.prints, outcome.fails) == (case.get("prints"), case.get("fails", "")), case


@given(TEMPLATES)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_template(peer: Peer, text: str) -> None:
    assert execute(text)[:2] == peer.execute(text)[:2]


@given(printf_calls())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_format(peer: Peer, text: str) -> None:
    assert execute(text)[:2] == peer.execute(text)[:2]
