"""`kubectl dns <TAB>`: what the completion program prints, and that kubectl runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from peers import need

from clusterdns.cli.commands import COMMANDS, KUBECTL_COMMANDS
from clusterdns.cli.generated.kubectl_complete import FILES, NO_FILES, complete, main
from clusterdns.cli.generated.pages import pages

CASES: dict[str, tuple[list[str], list[str], int]] = {
    "commands": ([""], [row.name for row in COMMANDS if row.name in KUBECTL_COMMANDS], NO_FILES),
    "no word at all": ([], [row.name for row in COMMANDS if row.name in KUBECTL_COMMANDS], NO_FILES),
    "a command": (["exp"], ["explain"], NO_FILES),
    "one that the plugin does not have": (["serv"], [], NO_FILES),
    "of one that the plugin does not have": (["serve", "-p"], [], NO_FILES),
    "of an unknown command": (["frobnicate", ""], [], NO_FILES),
    "a flag": (["top", "--to"], ["--token-file"], NO_FILES),
    "a short flag": (["top", "-s"], ["-s"], NO_FILES),
    "a flag after an argument": (["names", "web", "--no"], ["--no-headers"], NO_FILES),
    "a form": (["names", "-o", ""], ["wide", "name", "yaml", "json"], NO_FILES),
    "a form that is begun": (["names", "--output", "w"], ["wide"], NO_FILES),
    "a form after =": (["names", "--output=w"], ["wide"], NO_FILES),
    "a switch after =": (["names", "--json="], ["true", "false"], NO_FILES),
    "a value of any kind": (["names", "--ttl", ""], [], NO_FILES),
    "a file": (["top", "--token-file", ""], [], FILES),
    "a file after =": (["top", "--token-file=x"], [], FILES),
    "an argument that is a file": (["check", ""], [], FILES),
    "one after a value": (["check", "--dns-port", "53", ""], [], FILES),
    "one after = and a value": (["check", "--dns-port=53", "x"], [], FILES),
    "one of many": (["names", "a", "b", ""], [], FILES),
    "only one argument": (["check", "Corefile", ""], [], NO_FILES),
    "a command without arguments": (["top", ""], [], NO_FILES),
    "a name": (["explain", ""], [], NO_FILES),
    "a shell": (["completion", ""], ["bash", "zsh", "fish"], NO_FILES),
    "an unknown flag has no value": (["check", "--no-such", ""], [], FILES),
}  # fmt: skip


@pytest.mark.parametrize(("words", "expected", "directive"), CASES.values(), ids=CASES)
def test_what_is_completed(words: list[str], expected: list[str], directive: int) -> None:
    found = complete(words)
    assert ([word for word, _ in found.words], found.directive) == (expected, directive)


def test_each_flag_of_each_command_is_completed_with_its_text() -> None:
    for command in pages(KUBECTL_COMMANDS):
        found = dict(complete([command.name, "-"]).words)
        assert list(found) == [command.dashed(name) for flag in command.flags for name in flag.names]
        assert all(found.values())


def test_the_last_line_is_the_directive(capsys: pytest.CaptureFixture[str]) -> None:
    main(["sta"])
    assert (
        capsys.readouterr().out == "status\tShow what a running server knows: its watches, upstreams and Corefile\n:4\n"
    )
    main(["check", ""])
    assert capsys.readouterr().out == ":0\n"


def test_descriptions_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for name in KUBECTL_COMMANDS:
        main([name, "-"])
    *lines, _ = capsys.readouterr().out.splitlines()
    assert all(line.count("\t") == 1 or line.startswith(":") for line in lines)


@pytest.mark.peer("kubectl")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["dns", ""], {"explain", "top", ":4"}),
        (["dns", "names", "--output", "w"], {"wide", ":4"}),
        (["dns", "top", "--tok"], {"--token-file", ":4"}),
        (["dns", "check", ""], {":0"}),
    ],
)
def test_kubectl_runs_it(tmp_path: Path, words: list[str], expected: set[str]) -> None:
    kubectl = need("kubectl")
    for name, module in (("kubectl-dns", "clusterdns.cli"), ("kubectl_complete-dns", complete.__module__)):
        script = tmp_path / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from {module} import main; main()" "$@"\n')
        script.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [kubectl, "__complete", *words], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PATH": path, "HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "none")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = {line.partition("\t")[0] for line in done.stdout.splitlines()}
    assert expected <= found
    assert len(found) >= len(expected)
