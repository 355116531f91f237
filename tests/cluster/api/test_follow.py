"""Following a collection: streamed lists, versions that go back, doubtful watches, and how often a server is asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from aiohttp import web
from cluster.api.followed import NEW, OLD, Start, api_settings, failures, ip_of
from fakes.model_api import LIST_FAULTS, WATCH_FAULTS, ModelApi
from fakes.seen import Seen
from fakes.time import FakeTime, VirtualTime
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.cluster.api.client import Client
from clusterdns.cluster.api.collection import Collection
from clusterdns.cluster.api.errors import Backwards
from clusterdns.cluster.api.follow.position import SECONDS_BEFORE_ACCEPTED, Position
from clusterdns.cluster.api.follow.reflector import Reflector
from clusterdns.cluster.api.follow.retry import RetryQueue, Timing
from clusterdns.cluster.api.follow.rhythm import BookmarkRhythm
from clusterdns.cluster.api.settings import Intervals
from clusterdns.cluster.api.source import ApiSource
from clusterdns.cluster.api.status import ApiStatus
from clusterdns.cluster.api.store import ObjectStore
from clusterdns.cluster.freshness import Freshness
from clusterdns.cluster.objects import Service
from clusterdns.telemetry.metrics import Registry
from testing import fake_apiserver as faked
from testing.fake_apiserver import NAMESPACES, SERVICES, FakeApiServer, bookmark, error, event, page, service

# Streamed lists


async def test_a_watch_begins_with_its_list_where_the_server_streams_lists(
    fake: FakeApiServer, seen: Seen, start: Start
) -> None:
    fake.streams_lists = True
    fake.lists[SERVICES] = [service("a"), service("b")]
    source = start(api_settings(fake))
    await seen.until(lambda: source.synced)
    assert seen.names(Service) == {"a", "b"}
    (one,) = [one for one in fake.requests if one.path == SERVICES]
    assert {**one.query, "timeoutSeconds": ""} == {
        "watch": "1", "allowWatchBookmarks": "true", "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan", "timeoutSeconds": "",
    }  # fmt: skip


async def test_a_streamed_relist_reports_only_the_differences(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime
) -> None:
    fake.streams_lists = True
    stays = service("stays")
    first = [event("ADDED", one) for one in (stays, service("goes"), service("moves", OLD))]
    fake.script(SERVICES, fake.stream(*first, faked.initial_events_end(), error(410, "Expired")))
    second = [event("ADDED", one) for one in (stays, service("moves", NEW))]
    fake.script(SERVICES, fake.stream(*second, faked.initial_events_end(), event("ADDED", service("later"))))
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, "stays", "moves", "later")
    assert ip_of(seen, "moves") == NEW
    changes = [(change.old is not None, change.new is not None, change.is_event) for change in seen.changes[3:]]
    assert changes == [(True, True, False), (True, False, False), (False, True, True)]
    assert len(fake.requests) == 3


async def test_a_streamed_list_that_breaks_off_removes_nothing(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime
) -> None:
    fake.streams_lists = True
    both = [event("ADDED", service(name)) for name in ("a", "b")]
    fake.script(SERVICES, fake.stream(*both, faked.initial_events_end(), error(410, "Expired")))
    fake.script(SERVICES, fake.stream(both[0], then="reset"), faked.reset_inside_body(), fake.stream(then="end"))
    fake.script(SERVICES, page(service("a"), service("b")), fake.stream(event("ADDED", service("c"))))
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, "a", "b", "c")
    assert all(change.old is None for change in seen.changes)


@pytest.mark.parametrize("reply", ["bookmark", "400", "422"])
async def test_a_server_without_streamed_lists_is_asked_for_pages_from_then_on(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, reply: str, caplog: pytest.LogCaptureFixture
) -> None:
    fake.streams_lists = True
    refusal = fake.stream(bookmark(faked.next_version())) if reply == "bookmark" else faked.status(int(reply))
    for path in (SERVICES, NAMESPACES):
        fake.script(path, refusal, page(), *[fake.stream(error(410, "Expired")), page()] * 2)
    fake.script(SERVICES, fake.stream(event("ADDED", service("web"))))
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, "web")
    assert sum(one.is_list_stream for one in fake.requests) <= 2
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize("forbidden", ["list", "watch"])
async def test_one_of_the_two_rights_is_enough_for_a_list(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, forbidden: str
) -> None:
    fake.streams_lists = True
    fake.lists[SERVICES] = [service("web")]
    no = faked.status(403, "Forbidden", "no")

    async def reply(request: web.BaseRequest) -> web.StreamResponse:
        fake.script(SERVICES, reply)
        if ("watch" in request.query) == (forbidden == "watch"):
            return await no(request)
        items = fake.lists[SERVICES]
        if forbidden == "watch":
            return await page(*items)(request)
        return await fake.stream(*[event("ADDED", one) for one in items], faked.initial_events_end())(request)

    broken = fake.stream(event("ADDED", service("a")), then="reset")
    fake.script(SERVICES, broken if forbidden == "list" else no, reply)
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, "web")


async def test_a_collection_that_is_forbidden_in_two_ways_has_one_reason_and_one_line(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    fake.streams_lists = True
    allowed = False

    async def reply(request: web.BaseRequest) -> web.StreamResponse:
        verb = "watch" if "watch" in request.query else "list"
        if allowed:
            first = fake.stream(event("ADDED", service("web")), faked.initial_events_end())
            return await (first if verb == "watch" else page(service("web")))(request)
        fake.script(SERVICES, reply)
        return await faked.status(403, "Forbidden", f"services is forbidden: cannot {verb} it")(request)

    fake.script(SERVICES, reply)
    source = start(api_settings(fake), fake_time)
    await seen.until(lambda: len(fake.asked(SERVICES, watch=False)) > 2)
    assert source.reason.startswith("services: 403 services is forbidden: cannot watch it; add to the ClusterRole: ")
    assert caplog.text.count("is forbidden") == 1
    allowed = True
    await seen.until_names(Service, "web")
    await seen.until(lambda: source.reason == "")


async def test_after_a_broken_connection_the_server_is_asked_for_streamed_lists_again(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime
) -> None:
    fake.script(SERVICES, page(), fake.stream(error(410, "Expired"), then="reset"), fake.stream())
    source = start(api_settings(fake), fake_time)
    await seen.until(lambda: source.synced)
    refused = fake.refused_streams
    fake.streams_lists = True
    fake.lists[SERVICES] = [service("web")]
    fake.script(SERVICES, fake.stream(then="reset"), fake.stream(error(410, "Expired")))
    fake.close()
    await seen.until_names(Service, "web")
    assert fake.refused_streams == refused


# Never back in time


def test_versions_are_compared_as_integers_and_others_are_opaque() -> None:
    position = Position("services", lambda: 0.0)
    position.advance("100")
    position.advance("")
    assert position.version == "100"
    for version in ("100", "101", "1000", "abc", "", "-5", "1e9", "٣"):
        position.check_list(version)
    for version in ("99", "0", "007"):
        with pytest.raises(Backwards):
            position.check_list(version)


def test_an_older_state_is_accepted_once_lists_have_been_older_for_some_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    time = VirtualTime()
    position = Position("services", time.clock)
    position.advance("100")
    for time.now in (0.0, 0.1, 0.3, 0.7, SECONDS_BEFORE_ACCEPTED - 0.1):
        with pytest.raises(Backwards, match="resourceVersion 7, older than the known 100"):
            position.check_list("7")
    time.now = SECONDS_BEFORE_ACCEPTED + 0.1
    position.check_list("7")
    assert "gone back from resourceVersion 100 to 7" in caplog.text
    position.advance("7")
    position.check_list("8")


def test_a_newer_list_in_between_starts_the_time_again() -> None:
    time = VirtualTime()
    position = Position("services", time.clock)
    position.advance("100")
    for time.now in (0.0, 4.0, 8.0, 12.0):
        with pytest.raises(Backwards):
            position.check_list("7")
        position.check_list("100")


async def test_a_list_of_a_lagging_server_is_not_applied(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime
) -> None:
    fake.script(SERVICES, page(service("web", NEW), version="100"), fake.stream(error(410, "Expired")))
    fake.script(SERVICES, page(service("web", OLD), version="50"), page(version="99"))
    fake.script(SERVICES, page(service("web", NEW), service("more"), version="101"))
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, "web", "more")
    assert [change.old for change in seen.changes] == [None, None]
    lists = fake.asked(SERVICES, watch=False)
    assert [one.headers.get("Connection") == "close" for one in lists] == [False, False, True, True]


async def test_a_streamed_list_of_a_lagging_server_is_not_applied(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime
) -> None:
    fake.streams_lists = True
    web = service("web", NEW, version=100)
    fake.script(SERVICES, fake.stream(event("ADDED", web), faked.initial_events_end(101), error(410, "Expired")))
    old = [event("ADDED", service("web", OLD, version=50)), event("ADDED", service("gone", OLD, version=40))]
    fake.script(SERVICES, fake.stream(*old, faked.initial_events_end(60)))
    fake.script(SERVICES, page(web, service("more", version=102), version="103"))
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, "web", "more")
    assert [change.old for change in seen.changes] == [None, None]
    assert ip_of(seen, "web") == NEW


async def test_an_object_that_a_watch_missed_is_mended_by_a_streamed_relist(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime
) -> None:
    fake.streams_lists = True
    web = event("ADDED", service("web", version=90))
    fake.script(SERVICES, fake.stream(web, faked.initial_events_end(100), error(410, "Expired")))
    missed = event("ADDED", service("missed", version=95))
    fake.script(SERVICES, fake.stream(web, missed, faked.initial_events_end(100)))
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, "web", "missed")


async def test_an_event_older_than_the_watch_is_asked_again_and_not_applied(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime
) -> None:
    fake.script(SERVICES, page(service("web", NEW), version="100"))
    fake.script(SERVICES, fake.stream(event("MODIFIED", service("web", OLD, version=99))))
    fake.script(SERVICES, fake.stream(event("ADDED", service("more", version=101))))
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, "web", "more")
    assert ip_of(seen, "web") == NEW
    assert [one.query["resourceVersion"] for one in fake.asked(SERVICES, watch=True)] == ["100", "100"]


async def test_a_watch_that_goes_back_again_and_again_ends_in_a_list(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, registry: Registry
) -> None:
    fake.script(SERVICES, page(version="100"), *[fake.stream(bookmark(99))] * 3, page(service("web"), version="100"))
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, "web")
    relists = registry.counter("clusterdns_relists_total", "", "kind", "cause")
    assert relists.labels("Service", "backwards").value == 1
    assert failures(registry, "backwards") == 3


@pytest.mark.parametrize(
    "odd",
    [
        [event("DELETED", service("unknown"))],
        [event("MODIFIED", service("new", OLD)), event("ADDED", service("new"))],
        [event("BOOKMARK", {"kind": "Service", "metadata": {}}), event("BOOKMARK", {})],
        [event("ADDED", service("x", uid="u")), event("ADDED", service("y", uid="u"))],
        [event("MODIFIED", service("x") | {"metadata": {"name": "x", "namespace": "prod", "resourceVersion": "abc"}})],
        [event("MODIFIED", service("x") | {"metadata": {"name": "x", "namespace": "prod", "resourceVersion": ""}})],
        [event("MODIFIED", {"metadata": {"name": "x", "namespace": "prod", "resourceVersion": 7}})],
        *[[error(code, "X", "y")] for code in (-1, 0, 200, 301, 404, 418, 500, 504, 10**9)],
        [b'{"type":"ERROR","object":{"code":"many"}}\n'],
        [b'{"type":"ERROR","object":null}\n'],
        [b'{"type":"ERROR"}\n'],
    ],
)
async def test_odd_events_leave_the_state_consistent(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, odd: list[bytes]
) -> None:
    fake.script(SERVICES, page(service("web"), version="500"), *[fake.stream(*odd, then="end")] * 2)
    fake.lists[SERVICES] = [service("web"), service("last")]
    start(api_settings(fake), fake_time)
    fake.script(SERVICES, fake.stream(error(410, "Expired"), then="end"))
    await seen.until_names(Service, "web", "last")


async def test_failures_are_counted_by_their_cause(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, registry: Registry
) -> None:
    fake.script(SERVICES, faked.status(401), faked.status(403), page(), fake.stream(b"garbage\n"), page())
    fake.script(SERVICES, fake.stream(error(10**9, "X"), then="end"), fake.stream(error(500, "X"), then="end"))
    fake.script(SERVICES, fake.stream(event("ADDED", service("web"))))
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, "web")
    assert [failures(registry, cause) for cause in ("401", "403", "garbled", "interrupted", "500")] == [1] * 5


# Doubtful watches


class HeldWatch:
    """A watch of the fake whose lines a test sends when it wants to."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.has_ended = asyncio.Event()
        self._response: web.StreamResponse | None = None

    async def reply(self, request: web.BaseRequest) -> web.StreamResponse:
        self._response = web.StreamResponse(headers={"content-type": "application/json"})
        await self._response.prepare(request)
        self.is_open.set()
        while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        self.has_ended.set()
        return self._response

    async def send(self, *lines: bytes) -> None:
        assert self._response is not None
        await self._response.write(b"".join(lines))


