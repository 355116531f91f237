"""Progress: one line on a terminal after a second, which is removed; nothing elsewhere."""

import fcntl
import io
import logging
import os
import pty
import struct
import termios
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from program import Program

from clusterdns.cli import progress as module
from clusterdns.cli.progress import DEFAULT_COLUMNS, ProgressLine, progress, repeat

CLEAR = "\r\033[K"


class Stream(io.StringIO):
    """Standard error, which is a terminal or not."""

    def __init__(self, *, is_terminal: bool = True) -> None:
        super().__init__()
        self.is_terminal = is_terminal
        self.written = threading.Event()

    def isatty(self) -> bool:
        return self.is_terminal

    def write(self, text: str) -> int:
        self.written.set()
        return super().write(text)


class Clock:
    """A time that passes by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def terminal(monkeypatch: pytest.MonkeyPatch, *, after_seconds: float = 1.0) -> Stream:
    """Make standard error a terminal; a line is shown after this time."""
    found = Stream()
    monkeypatch.setattr("sys.stderr", found)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(module, "SHOWN_AFTER_SECONDS", after_seconds)
    return found


def waits(clock: Clock, count: int) -> Callable[[float], bool]:
    """Make a `wait` in which time passes; after this number of times the work is done."""
    left = iter(range(count))

    def wait(seconds: float) -> bool:
        clock.now += seconds
        return next(left, None) is None

    return wait


def test_a_line_is_shown_after_a_second_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, clock = terminal(monkeypatch), Clock()
    line = ProgressLine(clock=clock)
    line.show("1 of 3")
    clock.now += 0.9
    line.show("2 of 3")
    assert stream.getvalue() == ""
    clock.now += 0.1
    line.show("3 of 3")
    assert stream.getvalue() == f"{CLEAR}3 of 3"
    line.end()
    line.end()
    assert stream.getvalue() == f"{CLEAR}3 of 3{CLEAR}"


def test_work_under_a_second_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, clock = terminal(monkeypatch), Clock()
    line = ProgressLine(clock=clock)
    repeat(line, "reading", waits(clock, 0))
    line.end()
    assert stream.getvalue() == ""


def test_work_over_a_second_shows_how_long_it_has_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, clock = terminal(monkeypatch), Clock()
    line = ProgressLine(clock=clock)
    repeat(line, "reading", waits(clock, 3))
    line.end()
    assert stream.getvalue() == f"{CLEAR}reading (1 s){CLEAR}reading (2 s){CLEAR}reading (3 s){CLEAR}"


def test_a_text_takes_one_line_of_the_terminal_and_does_not_control_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, clock = terminal(monkeypatch), Clock()
    line = ProgressLine(clock=clock)
    clock.now += 1
    line.show("a\033[2J\nb" + "x" * 200)
    shown = stream.getvalue().removeprefix(CLEAR)
    assert len(shown) == DEFAULT_COLUMNS - 1
    assert shown.startswith("a\\x1b[2J\\nbxx")


@pytest.mark.parametrize(("is_terminal", "term", "is_quiet"), [
    (False, "xterm", False), (True, "dumb", False), (True, "xterm", True),
])  # fmt: skip
def test_nothing_is_written_elsewhere(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, term: str, is_quiet: bool
) -> None:
    stream, clock = Stream(is_terminal=is_terminal), Clock()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", term)
    line = ProgressLine(is_quiet=is_quiet, clock=clock)
    repeat(line, "reading", waits(clock, 3))
    line.end()
    threads = threading.active_count()
    with progress("reading", is_quiet=is_quiet):
        assert threading.active_count() == threads
    assert stream.getvalue() == ""


def test_a_closed_standard_error_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    with progress("reading"):
        assert not ProgressLine().is_wanted


def test_the_line_is_removed_when_the_work_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch, after_seconds=0.0)

    def fail() -> None:
        with progress("dividing"):
            assert stream.written.wait(30)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert stream.getvalue().startswith(f"{CLEAR}dividing (0 s)")
    assert stream.getvalue().endswith(CLEAR)
    assert "progress" not in [thread.name for thread in threading.enumerate()]


def test_a_line_of_the_log_does_not_stand_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch, after_seconds=0.0)
    handler = logging.StreamHandler(stream)
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    with progress("reading"):
        assert stream.written.wait(30)
        logging.getLogger("clusterdns").warning("a warning")
    assert f"{CLEAR}a warning\n" in stream.getvalue()
    assert handler.filters == []


SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: prod}\nspec: {clusterIP: 10.0.0.1}\n"
COMMANDS = {
    "check": (["check", "Corefile"], "checking Corefile"),
    "names": (["names", "-f", "web.yaml"], "reading the names"),
    "explain": (["explain", "web.prod.svc.cluster.local", "-f", "web.yaml"], "explaining web.prod.svc.cluster.local"),
    "status": (["status", "-s", "127.0.0.1:1"], "asking http://127.0.0.1:1/status.json"),
    "top": (["top", "--once", "-s", "127.0.0.1:1"], "asking http://127.0.0.1:1/live.json"),
    "conform": (["conform", "127.0.0.1:1", "--timeout", "1"], "asking 127.0.0.1:1"),
}  # fmt: skip
QUIET = {"check": ["--json"], "names": ["--json"], "explain": ["--json"], "status": ["-o", "json"], "top": ["--json"],
         "conform": ["--json"]}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_that_may_take_longer_show_progress_unless_their_output_is_for_programs(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "Corefile").write_text(". {\n whoami\n}\n")
    (tmp_path / "web.yaml").write_text(SERVICE)
    arguments, text = COMMANDS[name]
    for extra, expected in ((QUIET[name], ""), ([], f"{CLEAR}{text}{CLEAR}")):
        with monkeypatch.context() as patch:
            stream = terminal(patch, after_seconds=0.0)
            patch.setattr(module, "repeat", lambda line, text, _: line.show(text))
            program(*arguments, *extra)
        assert stream.getvalue().startswith(expected)
        assert stream.getvalue().count(CLEAR) == expected.count(CLEAR)


def test_on_a_real_terminal_the_width_is_that_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(theirs, "w") as stream, os.fdopen(ours, "rb", buffering=0) as seen:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20, 0, 0))
        monkeypatch.setattr("sys.stderr", stream)
        clock = Clock()
        line = ProgressLine(clock=clock)
        clock.now += 2
        line.show("x" * 100)
        line.end()
        found = b""
        while not found.endswith(CLEAR.encode()) or found.count(CLEAR.encode()) < 2:
            found += seen.read(1000)
    assert found.decode() == f"{CLEAR}{'x' * 19}{CLEAR}"
