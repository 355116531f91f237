"""The live picture of a running configuration: it begins with a viewer, shows what happens, and ends after the last."""

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes.held_clock import HeldClock, turns, until
from plugins.serving import Running, question, running

from clusterdns.plugins.kubernetes.exports import ClusterView
from clusterdns.server.live.collector import LOOK_SECONDS
from clusterdns.server.live.picture import MAX_TOP
from testing.fake_apiserver import NAMESPACES, SERVICES, FakeApiServer, event, page, service, serving
from testing.upstream.scripted import ScriptedUpstream

DEMO = "kubernetes cluster.local in-addr.arpa {\n manifests zones/demo\n}"


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[2])


async def ask(server: Running, *qnames: str) -> None:
    """Ask over a real TCP connection, as a client whose replies are observed."""
    async with server.listening() as address:
        with socket.create_connection(address) as sock:
            sock.setblocking(False)
            for qname in qnames:
                packet = question(qname, "A").to_wire()
                sock.send(len(packet).to_bytes(2, "big") + packet)
                await until(lambda: _has_reply(sock))


def _has_reply(sock: socket.socket) -> bool:
    try:
        return bool(sock.recv(65535))
    except BlockingIOError:
        return False


async def document(server: Running) -> Mapping[str, Any]:
    return await server.instance.configuration.shared.live.document()


@asynccontextmanager
async def demo(*lines: str) -> AsyncIterator[Running]:
    async with running("\n".join([DEMO, *lines]), Path.cwd()) as server:
        yield server


async def test_nothing_is_observed_before_the_first_look_nor_after_the_last(held_clock: HeldClock) -> None:
    async with demo() as server:
        tap = server.instance.configuration.shared.tap
        (view,) = server.instance.configuration.exports(ClusterView)
        assert [tap.observer, view.changes.observer] == [None, None]
        first = await document(server)
        assert first["observed_seconds"] == 0.0
        assert (first["rates"]["questions"], first["names"], first["rates"]["hit_ratio"]) == (0.0, [], None)
        assert tap.observer is not None
        assert view.changes.observer is not None
        await held_clock.pass_seconds(LOOK_SECONDS - 1)
        assert (await document(server))["observed_seconds"] == LOOK_SECONDS - 1
        await held_clock.pass_seconds(LOOK_SECONDS - 1)
        assert tap.observer is not None
        await held_clock.pass_seconds(3)
        assert [tap.observer, view.changes.observer] == [None, None]
        assert (await document(server))["observed_seconds"] == 0.0


async def test_questions_show_as_rates_names_and_clients(held_clock: HeldClock) -> None:
    async with demo() as server:
        await document(server)
        await ask(server, *["normal-nginx.default.svc.cluster.local"] * 3, "nope.default.svc.cluster.local")
        await held_clock.pass_seconds(1)
        seen = await document(server)
        assert seen["rates"]["questions"] == 4.0
        assert seen["rates"]["answers"] == {"NOERROR": 3.0, "NXDOMAIN": 1.0}
        assert seen["rates"]["hit_ratio"] == 0.5  # the second and the third
        assert seen["rates"]["p99_seconds"] > 0
        assert seen["looked_at"] == 1.0
        assert [(row["name"], row["type"]) for row in seen["names"]] == [
            ("normal-nginx.default.svc.cluster.local.", "A"),
            ("nope.default.svc.cluster.local.", "A"),
        ]
        assert [row["address"] for row in seen["clients"]] == ["127.0.0.1"]
        assert seen["history"]["questions"] == [4.0]
        await held_clock.pass_seconds(2)
        later = await document(server)
        assert later["rates"]["questions"] == 0.0
        assert later["history"]["questions"] == [4.0, 0.0, 0.0]


async def test_failing_names_come_with_the_verdict_on_them(held_clock: HeldClock) -> None:
    with ScriptedUpstream() as upstream:
        async with demo(f"forward . {upstream.address} {{\n max_connect_attempts 1\n}}") as server:
            await document(server)
            await ask(server, "nope.default.svc.cluster.local", "x.servfail.example.org")

            async def shown() -> dict[str, str]:
                await held_clock.pass_seconds(1)
                seen = await document(server)
                return {row["name"]: row["why"] for row in (*seen["nxdomain"], *seen["servfail"])}

            whys = await shown()
            while not all(whys.values()):
                await turns(200)
                whys = await shown()
    assert whys["nope.default.svc.cluster.local."].startswith('NXDOMAIN: Service "nope" does not exist')
    assert whys["x.servfail.example.org."].startswith(f"SERVFAIL: {upstream.address}")


