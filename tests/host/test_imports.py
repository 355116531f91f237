"""Imports in a thread: the event loop goes on meanwhile, each module is imported once, and a failure is raised."""

import asyncio
import gc
import sys
from pathlib import Path

import pytest

from clusterdns.host.imports import import_in_thread


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


async def test_the_event_loop_goes_on(folder: Path) -> None:
    (folder / "a_slow_library.py").write_text("import threading\npassed = threading.Event()\nassert passed.wait(60)\n")
    importing = asyncio.create_task(import_in_thread("a_slow_library"))
    while "passed" not in vars(sys.modules.get("a_slow_library", sys)):
        assert not importing.done()
        await asyncio.sleep(0)
    vars(sys.modules["a_slow_library"])["passed"].set()
    await importing


async def test_several_at_once_import_it_once(folder: Path) -> None:
    (folder / "a_counted_library.py").write_text(
        f"with open({str(folder / 'count')!r}, 'a') as file:\n    file.write('x')\n"
    )
    await asyncio.gather(*(import_in_thread("a_counted_library") for _ in range(8)))
    assert (folder / "count").read_text() == "x"


async def test_contexts_of_a_library_read_no_authorities(folder: Path) -> None:
    (folder / "a_tls_library.py").write_text("import ssl\ncontext = ssl.create_default_context()\n")
    await asyncio.gather(import_in_thread("a_tls_library"), import_in_thread("a_tls_library"))
    assert vars(sys.modules["a_tls_library"])["context"].get_ca_certs() == []
    assert gc.isenabled()


async def test_a_failure_is_raised_each_time(folder: Path) -> None:
    (folder / "a_broken_library.py").write_text("raise ValueError('broken')\n")
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            await import_in_thread("a_broken_library")
    assert gc.isenabled()
