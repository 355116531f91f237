"""Exchanges over HTTP/2 with a server that speaks nothing else: requests, streams, and connections that end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from fakes.held_clock import until
from fakes.http2_server import Http2Server, http2_server
from h2.settings import SettingCodes
from hypothesis import given
from hypothesis import strategies as st
from peers import need

from clusterdns.host.tls import client_context
from clusterdns.upstream.address import HTTP1, HTTP2, HTTPS, Address
from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.https import HttpsExchanges
from clusterdns.upstream.https.response import HttpResponse, aged
from clusterdns.upstream.messages import make_probe
from clusterdns.upstream.question import Question
from clusterdns.upstream.settings import TransportSettings
from clusterdns.wire import codes
from clusterdns.wire.decode import Message, decode
from clusterdns.wire.name import from_text
from testing.certificates import Certificate, make_authority, sign

NAME = "dns.example.org"
SECONDS = 20.0  # longer than any test takes


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Certificate, str]:
    """Return the server's certificate, which has a name and an address, and the file of the authority."""
    need("openssl")
    folder = tmp_path_factory.mktemp("https")
    authority = make_authority(folder)
    return sign(folder, "server", "/CN=server", f"DNS:{NAME},IP:127.0.0.1"), str(authority.cert)


def question(name: str) -> Question:
    return make_probe(from_text(name), codes.A, recurses=True, is_stream=False)


@contextlib.asynccontextmanager
async def exchanges(port: int, ca: str, **settings: object) -> AsyncIterator[HttpsExchanges]:
    transport = TransportSettings(
        tls=client_context(ca=ca), tls_http2=client_context(ca=ca, protocols=(HTTP2, HTTP1)), **settings  # type: ignore[arg-type]
    )  # fmt: skip
    found = HttpsExchanges(Address(HTTPS, "127.0.0.1", port), transport)
    try:
        yield found
    finally:
        await found.close()


@contextlib.asynccontextmanager
async def pair(
    certificates: tuple[Certificate, str], limits: dict[SettingCodes | int, int] | None = None, **settings: object
) -> AsyncIterator[tuple[Http2Server, HttpsExchanges]]:
    """Yield a server, and the exchanges with it."""
    certificate, ca = certificates
    async with (
        http2_server(certificate.server_context(), settings=limits) as server,
        exchanges(server.port, ca, **settings) as asking,
    ):
        yield server, asking
        assert server.violations == []


async def ask(asking: HttpsExchanges, name: str) -> Message:
    reply, age = await asking.ask(question(name), SECONDS)
    return aged(decode(reply), age)


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("server_name", ["", NAME])
async def test_a_request(certificates: tuple[Certificate, str], method: str, server_name: str) -> None:
    async with pair(certificates, https_method=method, tls_server_name=server_name) as (server, asking):
        message = await ask(asking, "www.example.org")
        assert [one.rdata for one in message.answer] == [bytes((192, 0, 2, 1))]
        (request,) = server.requests
        assert request[":method"] == method
        assert request[":authority"] == f"{server_name or '127.0.0.1'}:{server.port}"
        assert request[":path"].partition("?")[0] == "/dns-query"
        assert request["accept"] == "application/dns-message"
        assert request.get("content-type") == ("application/dns-message" if method == "POST" else None)
        assert request["wire"].startswith("0000")  # the same request each time, for HTTP caches
        assert server.server_names == [server_name or None]


async def test_many_questions_share_a_connection(certificates: tuple[Certificate, str]) -> None:
    async with pair(certificates) as (server, asking):
        asked = [asyncio.ensure_future(ask(asking, f"held.x{number}.example.org")) for number in range(100)]
        await until(lambda: len(server.requests) == 1)
        server.release()
        await until(lambda: len(server.requests) == 100)
        assert len(server.connections) == 1
        server.release()
        assert len({message.question for message in await asyncio.gather(*asked)}) == 100


async def test_an_upstream_limits_its_streams(certificates: tuple[Certificate, str]) -> None:
    limits: dict[SettingCodes | int, int] = {SettingCodes.MAX_CONCURRENT_STREAMS: 5}
    async with pair(certificates, limits) as (server, asking):
        await ask(asking, "www.example.org")  # the limit is known from now on
        await asyncio.gather(*(ask(asking, f"x{number}.example.org") for number in range(100)))
        assert server.most_streams <= 5
        assert len(server.server_names) <= 4