async def test_a_doubtful_watch_is_read_until_its_replacement_shows_life(
    fake: FakeApiServer, seen: Seen, start: Start
) -> None:
    old, new = HeldWatch(), HeldWatch()
    fake.script(SERVICES, page(service("web", OLD, version=90), version="100"), old.reply, new.reply)
    start(api_settings(fake, bookmark_seconds=0.2))
    async with asyncio.timeout(20):
        await new.is_open.wait()
        watches = fake.asked(SERVICES, watch=True)
        assert [one.query["resourceVersion"] for one in watches] == ["100", "100"]
        changed = event("MODIFIED", service("web", NEW, version=101))
        await new.send(changed, event("ADDED", service("more", version=102)))
        await seen.until_names(Service, "web", "more")
        await old.has_ended.wait()
    assert ip_of(seen, "web") == NEW
    assert not new.has_ended.is_set()
    assert len(fake.asked(SERVICES, watch=False)) == 1


async def test_a_quiet_watch_that_speaks_again_stays_and_no_event_is_applied_twice(
    fake: FakeApiServer, seen: Seen, start: Start
) -> None:
    old, new = HeldWatch(), HeldWatch()
    fake.script(SERVICES, page(service("web", OLD, version=90), version="100"), old.reply, new.reply)
    start(api_settings(fake, bookmark_seconds=1.0))
    async with asyncio.timeout(20):
        await new.is_open.wait()
        both = event("MODIFIED", service("web", NEW, version=101)), event("MODIFIED", service("web", OLD, version=102))
        await old.send(*both)
        await new.send(both[0])
        await seen.until(lambda: len(seen.changes) == 3)
        await seen.until(lambda: old.has_ended.is_set() or new.has_ended.is_set())
    assert ip_of(seen, "web") == OLD, "the first event did not come back after the second"


