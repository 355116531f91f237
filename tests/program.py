"""The program under test: called inside the test's process, or as the real console script."""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from testing.peers import clusterdns

TIMEOUT_SECONDS = 30.0


class Ended(NamedTuple):
    """The exit code and output of a run."""

    code: int
    out: str
    err: str


Program = Callable[..., Ended]  # called with the arguments as texts


def run_script(
    arguments: Sequence[str], cwd: Path, *, environ: Mapping[str, str] | None = None, stdin: str | None = None,
    stdout: IO[str] | None = None,
) -> Ended:  # fmt: skip
    """Run the console script to its end; its output to `stdout`, where one is given, is not in the result."""
    done = subprocess.run(
        [clusterdns(), *arguments], cwd=cwd, env={**os.environ, **(environ or {})}, input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None, stdout=stdout or subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, timeout=TIMEOUT_SECONDS, check=False,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout or "", done.stderr)