async def test_windows_of_a_few_bytes(certificates: tuple[Certificate, str]) -> None:
    async with pair(certificates, {SettingCodes.INITIAL_WINDOW_SIZE: 7}) as (_, asking):
        replies = await asyncio.gather(*(ask(asking, f"x{number}.example.org") for number in range(20)))
        assert len({message.question for message in replies}) == 20


async def test_replies_larger_than_the_windows(certificates: tuple[Certificate, str]) -> None:
    async with pair(certificates) as (_, asking):
        replies = await asyncio.gather(*(asking.ask(question(f"large.x{n}.org"), SECONDS) for n in range(8)))
        assert all(len(reply) > 40_000 for reply, _ in replies)


@pytest.mark.parametrize("word", ["goaway", "refused", "closed"])
async def test_what_the_upstream_did_not_answer_is_asked_again(
    certificates: tuple[Certificate, str], word: str
) -> None:
    async with pair(certificates) as (server, asking):
        await ask(asking, "www.example.org")
        assert (await ask(asking, f"{word}.example.org")).answer
        assert len(server.requests) == 3
        assert len(server.server_names) == (1 if word == "refused" else 2)
        assert (await ask(asking, "next.example.org")).answer


async def test_questions_under_way_survive_a_goaway(certificates: tuple[Certificate, str]) -> None:
    async with pair(certificates) as (server, asking):
        held = [asyncio.ensure_future(ask(asking, f"held.x{number}.example.org")) for number in range(10)]
        await until(lambda: len(server.requests) == 10)
        assert (await ask(asking, "goaway.example.org")).answer
        await until(lambda: len(server.requests) == 22)
        server.release()
        assert all(message.answer for message in await asyncio.gather(*held))


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("reset", "stream reset: INTERNAL_ERROR"),
        ("busy", "status 503, application/dns-message; charset=x"),
        ("page", "status 200, text/html"),
        ("endless", "more than 65535 bytes"),
        ("garbage", "http2: "),
        ("old-http", "status 505"),
    ],
)
async def test_faults(certificates: tuple[Certificate, str], word: str, problem: str) -> None:
    async with pair(certificates) as (_, asking):
        await ask(asking, "www.example.org")
        with pytest.raises(ExchangeFailed, match=problem):
            await ask(asking, f"{word}.example.org")
        if word != "old-http":
            assert (await ask(asking, "next.example.org")).answer


async def test_a_connection_on_which_nothing_arrives_gets_no_more_questions(
    certificates: tuple[Certificate, str],
) -> None:
    async with pair(certificates) as (server, asking):
        await ask(asking, "www.example.org")
        with pytest.raises(ExchangeFailed, match="i/o timeout"):
            await asking.ask(question("silent.example.org"), 0.01)
        assert (await ask(asking, "next.example.org")).answer
        assert len(server.server_names) == 2


async def test_an_idle_connection_is_closed(certificates: tuple[Certificate, str]) -> None:
    async with pair(certificates, expire_seconds=0.0) as (server, asking):
        await ask(asking, "www.example.org")
        await until(lambda: not server.connections)
        assert (await ask(asking, "next.example.org")).answer


async def test_http1_is_spoken_where_the_upstream_chooses_it(certificates: tuple[Certificate, str]) -> None:
    certificate, ca = certificates
    async with (
        http2_server(certificate.server_context(), protocols=("http/1.1",)) as server,
        exchanges(server.port, ca) as asking,
    ):
        for handshakes in (2, 2):  # HTTP/2 is tried once
            with pytest.raises(ExchangeFailed, match="status 505"):
                await ask(asking, "www.example.org")
            assert len(server.server_names) == handshakes


@pytest.mark.parametrize(
    ("age", "answer_ttl", "soa_ttl"), [("0", 60, 300), ("20", 40, 70), ("61", 0, 29), ("4000", 0, 0), ("-5", 60, 300)]
)
async def test_the_age_of_the_response_is_subtracted(
    certificates: tuple[Certificate, str], age: str, answer_ttl: int, soa_ttl: int
) -> None:
    async with pair(certificates) as (_, asking):
        message = await ask(asking, f"age-{age}.example.org")
        assert [one.ttl for one in message.answer] == [answer_ttl]
        assert [one.ttl for one in message.authority] == [soa_ttl]


@given(st.text(max_size=12))
def test_any_age(text: str) -> None:
    assert 0 <= HttpResponse(200, "", text, b"").age_seconds < 10**10