async def test_a_doubtful_watch_goes_on_where_a_second_one_is_refused(
    fake: FakeApiServer, seen: Seen, start: Start
) -> None:
    old = HeldWatch()
    fake.script(SERVICES, page(version="100"), old.reply, *[faked.status(503, "", "no")] * 50)
    source = start(api_settings(fake, bookmark_seconds=0.2))
    await seen.until(lambda: "503 no" in source.reason)
    await old.send(event("ADDED", service("web", version=101)))
    await seen.until_names(Service, "web")
    await seen.until(lambda: source.reason == "")
    assert not old.has_ended.is_set()


async def test_a_doubtful_watch_is_no_proof_of_being_current(
    fake: FakeApiServer, seen: Seen, registry: Registry
) -> None:
    freshness = Freshness()
    fake.script(SERVICES, page(version="100"), HeldWatch().reply, *[faked.status(503, "", "no")] * 50)
    wanted = api_settings(fake, bookmark_seconds=0.3)
    source = ApiSource(wanted, seen.on_change, seen.on_synced, registry, freshness=freshness)
    source.start()
    services = next(one for one in freshness.collections if one.kind is Service)
    await seen.until(lambda: "503 no" in source.reason)
    await seen.until(lambda: services.staleness_seconds() > 0.5)
    await source.stop()


