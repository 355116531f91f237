"""A restart from a snapshot: what the last process knew is answered until the API server's lists are read."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import dns.edns
import dns.rcode
import pytest
from aiohttp import web
from fakes.held_clock import turns, until
from fakes.snapshots import with_checksum
from plugins.serving import Running, running

from clusterdns.cluster.snapshot.format import verify
from testing.api import Manifest
from testing.fake_apiserver import (
    NAMESPACES,
    SERVICES,
    SLICES,
    FakeApiServer,
    ScriptedReply,
    body,
    event,
    page,
    reset_inside_body,
    serving,
    status,
)
from testing.waiting import PATIENCE_SECONDS

IMPORTS = "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports"
WEB, HEADLESS, LATER = (f"{name}.prod.svc.cluster.local" for name in ("web", "db", "later"))
POD_POINTER = "1.0.1.10.in-addr.arpa"
Start = Callable[..., AbstractAsyncContextManager[Running]]


def namespace(name: str, uid: str = "uid-of-this") -> Manifest:
    return {"metadata": {"name": name, "uid": uid, "resourceVersion": "1"}}


def service(name: str, address: str) -> Manifest:
    spec = {"clusterIP": address, "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}
    return {"metadata": {"name": name, "namespace": "prod", "resourceVersion": "1"}, "spec": spec}


def endpoint_slice(name: str, *addresses: str, label: str = "kubernetes.io/service-name") -> Manifest:
    meta = {"name": f"{name}-1", "namespace": "prod", "labels": {label: name}, "resourceVersion": "1"}
    return {"metadata": meta, "addressType": "IPv4", "endpoints": [{"addresses": [one]} for one in addresses]}


def fill(api: FakeApiServer, *, uid: str = "uid-of-this") -> None:
    api.lists[NAMESPACES] = [namespace("kube-system", uid), namespace("prod")]
    api.lists[SERVICES] = [service("web", "10.0.0.1"), service("db", "None")]
    api.lists[SLICES] = [endpoint_slice("db", "10.1.0.1")]
    api.lists[IMPORTS] = []


@pytest.fixture
async def api() -> AsyncIterator[FakeApiServer]:
    """The API server, which a test may replace by another one on the same port."""
    async with serving(FakeApiServer()) as found:
        fill(found)
        yield found


@pytest.fixture
def start(tmp_path: Path, api: FakeApiServer) -> Start:
    @asynccontextmanager
    async def start_one(*options: str) -> AsyncIterator[Running]:
        block = "\n".join((f"endpoint {api.url}", f"snapshot {tmp_path / 'state'}", "startup_timeout 1h", *options))
        async with running(f"kubernetes cluster.local in-addr.arpa clusterset.local {{\n{block}\n}}", tmp_path) as one:
            yield one

    return start_one


def stall(api: FakeApiServer, *paths: str) -> None:
    """Let lists of these paths never end."""
    for path in paths:
        api.script(path, *[api.stream()] * 20)


async def is_marked(server: Running, name: str) -> bool:
    """Whether the reply says that it may be outdated (RFC 8914 §4.4)."""
    reply = await server.ask(name)
    codes = [one.code for one in reply.options if isinstance(one, dns.edns.EDEOption)]
    return codes == [dns.edns.EDECode.STALE_ANSWER]


async def answer(server: Running, name: str, qtype: str = "A") -> list[str] | str:
    """The records, or the response code of a negative answer."""
    reply = await server.ask(name, qtype)
    if reply.rcode() == dns.rcode.NOERROR and reply.answer:
        return sorted(str(one) for rrset in reply.answer for one in rrset)
    return dns.rcode.to_text(reply.rcode())


def ready(server: Running) -> tuple[dict[str, str], str]:
    warnings = server.instance.configuration.shared.warnings()
    return server.instance.unready(), "; ".join(warnings.values())


async def save(start: Start, *options: str) -> None:
    """Run a process that syncs, and ends."""
    async with start(*options) as server:
        assert await answer(server, WEB) == ["10.0.0.1"]


async def test_what_was_known_is_answered_while_the_api_server_is_away(
    start: Start, api: FakeApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    await save(start)
    stall(api, SERVICES, SLICES, NAMESPACES)
    caplog.set_level(logging.INFO)
    async with start() as server:  # startup_timeout is an hour
        assert await answer(server, WEB) == ["10.0.0.1"]
        assert await answer(server, HEADLESS) == ["10.1.0.1"]
        assert await answer(server, f"10-1-0-1.{HEADLESS}") == ["10.1.0.1"]
        assert await answer(server, POD_POINTER, "PTR") == [f"10-1-0-1.{HEADLESS}."]
        assert await answer(server, LATER) == "SERVFAIL"
        assert await answer(server, "web.other.svc.cluster.local") == "SERVFAIL"
        assert await answer(server, "www.example.cluster.local") == "NXDOMAIN", "no object can have this name"
        assert await is_marked(server, WEB)
        assert await is_marked(server, HEADLESS)
        unready, warning = ready(server)
        assert unready == {}
        assert warning.startswith("answering from the snapshot of ")
        ((row,),) = server.instance.configuration.shared.status_sections().values()
        assert (row["state"], row["reason"]) == ("not synced", warning)
        assert row["snapshot"].keys() == {"file", "bytes", "age_seconds", "restored"}
    (line,) = [one.getMessage() for one in caplog.records if "restored" in one.getMessage()]
    assert "2 services, 2 namespaces, 1 endpointslices" in line


@pytest.mark.parametrize(
    "reply",
    [status(401), status(500), status(503), body("<html>login</html>", content_type="text/html"), reset_inside_body()],
)
async def test_whatever_the_api_server_says_instead(start: Start, api: FakeApiServer, reply: ScriptedReply) -> None:
    await save(start)
    for path in (SERVICES, SLICES, NAMESPACES):
        api.script(path, *[reply] * 50)
    async with start() as server:
        assert await answer(server, HEADLESS) == ["10.1.0.1"]
        assert await answer(server, LATER) == "SERVFAIL"


async def test_the_first_lists_are_differences(start: Start, api: FakeApiServer) -> None:
    await save(start)
    api.lists[SERVICES] = [service("web", "10.0.0.2"), service("later", "10.0.0.3"), service("db", "None")]
    api.lists[SLICES] = [endpoint_slice("db", "10.1.0.2")]
    async with start() as server:
        await until(lambda: not ready(server)[1])
        assert await answer(server, WEB) == ["10.0.0.2"]
        assert await answer(server, LATER) == ["10.0.0.3"]
        assert await answer(server, HEADLESS) == ["10.1.0.2"]
        assert await answer(server, POD_POINTER, "PTR") == "NXDOMAIN"
        assert await answer(server, "nothing.prod.svc.cluster.local") == "NXDOMAIN"
        assert not await is_marked(server, WEB)
    api.lists = {SERVICES: [], SLICES: [], NAMESPACES: []}
    async with start() as server:
        await until(lambda: not ready(server)[1])
        assert await answer(server, WEB) == "NXDOMAIN"
        assert await answer(server, HEADLESS) == "NXDOMAIN"


async def test_a_snapshot_of_another_cluster_is_dropped_at_the_first_list(
    start: Start, api: FakeApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    await save(start)
    fill(api, uid="uid-of-another")
    stall(api, SERVICES, SLICES)
    async with start() as server:
        await until(lambda: "is ignored" in caplog.text)
        await until(lambda: ready(server)[0])
        assert await answer(server, WEB) == "SERVFAIL"
        assert await answer(server, HEADLESS) == "SERVFAIL"
        assert await answer(server, POD_POINTER, "PTR") == "SERVFAIL"
        assert "waiting for the first list" in ready(server)[0]["kubernetes"]
    (line,) = [one.getMessage() for one in caplog.records if "is ignored" in one.getMessage()]
    assert "another cluster: kube-system has the UID uid-of-this there and uid-of-another here" in line


@pytest.mark.parametrize("later", [0, 1, 2, 3, 5, 8])
async def test_a_process_may_end_while_it_drops_a_snapshot(
    start: Start, api: FakeApiServer, later: int, caplog: pytest.LogCaptureFixture
) -> None:
    await save(start)
    fill(api, uid="uid-of-another")
    stall(api, SERVICES, SLICES)
    asked = len(api.asked(NAMESPACES, watch=False))
    async with start():
        await until(lambda: len(api.asked(NAMESPACES, watch=False)) >= asked + 2)  # the list, and the question
        await turns(later)
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


async def test_after_a_snapshot_of_another_cluster_only_the_lists_are_answered(
    start: Start, api: FakeApiServer
) -> None:
    await save(start)
    fill(api, uid="uid-of-another")
    api.lists[SERVICES] = [service("other", "10.9.0.1")]
    async with start() as server:
        await until(lambda: not any(ready(server)))
        assert await answer(server, "other.prod.svc.cluster.local") == ["10.9.0.1"]
        assert await answer(server, WEB) == "NXDOMAIN"
    stall(api, SERVICES, SLICES)
    async with start() as server:
        assert await answer(server, "other.prod.svc.cluster.local") == ["10.9.0.1"]


@pytest.mark.parametrize("identity", ["hidden", "forbidden"])
async def test_without_the_uid_of_kube_system_the_snapshot_is_used(
    start: Start, api: FakeApiServer, identity: str, tmp_path: Path
) -> None:
    api.lists[NAMESPACES] = [namespace("prod")]
    if identity == "forbidden":
        api.script(NAMESPACES, page(namespace("prod")), api.stream(), status(403))
    async with start():
        (path,) = await saved(tmp_path / "state")
    assert verify(path.read_bytes()).cluster == ""
    stall(api, SERVICES, SLICES)
    async with start() as server:
        await until(lambda: len(api.asked(NAMESPACES, watch=True)) > 1)
        assert await answer(server, WEB) == ["10.0.0.1"]


async def saved(folder: Path) -> list[Path]:
    """The files of the folder, once there are any."""
    found: list[Path] = []

    def is_found() -> bool:
        found.extend(folder.glob("*.snapshot"))
        return bool(found)

    await until(is_found)
    return found


async def test_it_is_saved_as_soon_as_the_lists_are_read(start: Start, tmp_path: Path) -> None:
    async with start():
        (path,) = await saved(tmp_path / "state")
        header = verify(path.read_bytes())
        assert header.cluster == "uid-of-this"
        counts = {one.label: one.count for one in header.collections}
        assert counts == {"services": 2, "namespaces": 2, "endpointslices": 1}


async def test_the_last_change_is_saved_at_the_end_while_queries_are_still_answered(
    start: Start, api: FakeApiServer, tmp_path: Path
) -> None:
    is_saved = asyncio.Event()
    later = service("later", "10.0.0.9")
    later["metadata"]["resourceVersion"] = str(10**9)

    async def watch(request: web.BaseRequest) -> web.StreamResponse:
        await is_saved.wait()
        return await api.stream(event("ADDED", later))(request)

    api.script(SERVICES, page(service("web", "10.0.0.1")), watch)
    async with start() as server:
        (path,) = await saved(tmp_path / "state")
        is_saved.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await answer(server, LATER) != ["10.0.0.9"]:
                await turns()
        assert b"10.0.0.9" not in path.read_bytes()
        await server.instance.drain()
        after = path.read_bytes()
        assert b"10.0.0.9" in after
        assert await answer(server, LATER) == ["10.0.0.9"]
    assert path.read_bytes() == after, "it is saved once"


async def test_an_object_that_cannot_be_indexed_makes_the_whole_snapshot_unused(
    start: Start, api: FakeApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await save(start)
    (path,) = await saved(tmp_path / "state")
    path.write_bytes(with_checksum(path.read_bytes()[:-16].replace(b"10.1.0.1", b"10.1.0.x")))
    stall(api, SERVICES, SLICES)
    async with start("startup_timeout 1ns") as server:
        assert await answer(server, WEB) == "SERVFAIL"
        assert "it has an object that cannot be used" in caplog.text
        assert ready(server)[0]


async def test_imports_are_restored_into_their_own_zone(start: Start, api: FakeApiServer) -> None:
    imported = {"metadata": {"name": "far", "namespace": "prod"}, "spec": {"type": "Headless", "ports": []}}
    api.lists[IMPORTS] = [imported]
    local, far = (
        endpoint_slice("db", "10.1.0.1"),
        endpoint_slice("far", "10.2.0.1", label="multicluster.kubernetes.io/service-name"),
    )

    async def reply(request: web.BaseRequest) -> web.StreamResponse:
        if "watch" in request.query:
            return await api.stream()(request)
        return await page(far if "multicluster" in request.query.get("labelSelector", "") else local)(request)

    api.script(SLICES, *[reply] * 6)
    async with start("multicluster clusterset.local") as server:
        await until(lambda: not ready(server)[0])
        before = {name: await answer(server, name) for name in (HEADLESS, "far.prod.svc.clusterset.local", WEB)}
    stall(api, SERVICES, SLICES, IMPORTS, NAMESPACES)
    async with start("multicluster clusterset.local") as server:
        assert {name: await answer(server, name) for name in before} == before
        assert await answer(server, "far.prod.svc.cluster.local") == "SERVFAIL"
    assert ["10.2.0.1"] in before.values()


@pytest.mark.parametrize("option", ["labels app=web", "namespaces prod", "noendpoints"])
async def test_a_snapshot_of_other_settings_is_not_used(
    start: Start, api: FakeApiServer, option: str, caplog: pytest.LogCaptureFixture
) -> None:
    await save(start)
    api.lists = {}
    stall(api, SERVICES, SLICES, NAMESPACES)
    async with start(option, "startup_timeout 1ns") as server:
        assert await answer(server, WEB) == "SERVFAIL"
    assert "1 of other settings" in caplog.text


async def test_off_means_off(start: Start, api: FakeApiServer, tmp_path: Path) -> None:
    async with start("snapshot off") as server:
        assert await answer(server, WEB) == ["10.0.0.1"]
    assert not (tmp_path / "state").exists()
