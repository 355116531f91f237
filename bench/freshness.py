"""The delay from a change in the API to the correct answer.

An object is changed through the real API, and a server is asked until its answer follows. The delay begins when a
watch of this process receives the event, and ends when the correct answer has arrived; it is negative where the server
received the event first. One server is asked at a time, with a short pause between questions: the API server, that
server and this process share the machine.
"""

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address

from bench.objects import FRESH, ZONE, endpoint_slice, service
from bench.results import Figures
from bench.servers import MeasuredServer
from testing import dns_client
from testing.api import ApiClient, Manifest

LIMIT_SECONDS = 5
PAUSE_SECONDS = 0.0001
_FIRST_ADDRESS = IPv4Address("10.200.0.1")

IsCorrect = Callable[[bytes | None], bool]


class TooStale(RuntimeError):
    """A server whose answer did not follow a change within the limit."""


class _EventTimes:
    """The times at which events arrived, by object and type of event."""

    def __init__(self, api: ApiClient, kinds: list[str]) -> None:
        self._times: dict[tuple[str, str, str], float] = {}
        self._arrived = threading.Condition()
        self._threads = [threading.Thread(target=self._follow, args=(api, kind), daemon=True) for kind in kinds]
        for thread in self._threads:
            thread.start()

    def _follow(self, api: ApiClient, kind: str) -> None:
        for what, changed in api.watch(kind, FRESH):
            now = time.monotonic()
            with self._arrived:
                self._times[_key(what, changed)] = now
                self._arrived.notify_all()

    def of(self, what: str, changed: Manifest) -> float:
        """Return the time of an event, and wait for it where it has not arrived. Raises TooStale."""
        key = _key(what, changed)
        with self._arrived:
            if not self._arrived.wait_for(lambda: key in self._times, LIMIT_SECONDS):
                raise TooStale(f"the benchmark's own watch has not received {key} within {LIMIT_SECONDS} s")
            return self._times[key]


def _key(what: str, changed: Manifest) -> tuple[str, str, str]:
    # the event and the response of a deletion may carry different versions; each name is deleted once
    version = "" if what == "DELETED" else changed["metadata"]["resourceVersion"]
    return what, changed["metadata"]["name"], version


def measure(api: ApiClient, runners: list[MeasuredServer], rounds: int, figures: Figures) -> None:
    """Create a Service, give an endpoint another address, and delete the Service, once per round and server."""
    sys.setswitchinterval(0.0001)  # the thread of the watch must run as soon as an event arrives
    times = _EventTimes(api, ["Service", "EndpointSlice"])
    api.apply(service(FRESH, "moving", headless=True))
    moving = endpoint_slice(FRESH, "moving", "moving-0", [str(_FIRST_ADDRESS)], ["pod-0"])
    api.apply(moving)
    addresses = (_FIRST_ADDRESS + number for number in range(1, 1 << 16))
    time.sleep(0.5)  # the watches are open before the first change
    for number in range(rounds):
        for runner in runners:
            coming = service(FRESH, f"coming-{runner.name}-{number}", headless=False)
            address = next(addresses)
            moved = endpoint_slice(FRESH, "moving", "moving-0", [str(address)], ["pod-0"])
            steps: list[tuple[str, Callable[[], Manifest], str, IsCorrect]] = [
                ("ADDED", lambda new=coming: api.apply(new), coming["metadata"]["name"], _has_answer),  # type: ignore[misc]
                ("MODIFIED", lambda new=moved: api.apply(new), "moving", _is_exactly(address)),  # type: ignore[misc]
                ("DELETED", lambda old=coming: _deleted(api, old), coming["metadata"]["name"], _is_nxdomain),  # type: ignore[misc]
            ]
            for what, change, name, is_correct in steps:
                seconds = _follow_change(times, runner, what, change, name, is_correct)
                figures.add("stale_ms", runner.name, seconds * 1000)


def _follow_change(
    times: _EventTimes,
    runner: MeasuredServer,
    what: str,
    change: Callable[[], Manifest],
    name: str,
    is_correct: IsCorrect,
) -> float:
    """Make a change, and measure the seconds from its event to the correct answer. Raises TooStale."""
    client = dns_client.DnsClient(runner.port)
    message = dns_client.question(f"{name}.{FRESH}.svc.{ZONE}.")
    with ThreadPoolExecutor(1) as changer:
        changed = changer.submit(change)
        deadline = time.monotonic() + LIMIT_SECONDS
        while not is_correct(client.ask(message)):
            if time.monotonic() > deadline:
                raise TooStale(f"{runner.name} does not answer as after {what} of {name} within {LIMIT_SECONDS} s")
            time.sleep(PAUSE_SECONDS)
        answered = time.monotonic()
    client.close()
    return answered - times.of(what, changed.result())


def _deleted(api: ApiClient, old: Manifest) -> Manifest:
    api.delete(old["kind"], old["metadata"]["name"], old["metadata"]["namespace"])
    return old


def _has_answer(reply: bytes | None) -> bool:
    return reply is not None and dns_client.outcome(reply) == (dns_client.NOERROR, 1)


def _is_nxdomain(reply: bytes | None) -> bool:
    return reply is not None and dns_client.outcome(reply)[0] == dns_client.NXDOMAIN


def _is_exactly(address: IPv4Address) -> IsCorrect:
    return lambda reply: dns_client.has_address(reply, address.packed)
