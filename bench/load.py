"""dnsperf, which makes the load and reports on the answers.

It has two uses: as fast as the server answers, with a bounded number of questions in flight, for the cost of an answer;
and at a fixed rate, with the latency of each answer, for the tail. A lost question counts with the time-out as its
latency.
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
LIMIT_SECONDS = 5  # of each run: a slow server answers fewer questions in it
CLIENTS = 8
IN_FLIGHT = 100
# dnsperf 2.10 pauses when it first reuses an entry of its table of open questions, whatever the server does: 2 ms with
# 1,000 entries, 100 ms with 60,000. At 30,000 questions a second 1,000 are open only if the server is 33 ms late.
MAX_OUTSTANDING = 1_000

_STATISTIC = re.compile(r"^  ([A-Z][A-Za-z ()]+):\s+(.*)$", re.MULTILINE)
_CODE = re.compile(r"([A-Z]+) (\d+)")


class WrongAnswers(RuntimeError):
    """A server that answered with another response code than expected, so that its speed means nothing."""


@dataclass(frozen=True)
class LoadResult:
    """The result of one run of dnsperf."""

    completed: int
    lost: int
    seconds: float
    codes: Mapping[str, int]
    latencies_seconds: tuple[float, ...] = ()  # of each question, sorted; only at a fixed rate

    @property
    def answers_per_second(self) -> float:
        """Answers over the duration of the run."""
        return self.completed / self.seconds

    def percentile_seconds(self, percent: float) -> float:
        """Return the latency that `percent` of the questions did not exceed."""
        last = len(self.latencies_seconds) - 1
        return self.latencies_seconds[min(last, int(len(self.latencies_seconds) * percent / 100))]


def write_questions(path: Path, questions: Iterable[tuple[str, str]]) -> int:
    """Write (name, type) pairs as dnsperf reads them, and return their number."""
    lines = [f"{name} {qtype}\n" for name, qtype in questions]
    path.write_text("".join(lines))
    return len(lines)


def flat_out(port: int, questions: Path, times: int, expected_code: str, seconds: int = LIMIT_SECONDS) -> LoadResult:
    """Ask the questions of a file `times` times, as fast as answers arrive, until the limit. Raises WrongAnswers."""
    options = ["-n", str(times), "-l", str(seconds), "-q", str(IN_FLIGHT), "-c", str(CLIENTS)]
    load = _run(port, questions, options)
    return _checked(load, expected_code, questions)


def at_rate(port: int, questions: Path, per_second: int, seconds: int, expected_code: str | None) -> LoadResult:
    """Ask at a fixed rate, with up to `MAX_OUTSTANDING` questions open. Raises WrongAnswers if a code is expected."""
    options = ["-Q", str(per_second), "-l", str(seconds), "-q", str(MAX_OUTSTANDING), "-c", str(CLIENTS), "-v"]
    load = _run(port, questions, options)
    return load if expected_code is None else _checked(load, expected_code, questions)


@contextmanager
def in_background(port: int, questions: Path, per_second: int) -> Iterator[None]:
    """Ask at a fixed rate for the duration of the context; answers do not count."""
    options = ["-Q", str(per_second), "-l", "600", "-q", str(TIMEOUT_SECONDS * per_second), "-c", "1"]
    with subprocess.Popen(
        _command(port, questions, options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as one:
        try:
            yield
        finally:
            one.terminate()


def _run(port: int, questions: Path, options: list[str]) -> LoadResult:
    command = _command(port, questions, options)
    with tempfile.TemporaryFile("w+") as output:  # a pipe would block dnsperf, which then sends a burst to catch up
        subprocess.run(command, stdout=output, stderr=subprocess.DEVNULL, check=True, timeout=300)
        output.seek(0)
        return read_output(output.read())


def _command(port: int, questions: Path, options: list[str]) -> list[str]:
    command = [str(peers.find("dnsperf")), "-s", LOOPBACK, "-p", str(port), "-d", str(questions), "-e"]
    return [*command, "-t", str(TIMEOUT_SECONDS), *options]


def read_output(text: str) -> LoadResult:
    """Read the output of dnsperf, verbose or not."""
    summary = text[text.rindex("\nStatistics:") :]
    found = dict(_STATISTIC.findall(summary))
    lost = int(found["Queries lost"].split()[0])
    latencies = [
        float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith("> ") and line[2] != "T"
    ]
    if latencies:
        latencies += [float(TIMEOUT_SECONDS)] * lost
    return LoadResult(
        completed=int(found["Queries completed"].split()[0]),
        lost=lost,
        seconds=float(found["Run time (s)"]),
        codes={code: int(count) for code, count in _CODE.findall(found.get("Response codes", ""))},
        latencies_seconds=tuple(sorted(latencies)),
    )


def _checked(load: LoadResult, expected_code: str, questions: Path) -> LoadResult:
    if not load.completed or load.codes.get(expected_code, 0) < load.completed:
        raise WrongAnswers(
            f"{questions.name}: expected {expected_code} to all, got {dict(load.codes)}, {load.lost} lost"
        )
    return load
