"""Completion scripts: each is loaded by its shell, and lines are completed as at a TAB."""

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from peers import need
from program import Program

from clusterdns.cli.commands import COMMANDS, KUBECTL_COMMANDS
from clusterdns.cli.flags import Flag
from clusterdns.cli.generated.completion import SHELLS, script
from clusterdns.cli.generated.pages import CommandPage, pages, values_of

TIMEOUT_SECONDS = 60
COMMAND_NAMES = {row.name for row in COMMANDS}
CHOICES = [
    (command, flag)
    for command in pages()
    for flag in command.flags
    if flag.words
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a Corefile, a file whose name has blanks, and a folder."""
    (tmp_path / "Corefile").touch()
    (tmp_path / "Core of two").touch()
    (tmp_path / "Corefolder").mkdir()
    return tmp_path


def shell(words: list[str], text: str, folder: Path, *more: str) -> str:
    """Run a text in a shell that reads no file of the user's; it may not write to standard error."""
    environment = {**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [*words, text, *more], cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def in_bash(line: str, folder: Path, program: str = "clusterdns", listing: str = "") -> list[str]:
    """Return what bash completes; blanks divide the line into words, and `=` is a word, as readline has it."""
    words = line.replace("=", " = ").split() + ([""] if line.endswith(" ") else [])
    text = (
        f"set -u; {script(program, 'bash')}\n"
        f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; {listing}\n"
        f"{function_of(program)}; printf '%s\\n' \"${{COMPREPLY[@]-}}\""
    )
    return shell([need("bash"), "--norc", "--noprofile", "-c"], text, folder).splitlines()


def function_of(program: str) -> str:
    return "_" + program.replace(" ", "_").replace("-", "_")


CASES = {
    "a command": ("clusterdns ch", ["check"]),
    "several commands": ("clusterdns co", ["completion", "config", "conform"]),
    "no such command": ("clusterdns zz", [""]),
    "a server's flag": ("clusterdns -p", ["-p", "-pidfile", "-plugins"]),
    "of the server, named": ("clusterdns serve -p", ["-p", "-pidfile", "-plugins"]),
    "a command's flag": ("clusterdns names --no", ["--no-headers"]),
    "a flag after an argument": ("clusterdns names web --no", ["--no-headers"]),
    "a Corefile of the server": ("clusterdns -conf Core", ["Core of two", "Corefile", "Corefolder"]),
    "a folder": ("clusterdns -conf Corefile -state Core", ["Corefolder"]),
    "a format of log lines": ("clusterdns -log-format ", ["json", "text"]),
    "a switch's value": ("clusterdns -quiet=f", ["false"]),
    "after a switch": ("clusterdns -quiet -plu", ["-plugins"]),
    "after a switch with a value": ("clusterdns -quiet=true -plu", ["-plugins"]),
    "a form": ("clusterdns names -o ", ["json", "name", "wide", "yaml"]),
    "a form after =": ("clusterdns names --output=w", ["wide"]),
    "all forms after =": ("clusterdns status --output=", ["json", "text"]),
    "one dash": ("clusterdns names -output w", ["wide"]),
    "a value of any kind": ("clusterdns names --ttl ", [""]),
    "an argument that is a file": ("clusterdns check Coref", ["Corefile", "Corefolder"]),
    "only one argument": ("clusterdns check Corefile Coref", [""]),
    "an argument after a flag with a value": ("clusterdns check -p 53 Coref", ["Corefile", "Corefolder"]),
    "an argument after = and a value": ("clusterdns check --dns-port=53 Coref", ["Corefile", "Corefolder"]),
    "one of many arguments": ("clusterdns names web a b Corefi", ["Corefile"]),
    "a shell": ("clusterdns completion ", ["bash", "fish", "zsh"]),
    "a command to man": ("clusterdns man st", ["status"]),
    "of a command to man": ("clusterdns help st", ["status"]),
    "an unknown command": ("clusterdns frobnicate -", [""]),
    "a name": ("clusterdns explain ", [""]),
}  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), CASES.values(), ids=CASES.keys())
def test_bash_completes(line: str, expected: list[str], folder: Path) -> None:
    assert sorted(in_bash(line, folder)) == expected


