"""Audits: lost events of every kind are found and corrected, and what is merely under way is not taken for lost."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from fakes.audited import INTERVAL, LONGEST, Audited, delays
from fakes.model_api import LIST_FAULTS, WATCH_FAULTS
from fakes.seen import Seen
from fakes.time import VirtualTime
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.cluster.api.audit.metadata import ACCEPT, object_request
from clusterdns.cluster.api.collection import cluster_collections, import_collections
from clusterdns.cluster.api.follow.retry import Timing
from clusterdns.cluster.api.settings import ApiSettings, Intervals
from clusterdns.cluster.api.source import ApiSource
from clusterdns.cluster.objects import ObjectKey, Service
from clusterdns.telemetry.metrics import Registry
from testing import fake_apiserver as faked
from testing.fake_apiserver import NAMESPACES, SERVICES, FakeApiServer, page, service


@pytest.mark.parametrize("streams_lists", [True, False])
@pytest.mark.parametrize(
    ("lose", "what"),
    [
        (lambda one: one.change("new", is_lost=True), "prod/new (missing)"),
        (lambda one: one.change("b", is_lost=True), "prod/b (outdated)"),
        (lambda one: one.delete("b", is_lost=True), "prod/b (gone)"),
    ],
)
async def test_an_event_of_each_kind_that_is_lost_is_made_up_for_within_an_interval(
    lose: Callable[[Audited], None], what: str, streams_lists: bool, caplog: pytest.LogCaptureFixture
) -> None:
    audited = Audited(streams_lists=streams_lists)
    for name in "abc":
        audited.change(name)
    async with audited.running():
        await audited.time.run(1.0)
        lose(audited)
        assert audited.addresses() != audited.truth
        await audited.time.run(LONGEST)
        assert audited.addresses() == audited.truth
        await audited.time.run(2 * LONGEST)
    assert audited.differences == 1
    assert audited.freshness.audited_at is not None
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert lines == [
        f"services: corrected what an audit found to differ from the API server: {what}; the watch has lost the "
        "events; check proxies and load balancers between this server and the API server"
    ]


async def test_a_lost_event_is_found_behind_later_ones_and_they_stay_newer() -> None:
    audited = Audited()
    audited.change("a")
    async with audited.running():
        await audited.time.run(1.0)
        audited.change("a", is_lost=True)
        audited.change("b")
        await audited.time.run(LONGEST)
        assert audited.addresses() == audited.truth
        audited.change("a")
        await audited.time.run(1.0)
        assert audited.addresses() == audited.truth
    assert audited.differences == 1


async def test_many_differences_are_read_in_pages_and_named_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    audited = Audited()
    for number in range(60):
        audited.change(f"s{number:02}")
    async with audited.running():
        await audited.time.run(1.0)
        for number in range(60):
            (audited.delete if number % 3 else audited.change)(f"s{number:02}", is_lost=True)
        before = audited.api.requests
        await audited.time.run(LONGEST + 30.0)
        assert audited.addresses() == audited.truth
        assert audited.api.requests - before < 60 + 2 * 20
    assert audited.differences == 60
    assert len(caplog.records) == 1
    assert "s00 (outdated)" in caplog.text
    assert "55 more" in caplog.text


async def test_without_lost_events_each_audit_reads_metadata_once_and_says_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    audited = Audited(jitter=0.5)
    for name in "abcd":
        audited.change(name)
    async with audited.running():
        await audited.time.run(1.0)
        before = audited.api.requests
        for _ in range(10):
            audited.change("a")  # a watch without a line for a minute would be doubtful
            await audited.time.run(INTERVAL)
        assert audited.api.requests - before == 20, "two pages an audit"
    assert audited.counts("clusterdns_audits_total", "complete") == 10
    assert audited.differences == 0
    assert not caplog.records


# What is not judged


async def test_an_object_that_changes_between_pages_is_not_taken_for_lost() -> None:
    audited = Audited()
    for name in "abcdef":
        audited.change(name)
    audited.api.event_delay = delays([0.9, 0.4, 0.7], audited.time)
    audited.api.page_delay = delays([0.31, 0.12, 0.46, 0.21, 0.05], audited.time)
    async with audited.running():
        await audited.time.run(1.0)
        for _ in range(int(3 * INTERVAL)):
            audited.change("b")
            audited.delete("e")
            await audited.time.run(0.5)
            audited.change("e")
            audited.delete("c")
            await audited.time.run(0.5)
            audited.change("c")
        await audited.time.run(3.0)
        assert audited.addresses() == audited.truth
    assert audited.counts("clusterdns_audits_total", "complete") >= 2
    assert audited.differences == 0


@pytest.mark.parametrize("what", ["change", "delete"])
async def test_an_event_that_arrives_after_an_audit_has_seen_its_object_is_passed_over(what: str) -> None:
    audited = Audited()
    audited.change("a")
    async with audited.running():
        await audited.time.run(1.0)
        audited.api.event_delay = delays([60.0], audited.time)
        audited.change("a")
        await audited.time.run(1.0)
        (audited.change if what == "change" else audited.delete)("a")
        await audited.time.run(LONGEST)
        assert audited.addresses() == audited.truth
        changes = list(audited.changes)
        await audited.time.run(2 * LONGEST)
        assert audited.addresses() == audited.truth
    assert audited.changes == changes


async def test_while_no_watch_is_open_nothing_is_compared() -> None:
    audited = Audited()
    audited.change("a")
    async with audited.running():
        await audited.time.run(1.0)
        audited.api.fault_at_all_watches = "refuse"
        audited.api.end_watch()
        audited.change("a")
        await audited.time.run(2 * LONGEST)
    assert audited.counts("clusterdns_audits_total", "complete") == 0
    assert audited.counts("clusterdns_audits_total", "abandoned") >= 1
    assert audited.differences == 0


async def test_a_page_of_a_lagging_server_is_not_compared() -> None:
    audited = Audited()
    for name in "abcd":
        audited.change(name)
    async with audited.running():
        await audited.time.run(1.0)
        audited.api.fault_at_all_pages = "old"
        await audited.time.run(2 * LONGEST)
        assert audited.addresses() == audited.truth
    assert audited.counts("clusterdns_audits_total", "complete") == 0
    assert audited.differences == 0


CHANGES = st.lists(
    st.tuples(st.sampled_from("abcde"), st.sampled_from(["change", "delete"]), st.booleans(), st.floats(0.0, 20.0)),
    max_size=20,
)


async def interleave(
    streams_lists: bool,
    changes: list[tuple[str, str, bool, float]],
    event_delays: list[float],
    page_delays: list[float],
    faults: list[str],
) -> Audited:
    """Run changes, some of whose events are lost, beside audits; returns after one more audit."""
    audited = Audited(streams_lists=streams_lists, jitter=0.3)
    audited.change("a")
    audited.api.event_delay = delays(event_delays, audited.time)
    audited.api.page_delay = delays(page_delays, audited.time)
    async with audited.running():
        await audited.time.run(5.0)
        audited.api.faults = list(faults)
        for name, what, is_lost, seconds in changes:
            (audited.change if what == "change" else audited.delete)(name, is_lost=is_lost)
            await audited.time.run(seconds)
        audited.api.faults.clear()
        audited.api.event_delay = audited.api.page_delay = delays([0.1], audited.time)
        await audited.time.run(60.0)
        for _ in range(4):
            audited.change("z")  # a watch without a line for a minute would be doubtful
            await audited.time.run(LONGEST)
        assert audited.addresses() == audited.truth
    return audited


SHORT, LONG = (st.lists(st.floats(0.0, most), min_size=1, max_size=5) for most in (2.0, 30.0))


@settings(max_examples=40, deadline=None)
@given(st.booleans(), CHANGES, SHORT, SHORT)
def test_with_any_interleaving_only_lost_events_are_differences(
    streams_lists: bool, changes: list[tuple[str, str, bool, float]], events: list[float], pages: list[float]
) -> None:
    audited = asyncio.run(interleave(streams_lists, changes, events, pages, []))
    assert audited.differences <= len(audited.api.lost)


@settings(max_examples=40, deadline=None)
@given(
    st.booleans(),
    CHANGES,
    LONG,
    LONG,
    st.lists(st.sampled_from(["", *sorted({*WATCH_FAULTS, *LIST_FAULTS})]), max_size=8),
)
def test_with_late_events_and_faults_names_are_right_in_the_end_and_never_go_back(
    streams_lists: bool,
    changes: list[tuple[str, str, bool, float]],
    events: list[float],
    pages: list[float],
    faults: list[str],
) -> None:
    asyncio.run(interleave(streams_lists, changes, events, pages, faults))


# What is asked for


@pytest.mark.parametrize(
    ("chosen", "path", "key", "expected_path", "fields"),
    [
        (ApiSettings(), "services", ("prod", "web"), "/api/v1/namespaces/prod/services", "metadata.name=web"),
        (ApiSettings(namespaces=("prod",)), "services of prod", ("prod", "web"),
         "/api/v1/namespaces/prod/services", "metadata.name=web"),
        (ApiSettings(), "namespaces", ("", "prod"), "/api/v1/namespaces", "metadata.name=prod"),
        (ApiSettings(), "endpointslices", ("a", "b"),
         "/apis/discovery.k8s.io/v1/namespaces/a/endpointslices", "metadata.name=b"),
        (ApiSettings(pods=True), "pods", ("a", "b"), "/api/v1/namespaces/a/pods",
         "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown,metadata.name=b"),
        (ApiSettings(imports=True), "serviceimports", ("a", "b"),
         "/apis/multicluster.x-k8s.io/v1alpha1/namespaces/a/serviceimports", "metadata.name=b"),
    ],
)  # fmt: skip
def test_an_object_is_read_by_its_name_with_the_selectors_of_its_collection(
    chosen: ApiSettings, path: str, key: ObjectKey, expected_path: str, fields: str
) -> None:
    collections = [one for _, one in [*cluster_collections(chosen), *import_collections(chosen)]]
    (collection,) = (one for one in collections if one.label == path)
    asked, params = object_request(collection, key)
    assert asked == expected_path
    assert params == {**collection.selectors, "fieldSelector": fields}


NEVER_DOUBTFUL = Intervals(bookmark_seconds=1e6)  # the time of the audits passes faster than that of the fake


class FakedAudits:
    """A source of the fake API server whose audits have a time of their own."""

    def __init__(self, fake: FakeApiServer, seen: Seen, **others: Any) -> None:
        self.time = VirtualTime()
        self.registry = Registry()
        timing = Timing(self.time.sleep, self.time.clock, lambda _, most: most)
        self.source = ApiSource(
            ApiSettings(endpoint=fake.url, endpoints=False, audit_seconds=INTERVAL, intervals=NEVER_DOUBTFUL, **others),
            seen.on_change, seen.on_synced, self.registry, timing,
        )  # fmt: skip
        self._seen = seen

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the source, from when it is synced."""
        self.source.start()
        await self._seen.until(lambda: self.source.synced and self.source.reason == "")
        try:
            yield
        finally:
            await self.source.stop()

    async def until(self, check: Callable[[], object]) -> None:
        """Let the time of the audits pass until a condition holds."""

        async def passing() -> None:
            while True:
                await self.time.run(0.25)

        task = asyncio.create_task(passing())
        try:
            await self._seen.until(check)
        finally:
            task.cancel()

    def results(self, kind: str, result: str) -> float:
        """Return how many audits of a kind ended so."""
        return self.registry.counter("clusterdns_audits_total", "", "kind", "result").labels(kind, result).value

    def differences(self, kind: str) -> float:
        """Return how many differences were found."""
        return self.registry.counter("clusterdns_audit_differences_total", "", "kind").labels(kind).value


