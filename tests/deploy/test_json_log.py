"""`-log-format json`: every line of the process is an object, with the fields that CoreDNS's has for the same event."""

import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from deploy.pair import BANNERS, Side, both
from deploy.test_log_lines import COREFILE, QUESTIONS

VARYING = ("time", "duration_seconds", "client_port", "msg")  # the port and the duration are in the text, too


def objects(side: Side) -> list[dict[str, Any]]:
    """Read each line of standard output and standard error as an object with time, level and message."""
    found = [json.loads(line) for line in side.lines]
    assert all(isinstance(one, dict) and list(one)[:3] == ["time", "level", "msg"] for one in found)
    return found


def without_varying(one: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in one.items() if key not in VARYING})


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run both servers through queries, a failed reload and a signal, and return the objects of each."""
    with both(COREFILE, tmp_path_factory.mktemp("json") / "pair", ("-log-format", "json")) as sides:
        for side in sides:
            for words in QUESTIONS.strip().splitlines():
                side.ask(words)
            side.write(COREFILE.replace("whoami", "nosuch", 1))
        for side in sides:
            side.wait_for_line(r'.*"level":"ERROR".*"plugin":"reload"')
            side.send_signal(signal.SIGTERM)
        assert [side.wait_ended() for side in sides] == [0, 0]
        theirs, ours = map(objects, sides)
    return theirs, ours


def test_lines_of_the_query_log_have_the_same_fields(printed: tuple[list[dict[str, Any]], ...]) -> None:
    theirs, ours = ([one for one in side if one.get("plugin") == "log"] for side in printed)
    assert Counter(map(without_varying, theirs)) == Counter(map(without_varying, ours))
    assert len(ours) >= len(QUESTIONS.strip().splitlines()) - 2
    assert {tuple(one) for one in theirs} == {tuple(one) for one in ours}, "the order of the fields"
    for one in ours:
        assert f":{one['client_port']}" in one["msg"] or "{combined}" in one["msg"]
        assert 0 < one["duration_seconds"] < 10


def test_other_lines_have_the_same_plugins_and_levels(printed: tuple[list[dict[str, Any]], ...]) -> None:
    theirs, ours = (
        {(one["level"], one["plugin"]) for one in side if "plugin" in one and one["plugin"] != "log"}
        for side in printed
    )
    assert theirs == ours
    assert {("ERROR", "errors"), ("ERROR", "reload"), ("INFO", "health")} <= ours


def test_zones_version_and_signals_are_objects(printed: tuple[list[dict[str, Any]], ...]) -> None:
    for side, banner in zip(printed, BANNERS, strict=True):
        plain = {one["msg"].removeprefix("[INFO] ") for one in side if "plugin" not in one and one["level"] == "INFO"}
        lines = {line for text in plain for line in text.splitlines()}  # CoreDNS has the zones of a listener in one
        assert {"b.test.:FREE_PORT", "SIGTERM: Shutting down servers then terminating"} <= lines
        assert any(text.startswith(banner) and "\n" in text for text in plain)


def test_errors_of_the_start_are_objects_too(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="FATAL"), both(". {\n nosuch\n}\n", tmp_path / "pair", ("-log-format=json",)):
        pass
    for log in (tmp_path / "pair").glob("*/log"):
        assert all(json.loads(line)["level"] in ("INFO", "FATAL") for line in log.read_text().splitlines())
