"""A start against an API server that refuses a collection: it waits for the cluster's own objects, not for imports."""

import asyncio

import pytest
from aiohttp import web
from fakes.seen import Seen
from fakes.time import FakeTime

from clusterdns.cluster.api.collection import import_collections
from clusterdns.cluster.api.follow.retry import Timing
from clusterdns.cluster.api.settings import ApiSettings
from clusterdns.cluster.api.source import ApiSource
from clusterdns.cluster.objects import ServiceImport
from clusterdns.telemetry.metrics import Registry
from testing import fake_apiserver as faked
from testing.fake_apiserver import SERVICES, SLICES, FakeApiServer, body, page, service
from testing.waiting import PATIENCE_SECONDS


async def test_the_start_does_not_wait_for_unserved_imports(
    fake: FakeApiServer, seen: Seen, registry: Registry, fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    imports = "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports"
    unknown = body("404 page not found\n", 404, "text/plain")
    is_installed = asyncio.Event()

    async def refuse(request: web.BaseRequest) -> web.StreamResponse:
        fake.script(imports, page(service("web")) if is_installed.is_set() else refuse)
        return await unknown(request)

    fake.script(imports, refuse)
    timing = Timing(fake_time.sleep, fake_time.clock, fake_time.uniform)
    wanted = ApiSettings(endpoint=fake.url, labels="app=a")
    source = ApiSource(wanted, seen.on_change, seen.on_synced, registry, timing, collections=import_collections)
    source.start()
    try:
        assert not await source.wait_synced(PATIENCE_SECONDS)
        assert source.is_refused
        await seen.until(lambda: len(fake_time.slept) > 12)
        assert fake_time.slept[:3] + fake_time.slept[10:12] == pytest.approx([0.05, 0.1, 0.2, 30.0, 30.0])
        is_installed.set()
        await seen.until(lambda: source.synced)
    finally:
        await source.stop()
    assert (source.is_refused, source.reason, seen.names(ServiceImport)) == (False, "", {"web"})
    assert len([text for text in caplog.messages if "CRD" in text]) == 1
    (slices, *_) = fake.asked(SLICES, watch=False)
    assert slices.query["labelSelector"] == "multicluster.kubernetes.io/service-name,app=a"
    assert "labelSelector" not in fake.asked(imports, watch=False)[0].query


@pytest.mark.parametrize(("code", "is_refused"), [(403, True), (404, True), (500, False), (401, False)])
async def test_which_refusals_end_the_wait_for_imports(
    fake: FakeApiServer, seen: Seen, registry: Registry, code: int, is_refused: bool
) -> None:
    imports = "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports"
    fake.script(imports, *[faked.status(code, message="no")] * 1000)
    source = ApiSource(
        ApiSettings(endpoint=fake.url, endpoints=False),
        seen.on_change,
        seen.on_synced,
        registry,
        collections=import_collections,
    )
    source.start()
    try:
        await seen.until(lambda: source.reason.startswith("serviceimports: "))
        assert not await source.wait_synced(PATIENCE_SECONDS if is_refused else 0)
        assert source.is_refused is is_refused
    finally:
        await source.stop()


async def test_the_start_waits_for_the_clusters_own_objects_whatever_the_refusal(
    fake: FakeApiServer, seen: Seen, registry: Registry
) -> None:
    fake.script(SERVICES, *[faked.status(403, message="no")] * 1000)
    source = ApiSource(ApiSettings(endpoint=fake.url, endpoints=False), seen.on_change, seen.on_synced, registry)
    source.start()
    try:
        await seen.until(lambda: source.reason.startswith("services: 403"))
        assert not await source.wait_synced(0)
        assert not source.is_refused
    finally:
        await source.stop()
