"""The commands in README and in the output of `make run` work and print what README shows."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from house.demo import ROOT, START_SECONDS, Demo, copy_zones, is_ready, serving
from peers import need

from testing.waiting import wait_for

README = (ROOT / "README.md").read_text(encoding="utf-8")
QUESTIONS = re.findall(r"dig @.+$", (ROOT / "zones" / "questions.txt").read_text(encoding="utf-8"), re.MULTILINE)
BENCHES = ("bench", "bench-stalls", "bench-faults")
TARGETS = ("help", "run", "test", "lint", "docs", "pictures", *BENCHES, "control-plane", "peers", "clean")


def blocks(language: str) -> list[str]:
    """Return the code blocks of README in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def session() -> list[tuple[str, str]]:
    """Return the commands of README's console blocks, each with the output shown below it."""
    parts = [part for block in blocks("console") for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    pairs = [part.partition("\n") for part in parts]
    return [(command, output) for command, _, output in pairs]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with serving(copy_zones(tmp_path_factory.mktemp("demo"))) as running:
        yield running


def comparable(text: str) -> list[str]:
    """Sort the lines and unify their blanks: addresses rotate, and dig aligns columns by the longest name."""
    return sorted(" ".join(line.split()) for line in text.splitlines())


def test_the_readme_has_a_session() -> None:
    assert len(session()) >= 6
    assert len(QUESTIONS) >= 6


@pytest.mark.parametrize(("command", "output"), session(), ids=[command for command, _ in session()])
def test_readme_session(command: str, output: str, demo: Demo) -> None:
    need("dig")
    done = subprocess.run(shlex.split(demo.with_own_port(command)), capture_output=True, text=True, timeout=30)
    assert (done.returncode, comparable(done.stdout)) == (0, comparable(output))


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_of_make_run_is_answered(question: str, demo: Demo) -> None:
    need("dig")
    done = subprocess.run(shlex.split(demo.with_own_port(question)), capture_output=True, text=True, timeout=30)
    assert done.returncode == 0
    assert done.stdout.strip()


def test_commands_that_do_not_serve() -> None:
    commands = [line for block in blocks("sh") for line in block.splitlines() if line.startswith(".venv/bin/")]
    assert len(commands) == 6
    for command in commands:
        program, *arguments = shlex.split(command, comments=True)
        assert program == ".venv/bin/clusterdns"
        done = subprocess.run(
            [sys.executable, "-m", "clusterdns", *arguments], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0
        assert all(line.endswith("are not listed") for line in done.stderr.splitlines())
        assert done.stdout


def test_make_targets_of_readme_exist_and_help_lists_them() -> None:
    named = {
        word for line in re.findall(r"^make ([a-z -]+)", "\n".join(blocks("sh")), re.MULTILINE) for word in line.split()
    }
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = re.findall(r"^  make ([a-z-]+) +\S", done.stdout, re.MULTILINE)
    assert sorted(listed) == sorted(TARGETS)
    assert named <= set(listed)


def test_make_run_ends_cleanly_on_ctrl_c(tmp_path: Path) -> None:
    """On a terminal Ctrl-C gives exit code 0 and no traceback."""
    need("script")
    demo = copy_zones(tmp_path)
    shutil.copy(ROOT / "Makefile", tmp_path)
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    program = binaries / "clusterdns"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m clusterdns "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    command = ["script", "--quiet", "--return", "--command", "make -o .venv/.runtime -o bytecode run", "/dev/null"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as terminal:
        try:
            wait_for(lambda: is_ready(demo.ports["18181"]), "readiness", START_SECONDS)
            output, _ = terminal.communicate("\x03", timeout=START_SECONDS)
        finally:
            terminal.kill()
    assert terminal.returncode == 0, output
    assert all(question in output for question in QUESTIONS)
    assert "Traceback" not in output
    assert "Error" not in output
