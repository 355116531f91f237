"""The API server goes away under a running server, and comes back."""

import contextlib
import re
import threading
import time
from pathlib import Path

import pytest
from journeys.clients import dig, dig_all, until
from journeys.journey import READY, Bridge, Journey, launched
from journeys.pod import network_namespace

NAME = "my-nginx-headless-svc.default.svc.cluster.local"
WORKLOAD = ("Deployment", "my-nginx", "default")
OUTAGE_SECONDS = 1.0
ABOUT_A_WATCH = re.compile(r"\[\w+\] plugin/kubernetes: (services|namespaces|endpointslices): ")

pytestmark = [pytest.mark.peer("kube-apiserver"), pytest.mark.parametrize("journey", ["api"], indirect=True)]


class Asker(threading.Thread):
    """Asks one name without a pause, and remembers every different set of addresses in the order seen."""

    def __init__(self, journey: Journey) -> None:
        super().__init__(name="asker", daemon=True)
        self._journey = journey
        self._ends = threading.Event()
        self.seen: list[tuple[str, frozenset[str]]] = []

    def run(self) -> None:
        while not self._ends.is_set():
            for reply in dig_all(self._journey.pod, *[NAME] * 100):
                found = (reply.status, frozenset(reply.data))
                if found not in self.seen[-1:]:
                    self.seen.append(found)

    def stop(self) -> None:
        self._ends.set()
        self.join()


def about_watches(journey: Journey) -> list[str]:
    """The log without lines about single objects, of which tests that share the cluster make odd ones."""
    return [line for line in journey.log.read_text().splitlines() if ABOUT_A_WATCH.match(line)]


def test_an_unreachable_api_server_takes_no_name_away(journey: Journey) -> None:
    """While it is away names stay as last known, /ready stays OK, and the log has one line; when it is back so does
    the log say, and the answers go from what was to what is with nothing between, though a list may be read anew."""
    assert journey.bridge is not None
    before = journey.pods(NAME, 2, "my-nginx")
    lines_before = len(about_watches(journey))
    asker = Asker(journey)
    asker.start()
    try:
        journey.bridge.down()
        journey.cluster.scale(*WORKLOAD, 4)  # what the server cannot see
        time.sleep(OUTAGE_SECONDS)
        assert journey.readiness() == READY
        assert asker.seen == [("NOERROR", frozenset(before))]
        journey.bridge.up()
        after = journey.pods(NAME, 4, "my-nginx")
        until(lambda: asker.seen, lambda seen: len(seen) > 1)
    finally:
        asker.stop()
        journey.cluster.scale(*WORKLOAD, 2)
    sizes = [len(found) for _, found in asker.seen]
    assert {status for status, _ in asker.seen} == {"NOERROR"}
    assert sizes == sorted(sizes), "an answer grew smaller on the way"
    assert asker.seen[-1][1] == after
    lines = until(lambda: about_watches(journey)[lines_before:], lambda found: len(found) >= 2)
    assert [line.split("]")[0] for line in lines] == ["[WARNING", "[INFO"], lines
    assert "serving the last known state" in lines[0]
    assert "connected again" in lines[1]


def test_a_server_older_than_its_api_server(journey: Journey, tmp_path: Path) -> None:
    """Before it has seen the cluster a server says that it does not know, never that a name does not exist; it gets
    ready by itself."""
    assert journey.bridge is not None
    with contextlib.ExitStack() as stack:
        pod = stack.enter_context(network_namespace("early"))
        bridge = Bridge(pod, tmp_path, journey.bridge.api_address)
        stack.callback(bridge.down)
        early = Journey(journey.cluster, pod, tmp_path / "server.log", bridge)
        stack.enter_context(launched(early, "startup_timeout 200ms"))
        until(early.log.read_text, lambda text: ".:53" in text)
        for name in (NAME, "nosuch.default.svc.cluster.local"):
            reply = dig(pod, name)
            assert (reply.status, reply.data) == ("SERVFAIL", [])
        status, body = early.readiness()
        assert (status, body.splitlines()[0]) == ("503", "kubernetes")
        assert journey.bridge.api_address in body
        bridge.up()
        until(early.readiness, lambda said: said == READY)
        assert dig(pod, NAME).status == "NOERROR"
        assert dig(pod, "nosuch.default.svc.cluster.local").status == "NXDOMAIN"