def test_the_rhythm_of_bookmarks_is_learned() -> None:
    rhythm = BookmarkRhythm(60.0)
    assert rhythm.limit_seconds == pytest.approx(78.0)
    rhythm.learn(2.0)
    assert rhythm.limit_seconds == pytest.approx(78.0), "one short interval is that of a watch that ends"
    rhythm.learn(5.0)
    rhythm.learn(4.0)
    assert rhythm.limit_seconds == pytest.approx(6.5)
    rhythm.learn(61.0)
    rhythm.learn(3600.0)
    assert rhythm.limit_seconds == pytest.approx(156.0)


# How often a failing server is asked


@asynccontextmanager
async def following(
    api: ModelApi, timing: Timing, *, collections: int = 1
) -> AsyncIterator[tuple[list[ObjectStore], ApiStatus]]:
    """Follow a model with as many reflectors as a source has."""
    registry, status, intervals = Registry(), ApiStatus(), Intervals()
    queue = RetryQueue(intervals, timing)
    stores = [ObjectStore(Service, lambda _: None, registry) for _ in range(collections)]
    tasks = []
    for number, store in enumerate(stores):
        label = f"services {number}"
        reflector = Reflector(
            Collection(label, "/api/v1/services", {}), cast(Client, api), store, status, registry, lambda: None,
            Freshness().track(Service, label, store.count),
            queue=queue, page_limit=2, intervals=intervals, timing=timing,
        )  # fmt: skip
        tasks.append(asyncio.create_task(reflector.run()))
    try:
        yield stores, status
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def addresses(store: ObjectStore) -> dict[str, str]:
    return {one.name: one.cluster_ips[0] for one in store.objects.values() if isinstance(one, Service)}


