"""The command `status` against an HTTP server: its output and its exit code."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from program import Program

from clusterdns.admin.http import AdminHttp, AdminRoute
from clusterdns.admin.page import JSON, Page, PageRequest, Respond, text_page
from clusterdns.admin.status_page import JSON_PATH, PATH, StatusPage
from clusterdns.cli.status import status_url
from testing.fake_apiserver import unused_port
from testing.loop_thread import LoopThread

ADDRESS = "127.0.0.1:0"
CURRENT: dict[str, Any] = {"state": "current", "version": "1", "corefile_sha512": "ab"}
STALE: dict[str, Any] = {**CURRENT, "state": "stale", "kubernetes": [{"state": "stale", "server": "a:6443"}]}


@contextmanager
def served(respond: Respond) -> Iterator[str]:
    """Serve at both paths in a thread; gives the address."""
    thread, admin = LoopThread("status"), AdminHttp()
    thread.start()
    try:
        thread.call(admin.apply([AdminRoute(ADDRESS, path, respond, "test") for path in (PATH, JSON_PATH)]))
        yield f"127.0.0.1:{admin.port(ADDRESS)}"
    finally:
        thread.call(admin.close())
        thread.stop()


@pytest.mark.parametrize(("document", "expected"), [(CURRENT, 0), (STALE, 1), ({"state": "not synced"}, 1)])
def test_the_exit_code_is_the_state(program: Program, document: dict[str, Any], expected: int) -> None:
    with served(StatusPage(lambda: document)) as address:
        code, out, err = program("status", "--server", address)
        assert (code, err) == (expected, "")
        assert out.startswith(f"state: {document['state']}\n")
        code, out, err = program("status", "-s", f"http://{address}/", "-ojson")
        assert (code, json.loads(out), err) == (expected, document, "")


async def _text(request: PageRequest) -> Page:
    return text_page("OK")


async def _list(request: PageRequest) -> Page:
    return Page(b'["current"]', JSON)


async def _stateless(request: PageRequest) -> Page:
    return Page(b'{"state": 1}', JSON)


async def _missing(request: PageRequest) -> Page:
    return text_page("404 page not found\n", 404)


@pytest.mark.parametrize(
    ("respond", "text"),
    [
        (_text, "not a status; name the address of 'ready' with --server"),
        (_list, "not a status"),
        (_stateless, "not a status"),
        (_missing, "404 not found; name the address of 'ready' with --server"),
    ],
)
def test_what_is_no_status_has_exit_code_2(program: Program, respond: Respond, text: str) -> None:
    with served(respond) as address:
        code, out, err = program("status", "--server", address)
    assert (code, out) == (2, "")
    assert err.startswith(f"clusterdns status: http://{address}/status.json: ")
    assert text in err.replace("Not Found", "not found")
    assert err.count("\n") == 1


def test_a_connection_that_is_cut_has_exit_code_2(program: Program) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    thread = LoopThread("cut")
    thread.start()
    server = thread.call(asyncio.start_server(cut, "127.0.0.1", 0))
    try:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        code, out, err = program("status", "--server", address)
    finally:
        thread.loop.call_soon_threadsafe(server.close)
        thread.stop()
    assert (code, out) == (2, "")
    assert err.startswith(f"clusterdns status: http://{address}/status.json: ")
    assert err.endswith("; does the server run, with 'ready' in its Corefile?\n")


def test_a_server_that_does_not_run_has_exit_code_2(program: Program) -> None:
    with unused_port() as bound:
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        code, out, err = program("status", "--server", address)
    assert (code, out) == (2, "")
    hint = "does the server run, with 'ready' in its Corefile?"
    assert err == f"clusterdns status: http://{address}/status.json: connection refused; {hint}\n"


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("127.0.0.1:8181", "http://127.0.0.1:8181/status.json"),
        ("10.1.2.3", "http://10.1.2.3:8181/status.json"),
        ("dns.example", "http://dns.example:8181/status.json"),
        ("fd00::1", "http://[fd00::1]:8181/status.json"),
        ("[fd00::1]", "http://[fd00::1]:8181/status.json"),
        ("[fd00::1]:81", "http://[fd00::1]:81/status.json"),
        ("http://10.1.2.3:8080/", "http://10.1.2.3:8080/status.json"),
        ("https://dns.example/prefix", "https://dns.example/prefix/status.json"),
        ("http://10.1.2.3:8181/status", "http://10.1.2.3:8181/status.json"),
        ("http://10.1.2.3:8181/status.json", "http://10.1.2.3:8181/status.json"),
    ],
)
def test_how_a_server_may_be_named(server: str, url: str) -> None:
    assert status_url(server) == url


@pytest.mark.parametrize("server", ["", "http://", "ftp://a", "http://a:b", "::::"])
def test_a_wrong_url_is_reported_in_one_line(program: Program, server: str) -> None:
    code, out, err = program("status", "--server", server)
    assert (code, out) == (2, "")
    assert err.startswith("clusterdns status: ")
    assert err.count("\n") == 1
