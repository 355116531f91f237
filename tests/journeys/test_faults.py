"""The API server becomes unreachable while the server runs, and reachable again."""

import contextlib
import re
import threading
from pathlib import Path

import pytest
from journeys.clients import dig, dig_all, until
from journeys.journey import READY, Bridge, Journey, launched
from journeys.pod import network_namespace

NAME = "my-nginx-headless-svc.default.svc.cluster.local"
WORKLOAD = ("Deployment", "my-nginx", "default")
OUTAGE_ANSWERS = 1_000  # asked for while the API server is unreachable
WATCH_LINE = re.compile(r"\[\w+\] plugin/kubernetes: (services|namespaces|endpointslices): ")

pytestmark = [pytest.mark.peer("kube-apiserver"), pytest.mark.parametrize("journey", ["api"], indirect=True)]


class Asker(threading.Thread):
    """A thread that asks one name without a pause, and records each change of its addresses."""

    def __init__(self, journey: Journey) -> None:
        super().__init__(name="asker", daemon=True)
        self._journey = journey
        self._stopping = threading.Event()
        self.seen: list[tuple[str, frozenset[str]]] = []
        self.count = 0

    def run(self) -> None:
        while not self._stopping.is_set():
            for reply in dig_all(self._journey.pod, *[NAME] * 100):
                found = (reply.status, frozenset(reply.data))
                if found not in self.seen[-1:]:
                    self.seen.append(found)
                self.count += 1

    def stop(self) -> None:
        self._stopping.set()
        self.join()


def watch_lines(journey: Journey) -> list[str]:
    """Return the log lines about watches, without those about objects, which depend on other tests of the cluster."""
    return [line for line in journey.log.read_text().splitlines() if WATCH_LINE.match(line)]


def test_names_keep_their_answers_while_the_api_server_is_unreachable(journey: Journey) -> None:
    """During the outage answers do not change, /ready stays OK, and the log has one line.

    After it the log has another line, and the answers change to the new state without an intermediate one, even if
    the server relists.
    """
    assert journey.bridge is not None
    before = journey.pods(NAME, 2, "my-nginx")
    lines_before = len(watch_lines(journey))
    asker = Asker(journey)
    asker.start()
    try:
        journey.bridge.down()
        journey.cluster.scale(*WORKLOAD, 4)  # the server gets no event of it
        until(lambda: watch_lines(journey)[lines_before:], bool)
        enough = asker.count + OUTAGE_ANSWERS
        until(lambda: asker.count, lambda count: count >= enough)
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
    assert sizes == sorted(sizes), "an intermediate answer had fewer addresses"
    assert asker.seen[-1][1] == after
    lines = until(lambda: watch_lines(journey)[lines_before:], lambda found: len(found) >= 2)
    assert [line.split("]")[0] for line in lines] == ["[WARNING", "[INFO"], lines
    assert "serving the last known state" in lines[0]
    assert "connected again" in lines[1]


def test_a_server_that_starts_before_its_api_server(journey: Journey, tmp_path: Path) -> None:
    """Before the first list names are SERVFAIL, not NXDOMAIN; the server becomes ready when the API server answers."""
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
        until(early.readiness, lambda reply: reply == READY)
        assert dig(pod, NAME).status == "NOERROR"
        assert dig(pod, "nosuch.default.svc.cluster.local").status == "NXDOMAIN"
