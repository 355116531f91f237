"""`ready`: what /ready answers, and what `monitor` changes."""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import aiohttp
import pytest

from clusterdns.admin.http import AdminHttp, AdminRoute
from clusterdns.admin.page import PageRequest
from clusterdns.chain import BlockContext
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import ready

ADDRESS = "127.0.0.1:0"

ReadDirectives = Callable[[str], Sequence[Directive]]


class Shared(Protocol):
    """The routes that the fixture `shared` records, and the reasons that it reports."""

    routes: list[AdminRoute]
    reasons: dict[str, str]


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("ready", ready.ReadySettings(":8181", "until-ready", "Corefile:2: ready")),
        ("ready 127.0.0.1:81", ready.ReadySettings("127.0.0.1:81", "until-ready", "Corefile:2: ready")),
        ("ready {\n monitor continuously\n}", ready.ReadySettings(":8181", "continuously", "Corefile:2: ready")),
        ("ready {\n monitor until-ready\n}", ready.ReadySettings(":8181", "until-ready", "Corefile:2: ready")),
    ],
)
def test_parse(
    read_directives: ReadDirectives, context: BlockContext, text: str, settings: ready.ReadySettings
) -> None:
    assert ready.parse(read_directives(text), context) == settings


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ready localhost", "Corefile:2: 'localhost' is not host:port"),
        ("ready :1 :2", "Corefile:2: Wrong argument count"),
        ("ready {\n monitor\n}", "Corefile:3: Wrong argument count"),
        ("ready {\n monitor sometimes\n}", "Corefile:3: 'sometimes' is not one of"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        ready.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)


KUBERNETES = {"kubernetes": "no list yet"}
BOTH = {"kubernetes": "no list yet", "erratic": "counting"}


@pytest.mark.parametrize(
    ("monitor", "looks"),
    [
        ("until-ready", [(BOTH, BOTH), (KUBERNETES, KUBERNETES), (BOTH, KUBERNETES), ({}, {}), (BOTH, {})]),
        ("until-ready", [({}, {}), (KUBERNETES, {})]),
        ("continuously", [(KUBERNETES, KUBERNETES), ({}, {}), (BOTH, BOTH)]),
    ],
)
def test_monitor(monitor: str, looks: list[tuple[dict[str, str], dict[str, str]]]) -> None:
    says: dict[str, str] = {}
    readiness = ready.ReadyPage(lambda: {(name, 0): text for name, text in says.items()}, monitor)
    for says, expected in looks:  # noqa: B007  # read by the lambda
        assert dict(readiness.reasons()) == expected


async def test_endpoint(
    read_directives: ReadDirectives, context: BlockContext, shared: Shared, caplog: pytest.LogCaptureFixture
) -> None:
    part = ready.build(ready.parse(read_directives(f"ready {ADDRESS}"), context), context)
    admin = AdminHttp()
    await admin.apply(shared.routes)
    url = f"http://127.0.0.1:{admin.port(ADDRESS)}/ready"
    caplog.set_level(logging.INFO, "clusterdns")
    async with aiohttp.ClientSession() as session:

        async def ask() -> tuple[int, list[str]]:
            async with session.get(url) as response:
                return response.status, (await response.text()).splitlines()

        shared.reasons.update(BOTH)
        expected = ["erratic,kubernetes", "erratic: counting", "kubernetes: no list yet"]
        assert await ask() == (503, expected)
        assert await ask() == (503, expected)
        shared.reasons.clear()
        assert await ask() == (200, ["OK"])
        assert part.life.drain is not None
        await part.life.drain()
        status, lines = await ask()
        assert (status, lines[0]) == (503, "shutdown")
    await admin.close()
    assert [one.name for one in caplog.records] == ["clusterdns.plugin.ready"] * 3
    assert caplog.messages[:2] == ["Not ready: erratic (counting); kubernetes (no list yet)", "Ready"]


@pytest.mark.parametrize(("monitor", "expected"), [("until-ready", {}), ("continuously", {"kubernetes": "stale"})])
def test_what_a_ready_plugin_lacks_counts_only_continuously(monitor: str, expected: dict[str, str]) -> None:
    readiness = ready.ReadyPage(dict, monitor, lapses=lambda: {("kubernetes", 0): "stale"})
    assert dict(readiness.reasons()) == expected
    unready = ready.ReadyPage(
        lambda: {("kubernetes", 0): "no list yet"}, monitor, lapses=lambda: {("kubernetes", 0): "stale"}
    )
    assert dict(unready.reasons()) == {"kubernetes": "no list yet"}


def test_each_block_is_waited_for_once() -> None:
    """What is ready once stays so by part: the second block becoming ready while the first has lost its source."""
    says: dict[tuple[str, int], str] = {}
    readiness = ready.ReadyPage(lambda: says, ready.UNTIL_READY)
    says = {("kubernetes", 0): "no list yet", ("kubernetes", 1): "no list yet"}
    assert readiness.reasons() == {"kubernetes": "no list yet"}
    says = {("kubernetes", 1): "403"}
    assert readiness.reasons() == {"kubernetes": "403"}
    says = {("kubernetes", 0): "refused"}
    assert readiness.reasons() == {}


async def test_warnings_follow_the_ok() -> None:
    readiness = ready.ReadyPage(dict, ready.UNTIL_READY, lambda: {("loop", 3): "disabled", ("corefile", 9): "old"})
    response = await readiness.respond(PageRequest(ready.PATH))
    assert (response.status, response.body) == (200, b"OK\ncorefile: old\nloop: disabled")
