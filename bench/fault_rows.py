"""The faults of `bench.faults`: how each begins and ends, and since when the seconds to the truth are counted.

A fault that goes on (`since` is `begin`) lasts until the servers are right again or the limit is over; all others last
`seconds`, and count from their end.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from itertools import chain
from typing import NamedTuple

from bench.fault_bed import FaultBed
from testing import api_faults, packet_loss
from testing.api_faults import ApiFault

FaultContext = Callable[[FaultBed], AbstractContextManager[None]]
BEGIN, END = "begin", "end"
GONE_SECONDS = 3.0
LOSES_ONE_IN = 20
CUT_LIST_BYTES = 20_000


class FaultRow(NamedTuple):
    """A fault, and the seconds to the truth that must be reached."""

    key: str
    title: str
    fault: FaultContext
    must_seconds: float
    since: str = END
    seconds: float = 15.0
    limit_seconds: float = 30.0
    over_http: bool = False  # else TLS, which no fault reads
    audit: bool = False  # whether ours audits each 30 s

    @property
    def restarts_api(self) -> bool:
        """Whether the servers use an API server of their own, which is killed."""
        return self.fault in (_api_down, _api_down_and_compacted)


@contextmanager
def _connections_dropped(bed: FaultBed) -> Iterator[None]:
    """Drop the packets of the connections that are open; new ones work."""
    relays = [one.relay for one in bed.contenders]
    rules = (packet_loss.of_connections(relay.port, relay.client_ports()) for relay in relays)
    with packet_loss.dropped(chain.from_iterable(rules)):
        yield


@contextmanager
def _all_dropped(bed: FaultBed) -> Iterator[None]:
    """Drop every packet."""
    rules = (packet_loss.of_port(one.relay.port) for one in bed.contenders)
    with packet_loss.dropped(chain.from_iterable(rules)):
        yield


@contextmanager
def _peer_gone(bed: FaultBed) -> Iterator[None]:
    """Drop the packets of the connections that are open, for a time those of new ones too, and close the peer's end."""
    with _connections_dropped(bed):
        with _all_dropped(bed):
            bed.cut()
            time.sleep(GONE_SECONDS)
        yield


@contextmanager
def _cut(bed: FaultBed) -> Iterator[None]:
    """Cut the connections, and refuse new ones."""
    for one in bed.contenders:
        one.relay.is_open = False
    bed.cut()
    yield
    for one in bed.contenders:
        one.relay.is_open = True


def with_api_fault(make: Callable[[], ApiFault], *, cuts: bool = True) -> FaultContext:
    """Return the context of a fault at the level of HTTP; open watches are cut where they would not see it."""

    @contextmanager
    def context(bed: FaultBed) -> Iterator[None]:
        for one in bed.contenders:
            one.proxy.fault = make()
        if cuts:
            bed.cut()
        yield
        for one in bed.contenders:
            one.proxy.fault = ApiFault()

    return context


def ending_watches(last_words: bytes) -> FaultContext:
    """Return the context in which watches say something and end."""
    return with_api_fault(lambda: api_faults.EndingWatches(last_words))


def _cut_lists() -> ApiFault:
    return api_faults.CuttingLists(CUT_LIST_BYTES)


def refusing(status: int, text: str = "", content_type: str = "application/json", **headers: str) -> FaultContext:
    """Return the context in which every request gets this response."""
    return with_api_fault(lambda: api_faults.Refusing(status, text, content_type, **headers))


@contextmanager
def frozen(bed: FaultBed) -> Iterator[None]:
    """Let nothing pass on connections that stay open and are acknowledged."""
    faults = [api_faults.Frozen() for _ in bed.contenders]
    for one, fault in zip(bed.contenders, faults, strict=True):
        one.proxy.fault = fault
    yield
    for one, fault in zip(bed.contenders, faults, strict=True):
        one.proxy.fault = ApiFault()
        one.loop.call_soon_threadsafe(fault.release)


@contextmanager
def _losing(bed: FaultBed) -> Iterator[None]:
    """Lose events of slices that do not change a second time."""
    bed.cluster.change_each_once()
    with with_api_fault(lambda: api_faults.LosingEvents("endpointslices", LOSES_ONE_IN), cuts=False)(bed):
        yield
        for fault in (one.proxy.fault for one in bed.contenders):
            if isinstance(fault, api_faults.LosingEvents) and not fault.lost:
                raise RuntimeError(f"no event was lost: the fault takes as long as {LOSES_ONE_IN} changes at least")


@contextmanager
def _api_down(bed: FaultBed) -> Iterator[None]:
    """Kill the API server that the servers use, and start it again."""
    assert bed.further is not None
    bed.further.kill()
    yield
    bed.further.start()


@contextmanager
def _api_down_and_compacted(bed: FaultBed) -> Iterator[None]:
    """Have etcd forget what happened while the API server was down."""
    with _api_down(bed):
        yield
        bed.control_plane.compact()


@contextmanager
def _token_rotated(bed: FaultBed) -> Iterator[None]:
    """Accept another token than before, which is in the file at once."""
    bed.token_file.write_text("new")
    with with_api_fault(lambda: api_faults.RequiringToken(["new"]))(bed):
        yield
    bed.token_file.write_text("old")


_LOGIN = api_faults.LOGIN_PAGE
_ON_TLS = (
    FaultRow("silence", "packets of open connections dropped", _connections_dropped, 10, BEGIN, limit_seconds=60),
    FaultRow("peer-gone", "API peer gone without FIN or RST", _peer_gone, 10, BEGIN, limit_seconds=60),
    FaultRow("blackout", "every packet dropped", _all_dropped, 1, limit_seconds=60),
    FaultRow("cut", "TCP cut, and refused", _cut, 1, seconds=20),
    FaultRow("api-restart", "API server killed, and ready again", _api_down, 0.1, seconds=3, limit_seconds=60),
    FaultRow("compacted", "the same, and etcd compacted", _api_down_and_compacted, 1, seconds=3, limit_seconds=60),
)
_ON_HTTP = (
    FaultRow("401", "401", refusing(HTTPStatus.UNAUTHORIZED, api_faults.UNAUTHORIZED), 1),
    FaultRow("500", "500", refusing(HTTPStatus.INTERNAL_SERVER_ERROR), 1),
    FaultRow("503", "503 with Retry-After: 1", refusing(HTTPStatus.SERVICE_UNAVAILABLE, Retry_After="1"), 1),
    FaultRow("login", "a login page", refusing(HTTPStatus.OK, _LOGIN, "text/html"), 1),
    FaultRow("list-cut", "lists cut in the middle", with_api_fault(_cut_lists), 1),
    FaultRow("watch-cut", "watches cut inside an event", with_api_fault(api_faults.CuttingWatches), 1),
    FaultRow("410", "410 again and again", ending_watches(api_faults.EXPIRED), 1),
    FaultRow("garbage", "garbage in the watch", ending_watches(api_faults.GARBAGE), 1),
    FaultRow("frozen", "nothing passes, and is acknowledged", frozen, 1),
    FaultRow("token", "token rotated, the old one refused", _token_rotated, 0.1, BEGIN, limit_seconds=100),
    FaultRow("lost", f"one event in {LOSES_ONE_IN} lost without error", _losing, 60, limit_seconds=75, audit=True),
)
ROWS = {row.key: row for row in (*_ON_TLS, *(row._replace(over_http=True) for row in _ON_HTTP))}
