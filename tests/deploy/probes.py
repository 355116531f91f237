"""A kubelet's HTTP probes, a program to run in the pod's network: probes.py COUNT TIMEOUT_SECONDS PID URL…

Probes each URL this many times, each time over a new connection. Prints, as JSON, for each URL the number of probes,
the failures, and the seconds of the longest probe. With a PID other than 0 the time does not count in which that
process, the server, or this one is ready to run and gets no core: other programs have it.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

PAUSE_SECONDS = 0.1
PATIENCE_SECONDS = 60.0


def seconds_without_core(pid: int) -> float:
    """Return how long the main thread of a process has waited for a core so far; 0 where the kernel does not count."""
    path = Path(f"/proc/{pid}/schedstat")
    return int(path.read_text().split()[1]) / 1e9 if pid and path.exists() else 0.0


def probe(url: str, timeout_seconds: float, pid: int) -> tuple[str, float]:
    """Fetch a page; return the error, empty on success, and the seconds."""
    pids = (pid, pid and os.getpid())
    began = time.monotonic() - sum(map(seconds_without_core, pids))
    failure = ""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as page:
            page.read()
    except OSError as error:
        failure = str(error)
    took_seconds = time.monotonic() - sum(map(seconds_without_core, pids)) - began
    return failure or (f"after {took_seconds:.2f} s" if took_seconds >= timeout_seconds else ""), took_seconds


def main(count: int, timeout_seconds: float, pid: int, urls: list[str]) -> None:
    """Probe all URLs, and print the results."""
    outcomes: dict[str, list[tuple[str, float]]] = {url: [] for url in urls}
    for _ in range(count):
        for url, found in outcomes.items():
            found.append(probe(url, timeout_seconds, pid))
        time.sleep(PAUSE_SECONDS)
    print(
        json.dumps(
            {
                url: {
                    "count": len(found),
                    "failures": [failure for failure, _ in found if failure],
                    "longest_seconds": max(took for _, took in found),
                }
                for url, found in outcomes.items()
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
