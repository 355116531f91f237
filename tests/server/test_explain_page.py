"""The page /explain of a configuration: what it answers, what it refuses, and what it leaves as it was."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from fakes.metrics import collect
from multidict import CIMultiDict
from plugins.serving import Running, running

from clusterdns.admin.page import PageRequest
from clusterdns.server.explaining import engine
from clusterdns.server.explaining.engine import Explainer
from clusterdns.server.explaining.page import MAX_QUERY_BYTES
from clusterdns.telemetry.metrics import Registry

COREFILE = "errors\nlog\nprometheus 127.0.0.1:0\nready 127.0.0.1:0\nhosts /dev/null {\n 192.0.2.1 a.example\n}"


async def get(server: Running, query: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, Any]]:
    (route,) = (one for one in server.instance.configuration.shared.admin_routes if one.path == "/explain")
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    page = await route.respond(PageRequest("/explain", parameters, CIMultiDict(named), method, query))
    assert page.headers["Cache-Control"] == "no-store"
    found: dict[str, Any] = json.loads(page.body)
    return page.status, found


async def test_an_explanation_is_a_document(tmp_path: Path) -> None:
    async with running(COREFILE, tmp_path) as server:
        status, found = await get(server, "name=a.example&type=a")
    assert status == 200
    assert found["verdict"]["outcome"] == "resolves"
    assert found["verdict"]["line"].startswith("resolves: 1 record, from hosts at Corefile:")
    assert found["answer"]["answer"] == ["a.example. 3600 IN A 192.0.2.1"]
    assert found["steps"][0]["plugin"] == "hosts"


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("", 400, "the parameters are name"),
        ("name=", 400, "the parameters are name"),
        ("name=a.example&nmae=b", 400, "the parameters are name"),
        ("name=a..example", 400, "not a domain name: label of 0 bytes"),
        (f"name={'a' * 64}", 400, "label of 64 bytes"),
        ("name=a.example&type=NOSUCH", 400, "is not a type"),
        ("name=a.example&type=AXFR", 400, "a zone transfer is not a question"),
        ("name=a.example&client=nobody", 400, "the client is not an IP address"),
        ("name=a.example&from=prod", 400, "no server block has 'kubernetes'"),
        (f"name={'a' * MAX_QUERY_BYTES}", 414, "bytes of parameters"),
    ],
)
async def test_wrong_parameters_are_refused(tmp_path: Path, query: str, status: int, text: str) -> None:
    async with running(COREFILE, tmp_path) as server:
        found = await get(server, query)
    assert found[0] == status
    assert text in found[1]["error"]


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec_Fetch_Site": "cross-site"}])
async def test_pages_of_other_origins_are_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    async with running(COREFILE, tmp_path) as server:
        assert (await get(server, "name=a.example", **headers))[0] == 403
        assert (await get(server, "name=a.example", "POST"))[0] == 405


async def test_few_explanations_run_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = asyncio.Event()
    explain = Explainer.explain

    async def slow(self: Explainer, request: Any) -> Any:
        await released.wait()
        return await explain(self, request)

    monkeypatch.setattr(Explainer, "explain", slow)
    async with running(COREFILE, tmp_path) as server:
        await server.ask("a.example")
        tasks = [asyncio.ensure_future(get(server, "name=a.example")) for _ in range(4)]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result()[0] for task in done} == {503}
        released.set()
        assert sorted([(await task)[0] for task in tasks]) == [200, 200, 503, 503]


async def test_an_explanation_leaves_no_trace_of_a_client(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    registry = Registry()
    async with running(COREFILE, tmp_path, registry) as server:
        caplog.clear()
        assert (await get(server, "name=a.example"))[0] == 200
        assert (await get(server, "name=b.example"))[0] == 200
        assert not [one for one in caplog.records if "example" in one.getMessage()]
        assert not server.instance.configuration.shared.budgets[0].used_bytes
        counted = {sample.name for family in collect(registry) for sample in family.samples}
        assert "coredns_build_info" in counted
        assert "coredns_dns_requests_total" not in counted


async def test_an_explanation_takes_a_bounded_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(self: Explainer, request: Any) -> None:
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(Explainer, "_explain_request", endless)
    monkeypatch.setattr(engine, "EXPLAIN_SECONDS", 0.0)
    async with running(COREFILE, tmp_path) as server:
        status, found = await get(server, "name=a.example")
    assert status == 504
    assert found["error"].startswith("no explanation within 0 s")


async def test_a_failing_handler_is_the_explanation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from clusterdns.plugins.hosts.handler import HostsHandler

    def broken(self: HostsHandler, query: Any) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(HostsHandler, "_find", broken)
    async with running(COREFILE, tmp_path) as server:
        _, found = await get(server, "name=a.example")
    assert found["verdict"]["cause"] == "internal-error"
    assert "hosts at Corefile:" in found["verdict"]["line"]
    assert "RuntimeError: out of order" in found["verdict"]["line"]
