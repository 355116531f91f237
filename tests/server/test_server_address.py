"""`{local}` of `log` and `{server_ip}` of `rewrite`: the address that the client asked, over real sockets."""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import dns.message
import dns.query
import pytest
from peers import need
from server.in_process import Process

from clusterdns.host.udp import datagrams
from clusterdns.telemetry.logs import bracketed
from testing.certificates import self_sign
from testing.ports import free_ports
from testing.upstream.scripted import ScriptedUpstream

CODE = 0xFFEE
needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this host has no IPv6")


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as server:
        yield server


class Bed:
    """A process that logs the address of each query's server, and clients of it."""

    def __init__(self, process: Process, tls_port: int, upstream: ScriptedUpstream, certificate: Path) -> None:
        self.process, self.tls_port, self.upstream = process, tls_port, upstream
        self._context = ssl.create_default_context(cafile=certificate)
        self._context.check_hostname = False

    async def begin(self, bind: str, folder: Path) -> None:
        """Serve `whoami.`, whose handler answers at once, and `waits.`, whose handler asks an upstream."""
        head = f'{bind}\nlog . "local={{local}} proto={{proto}}"\n'
        rewrite = f"rewrite edns0 local set {CODE:#x} {{server_ip}}\n"
        text = ""
        for scheme, port, more in (
            ("", self.process.port, ""),
            ("tls://", self.tls_port, f"tls {folder}/cert.pem {folder}/key.pem\n"),
        ):
            text += f"{scheme}whoami.:{port} {{\n{head}{more}whoami\n}}\n"
            text += f"{scheme}waits.:{port} {{\n{head}{more}{rewrite}forward . {self.upstream.address}\n}}\n"
        self.process.text = text
        await self.process.reloader.begin()

    async def ask(self, name: str, address: str, proto: str) -> None:
        query = dns.message.make_query(name, "A")
        port = self.tls_port if proto == "tls" else self.process.port
        ask: dict[str, Callable[[], dns.message.Message]] = {
            "udp": lambda: dns.query.udp(query, address, 30, port),
            "tcp": lambda: dns.query.tcp(query, address, 30, port),
            "tls": lambda: dns.query.tls(query, address, 30, port, ssl_context=self._context),
        }
        await asyncio.to_thread(ask[proto])


@pytest.fixture
async def bed(tmp_path: Path, upstream: ScriptedUpstream) -> AsyncIterator[Bed]:
    need("openssl")
    certificate = self_sign(tmp_path, "dns.example")
    port, tls_port = free_ports(2)
    bed = Bed(Process(tmp_path, port), tls_port, upstream, certificate.cert)
    yield bed
    await bed.process.end()


@pytest.mark.parametrize(
    ("bind", "address"),
    [
        ("", "127.0.0.1"),
        ("", "127.0.0.2"),
        pytest.param("", "::1", marks=needs_ipv6),
        ("bind 0.0.0.0", "127.0.0.2"),
        pytest.param("bind ::", "::1", marks=needs_ipv6),
        ("bind 127.0.0.1 127.0.0.2", "127.0.0.1"),
        ("bind 127.0.0.1 127.0.0.2", "127.0.0.2"),
        pytest.param("bind ::1", "::1", marks=needs_ipv6),
    ],
)
@pytest.mark.parametrize("is_one_by_one", [False, True], ids=["many at once", "one by one"])
async def test_the_address_that_the_client_asked_is_logged(
    bed: Bed,
    tmp_path: Path,
    bind: str,
    address: str,
    is_one_by_one: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if is_one_by_one:
        monkeypatch.setattr(datagrams, "_has_many", lambda: False)
    await bed.begin(bind, tmp_path)
    for name in ("whoami.", "www.waits."):
        bed.upstream.forget()
        for proto in ("udp", "tcp") if is_one_by_one else ("udp", "tcp", "tls"):
            caplog.clear()
            with caplog.at_level(logging.INFO, "clusterdns.queries"):
                await bed.ask(name, address, proto)
            shown = "udp" if proto == "udp" else "tcp"
            lines = [one.getMessage() for one in caplog.records if one.name == "clusterdns.queries"]
            assert lines == [f"local={bracketed(address)} proto={shown}"]
        for query in bed.upstream.queries("www.waits"):
            assert (CODE, ip_address(address).packed) in query.options
