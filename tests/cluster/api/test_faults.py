"""The API source with an API server or network that fails in ways that a real one cannot be made to."""

import asyncio
import json
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cluster.api.followed import NEW, OLD, Start, api_settings, ip_of
from fakes.held_clock import HeldClock, until
from fakes.seen import Seen
from fakes.time import FakeTime
from peers import need

from clusterdns.cluster import turns as turns_module
from clusterdns.cluster.api.follow.retry import Timing
from clusterdns.cluster.api.settings import ApiSettings, Intervals
from clusterdns.cluster.api.source import ApiSource
from clusterdns.cluster.objects import Change, Service
from clusterdns.telemetry.metrics import Registry
from testing import fake_apiserver as faked
from testing.certificates import make_authority, sign
from testing.fake_apiserver import (
    NAMESPACES,
    SERVICES,
    SLICES,
    FakeApiServer,
    body,
    bookmark,
    error,
    event,
    page,
    service,
    serving,
    unused_port,
)

SILENCE_SECONDS = Intervals().silence_seconds


def relists(registry: Registry, cause: str) -> float:
    return registry.counter("clusterdns_relists_total", "", "kind", "cause").labels("Service", cause).value


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def all_connected(source: ApiSource) -> bool:
    return all(one.freshness.connected_at is not None for one in source._reflectors)


# Lines and chunks