VERSION = 500


async def test_audits_ask_for_metadata_of_a_state_that_is_not_older_with_the_collections_selectors(
    fake: FakeApiServer, seen: Seen
) -> None:
    fake.script(SERVICES, page(version=str(VERSION)))
    audits = FakedAudits(fake, seen, labels="app=web", namespace_labels="team=a")
    async with audits.running():
        await audits.until(lambda: audits.results("Service", "complete"))
        one = fake.asked(SERVICES, watch=False)[1]
        assert one.headers["Accept"] == ACCEPT
        assert one.query == {
            "labelSelector": "app=web", "limit": "500", "resourceVersion": str(VERSION),
            "resourceVersionMatch": "NotOlderThan",
        }  # fmt: skip
        await audits.until(lambda: audits.results("Namespace", "complete"))
        assert fake.asked(NAMESPACES, watch=False)[1].query["labelSelector"] == "team=a"


async def test_objects_that_cannot_be_used_differ_only_when_they_have_changed(fake: FakeApiServer, seen: Seen) -> None:
    bad, odd = service("bad", version=90), service("odd", version=91, uid=7)
    bad["spec"]["clusterIPs"] = "none"
    fake.script(SERVICES, page(bad, odd, version="100"))
    fake.lists[SERVICES] = [bad, odd]
    audits = FakedAudits(fake, seen)
    async with audits.running():
        await audits.until(lambda: audits.results("Service", "complete") >= 2)
        assert audits.differences("Service") == 0
        assert seen.names(Service) == {"odd"}
        mended = service("bad", version=2_000)
        fake.lists[SERVICES] = [mended, odd]
        fake.lists["/api/v1/namespaces/prod/services"] = [mended]
        await audits.until(lambda: "bad" in seen.names(Service))
        await audits.until(lambda: audits.results("Service", "complete") >= 4)
        assert audits.differences("Service") == 1


