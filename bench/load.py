"""dnsperf: the load, and what it says of the answers.

Two uses: as fast as the server goes, with a bounded number of questions in flight, to know what an answer costs; and at
a fixed rate whatever the server does, with each answer's own latency, to know the tail. Questions that got no answer
count as the longest wait, never as nothing.
"""

import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testing import peers
from testing.ports import LOOPBACK

TIMEOUT_SECONDS = 2
LIMIT_SECONDS = 5  # a server that is slow at something answers fewer questions, and none takes longer than this
CLIENTS = 8
IN_FLIGHT = 100
# dnsperf 2.10 stands still for a moment when it first uses a place in its table of open questions again, whatever the
# server does: 2 ms with 1,000 places, 100 ms with 60,000. At 30,000 questions a second 1,000 are open only where the
# server is 33 ms late.
MAX_OUTSTANDING = 1_000

_STATISTIC = re.compile(r"^  ([A-Z][A-Za-z ()]+):\s+(.*)$", re.MULTILINE)
_CODE = re.compile(r"([A-Z]+) (\d+)")


class WrongAnswers(RuntimeError):
    """The server answered, but not what the questions are about; a speed measured so would mean nothing."""


@dataclass(frozen=True)
class Load:
    """One run of dnsperf."""

    completed: int
    lost: int
    seconds: float
    codes: Mapping[str, int]
    latencies_seconds: tuple[float, ...] = ()  # of each question, sorted; only at a fixed rate

    @property
    def answers_per_second(self) -> float:
        """What came back, over the run."""
        return self.completed / self.seconds

    def percentile_seconds(self, percent: float) -> float:
        """The latency that `percent` of the questions stayed within."""
        last = len(self.latencies_seconds) - 1
        return self.latencies_seconds[min(last, int(len(self.latencies_seconds) * percent / 100))]


def write_questions(path: Path, questions: Iterable[tuple[str, str]]) -> int:
    """Write (name, type) pairs as dnsperf reads them; gives their number."""
    lines = [f"{name} {qtype}\n" for name, qtype in questions]
    path.write_text("".join(lines))
    return len(lines)


def flat_out(port: int, questions: Path, times: int, expected_code: str, seconds: int = LIMIT_SECONDS) -> Load:
    """Ask the whole file `times` times over, as fast as the answers come, but no longer than this. Raises
    WrongAnswers."""
    options = ["-n", str(times), "-l", str(seconds), "-q", str(IN_FLIGHT), "-c", str(CLIENTS)]
    load = _run(port, questions, options)
    return _checked(load, expected_code, questions)


def at_rate(port: int, questions: Path, per_second: int, seconds: int, expected_code: str | None) -> Load:
    """Ask at a fixed rate, whether answers come or not, up to `MAX_OUTSTANDING`. Raises WrongAnswers; with None as the
    code, that is for the caller to judge."""
    options = ["-Q", str(per_second), "-l", str(seconds), "-q", str(MAX_OUTSTANDING), "-c", str(CLIENTS), "-v"]
    load = _run(port, questions, options)
    return load if expected_code is None else _checked(load, expected_code, questions)


@contextmanager
def in_background(port: int, questions: Path, per_second: int) -> Iterator[None]:
    """Ask at a fixed rate as long as the context lasts, whatever comes back."""
    options = ["-Q", str(per_second), "-l", "600", "-q", str(TIMEOUT_SECONDS * per_second), "-c", "1"]
    with subprocess.Popen(
        _command(port, questions, options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as one:
        try:
            yield
        finally:
            one.terminate()


def _run(port: int, questions: Path, options: list[str]) -> Load:
    command = _command(port, questions, options)
    with tempfile.TemporaryFile("w+") as output:  # a pipe would stall dnsperf, which then catches up in a burst
        subprocess.run(command, stdout=output, stderr=subprocess.DEVNULL, check=True, timeout=300)
        output.seek(0)
        return read_output(output.read())


def _command(port: int, questions: Path, options: list[str]) -> list[str]:
    command = [str(peers.find("dnsperf")), "-s", LOOPBACK, "-p", str(port), "-d", str(questions), "-e"]
    return [*command, "-t", str(TIMEOUT_SECONDS), *options]


def read_output(text: str) -> Load:
    """What dnsperf printed, verbose or not."""
    summary = text[text.rindex("\nStatistics:") :]
    found = dict(_STATISTIC.findall(summary))
    lost = int(found["Queries lost"].split()[0])
    latencies = [
        float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith("> ") and line[2] != "T"
    ]
    if latencies:
        latencies += [float(TIMEOUT_SECONDS)] * lost
    return Load(
        completed=int(found["Queries completed"].split()[0]),
        lost=lost,
        seconds=float(found["Run time (s)"]),
        codes={code: int(count) for code, count in _CODE.findall(found.get("Response codes", ""))},
        latencies_seconds=tuple(sorted(latencies)),
    )


def _checked(load: Load, expected_code: str, questions: Path) -> Load:
    if not load.completed or load.codes.get(expected_code, 0) < load.completed:
        raise WrongAnswers(
            f"{questions.name}: expected {expected_code} to all, got {dict(load.codes)}, {load.lost} lost"
        )
    return load
