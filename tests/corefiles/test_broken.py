"""Corefiles that CoreDNS and clusterdns both refuse, with the line of the mistake.

Ports are 0, so that a server that does start takes no port that another needs.
"""

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from corefiles.distribution import HERE
from peers import need
from program import Program

RUNS_SECONDS = 60.0  # a server that still runs has started; no case here waits for it


class Broken(NamedTuple):
    """A Corefile, and the line that the error names."""

    name: str
    line: int
    text: str


def _read() -> list[Broken]:
    found = []
    for part in (HERE / "broken.cases").read_text().split("\n== ")[1:]:
        head, _, text = part.partition("\n")
        name, line = head.split()
        found.append(Broken(name, int(line.removeprefix("line=")), text.rstrip("\n") + "\n"))
    return found


BROKEN = _read()


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """CoreDNS's error for each Corefile, empty if it starts."""
    coredns, folder = need("coredns"), tmp_path_factory.mktemp("broken")
    with ThreadPoolExecutor(4) as pool:
        printed = pool.map(lambda one: _refused(coredns, folder / one.name, one.text), BROKEN)
        return dict(zip([one.name for one in BROKEN], printed, strict=True))


def _refused(coredns: str, folder: Path, text: str) -> str:
    folder.mkdir()
    (folder / "Corefile").write_text(text.replace(":53", ":0"))
    try:
        done = subprocess.run(
            [coredns], cwd=folder, capture_output=True, text=True, timeout=RUNS_SECONDS, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.peer("coredns")
@pytest.mark.parametrize("broken", BROKEN, ids=lambda one: one.name)
def test_neither_server_starts(broken: Broken, theirs: dict[str, str], program: Program, tmp_path: Path) -> None:
    assert theirs[broken.name], "CoreDNS starts"
    (tmp_path / "Corefile").write_text(broken.text)
    code, _, errors = program("check", "Corefile")
    assert code == 1
    lines = {int(number) for number in re.findall(r"(?m)^Corefile:(\d+): ", errors)}
    assert lines == {broken.line}, errors
