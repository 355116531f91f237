"""/status of whole configurations: what the parts show, in both forms."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes.held_clock import HeldClock
from plugins.api_outage import Outage, begin_noticed, pass_until
from plugins.serving import Running, running

from clusterdns.admin.page import Page, PageRequest
from clusterdns.cluster.freshness import Freshness
from clusterdns.cluster.objects import Service
from clusterdns.plugins.kubernetes.status import kind_rows
from clusterdns.telemetry.metrics import Registry


async def page(server: Running, path: str, **headers: str) -> Page:
    (route,) = (one for one in server.instance.configuration.shared.admin_routes if one.path == path)
    return await route.respond(PageRequest(path, headers=headers))


async def document(server: Running) -> dict[str, Any]:
    response = await page(server, "/status.json")
    found: dict[str, Any] = json.loads(response.body)
    return found


def corefile(outage: Outage) -> str:
    return (
        f"kubernetes cluster.local {{\nendpoint http://user:secret@127.0.0.1:{outage.port}\n}}\nready :0\n"
        "forward . 127.0.0.9 tls://127.0.0.10"
    )


async def test_watches_and_upstreams(outage: Outage, held_clock: HeldClock, tmp_path: Path) -> None:
    async with running(corefile(outage), tmp_path) as server:

        async def is_connected() -> bool:
            (feed,) = (await document(server))["kubernetes"]
            return all(row["connected"] for row in feed["kinds"])

        await pass_until(held_clock, is_connected)
        found = await document(server)
        assert found["state"] == "current"
        assert len(found["corefile_sha512"]) == 128
        (feed,) = found["kubernetes"]
        assert (feed["state"], feed["server"], feed["stale_after_seconds"]) == (
            "current", f"127.0.0.1:{outage.port}", 10.0
        )  # fmt: skip
        assert [(row["kind"], row["objects"]) for row in feed["kinds"]] == [
            ("EndpointSlice", 0), ("Namespace", 1), ("Service", 1)
        ]  # fmt: skip
        assert all(row["connected_since"].endswith("Z") and "last_event" not in row for row in feed["kinds"])
        assert found["upstreams"] == [
            {"zone": ".", "to": "127.0.0.9:53", "transport": "dns", "health": "up", "failed_checks": 0},
            {"zone": ".", "to": "127.0.0.10:853", "transport": "tls", "health": "up", "failed_checks": 0},
        ]
        assert "secret" not in json.dumps(found)

        await begin_noticed(outage, server, held_clock)
        found = await document(server)
        assert found["state"] == "current"
        assert "connection refused" in found["kubernetes"][0]["reason"]
        await held_clock.pass_seconds(10.0)
        found = await document(server)
        assert found["state"] == "stale"
        (feed,) = found["kubernetes"]
        assert "connection refused" in feed["reason"]
        assert not any(row["connected"] or "connected_since" in row for row in feed["kinds"])
        assert all(row["staleness_seconds"] >= 10.0 for row in feed["kinds"])
        assert "kubernetes" in found["warnings"]


@pytest.mark.parametrize(
    ("path", "headers", "content_type"),
    [
        ("/status", {}, "text/plain"),
        ("/status", {"Accept": "*/*"}, "text/plain"),
        ("/status", {"Accept": "application/json"}, "application/json"),
        ("/status.json", {}, "application/json"),
        ("/status.json", {"Accept": "text/plain"}, "application/json"),
    ],
)
async def test_its_form(tmp_path: Path, path: str, headers: dict[str, str], content_type: str) -> None:
    async with running("ready :0\nwhoami", tmp_path) as server:
        response = await page(server, path, **headers)
    assert response.content_type == f"{content_type}; charset=utf-8"
    text = response.body.decode()
    if content_type == "text/plain":
        assert text.startswith("state: current\n")
    else:
        assert json.loads(text)["state"] == "current"


async def test_before_the_first_lists(outage: Outage, held_clock: HeldClock, tmp_path: Path) -> None:
    await outage.begin()
    block = f"kubernetes cluster.local {{\nendpoint {outage.url}\nstartup_timeout 0s\n}}\nready :0"
    async with running(block, tmp_path) as server:
        found = await document(server)
        assert found["state"] == "not synced"
        assert found["kubernetes"][0]["state"] == "not synced"
        assert set(found["not_ready"]) == {"kubernetes"}


async def test_blocks_that_share_a_feed_show_it_once_and_manifests_are_named(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: prod}\n")
    kubernetes = f"kubernetes cluster.local {{\nmanifests {tmp_path}\n}}\n"
    async with running(f"{kubernetes}ready :0\n}}\nother.org {{\n{kubernetes}", tmp_path) as server:
        found = await document(server)
    (feed,) = found["kubernetes"]
    assert feed["state"] == "current"
    assert feed["manifests"] == [str(tmp_path)]
    assert "kinds" not in feed


async def test_counters_by_kind_are_shown_with_their_kind(
    outage: Outage, held_clock: HeldClock, tmp_path: Path
) -> None:
    async with running(corefile(outage), tmp_path) as server:
        registry = server.instance.configuration.registry
        registry.counter("clusterdns_relists_total", "", "kind", "cause").labels("Service", "expired").value += 2
        registry.counter("clusterdns_objects_skipped_total", "", "kind").labels("Namespace").value += 1
        rows = {row["kind"]: row for row in (await document(server))["kubernetes"][0]["kinds"]}
    assert rows["Service"]["relists"] == {"expired": 2}
    assert rows["Namespace"]["objects_skipped"] == 1
    assert "relists" not in rows["EndpointSlice"]


def test_a_kind_was_audited_when_the_last_of_its_collections_was(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("clusterdns.plugins.kubernetes.status.time", SimpleNamespace(time=lambda: 1e9 + now))
    freshness = Freshness(clock=lambda: now)
    first, second = (freshness.track(Service, f"services of {name}", lambda: 1) for name in "ab")
    first.audited()
    assert "last_audit" not in kind_rows(freshness, Registry(), lambda: now)[0]
    now = 200.0
    second.audited()
    (row,) = kind_rows(freshness, Registry(), lambda: now)
    assert row["last_audit"] == "2001-09-09T01:48:20Z"
