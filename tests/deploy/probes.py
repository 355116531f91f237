"""A kubelet's HTTP probes, as a program to be run in the pod's network: probes.py SECONDS TIMEOUT_SECONDS URL…

Each URL is asked ten times a second over a connection of its own. Prints, as JSON, for each URL how often it was asked,
what went wrong, and the longest that an answer took.
"""

import json
import sys
import time
import urllib.error
import urllib.request

PAUSE_SECONDS = 0.1


def probe(url: str, timeout_seconds: float) -> tuple[str, float]:
    """The failure, empty where there was none, and the seconds it took."""
    began = time.monotonic()
    failure = ""
    try:
        with urllib.request.urlopen(url, timeout=timeout_seconds) as page:
            page.read()
    except OSError as error:
        failure = str(error)
    return failure, time.monotonic() - began


def main(seconds: float, timeout_seconds: float, urls: list[str]) -> None:
    """Ask until the time is over."""
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
                    "asked": len(found),
                    "failures": [failure for failure, _ in found if failure],
                    "longest_seconds": max(took for _, took in found),
                }
                for url, found in outcomes.items()
            }
        )
    )


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
