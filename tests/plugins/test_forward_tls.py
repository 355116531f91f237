"""`forward` over TLS and HTTPS: the certificates that are accepted, and the faults that fail an exchange."""

import asyncio
import base64
import ssl
from pathlib import Path

import dns.message
import pytest
from aiohttp import web
from fakes.held_clock import HeldClock, turns, until
from peers import need
from plugins.forwarding import READ_SECONDS, Forwarding, assert_failed

from clusterdns.wire import codes
from testing.certificates import make_authority, sign
from testing.upstream.scripted import ScriptedUpstream
from testing.waiting import open_connections


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("openssl")
    folder = tmp_path_factory.mktemp("tls")
    make_authority(folder)
    sign(folder, "both", "/CN=both", "DNS:dns.example.org,IP:127.0.0.1")
    sign(folder, "name", "/CN=127.0.0.1", "DNS:dns.example.org")
    return folder


def server_side(folder: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    return context


@pytest.mark.parametrize(
    ("certificate", "suffix", "options", "is_good"),
    [
        ("both", "", "", True),
        ("name", "", "", False),  # the common name does not count
        ("name", "", "tls_servername dns.example.org", True),
        ("name", "%dns.example.org", "", True),
        ("both", "", "tls_servername other.example.org", False),
    ],
)
async def test_tls(
    forwarding: Forwarding, certificates: Path, certificate: str, suffix: str, options: str, is_good: bool
) -> None:
    with ScriptedUpstream(tls=server_side(certificates, certificate)) as upstream:
        to = f"tls://127.0.0.1{suffix}:{upstream.tls_port}"
        lines = f"tls {certificates}/ca.crt\nmax_connect_attempts 1\n{options}"
        async with forwarding(f"forward . {to} {{\n{lines}\n}}") as ask:
            asking = asyncio.gather(*(ask(f"x{number}.held.example.org") for number in range(20)))
            if is_good:
                await until(lambda: upstream.count(transport="tls") == 20)
                upstream.release()
            replies = await asking
            if is_good:
                assert {reply.error for reply in replies} == {""}
                assert upstream.most_open <= 4
                labels = ("forward", f"127.0.0.1:{upstream.tls_port}", "tcp-tls")
                assert ask.value("coredns_proxy_conn_cache_misses_total", *labels) == 20
            else:
                assert replies[0].rcode == codes.SERVFAIL
                assert "tls" in replies[0].error
                assert "mismatch" in replies[0].error
        await turns()


async def test_https_faults(forwarding: Forwarding, certificates: Path, held_clock: HeldClock) -> None:
    with ScriptedUpstream() as gone:
        unused = gone.port
    with ScriptedUpstream(tls=server_side(certificates, "name")) as upstream:  # its certificate has no address
        for port, options, error in [
            (unused, "", "connection refused"),
            (upstream.tls_port, "", "mismatch"),
            (upstream.port, "", "i/o timeout"),  # does not speak TLS
            (upstream.tls_port, "tls_servername dns.example.org", "i/o timeout"),  # does not speak HTTP
        ]:
            lines = f"tls {certificates}/ca.crt\nmax_connect_attempts 1\n{options}"
            async with forwarding(f"forward . https://127.0.0.1:{port} {{\n{lines}\n}}") as ask:
                asking = asyncio.ensure_future(ask("www.example.org"))
                if error == "i/o timeout":
                    await held_clock.pass_until(asking)
                reply = await asking
                assert reply.rcode == codes.SERVFAIL
                assert error in reply.error


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_https(forwarding: Forwarding, certificates: Path, method: str, held_clock: HeldClock) -> None:
    asked: list[str] = []
    never = asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(f"{request.method} {request.path}")
        wire = (
            await request.read() if request.method == "POST" else base64.urlsafe_b64decode(request.query["dns"] + "==")
        )
        query = dns.message.from_wire(wire)
        reply = dns.message.make_response(query, recursion_available=True)
        name = query.question[0].name
        if name.labels[0] == b"slow":
            await never.wait()
        if name.labels[0] == b"teapot":
            return web.Response(status=418)
        if name.labels[0] == b"other":
            reply.question = [dns.message.make_query("else.org", "A").question[0]]
        reply.answer = [dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.1")]
        return web.Response(body=reply.to_wire(), content_type="application/dns-message")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_side(certificates, "both"))
    await site.start()
    port = runner.addresses[0][1]
    lines = f"tls {certificates}/ca.crt\ndoh_method {method}\nmax_connect_attempts 1"
    async with forwarding(f"forward . https://127.0.0.1:{port} {{\n{lines}\n}}") as ask:
        assert len((await ask("www.example.org", edns_bytes=1232)).answer) == 1
        assert asked == [f"{method} /dns-query"]
        asking = asyncio.ensure_future(ask("slow.example.org"))
        await until(lambda: len(asked) == 2)
        await held_clock.pass_seconds(READ_SECONDS)
        assert_failed(await asking, "*i/o timeout")
        for name, error in [("teapot", "status 418"), ("other", "answers another question")]:
            reply = await ask(f"{name}.example.org")
            assert (reply.rcode, error in reply.error) == (codes.SERVFAIL, True)
    never.set()
    await runner.cleanup()
    await until(lambda: open_connections(f"https://127.0.0.1:{port}") == 0)
