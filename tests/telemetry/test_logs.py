"""The form of log lines."""

import errno
import io
import logging
import sys
from collections.abc import Iterator

import pytest

from clusterdns.telemetry import logs


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    ours = logging.getLogger("clusterdns")
    client = logging.getLogger("kubernetes_asyncio")  # silenced once another test has loaded the library
    kept = (root.handlers[:], root.level, ours.level, logging.logThreads, logging.logProcesses)
    client_level = client.level
    client.setLevel(logging.NOTSET)
    stream = io.StringIO()
    logs.set_up(stream)
    yield stream
    root.handlers[:], level, our_level, logging.logThreads, logging.logProcesses = kept
    logging.logMultiprocessing = True
    root.setLevel(level)
    ours.setLevel(our_level)
    client.setLevel(client_level)


class Full(io.StringIO):
    def write(self, text: str, /) -> int:
        raise OSError(errno.ENOSPC, "full")


def test_lines_that_cannot_be_written_are_dropped(lines: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(Full())
    logging.getLogger("clusterdns").info("x")
    assert capsys.readouterr() == ("", "")


def test_a_line_that_cannot_be_formatted_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    logs.LineHandler(io.StringIO()).handle(logging.LogRecord("clusterdns", logging.INFO, "", 0, "%d", ("x",), None))
    assert "Logging error" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("logger", "level", "text", "line"),
    [
        ("clusterdns", logging.INFO, "Reloading", "[INFO] Reloading\n"),
        ("clusterdns.server", logging.WARNING, "slow", "[WARNING] slow\n"),
        ("clusterdns", logging.CRITICAL, "no way on", "[FATAL] no way on\n"),
        ("clusterdns.plugin.errors", logging.ERROR, "2 a. A: x", "[ERROR] plugin/errors: 2 a. A: x\n"),
        ("clusterdns.plugin.k8s_external", logging.INFO, "up", "[INFO] plugin/k8s_external: up\n"),
        ("kubernetes_asyncio.config", logging.WARNING, "token", "[WARNING] plugin/kubernetes: token\n"),
        ("aiohttp.server", logging.ERROR, "bad", "[ERROR] bad\n"),
        ("aiohttp.server", logging.INFO, "libraries log from WARNING on", ""),
        ("clusterdns", logging.DEBUG, "hidden", ""),
        ("clusterdns", logging.INFO, "a\n[INFO] forged\r\nb", "[INFO] a\n[INFO] [INFO] forged\n[INFO] b\n"),
        ("clusterdns", logging.INFO, "\x1b]0;title\x07\x1b[2J", "[INFO] \\x1b]0;title\\x07\\x1b[2J\n"),
        (
            "clusterdns",
            logging.INFO,
            "\u202ea\u200bb\x85[INFO] forged",
            "[INFO] \\u202ea\\u200bb\n[INFO] [INFO] forged\n",
        ),
        ("clusterdns.plugin.log", logging.INFO, "of a format:\ta\tb", "[INFO] plugin/log: of a format:\ta\tb\n"),
    ],
)
def test_line(lines: io.StringIO, logger: str, level: int, text: str, line: str) -> None:
    logging.getLogger(logger).log(level, "%s", text)
    assert lines.getvalue() == line


def test_every_line_of_a_traceback_has_the_level(lines: io.StringIO) -> None:
    try:
        raise KeyError("lost")
    except KeyError:
        logging.getLogger("clusterdns.plugin.file").exception("cannot read")
    shown = lines.getvalue().splitlines()
    assert shown[0] == "[ERROR] plugin/file: cannot read"
    assert shown[-1] == "[ERROR] plugin/file: KeyError: 'lost'"
    assert all(line.startswith("[ERROR] plugin/file: ") for line in shown)


def test_debug_lines_are_not_shown(lines: io.StringIO) -> None:
    logging.getLogger("clusterdns.plugin.cache").debug("unseen")
    logging.getLogger("clusterdns.plugin.cache").info("seen")
    assert lines.getvalue() == "[INFO] plugin/cache: seen\n"


def test_default_stream_is_standard_output(lines: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(sys.stdout)
    logging.getLogger("clusterdns").info("here")
    assert capsys.readouterr().out == "[INFO] here\n"
    assert lines.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (5, "5s"), (30, "30s"), (60, "1m0s"), (61.5, "1m1.5s"), (3600, "1h0m0s"), (5.001, "5.001s"),
        (0.25, "250ms"), (0.0015, "1.5ms"), (0.0000015, "1.5µs"), (0.000000007, "7ns"), (-2, "-2s"), (90061, "25h1m1s"),
    ],
)  # fmt: skip
def test_duration_text(seconds: float, text: str) -> None:
    assert logs.duration_text(seconds) == text


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(113502, "0.000113502"), (0, "0"), (7, "0.000000007"), (2_500_000_000, "2.5"), (10**10, "10")],
)
def test_seconds_text(nanoseconds: int, text: str) -> None:
    assert logs.seconds_text(nanoseconds) == text
