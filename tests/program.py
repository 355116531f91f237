"""The program under test, as the console script; `Program` is also the type of calls inside the test's process."""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from testing.peers import clusterdns

TIMEOUT_SECONDS = 120.0


class Ended(NamedTuple):
    """The exit code and output of a run."""

    code: int
    out: str
    err: str


Program = Callable[..., Ended]  # called with the arguments as strings


def run_script(
    arguments: Sequence[str], cwd: Path, *, environ: Mapping[str, str] | None = None, stdin: str | None = None,
    stdout: IO[str] | None = None, program: str = "",
) -> Ended:  # fmt: skip
    """Run the console script, or another program, to its end; with `stdout` standard output is not in the result."""
    done = subprocess.run(
        [program or clusterdns(), *arguments], cwd=cwd, env={**os.environ, **(environ or {})}, input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None, stdout=stdout or subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, timeout=TIMEOUT_SECONDS, check=False,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout or "", done.stderr)