async def test_half_a_line_at_the_end_is_dropped_and_resumed(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    fake_time.step = 2.0
    fake.lists[SERVICES] = [service("web", OLD)]
    whole = event("MODIFIED", service("web", NEW, version=102))
    fake.script(SERVICES, page(service("web", OLD), version="100"))
    fake.script(SERVICES, fake.stream(bookmark(101), whole[: len(whole) // 2], then="end"), fake.stream(whole))
    start(api_settings(fake), fake_time)
    await seen.until(lambda: ip_of(seen, "web") == NEW)
    assert [one.query["resourceVersion"] for one in fake.asked(SERVICES, watch=True)] == ["100", "101"]
    assert len(fake.asked(SERVICES, watch=False)) == 1
    assert warnings(caplog) == []


async def test_lines_arrive_in_pieces_and_of_many_mebibytes(fake: FakeApiServer, seen: Seen, start: Start) -> None:
    short = event("ADDED", service("short", NEW)) + event("ADDED", service("shorter", NEW))
    long = event("ADDED", service("long", NEW, annotations={"text": "x" * (8 << 20)}))
    pieces = [bytes([byte]) for byte in short[:40]] + [short[40:-5], short[-5:]]
    fake.script(SERVICES, page(version="1"), fake.stream(*pieces, b"\r\n\n", long))
    start(api_settings(fake))
    await seen.until_names(Service, "short", "shorter", "long")


async def test_an_endless_line_is_not_buffered(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterdns.cluster.api.client.MAX_LINE_BYTES", 1000)
    fake.script(SERVICES, page(), fake.stream(*[b"x" * 100] * 60), page(), fake.stream(event("ADDED", service("web"))))
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, "web")


async def test_a_silent_watch_is_reconnected(
    fake: FakeApiServer,
    seen: Seen,
    start: Start,
    fake_time: FakeTime,
    caplog: pytest.LogCaptureFixture,
    held_clock: HeldClock,
) -> None:
    fake_time.step = 2.0
    fake.script(SERVICES, page(version="100"), fake.stream(bookmark(105)))
    fake.script(SERVICES, fake.stream(event("ADDED", service("web", version=106))))
    source = start(api_settings(fake, bookmark_seconds=1e6), fake_time)  # never doubtful
    (services,) = (one for one in source._reflectors if one.collection.label == "services")
    await until(lambda: services.position.version == "105" and all_connected(source))  # none waits for a reply
    await held_clock.pass_seconds(SILENCE_SECONDS - 1)
    assert len(fake.asked(SERVICES, watch=True)) == 1
    await held_clock.pass_seconds(1)
    await until(lambda: seen.names(Service) == {"web"})
    assert fake.asked(SERVICES, watch=True)[1].query["resourceVersion"] == "105"
    assert len(fake.asked(SERVICES, watch=False)) == 1
    assert warnings(caplog) == []


async def test_watches_ask_for_bookmarks_and_an_end(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime
) -> None:
    fake.script(SERVICES, page(version="100"))
    start(api_settings(fake, shortest_watch_seconds=300), fake_time)
    await seen.until(lambda: fake.asked(SERVICES, watch=True))
    asked = fake.asked(SERVICES, watch=True)[0].query
    assert asked == {
        "watch": "1", "allowWatchBookmarks": "true", "resourceVersion": "100", "timeoutSeconds": "600",
    }  # fmt: skip


# Lists


async def test_a_list_that_breaks_off_is_read_again(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    first = page(service("a"), rest="token")
    fake.script(SERVICES, first, faked.reset_inside_body(), first, page(service("b")))
    source = start(api_settings(fake), fake_time)
    await seen.until(lambda: source.synced)
    assert seen.names(Service) == {"a", "b"}
    assert len(seen.changes) == 2
    assert [one.query.get("continue") for one in fake.asked(SERVICES, watch=False)] == [None, "token", None, "token"]
    assert len(warnings(caplog)) == 1
    assert "connection closed by" in warnings(caplog)[0]


async def test_410_between_pages_starts_the_list_again(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    expired = faked.status(410, "Expired", "The provided continue parameter is too old")
    fake.script(SERVICES, page(service("a"), service("b"), rest="old"), expired, page(service("b"), service("c")))
    source = start(api_settings(fake), fake_time)
    await seen.until(lambda: source.synced)
    assert seen.names(Service) == {"b", "c"}
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{}", "not a list but an object without a kind"),
        ('{"kind": "Status", "status": "Success"}', "not a list but Status"),
        ('{"kind": "ServiceList", "metadata": {}, "items": []}', "a list without a resourceVersion"),
        ('{"kind": "ServiceList", "items": {"a": 1}}', "not a list in JSON"),
        ('{"kind": "ServiceList", "items": [', "not a list in JSON"),
        ("<!DOCTYPE html><p>Welcome", "HTML instead of JSON"),
        ("", "not a list in JSON"),
    ],
)
async def test_a_response_that_is_not_a_list_deletes_nothing(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, content: str, reason: str
) -> None:
    source = start(api_settings(fake), fake_time)
    reasons: list[str] = []

    async def refuse(request: web.BaseRequest) -> web.StreamResponse:
        reasons.append(source.reason)
        return await body(content)(request)

    fake.script(SERVICES, page(service("web")), fake.stream(error(410, "Expired")), refuse, refuse)
    fake.script(SERVICES, page(service("web"), service("more")))
    await seen.until_names(Service, "web", "more")
    assert reason in reasons[1]
    assert [change.old for change in seen.changes] == [None, None]
    await seen.until(lambda: source.reason == "")


async def test_null_lists_are_empty(fake: FakeApiServer, seen: Seen, start: Start) -> None:
    fake.script(SERVICES, body('{"kind": "ServiceList", "metadata": {"resourceVersion": "1"}, "items": null}'))
    source = start(api_settings(fake))
    await seen.until(lambda: source.synced)
    assert seen.objects == {}


async def test_a_long_list_yields_to_other_tasks(
    fake: FakeApiServer, seen: Seen, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_module, "MAX_TURN_SECONDS", 0.0)
    fake.script(SERVICES, page(*[service(f"s{number}") for number in range(50)]))
    counts: set[int] = set()
    source = start(api_settings(fake))
    while not source.synced:
        counts.add(len(seen.changes))
        await asyncio.sleep(0)
    assert len(counts) >= 50, "somebody else ran between any two objects"


# Errors inside a watch


async def test_an_expired_watch_reports_only_differences(
    fake: FakeApiServer,
    seen: Seen,
    start: Start,
    fake_time: FakeTime,
    registry: Registry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fake.script(SERVICES, page(service("stays"), service("goes"), service("moves", OLD)))
    fake.script(SERVICES, fake.stream(error(410, "Expired")))
    fake.script(SERVICES, page(service("stays"), rest="t", version="2000"), page(service("moves", NEW), version="2000"))
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, "stays", "moves")
    assert [(change.old is not None, change.new is not None) for change in seen.changes[3:]] == [
        (True, True), (True, False),
    ]  # fmt: skip
    assert relists(registry, "expired") == 1
    await seen.until(lambda: len(fake.asked(SERVICES, watch=True)) == 2)
    assert fake.asked(SERVICES, watch=True)[1].query["resourceVersion"] == "2000"
    assert warnings(caplog) == []


async def test_refused_resumption_ends_in_a_list(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, registry: Registry
) -> None:
    """As after etcd is restored from an old backup: the server never reaches the version to resume from (504)."""
    future = error(504, "Timeout", "Too large resource version: 100, current: 7")
    fake.script(SERVICES, page(service("old"), version="100"), *[fake.stream(future)] * 3)
    fake.script(SERVICES, *[page(service("new"), version="7")] * 30)
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, "new")
    assert relists(registry, "refused") == 1


async def test_a_line_that_is_not_json(
    fake: FakeApiServer,
    seen: Seen,
    start: Start,
    fake_time: FakeTime,
    registry: Registry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fake.script(
        SERVICES, page(service("web")), fake.stream(b"upstream timed out\n"), page(service("web"), service("b"))
    )
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, "web", "b")
    assert relists(registry, "garbled") == 1
    assert len(warnings(caplog)) == 1
    assert "is not a JSON event" in warnings(caplog)[0]


async def test_unknown_events_are_passed_over(fake: FakeApiServer, seen: Seen, start: Start) -> None:
    later = event("NEWS", {"metadata": {"resourceVersion": "7"}}) + event("ADDED", service("web"))
    fake.script(SERVICES, page(version="1"), fake.stream(later + event("DELETED", {"metadata": {"namespace": "prod"}})))
    start(api_settings(fake))
    await seen.until_names(Service, "web")


# Objects that cannot be used


async def test_bad_objects_are_skipped_once_and_counted(
    fake: FakeApiServer,
    seen: Seen,
    start: Start,
    fake_time: FakeTime,
    registry: Registry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad = [
        service("x" * 300) | {"spec": {"ports": "many"}},
        {"metadata": {"name": "y", "namespace": "n" * 99}},
        7,
        None,
    ]
    half = service("half", "not-an-ip")
    good = service("good")
    fake.script(SERVICES, page(*bad, half, good), fake.stream(error(410, "Expired")))
    fake.script(SERVICES, page(*bad, half, good, service("more")))
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, "half", "good", "more")
    assert registry.counter("clusterdns_objects_skipped_total", "", "kind").labels("Service").value == 8
    said = warnings(caplog)
    assert len(said) == 5
    assert any(f"Service prod/{'x' * 100}" in text and text.endswith("; skipped") for text in said)
    assert "Service prod/half: clusterIP 'not-an-ip' is not an IP address; ignored" in said


async def test_an_undecodable_update_keeps_the_last_good_state(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    fake.script(SERVICES, page(service("web", OLD)))
    broken = service("web") | {"spec": {"clusterIPs": 5}}
    fake.script(SERVICES, fake.stream(event("MODIFIED", broken), event("MODIFIED", broken), error(410, "Expired")))
    fake.script(SERVICES, page(broken, service("b")))
    fake.script(SERVICES, fake.stream(event("DELETED", service("web"))))
    start(api_settings(fake), fake_time)
    await seen.until(lambda: "b" in seen.names(Service))
    assert len(seen.changes) == 2, "neither the updates nor the list took it away"
    await seen.until_names(Service, "b")
    assert len(warnings(caplog)) == 1
    assert "Service prod/web" in warnings(caplog)[0]
    assert "its last good state is kept" in warnings(caplog)[0]


async def test_an_internal_error_does_not_end_the_stream(
    fake: FakeApiServer, seen: Seen, fake_time: FakeTime, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    def fails_on_poison(change: Change) -> None:
        if change.new and change.new.name == "poison":
            raise ZeroDivisionError
        seen.on_change(change)

    fake.script(SERVICES, page(service("a"), service("poison"), service("z")))
    fake.script(SERVICES, page(service("a"), service("poison", "10.96.9.9"), service("z")))
    fake.lists[SERVICES] = [service("a"), service("poison"), service("z")]
    timing = Timing(fake_time.sleep, fake_time.clock, fake_time.uniform)
    source = ApiSource(api_settings(fake), fails_on_poison, seen.on_synced, registry, timing)
    source.start()
    await seen.until_names(Service, "a", "z")
    await seen.until(lambda: source.synced)
    await source.stop()
    assert caplog.text.count("failed to apply") == 1, "the trace of a fault is told once"


# Servers that refuse

FORBIDDEN = 'services is forbidden: User "dns" cannot list resource "services" in API group "" at the cluster scope'


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (faked.status(401, "Unauthorized", "Unauthorized"), "401 Unauthorized: http://127.0.0.1:"),
        (faked.status(403, "Forbidden", FORBIDDEN), f"403 {FORBIDDEN}"),
        (faked.status(500, "InternalError", "etcdserver: no leader"), "500 etcdserver: no leader"),
        (faked.status(429, "TooManyRequests", "slow down", **{"retry-after": "1"}), "429 slow down"),
        (faked.status(503, "", ""), "503 Service Unavailable from http://127.0.0.1:"),
        (body("<html>log in</html>", 200, "text/html"), "HTML instead of JSON"),
        (body("<html>log in</html>", 502, "text/html"), "502 HTML instead of JSON"),
        (body("", 302, location="https://login.example"), "302 Found"),
        (body("x" * 100_000, 404, "text/plain"), "404 Not Found from http://127.0.0.1:"),
        (
            body("Client sent an HTTP request to an HTTPS server.\n", 400, "text/plain"),
            "400 Client sent an HTTP request to an HTTPS server from http://127.0.0.1:",
        ),
    ],
)
async def test_refusals_are_logged_once_and_remove_nothing(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, caplog: pytest.LogCaptureFixture,
    reply: faked.ScriptedReply, reason: str,
) -> None:  # fmt: skip
    """Served, then refused twenty times, then served again."""
    caplog.set_level("INFO", "clusterdns")
    source = start(api_settings(fake), fake_time)
    shown: list[str] = []

    async def refuse(request: web.BaseRequest) -> web.StreamResponse:
        shown.append(source.reason)
        return await reply(request)

    fake.lists[SERVICES] = [service("web"), service("more")]
    fake.script(SERVICES, page(service("web")), fake.stream(error(410, "Expired")), *[refuse] * 20)
    await seen.until_names(Service, "web", "more")
    await seen.until(lambda: "connected again" in caplog.text)
    assert reason in shown[-1]
    assert [change.old for change in seen.changes] == [None, None]
    said = [record.getMessage() for record in caplog.records if reason in record.getMessage()]
    assert len(said) == 2
    assert said[0].endswith("; serving the last known state; retrying")
    assert said[1].startswith("services: connected again, after: ")
    assert source.reason == ""


async def test_a_reason_that_all_watches_share_is_logged_once(
    seen: Seen, start: Start, fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "clusterdns")
    bound = unused_port()
    address = f"127.0.0.1:{bound.getsockname()[1]}"
    source = start(ApiSettings(endpoint=f"http://{address}"), fake_time)
    await seen.until(lambda: len(fake_time.slept) > 30)
    assert source.reason == f"endpointslices, namespaces, services: connection refused: {address}"
    assert not source.synced
    assert len(warnings(caplog)) == 1
    async with serving(FakeApiServer(), bound=bound):
        await seen.until(lambda: source.synced and source.reason == "")  # once the watches are open, too
    assert sum("connected again" in record.getMessage() for record in caplog.records) == 1


async def test_a_server_that_refuses_everything_is_logged_once(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    for path in (SERVICES, NAMESPACES):
        fake.script(path, *[body("<html>maintenance</html>", 503, "text/html")] * 1000)
    source = start(api_settings(fake), fake_time)
    await seen.until(lambda: source.reason.startswith("namespaces, services: 503 HTML instead of JSON"))
    assert len(warnings(caplog)) == 1


async def test_unknown_host(seen: Seen, start: Start, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    source = start(ApiSettings(endpoint="https://api.example"), fake_time)
    await seen.until(lambda: "unknown host api.example" in source.reason)


async def test_tls_errors_are_named(seen: Seen, start: Start, fake_time: FakeTime, tmp_path: Path) -> None:
    need("openssl")
    make_authority(tmp_path)
    sign(tmp_path, "server", "/CN=server", "DNS:elsewhere")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    async with serving(FakeApiServer(), tls) as fake:
        source = start(ApiSettings(endpoint=fake.url), fake_time)
        await seen.until(lambda: "certificate verify failed" in source.reason)
        await source.stop()
    async with serving(FakeApiServer()) as plain:
        source = start(ApiSettings(endpoint=plain.url.replace("http", "https")), fake_time)
        await seen.until(lambda: "TLS with" in source.reason)
        assert "wrong version number" in source.reason or "record layer" in source.reason


async def test_no_credentials(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    source = start(ApiSettings(kubeconfig=str(kubeconfig)), fake_time)
    await seen.until(lambda: len(fake_time.slept) > 30)
    assert source.reason.endswith(f"kubeconfig {kubeconfig}: not found")
    kubeconfig.write_text("clusters: {")
    await seen.until(lambda: "invalid (" in source.reason)
    kubeconfig.write_text(json.dumps({
        "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": fake.url}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
    }))  # fmt: skip
    await seen.until(lambda: source.synced)
    assert {one.headers["Authorization"] for one in fake.requests} == {"Bearer secret"}
    assert sum("not found" in text for text in warnings(caplog)) == 1


# Waiting


async def test_back_off_doubles_to_a_limit_and_starts_again_after_an_event(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime
) -> None:
    down = faked.status(500)
    fake.script(SERVICES, *[down] * 9, page(), fake.stream(event("ADDED", service("a")), then="reset"))
    fake.script(SERVICES, down, down, fake.stream(event("ADDED", service("b"))))
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, "a", "b")
    doubling = [0.05, 0.1, 0.2, 0.4, 0.7, 0.7, 0.7, 0.7, 0.7]
    assert fake_time.slept == pytest.approx([*doubling, 0.05, 0.1, 0.2])


@pytest.mark.parametrize(("asked", "slept"), [("3", 3.0), ("3600", 60.0), ("soon", 0.05)])
async def test_retry_after_is_heeded_within_reason(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, asked: str, slept: float
) -> None:
    fake.script(SERVICES, faked.status(429, **{"retry-after": asked}))
    source = start(api_settings(fake), fake_time)
    await seen.until(lambda: source.synced)
    assert fake_time.slept == pytest.approx([slept])


async def test_a_watch_that_ends_at_once_is_retried_with_back_off(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime
) -> None:
    fake.script(SERVICES, page(), *[fake.stream(then="end")] * 4)
    start(api_settings(fake), fake_time)
    await seen.until(lambda: len(fake.asked(SERVICES, watch=True)) == 5)
    assert fake_time.slept == pytest.approx([0.05, 0.1, 0.2, 0.4])


async def test_start_up_waits_no_longer_than_it_may(
    fake: FakeApiServer, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    fake.script(SERVICES, fake.stream())  # never a whole list
    source = start(ApiSettings(endpoint=fake.url, endpoints=False, startup_timeout_seconds=0.05))
    assert await source.wait_synced() is False
    assert "waiting for the first list of services" in warnings(caplog)[0]
    assert not source.synced


async def test_three_kinds_and_pods_only_on_request(fake: FakeApiServer, seen: Seen, start: Start) -> None:
    source = start(ApiSettings(endpoint=fake.url))
    assert await source.wait_synced()
    await seen.until(lambda: len(fake.requests) == 6)
    assert {one.path for one in fake.requests} == {SERVICES, NAMESPACES, SLICES}


async def test_a_watch_that_never_works_is_logged_once(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    """Lists succeed in between, which must not be logged as a recovery."""
    caplog.set_level("INFO", "clusterdns")
    fake.lists[SERVICES] = [service("web")]
    reply = faked.status(500, "InternalError", "no watches today")

    async def lists_only(request: web.BaseRequest) -> web.StreamResponse:
        return await (reply if "watch" in request.query else page(service("web")))(request)

    fake.script(SERVICES, *[lists_only] * 40)
    source = start(api_settings(fake), fake_time)
    await seen.until(lambda: len(fake.asked(SERVICES, watch=False)) > 5)
    assert "500 no watches today" in source.reason
    await seen.until(lambda: source.reason == "")
    said = [record.getMessage() for record in caplog.records if "no watches today" in record.getMessage()]
    assert [text.partition(":")[2].split(",")[0] for text in said] == [
        " 500 no watches today; serving the last known state; retrying", " connected again",
    ]  # fmt: skip


async def test_rare_interruptions_are_not_logged(
    fake: FakeApiServer, seen: Seen, start: Start, fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    fake_time.step = 40.0
    fake.script(SERVICES, page(), *[fake.stream(then="reset")] * 6, fake.stream(event("ADDED", service("web"))))
    start(api_settings(fake), fake_time)
    await seen.until_names(Service, "web")
    assert fake_time.slept == pytest.approx([0.05] * 6)
    assert warnings(caplog) == []