async def test_upstreams_show_rate_and_latency(held_clock: HeldClock) -> None:
    with ScriptedUpstream() as upstream:
        async with demo(f"forward . {upstream.address}") as server:
            await document(server)
            await ask(server, "www.example.org")
            await held_clock.pass_seconds(1)
            (row,) = (await document(server))["sections"]["upstreams"]
    assert (row["to"], row["health"], row["per_second"]) == (upstream.address, "up", 1.0)
    assert 0 < row["mean_seconds"] < 60


async def test_changes_of_the_cluster_show_with_the_time_until_answers_have_them(
    held_clock: HeldClock, tmp_path: Path
) -> None:
    api = FakeApiServer()
    api.lists |= {NAMESPACES: [{"kind": "Namespace", "metadata": {"name": "prod", "resourceVersion": "5"}}]}
    api.script(SERVICES, page(), api.stream(event("ADDED", service("web"))))
    async with serving(api):
        lines = f"kubernetes cluster.local {{\n endpoint {api.url}\n startup_timeout 0s\n}}"
        async with running(lines, tmp_path) as server:
            await document(server)
            await until(lambda: not server.instance.unready())
            await until(lambda: bool(api.asked(SERVICES, watch=True)))
            await turns(200)
            await held_clock.pass_seconds(1)
            changes = (await document(server))["changes"]
    created = [row for row in changes if row["kind"] == "Service"]
    assert [row["object"] for row in created] == ["prod/web"]
    assert created[0]["text"].startswith("Service created")
    assert 0 < created[0]["seconds"] < 60


async def test_tables_are_bounded(held_clock: HeldClock) -> None:
    async with demo() as server:
        await document(server)
        await ask(server, *(f"n{number}.default.svc.cluster.local" for number in range(MAX_TOP + 5)))
        await held_clock.pass_seconds(1)
        seen = await document(server)
    assert (len(seen["names"]), len(seen["nxdomain"])) == (MAX_TOP, MAX_TOP)


async def test_a_service_with_its_names_records_endpoints_and_rate(held_clock: HeldClock) -> None:
    async with demo() as server:
        live = server.instance.configuration.shared.live
        await document(server)
        await ask(server, "mysql-svc.default.svc.cluster.local")
        await held_clock.pass_seconds(1)
        found = await live.service("default", "mysql-svc")
        assert found is not None
        assert (found["namespace"], found["name"], found["type"]) == ("default", "mysql-svc", "headless")
        assert found["verdict"].startswith("resolves: ")
        names = {(row["name"], row["type"]): row for row in found["names"]}
        own = "mysql-svc.default.svc.cluster.local."
        assert names[own, "A"]["count"] == 3
        assert f"0 33 3306 mysql-sts-0.{own}" in names[f"_mysql._tcp.{own}", "SRV"]["records"]
        assert (f"mysql-sts-0.{own}", "A") in names
        assert found["endpoint_count"] == len(found["endpoints"]) == 3
        assert {row["state"] for row in found["endpoints"]} == {"ready"}
        assert found["per_second"][f"{own} A"] > 0
        assert await live.service("default", "nope") is None
        assert await live.service("x" * 5000, "nope") is None
        external = await live.service("default", "mongodb")
        assert external is not None
        assert external["names"][0]["type"] == "CNAME"


async def test_the_running_corefile_is_shown_with_its_hash() -> None:
    async with demo() as server:
        live = server.instance.configuration.shared.live
        shown = live.corefile()
        assert shown["sha512"] == server.instance.configuration.shared.corefile_sha512
        assert isinstance(shown["files"], dict)
    assert live.corefile() == {"sha512": "", "files": {}}


async def test_a_configuration_that_has_ended_keeps_its_last_document(held_clock: HeldClock) -> None:
    async with demo() as server:
        live, shared = server.instance.configuration.shared.live, server.instance.configuration.shared
        before = await live.document()
        (view,) = server.instance.configuration.exports(ClusterView)
    assert await live.document() == before
    assert await live.service("default", "mysql-svc") is None
    assert view.changes.observer is None
    await held_clock.pass_seconds(2 * LOOK_SECONDS)
    assert shared.tap.observer is None
