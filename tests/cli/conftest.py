"""Running the program inside the test's own process."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from program import Ended, Program

from clusterdns.cli import main


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Program]:
    """Calls `main` with these arguments, by a name of the program, in an empty working directory."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, name: str = "clusterdns") -> Ended:
        monkeypatch.setattr(sys, "argv", [f"/usr/bin/{name}"])
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Ended(code or 0, *capsys.readouterr())

    root, ours = logging.getLogger(), logging.getLogger("clusterdns")
    kept = root.handlers[:], root.level, ours.level, logging.logThreads, logging.logProcesses
    yield run
    root.handlers[:], root.level, ours.level, logging.logThreads, logging.logProcesses = kept
    logging.logMultiprocessing = True
