"""A kubelet's HTTP probes, a program to run in the pod's network: probes.py SECONDS TIMEOUT_SECONDS URL…

Probes each URL ten times a second, each time over a new connection. Prints, as JSON, for each URL the number of probes,
the failures, and the seconds of the longest probe.
"""

import json
import sys
import time
import urllib.error
import urllib.request

PAUSE_SECONDS = 0.1


def probe(url: str, timeout_seconds: float) -> tuple[str, float]:
    """Fetch a page; return the error, empty on success, and the seconds."""
    began = time.monotonic()
    failure = ""
    try:
        with urllib.request.urlopen(url, timeout=timeout_seconds) as page:
            page.read()
    except OSError as error:
        failure = str(error)
    return failure, time.monotonic() - began


def main(seconds: float, timeout_seconds: float, urls: list[str]) -> None:
    """Probe all URLs until the time is over, and print the results."""
    outcomes: dict[str, list[tuple[str, float]]] = {url: [] for url in urls}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for url, found in outcomes.items():
            found.append(probe(url, timeout_seconds))
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
    main(float(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
