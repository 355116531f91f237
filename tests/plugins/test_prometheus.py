"""`prometheus`: the endpoint, and what starting it shows."""

from collections.abc import Callable, Sequence
from typing import Protocol

import aiohttp
import pytest
from msgspec.structs import replace

import clusterdns
from clusterdns.admin.http import AdminHttp, AdminRoute
from clusterdns.chain import BlockContext
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins.prometheus import directive as prometheus

ADDRESS = "127.0.0.1:0"

ReadDirectives = Callable[[str], Sequence[Directive]]


class Shared(Protocol):
    """What the fixture `shared` records."""

    routes: list[AdminRoute]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("prometheus", "localhost:9153"),
        ("prometheus :9153", ":9153"),
        ("prometheus 0.0.0.0:9153 {\n runtime_metrics\n}", "0.0.0.0:9153"),
    ],
)
def test_parse(read_directives: ReadDirectives, context: BlockContext, text: str, address: str) -> None:
    assert prometheus.parse(read_directives(text), context) == prometheus.PrometheusSettings(
        address, "Corefile:2: prometheus"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("prometheus 9153", "Corefile:2: '9153' is not host:port; write"),
        ("prometheus {\n runtime_metrics all\n}", "Corefile:3: Wrong argument count"),
        ("prometheus {\n tls\n}", "Corefile:3: Wrong argument count"),
        ("prometheus {\n tls /nowhere/web.yml\n}", "Corefile:3: '/nowhere/web.yml': no such file"),
        ("prometheus {\n tls /dev/null\n tls /dev/null\n}", "Corefile:4: tls block already specified"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        prometheus.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)


async def test_endpoint(read_directives: ReadDirectives, context: BlockContext, shared: Shared) -> None:
    context = replace(context, directive_names=frozenset({"prometheus", "errors", "kubernetes", "health", "bind"}))
    part = prometheus.build(prometheus.parse(read_directives(f"prometheus {ADDRESS}"), context), context)
    assert part.handling.counts_queries
    assert part.life.serving is not None
    await part.life.serving()
    admin = AdminHttp()
    await admin.apply(shared.routes)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{admin.port(ADDRESS)}/metrics") as response,
    ):
        lines = (await response.text()).splitlines()
    await admin.close()
    build = [line for line in lines if line.startswith("coredns_build_info{")]
    assert len(build) == 1
    assert f'version="{clusterdns.__version__}"' in build[0]
    assert 'goversion="python3.' in build[0]
    enabled = [line for line in lines if line.startswith("coredns_plugin_enabled{")]
    assert enabled == [
        f'coredns_plugin_enabled{{name="{name}",server="dns://:53",view="",zone="cluster.local."}} 1.0'
        for name in ("errors", "kubernetes", "prometheus")
    ]
