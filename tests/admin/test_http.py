"""The admin listeners over real HTTP on loopback."""

import errno
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from clusterdns.admin import listener
from clusterdns.admin.http import AdminHttp, AdminRoute, ListenError
from clusterdns.admin.page import Page, PageRequest, Respond, text_page
from testing.ports import free_ports

ANY_PORT = "127.0.0.1:0"


def says(text: str, status: int = 200) -> Respond:
    async def respond(request: PageRequest) -> Page:
        return text_page(text, status)

    return respond


@pytest.fixture
async def admin() -> AsyncIterator[AdminHttp]:
    admin = AdminHttp()
    yield admin
    await admin.close()


async def fetch(admin: AdminHttp, path: str, address: str = ANY_PORT, method: str = "GET") -> tuple[int, str]:
    url = f"http://127.0.0.1:{admin.port(address)}{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url) as response:
        return response.status, await response.text()


async def test_paths_share_a_listener(admin: AdminHttp) -> None:
    await admin.apply([
        AdminRoute(ANY_PORT, "/health", says("OK"), "Corefile:2 health"),
        AdminRoute(ANY_PORT, "/ready", says("kubernetes", 503), "Corefile:3 ready"),
    ])  # fmt: skip
    assert await fetch(admin, "/health") == (200, "OK")
    assert await fetch(admin, "/health", method="POST") == (200, "OK")
    assert await fetch(admin, "/ready?verbose") == (503, "kubernetes")
    assert (await fetch(admin, "/other"))[0] == 404


async def test_first_of_two_routes_for_a_path_wins(admin: AdminHttp) -> None:
    await admin.apply([AdminRoute(ANY_PORT, "/a", says("one"), "x"), AdminRoute(ANY_PORT, "/a", says("two"), "y")])
    assert await fetch(admin, "/a") == (200, "one")


async def test_a_kept_listener_stays_open_while_its_paths_change(admin: AdminHttp) -> None:
    await admin.apply([AdminRoute(ANY_PORT, "/a", says("old"), "x")])
    port = admin.port(ANY_PORT)
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/a") as response:
            assert await response.text() == "old"
        await admin.apply([AdminRoute(ANY_PORT, "/a", says("new"), "x"), AdminRoute(ANY_PORT, "/b", says("more"), "x")])
        assert admin.port(ANY_PORT) == port
        async with session.get(f"http://127.0.0.1:{port}/a") as response:  # on the same connection
            assert await response.text() == "new"
    assert await fetch(admin, "/b") == (200, "more")


async def test_a_listener_that_no_route_names_is_closed(admin: AdminHttp) -> None:
    await admin.apply([AdminRoute(ANY_PORT, "/a", says("x"), "x")])
    port = admin.port(ANY_PORT)
    await admin.apply([])
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(("127.0.0.1", port))


async def test_error_of_a_port_in_use_has_address_directive_and_hint(admin: AdminHttp) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ListenError) as problem:
            await admin.apply([AdminRoute(address, "/health", says("OK"), "Corefile:3 health")])
    text = str(problem.value)
    assert text.startswith(f"Corefile:3 health: cannot listen on {address}: Address already in use; ")
    assert "choose a free one" in text


@pytest.mark.parametrize(
    ("address", "expected"),
    [("192.0.2.1:8080", "no interface"), ("no-such-host.invalid:8080", "cannot listen on no-such-host.invalid:8080: ")],
)
async def test_address_of_another_host(admin: AdminHttp, address: str, expected: str) -> None:
    with pytest.raises(ListenError, match=expected):
        await admin.apply([AdminRoute(address, "/health", says("OK"), "Corefile:3 health")])


async def test_failed_change_keeps_the_previous_routes(admin: AdminHttp) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        kept = f"127.0.0.1:{free.getsockname()[1]}"
    await admin.apply([AdminRoute(kept, "/a", says("still here"), "x")])
    with pytest.raises(ListenError):
        await admin.apply([AdminRoute("192.0.2.1:1", "/a", says("never"), "y")])
    assert await fetch(admin, "/a", kept) == (200, "still here")


async def test_a_host_name_prefers_ipv4(admin: AdminHttp) -> None:
    await admin.apply([AdminRoute("localhost:0", "/a", says("named"), "x")])
    assert await fetch(admin, "/a", "localhost:0") == (200, "named")


async def test_change_from_one_address_to_another_on_the_same_port(admin: AdminHttp) -> None:
    await admin.apply([AdminRoute(ANY_PORT, "/a", says("one"), "x")])
    port = admin.port(ANY_PORT)
    await admin.apply([AdminRoute(f"localhost:{port}", "/a", says("two"), "x")])
    assert await fetch(admin, "/a", f"localhost:{port}") == (200, "two")


@pytest.mark.parametrize("address", [":0", "0.0.0.0:0", "[::]:0"])
async def test_a_wildcard_of_either_family_binds_both(admin: AdminHttp, address: str) -> None:
    await admin.apply([AdminRoute(address, "/a", says("here"), "x")])
    for host in ("127.0.0.1", "[::1]"):
        url = f"http://{host}:{admin.port(address)}/a"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert await response.text() == "here"


async def test_wildcards_share_a_listener(admin: AdminHttp) -> None:
    (port,) = free_ports(1)
    addresses = f":{port}", f"0.0.0.0:{port}", f"[::]:{port}"
    await admin.apply([AdminRoute(address, f"/{number}", says("OK"), "x") for number, address in enumerate(addresses)])
    for number, address in enumerate(addresses):
        assert await fetch(admin, f"/{number}", address) == (200, "OK")


@pytest.mark.parametrize("ipv6_problem", [None, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
async def test_an_empty_host_binds_every_address(monkeypatch: pytest.MonkeyPatch, ipv6_problem: int | None) -> None:
    asked: list[tuple[Any, dict[str, Any]]] = []

    def create_server(where: Any, **options: Any) -> str:
        asked.append((where, options))
        if ipv6_problem and options:
            raise OSError(ipv6_problem, "no IPv6 here")
        return "socket"

    monkeypatch.setattr(socket, "create_server", create_server)
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: True)
    assert await listener._bind(":9153") == "socket"  # type: ignore[comparison-overlap]
    both = (("", 9153), {"family": socket.AF_INET6, "dualstack_ipv6": True})
    assert asked == ([both, (("", 9153), {})] if ipv6_problem else [both])
