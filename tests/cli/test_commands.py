"""The choice between the server and a command: by the arguments, and by the name of the program."""

import subprocess
import sys
from pathlib import Path

import pytest
from program import Program, run_script

from clusterdns.cli.commands import COMMANDS, KUBECTL_COMMANDS
from clusterdns.version import banner


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"], ["-h"], ["help", "help"]])
def test_help_lists_every_command_and_binds_nothing(program: Program, arguments: list[str]) -> None:
    code, out, err = program(*arguments)
    assert (code, err) == (0, "")
    assert all(f"  {command.name} " in out for command in COMMANDS)


@pytest.mark.parametrize("command", [command.name for command in COMMANDS if command.name != "help"])
def test_each_command_has_help(program: Program, command: str) -> None:
    code, out, err = program(command, "--help")
    assert (code, err) == (0, "")
    assert "clusterdns" in out
    assert program("help", command).out == out
    assert program(command, "-h").out == out


MISTAKES = {
    "a mistyped command": (["chek"], "clusterdns: unknown command 'chek'; did you mean 'check'?"),
    "another one": (["nmaes", "-o", "wide"], "clusterdns: unknown command 'nmaes'; did you mean 'names'?"),
    "a word like none": (["frobnicate"], "clusterdns: unknown command 'frobnicate'\n"),
    "an empty word": ([""], "clusterdns: unknown command ''\n"),
    "help of a mistyped command": (["help", "versoin"], "clusterdns: unknown command 'versoin'; did you mean"),
    "a stray argument": (["version", "x"], "clusterdns version: unexpected argument 'x'"),
    "a mistyped flag": (["check", "--jsno", "x"], "clusterdns check: flag provided but not defined: -jsno; did"),
    "a flag that is none": (["version", "--all"], "clusterdns version: flag provided but not defined: -all"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "text"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_have_exit_code_2_a_hint_and_the_way_to_the_help(
    program: Program, arguments: list[str], text: str
) -> None:
    code, out, err = program(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(text)
    assert "--help' for usage." in err


@pytest.mark.parametrize("name", ["clusterdns", "coredns"])
def test_commands_work_under_both_names(program: Program, name: str, tmp_path: Path) -> None:
    (tmp_path / "good").write_text(". {\n whoami\n}\n")
    assert program("version", name=name) == (0, f"{banner()}\n", "")
    assert program("check", "good", name=name).code == 0


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"], ["-h"]])
def test_the_plugin_of_kubectl_lists_the_commands_that_ask(program: Program, arguments: list[str]) -> None:
    code, out, err = program(*arguments, name="kubectl-dns")
    assert (code, err) == (0, "")
    assert "  kubectl dns COMMAND [FLAGS]" in out
    assert all(f"  {name} " in out for name in KUBECTL_COMMANDS)
    assert "  serve" not in out


@pytest.mark.parametrize("command", KUBECTL_COMMANDS)
def test_commands_of_the_plugin_call_themselves_as_kubectl_users_do(program: Program, command: str) -> None:
    code, out, err = program(command, "--help", name="kubectl-dns")
    assert (code, err) == (0, "")
    assert f"  kubectl dns {command}" in out
    assert program("help", command, name="kubectl-dns").out == out


@pytest.mark.parametrize(("word", "hint"), [("explian", "; did you mean 'explain'?"), ("serve", ""), ("-conf", "")])
def test_the_plugin_of_kubectl_does_not_serve(program: Program, word: str, hint: str) -> None:
    code, out, err = program(word, name="kubectl-dns")
    assert (code, out) == (2, "")
    assert err.startswith(f"kubectl dns: unknown command '{word}'{hint}\n")


def test_a_stray_word_to_coredns_is_coredns_s_error(program: Program) -> None:
    code, _, err = program("chek", name="coredns")
    assert code == 1
    assert err.startswith("extra command line arguments: [chek]")


def test_the_module_has_the_program_s_name(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "clusterdns", "chek"], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2, "clusterdns: unknown command 'chek'; did you mean 'check'?"
    )  # fmt: skip


def test_a_reader_that_ends_early_is_no_error(tmp_path: Path) -> None:
    with subprocess.Popen(["true"], stdin=subprocess.PIPE, text=True) as reader:
        reader.wait()
        ended = run_script(["help"], tmp_path, stdout=reader.stdin)
    assert (ended.code, ended.err) == (0, "")
