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

    root = logging.getLogger()
    kept = root.handlers[:], logging.logThreads, logging.logProcesses
    levels = {logger: logger.level for logger in our_loggers()}
    yield run
    root.handlers[:], logging.logThreads, logging.logProcesses = kept
    logging.logMultiprocessing = True
    for logger in our_loggers():  # also those that the command was the first to ask for
        logger.setLevel(levels.get(logger, logging.NOTSET))


def our_loggers() -> list[logging.Logger]:
    """List the root and all loggers of the program."""
    root = logging.getLogger()
    ours = (one for name, one in root.manager.loggerDict.items() if name.startswith("clusterdns"))
    return [root, *(one for one in ours if isinstance(one, logging.Logger))]