@pytest.mark.parametrize("streams_lists", [True, False])
@pytest.mark.parametrize("jitter", [0.0, 1.0])
@pytest.mark.parametrize("fault", ["expired", "error event", "garbage", "unauthorized", "backwards"])
async def test_a_watch_that_fails_at_once_costs_at_most_30_requests_in_15_s_and_names_stay_right(
    fault: str, jitter: float, streams_lists: bool
) -> None:
    api = ModelApi(streams_lists=streams_lists)
    for number in range(2):
        api.change(f"s{number}", OLD)
    time = VirtualTime()
    timing = Timing(time.sleep, time.clock, lambda least, most: least + jitter * (most - least))
    async with following(api, timing, collections=3) as (stores, _):
        await time.run(1.0)
        assert all(addresses(store) == {"s0": OLD, "s1": OLD} for store in stores)
        before = api.requests
        setattr(api, "fault_everywhere" if fault == "unauthorized" else "fault_at_all_watches", fault)
        for _ in range(3):
            api.change("s0", NEW)
            await time.run(5.0)
            if fault != "unauthorized":
                assert all(addresses(store) == {"s0": NEW, "s1": OLD} for store in stores)
        assert api.requests - before <= 30
        api.fault_at_all_watches = api.fault_everywhere = ""
        api.change("s1", NEW)
        await time.run(1.0 if fault == "unauthorized" else 2.5)
        assert all(addresses(store) == {"s0": NEW, "s1": NEW} for store in stores)


async def test_one_collection_that_gets_through_wakes_the_others() -> None:
    time = VirtualTime()
    queue = RetryQueue(Intervals(), Timing(time.sleep, time.clock, lambda _, most: most))
    for _ in range(6):
        waiting = asyncio.ensure_future(queue.wait(1, 0.0))
        await time.run(60.0)
        await waiting
    others = [asyncio.ensure_future(queue.wait(1, 0.0)) for _ in range(50)]
    await time.run(0.6)
    assert not any(one.done() for one in others)
    queue.note_recovered()
    await time.run(0.0)
    assert all(one.done() for one in others)


async def test_retry_after_holds_every_collection() -> None:
    time = VirtualTime()
    queue = RetryQueue(Intervals(), Timing(time.sleep, time.clock, lambda _, most: most))
    waiting = [asyncio.ensure_future(queue.wait(1, seconds)) for seconds in (0.0, 7.0, 0.0)]
    await time.run(6.9)
    assert not any(one.done() for one in waiting)
    await time.run(0.2)
    assert all(one.done() for one in waiting)


# Any interleaving

NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
ADDRESSES = st.sampled_from(["", OLD, NEW])
CHANGES = st.lists(st.tuples(NAMES, ADDRESSES), max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    streams_lists=st.booleans(),
    before=CHANGES,
    between=CHANGES,
    faults=st.lists(st.sampled_from(sorted({*WATCH_FAULTS, *LIST_FAULTS, ""})), max_size=14),
)
def test_any_interleaving_of_pages_events_and_relists_ends_in_the_servers_state(
    streams_lists: bool, before: list[tuple[str, str]], between: list[tuple[str, str]], faults: list[str]
) -> None:
    async def run() -> None:
        api = ModelApi(streams_lists=streams_lists)
        for change in before:
            api.change(*change)
        api.faults, api.changes_between = list(faults), list(between)
        time = FakeTime()
        async with following(api, Timing(time.sleep, time.clock, time.uniform)) as ((store,), _):
            async with asyncio.timeout(20):
                while api.faults:  # noqa: ASYNC110
                    await asyncio.sleep(0)
                for change in api.changes_between:
                    api.change(*change)
                    await asyncio.sleep(0)
                while addresses(store) != api.state(api.version):  # noqa: ASYNC110
                    await asyncio.sleep(0)

    asyncio.run(run())
