"""`pprof`: the pages, and that taking a profile does not stop anything else."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import aiohttp
import pytest

from clusterdns.admin.http import AdminHttp, AdminRoute
from clusterdns.chain import BlockContext
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import pprof

ADDRESS = "127.0.0.1:0"
ReadDirectives = Callable[[str], Sequence[Directive]]


class Shared(Protocol):
    """What the fixture `shared` records."""

    routes: list[AdminRoute]


async def test_pages(read_directives: ReadDirectives, context: BlockContext, shared: Shared) -> None:
    part = pprof.build(pprof.parse(read_directives(f"pprof {ADDRESS}"), context), context)
    admin = AdminHttp()
    await admin.apply(shared.routes)

    async def get(path: str) -> tuple[int, str]:
        url = f"http://127.0.0.1:{admin.port(ADDRESS)}/debug/pprof/{path}"
        async with session.get(url) as response:
            return response.status, await response.text()

    async with aiohttp.ClientSession() as session:
        statuses, texts = zip(
            *[await get(path) for path in ("", "goroutine", "heap", "cmdline", "profile?seconds=0.05", "nosuch")],
            strict=True,
        )
        assert statuses == (200, 200, 200, 200, 200, 404)
        index, stacks, heap, _, profile, _ = texts
        assert "profile?seconds=" in index
        assert "test_pages" in stacks
        assert "thread MainThread" in stacks
        assert "builtins.dict" in heap
        assert "test_pprof.test_pages" not in profile  # it waits: other code runs
        assert all(line.rpartition(" ")[2].isdigit() for line in profile.splitlines())
        assert [(await get(f"profile?seconds={text}"))[0] for text in ("x", "0", "301", "nan")] == [400] * 4
        both = await asyncio.gather(get("profile?seconds=0.1"), get("profile?seconds=0.1"))
        assert sorted(status for status, _ in both) == [200, 503]
        assert part.life.stop is not None
        await part.life.stop()
        assert (await get("profile?seconds=300"))[0] == 200  # over at once: the end of the process waits for threads
    await admin.close()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("pprof", "localhost:6053"),
        ("pprof :6060 {\n block\n}", ":6060"),
        ("pprof 127.0.0.1:6060 {\n block 2\n}", "127.0.0.1:6060"),
    ],
)
def test_parse(read_directives: ReadDirectives, context: BlockContext, text: str, address: str) -> None:
    assert pprof.parse(read_directives(text), context) == pprof.PprofSettings(address, "Corefile:2: pprof")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("pprof x y", "Corefile:2: Wrong argument count"),
        ("pprof 6053", "Corefile:2: '6053' is not host:port"),
        ("pprof {\n block x\n}", "Corefile:3: 'x' is not an integer"),
        ("pprof {\n block 1 2\n}", "Corefile:3: Wrong argument count"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        pprof.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)
