"""Log lines as JSON objects; the fields and levels were compared with CoreDNS 1.15.0 and its `-log-format json`."""

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from clusterdns.telemetry import logs
from clusterdns.telemetry.jsonlines import JsonFormatter, fatal_line


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    root, ours = logging.getLogger(), logging.getLogger("clusterdns")
    kept = (root.handlers[:], root.level, ours.level, logging.logThreads, logging.logProcesses)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    client = logging.getLogger("kubernetes_asyncio")  # silenced once another test has loaded the library
    client_level = client.level
    client.setLevel(logging.NOTSET)
    stream = io.StringIO()
    logs.set_up(stream, is_json=True)
    yield stream
    logging.captureWarnings(False)
    root.handlers[:], level, our_level, logging.logThreads, logging.logProcesses = kept
    logging.logMultiprocessing = True
    root.setLevel(level)
    ours.setLevel(our_level)
    client.setLevel(client_level)


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    for one in found:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", one.pop("time"))
    return found


@pytest.mark.parametrize(
    ("logger", "level", "text", "expected"),
    [
        ("clusterdns", logging.INFO, "Reloading", {"level": "INFO", "msg": "Reloading"}),
        ("clusterdns", logging.WARNING, "slow", {"level": "WARN", "msg": "slow"}),
        ("clusterdns", logging.CRITICAL, "end", {"level": "FATAL", "msg": "end"}),
        ("clusterdns.plugin.errors", logging.ERROR, "2 a", {"level": "ERROR", "msg": "2 a", "plugin": "errors"}),
        ("kubernetes_asyncio.config", logging.ERROR, "t", {"level": "ERROR", "msg": "t", "plugin": "kubernetes"}),
        (logs.BARE_LINES, logging.INFO, "clusterdns-1\nlinux", {"level": "INFO", "msg": "clusterdns-1\nlinux"}),
        ("clusterdns", logging.INFO, 'a\n{"l":"F"}\r\x1b"', {"level": "INFO", "msg": 'a\n{"l":"F"}\r\x1b"'}),
    ],
)  # fmt: skip
def test_line(lines: io.StringIO, logger: str, level: int, text: str, expected: dict[str, str]) -> None:
    logging.getLogger(logger).log(level, "%s", text)
    assert read(lines) == [expected]
    assert lines.getvalue().isascii()


def test_half_a_character_is_replaced() -> None:
    # not logged: the worker's report of the test would contain it
    record = logging.LogRecord("clusterdns", logging.INFO, "", 0, "\udc80\ud83d é😀", (), None)
    assert json.loads(JsonFormatter().format(record))["msg"] == "\ufffd\ufffd é😀"


def test_a_traceback_is_part_of_the_message(lines: io.StringIO) -> None:
    try:
        raise KeyError("lost")
    except KeyError:
        logging.getLogger("clusterdns.plugin.file").exception("cannot read")
    (found,) = read(lines)
    assert found["msg"].splitlines()[0] == "cannot read"
    assert found["msg"].splitlines()[-1] == "KeyError: 'lost'"


def test_a_message_may_have_fields(lines: io.StringIO) -> None:
    class Message:
        def __str__(self) -> str:
            return "text"

        def fields(self) -> dict[str, object]:
            return {"msg": "text", "plugin": "log", "id": 7, "rcode": None}

    logging.getLogger("clusterdns").info(Message())
    assert read(lines) == [{"level": "INFO", "msg": "text", "plugin": "log", "id": 7, "rcode": None}]


def test_a_crash_is_one_object_on_standard_error(lines: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("lost")
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["level"] == "FATAL"
    assert json.loads(line)["msg"].endswith("ValueError: lost")
    assert lines.getvalue() == ""


def test_an_error_that_prevents_the_start() -> None:
    assert {key: value for key, value in json.loads(fatal_line("x: y")).items() if key != "time"} == {
        "level": "FATAL", "msg": "x: y",
    }  # fmt: skip