def test_bash_lists_commands_with_their_summaries(folder: Path) -> None:
    listed = in_bash("clusterdns ", folder, listing="COMP_TYPE=63")
    assert [line.split()[0] for line in listed] == [row.name for row in COMMANDS]
    assert all(row.summary in line for row, line in zip(COMMANDS, listed, strict=True))
    assert set(in_bash("clusterdns ", folder)) == COMMAND_NAMES


@pytest.mark.parametrize("command", pages(), ids=lambda command: command.name)
def test_bash_completes_every_flag_of_every_command(command: CommandPage, folder: Path) -> None:
    written = [command.dashed(name) for flag in command.flags for name in flag.names]
    assert in_bash(f"clusterdns {command.name} -", folder) == written


@pytest.mark.parametrize(("command", "flag"), CHOICES, ids=lambda one: getattr(one, "name", None) or one.names[0])
def test_the_fixed_values_of_a_flag_are_completed(command: CommandPage, flag: Flag[Any], folder: Path) -> None:
    for name in flag.names:
        assert in_bash(f"clusterdns {command.name} {command.dashed(name)} ", folder) == list(flag.words)


def test_the_plugin_of_kubectl_has_its_own_commands_and_does_not_serve(folder: Path) -> None:
    assert set(in_bash("kubectl-dns ", folder, "kubectl dns")) == set(KUBECTL_COMMANDS)
    assert in_bash("kubectl-dns -", folder, "kubectl dns") == [""]
    assert in_bash("kubectl-dns status -o ", folder, "kubectl dns") == ["text", "json"]


@pytest.mark.parametrize("name", ["clusterdns", "coredns", "kubectl-dns"])
def test_the_script_is_for_the_name_of_the_program(program: Program, name: str) -> None:
    code, out, err = program("completion", "bash", name=name)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].endswith(f" {name}")


@pytest.mark.parametrize("arguments", [[], ["tcsh"], ["bash", "zsh"], [""]])
def test_one_known_shell_is_named(program: Program, arguments: list[str]) -> None:
    code, out, err = program("completion", *arguments)
    assert (code, out) == (2, "")
    assert "name one shell, bash, zsh or fish" in err


@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.parametrize("program", ["clusterdns", "kubectl dns", "core dns'; $(touch x)"])
def test_each_shell_reads_its_script(name: str, program: str, folder: Path) -> None:
    path = folder / "script"
    path.write_text(script(program, name))
    assert shell([need(name), "-n"], str(path), folder) == ""


@pytest.mark.parametrize("name", SHELLS)
def test_every_command_flag_and_fixed_value_is_in_the_script(name: str) -> None:
    text = script("clusterdns", name)
    for command in pages():
        assert command.name in text
        for flag in command.flags:
            assert all(word in text for word in (*flag.names, *values_of(flag).words))


FISH_CASES = {
    "a command": ("clusterdns co", ["completion", "config", "conform"]),
    "a server's flag": ("clusterdns -p", ["-p", "-pidfile", "-plugins"]),
    "one that begins as another": ("clusterdns -pi", ["-pidfile"]),
    "after a server's flag of one letter": ("clusterdns -p 53 -pi", ["-pidfile"]),
    "a command's flag": ("clusterdns names --no", ["--no-headers"]),
    "a file": ("clusterdns check Coref", ["Corefile", "Corefolder/"]),
    "a form": ("clusterdns names -o ", ["json", "name", "wide", "yaml"]),
    "a form after =": ("clusterdns names --output=w", ["--output=wide"]),
    "a format of log lines": ("clusterdns -log-format ", ["json", "text"]),
    "an argument of no kind": ("clusterdns status ", []),
}  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), FISH_CASES.values(), ids=FISH_CASES.keys())
def test_fish_completes(line: str, expected: list[str], folder: Path) -> None:
    text = f"{script('clusterdns', 'fish')}\ncomplete -C{shlex.quote(line)}"
    found = shell([need("fish"), "--no-config", "-c"], text, folder).splitlines()
    assert sorted(one.partition("\t")[0] for one in found) == expected
