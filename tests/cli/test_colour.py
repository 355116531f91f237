"""Colours: where a command has them, and that nothing but a terminal that wants them gets an escape sequence."""

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

import pytest

from clusterdns.cli import main
from clusterdns.cli.colour import RED, is_coloured, painted
from clusterdns.cli.commands import COMMANDS

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: prod}
spec: {clusterIP: 10.0.0.1, ports: [{port: 80}]}
"""
CLOSED = "127.0.0.1:1"  # nothing listens there


class ColourRow(NamedTuple):
    """A command line, and the streams on which a terminal sees colours."""

    arguments: Sequence[str]
    coloured: Sequence[str] = ()


ROWS = [
    ColourRow(["check", "good"], ["out"]),
    ColourRow(["check", "bad"], ["out", "err"]),
    ColourRow(["check", "warned"], ["out", "err"]),
    ColourRow(["check", "--json", "bad"]),
    ColourRow(["completion", "bash"]),
    ColourRow(["config", "good"], ["out"]),
    ColourRow(["config", "--no-origin", "good"]),
    ColourRow(["config", "--json", "good"]),
    ColourRow(["config", "bad"], ["err"]),
    ColourRow(["conform", CLOSED, "--timeout", "1"]),
    ColourRow(["conform", CLOSED, "--list"]),
    ColourRow(["explain", "web.prod.svc.cluster.local", "-f", "web.yaml"], ["out"]),
    ColourRow(["explain", "wep.prod.svc.cluster.local", "-f", "web.yaml"], ["out"]),
    ColourRow(["explain", "web", "-f", "web.yaml", "--json"]),
    ColourRow(["explain", "web", "-f", "missing.yaml"]),
    ColourRow(["fmt", "good"]),
    ColourRow(["fmt", "--check", "messy"]),
    ColourRow(["fmt", "--diff", "messy"], ["out"]),
    ColourRow(["fmt", "bad"], ["err"]),
    ColourRow(["man", "check"]),
    ColourRow(["names", "web.yaml"]),
    ColourRow(["names", "web.yaml", "-o", "wide"]),
    ColourRow(["names", "missing.yaml"]),
    ColourRow(["serve", "-version"]),
    ColourRow(["serve", "-plugins"]),
    ColourRow(["serve", "-conf", "bad"]),
    ColourRow(["status", "--server", CLOSED]),
    ColourRow(["top", "--server", CLOSED, "--once"]),
    ColourRow(["version"]),
    ColourRow(["help"]),
    ColourRow(["nosuch"]),
]
FILES = {
    "good": ". {\n    whoami\n}\n", "bad": ". {\n    nosuch{\n}\n", "messy": ". {\nwhoami\n}\n",
    "warned": ". {\n    whoami\n    log {$NO_SUCH}\n}\n", "web.yaml": SERVICE,
}  # fmt: skip
Streams = dict[str, str]


class Terminal(io.TextIOWrapper):
    """A stream that is a terminal, or not."""

    def __init__(self, *, is_terminal: bool) -> None:
        self.content = io.BytesIO()
        self.is_terminal = is_terminal
        super().__init__(self.content, encoding="utf-8", write_through=True)

    def isatty(self) -> bool:
        return self.is_terminal


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Streams]:
    """Runs a command on a terminal or not; with what it writes to both streams."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "CLICOLOR_FORCE", "NO_SUCH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")

    def run(arguments: Sequence[str], *, is_terminal: bool) -> Streams:
        streams = {"out": Terminal(is_terminal=is_terminal), "err": Terminal(is_terminal=is_terminal)}
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["/usr/bin/clusterdns"])
            patch.setattr(sys, "stdout", streams["out"])
            patch.setattr(sys, "stderr", streams["err"])
            with pytest.raises(SystemExit):
                main(arguments)
        return {name: stream.content.getvalue().decode() for name, stream in streams.items()}

    return run


def test_every_command_is_in_the_table() -> None:
    assert {row.name for row in COMMANDS} <= {row.arguments[0] for row in ROWS}


@pytest.mark.usefixtures("program")  # which puts the loggers back
@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(row.arguments))
def test_colours_are_where_they_are_meant_and_nowhere_else(
    run: Callable[..., Streams], monkeypatch: pytest.MonkeyPatch, row: ColourRow
) -> None:
    plain = run(row.arguments, is_terminal=False)
    assert any(plain.values())
    assert "\033" not in plain["out"] + plain["err"]
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            patch.setenv("CLICOLOR_FORCE", "1")
            found = run(row.arguments, is_terminal=True)
            assert "\033" not in found["out"] + found["err"], name
    seen = run(row.arguments, is_terminal=True)
    assert [name for name, text in seen.items() if "\033[" in text] == list(row.coloured)


@pytest.mark.parametrize("arguments", [["config"], ["config", "--json"], ["fmt"], ["fmt", "-d"]])
def test_a_corefile_does_not_control_the_terminal(
    run: Callable[..., Streams], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "evil").write_text('. {\n  log "a\033[2J\u202e\tb" # \033]0;x\007\n}\n')
    for is_terminal in (True, False):
        found = run([*arguments, "evil"], is_terminal=is_terminal)
        if is_terminal or "--json" in arguments:
            assert not {"\033", "\u202e", "\007"} & set(found["out"])
            assert "a\\x1b[2J\\u202e\tb" in found["out"] or "--json" in arguments
        else:
            assert "a\033[2J\u202e\tb" in found["out"], "what is not for a terminal is not changed"


STREAMS: list[tuple[str, bool, dict[str, str], bool]] = [
    ("a terminal", True, {}, True),
    ("a pipe", False, {}, False),
    ("a pipe, forced", False, {"CLICOLOR_FORCE": "1"}, True),
    ("a pipe, not forced", False, {"CLICOLOR_FORCE": "0"}, False),
    ("a pipe, forced by nothing", False, {"CLICOLOR_FORCE": ""}, False),
    ("NO_COLOR", True, {"NO_COLOR": "1"}, False),
    ("an empty NO_COLOR", True, {"NO_COLOR": ""}, True),
    ("NO_COLOR above force", True, {"NO_COLOR": "yes", "CLICOLOR_FORCE": "1"}, False),
    ("a dumb terminal", True, {"TERM": "dumb", "CLICOLOR_FORCE": "1"}, False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("is_terminal", "environ", "expected"), [row[1:] for row in STREAMS], ids=[r[0] for r in STREAMS]
)
def test_when_a_stream_has_colours(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, environ: dict[str, str], expected: bool
) -> None:
    for name in ("NO_COLOR", "CLICOLOR_FORCE", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    stream: TextIO = Terminal(is_terminal=is_terminal)
    assert is_coloured(stream) is expected
    assert painted("a b b", RED, "b", stream) == ("a \033[31mb\033[0m b" if expected else "a b b")
    assert not is_coloured(None)
