"""How long after a change the answer is right: objects changed through the real API, asked until the answer follows.

The clock starts when a watch of this process's own sees the event, on the monotonic clock, and stops when the right
answer has come back. A server that heard of the change before this process did counts as 0 or below, and is reported as
it is. One server is asked at a time, in turns, with a short pause between questions: the API server, the server asked
and this process share the machine.
"""

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address

from bench.field import Runner
from bench.objects import FRESH, ZONE, endpoint_slice, service
from bench.results import Figures
from testing import dns_client
from testing.api import ApiClient, Manifest

LIMIT_SECONDS = 5
PAUSE_SECONDS = 0.0001
_FIRST_ADDRESS = IPv4Address("10.200.0.1")

IsRight = Callable[[bytes | None], bool]


class TooStale(RuntimeError):
    """A server did not follow a change within the limit."""


class _Seen:
    """The moments at which events arrived, by object and kind of event."""

    def __init__(self, api: ApiClient, kinds: list[str]) -> None:
        self._moments: dict[tuple[str, str, str], float] = {}
        self._news = threading.Condition()
        self._threads = [threading.Thread(target=self._follow, args=(api, kind), daemon=True) for kind in kinds]
        for thread in self._threads:
            thread.start()

    def _follow(self, api: ApiClient, kind: str) -> None:
        for what, changed in api.watch(kind, FRESH):
            moment = time.monotonic()
            with self._news:
                self._moments[_key(what, changed)] = moment
                self._news.notify_all()

    def moment(self, what: str, changed: Manifest) -> float:
        """When this event arrived; waits for one that has not yet. Raises TooStale."""
        key = _key(what, changed)
        with self._news:
            if not self._news.wait_for(lambda: key in self._moments, LIMIT_SECONDS):
                raise TooStale(f"the benchmark's own watch did not see {key} within {LIMIT_SECONDS} s")
            return self._moments[key]


def _key(what: str, changed: Manifest) -> tuple[str, str, str]:
    # a deletion's event and its reply may carry different versions; a name is deleted once here
    version = "" if what == "DELETED" else changed["metadata"]["resourceVersion"]
    return what, changed["metadata"]["name"], version


def measure(api: ApiClient, runners: list[Runner], rounds: int, figures: Figures) -> None:
    """Per round and server: a Service comes, an endpoint gets another address, the Service goes."""
    sys.setswitchinterval(0.0001)  # the watch's thread must get its turn at once
    seen = _Seen(api, ["Service", "EndpointSlice"])
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
            steps: list[tuple[str, Callable[[], Manifest], str, IsRight]] = [
                ("ADDED", lambda new=coming: api.apply(new), coming["metadata"]["name"], _has_answer),  # type: ignore[misc]
                ("MODIFIED", lambda new=moved: api.apply(new), "moving", _is_exactly(address)),  # type: ignore[misc]
                ("DELETED", lambda old=coming: _deleted(api, old), coming["metadata"]["name"], _is_denied),  # type: ignore[misc]
            ]
            for what, change, name, is_right in steps:
                seconds = _follow_change(seen, runner, what, change, name, is_right)
                figures.add("stale_ms", runner.name, seconds * 1000)


def _follow_change(
    seen: _Seen, runner: Runner, what: str, change: Callable[[], Manifest], name: str, is_right: IsRight
) -> float:
    """Seconds from the event of a change to the right answer. Raises TooStale."""
    client = dns_client.DnsClient(runner.port)
    message = dns_client.question(f"{name}.{FRESH}.svc.{ZONE}.")
    with ThreadPoolExecutor(1) as changer:
        changed = changer.submit(change)
        deadline = time.monotonic() + LIMIT_SECONDS
        while not is_right(client.ask(message)):
            if time.monotonic() > deadline:
                raise TooStale(f"{runner.name} did not follow {what} {name} within {LIMIT_SECONDS} s")
            time.sleep(PAUSE_SECONDS)
        right = time.monotonic()
    client.close()
    return right - seen.moment(what, changed.result())


def _deleted(api: ApiClient, old: Manifest) -> Manifest:
    api.delete(old["kind"], old["metadata"]["name"], old["metadata"]["namespace"])
    return old


def _has_answer(reply: bytes | None) -> bool:
    return reply is not None and dns_client.outcome(reply) == (dns_client.NOERROR, 1)


def _is_denied(reply: bytes | None) -> bool:
    return reply is not None and dns_client.outcome(reply)[0] == dns_client.NXDOMAIN


def _is_exactly(address: IPv4Address) -> IsRight:
    return lambda reply: dns_client.has_address(reply, address.packed)