@pytest.mark.parametrize(
    "reply",
    [
        faked.status(403, "Forbidden", "services is forbidden"),
        faked.status(429, "TooManyRequests", "slow down", **{"retry-after": "1"}),
        faked.status(504, "Timeout", "Too large resource version", **{"retry-after": "1"}),
        faked.status(406, "NotAcceptable", "only JSON"),
        faked.body("<html>login</html>", content_type="text/html"),
        faked.body('{"kind": "Status", "metadata": {}}'),
        faked.body('{"kind": "ServiceList", "metadata": {"resourceVersion": ""}, "items": []}'),
        faked.body('{"kind": "ServiceList", "metadata": {"resourceVersion": "9"}, "items": [{}]}'),
        faked.reset_inside_body(),
    ],
)
async def test_an_audit_that_fails_leaves_the_watch_and_the_objects_as_they_are_and_is_logged_once(
    fake: FakeApiServer, seen: Seen, caplog: pytest.LogCaptureFixture, reply: faked.ScriptedReply
) -> None:
    web = service("web", version=90)
    fake.script(SERVICES, page(web, version="100"), fake.stream(), *[reply] * 3)
    fake.lists[SERVICES] = [web]
    audits = FakedAudits(fake, seen)
    async with audits.running():
        await audits.until(lambda: audits.results("Service", "failed") >= 3)
        await audits.until(lambda: audits.results("Service", "complete") >= 1)
        assert audits.results("Namespace", "complete") >= 3
        assert len(fake.asked(SERVICES, watch=True)) == 1
        assert audits.source.reason == ""
        assert seen.names(Service) == {"web"}
    lines = [record for record in caplog.records if "audit failed" in record.getMessage()]
    assert len(lines) == 1


