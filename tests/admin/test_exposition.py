"""/metrics: content negotiation, completeness, and that other tasks run during rendering."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Mapping

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from clusterdns.admin import exposition
from clusterdns.admin.http import AdminHttp, AdminRoute
from clusterdns.admin.metrics_page import MetricsPage
from clusterdns.telemetry.metrics import Registry

ADDRESS = "127.0.0.1:0"


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.counter("coredns_panics_total", "Panics.")
    registry.counter("coredns_acl_allowed_requests_total", "No samples yet.", "server", "view")
    sizes = registry.histogram("coredns_sizes_bytes", "Sizes.", (0, 100, 64000), "server", "zone")
    for number in range(400):
        sizes.labels("dns://:53", f"zone{number}.").observe(70, times=number)
    return registry


@pytest.fixture
async def url(registry: Registry) -> AsyncIterator[str]:
    admin = AdminHttp()
    await admin.apply([AdminRoute(ADDRESS, "/metrics", MetricsPage(registry), "test")])
    yield f"http://127.0.0.1:{admin.port(ADDRESS)}/metrics"
    await admin.close()


async def scrape(url: str, **headers: str) -> tuple[Mapping[str, str], bytes]:
    async with (
        aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=["Accept-Encoding"]) as session,
        session.get(url, headers={name.replace("_", "-"): value for name, value in headers.items()}) as response,
    ):
        assert response.status == 200
        return dict(response.headers), await response.read()


@pytest.mark.parametrize("accept", ["text/plain", "*/*", "text/plain;version=new", "application/json"])
async def test_plain_text(url: str, accept: str) -> None:
    headers, body = await scrape(url, Accept=accept)
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "Content-Encoding" not in headers
    families = {family.name: family for family in parse_text(body.decode())}
    sizes = families["coredns_sizes_bytes"].samples
    assert len(sizes) == 400 * 6
    assert sum(s.value for s in sizes if s.name.endswith("_count")) == sum(range(400))
    assert body.count(b"# TYPE coredns_sizes_bytes ") == 1
    assert families["coredns_panics"].samples[0].value == 0
    assert b"coredns_acl_allowed" not in body
    assert {"process_resident_memory_bytes", "python_info"} <= families.keys()


async def test_openmetrics(url: str) -> None:
    headers, body = await scrape(url, Accept="application/openmetrics-text; version=1.0.0")
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")
    families = {family.name: family for family in parse_openmetrics(body.decode())}  # type: ignore[no-untyped-call]
    assert len(families["coredns_sizes_bytes"].samples) == 400 * 6


async def test_gzip_where_accepted(url: str) -> None:
    headers, body = await scrape(url, Accept_Encoding="gzip")
    assert headers["Content-Encoding"] == "gzip"
    assert b"coredns_panics_total 0.0" in gzip.decompress(body)


async def test_other_tasks_run_during_rendering(registry: Registry) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    body, _ = await exposition.expose(registry, "")
    task.cancel()
    pieces = 400 * 6 // exposition.PIECE_SAMPLES
    assert turns >= pieces
    assert body