async def test_retry_after_holds_the_audits(fake: FakeApiServer, seen: Seen) -> None:
    audits = FakedAudits(fake, seen)
    asked_at: list[float] = []

    def noted(reply: faked.ScriptedReply) -> faked.ScriptedReply:
        async def note(request: web.BaseRequest) -> web.StreamResponse:
            asked_at.append(audits.time.now)
            return await reply(request)

        return note

    busy = faked.status(429, "", "", **{"retry-after": "17"})
    fake.script(SERVICES, page(version="100"), fake.stream(), noted(busy))
    fake.script(NAMESPACES, page(version="100"), fake.stream(), noted(page(version="100")))
    async with audits.running():
        await audits.until(lambda: audits.results("Namespace", "complete"))
    assert len(asked_at) == 2
    assert asked_at[1] - asked_at[0] >= 17.0


async def test_an_internal_error_ends_no_audits(
    fake: FakeApiServer, seen: Seen, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a fault of our own")

    audits = FakedAudits(fake, seen)
    async with audits.running():
        with monkeypatch.context() as patch:
            patch.setattr("clusterdns.cluster.api.audit.comparison.read_page", fail)
            await audits.until(lambda: audits.results("Service", "failed") >= 2)
        await audits.until(lambda: audits.results("Service", "complete"))
    assert caplog.text.count("the audit failed\n") == 2, "once per collection"
