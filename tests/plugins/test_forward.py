"""`forward`: what clients get for what upstreams say, and what upstreams are asked."""

import asyncio
import base64
import gc
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dns.message
import pytest
from aiohttp import web
from peers import need

from clusterdns.chain import BlockContext, Handler, Part, Query, Reply, failure
from clusterdns.corefile.directive import Directive
from clusterdns.plugins.forward import directive as forward
from clusterdns.telemetry.metrics import Registry
from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.flight import Flight
from clusterdns.wire import codes
from testing.api_proxy import TLS_CLOSE_SECONDS
from testing.certificates import make_authority, sign
from testing.upstream.scripted import ScriptedUpstream

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]
Forwarding = Callable[[str], Any]
NOT_OURS = "asked further down"


class Forwarder:
    """A forward part in use."""

    def __init__(self, part: Part, handler: Handler, make_query: MakeQuery, registry: Registry) -> None:
        self.part = part
        self.registry = registry
        self._handler = handler
        self._make_query = make_query

    async def __call__(self, name: str, qtype: str = "A", **more: Any) -> Reply:
        reply = await self._handler(self._make_query(name, qtype, **more))
        await asyncio.sleep(0)  # a question that comes in the same turn of the loop still gets this answer
        return reply

    async def put(self, query: Query) -> Reply:
        return await self._handler(query)

    def value(self, name: str, *labels: str) -> float:
        return self.registry._families[name].labels(*labels).value  # type: ignore[union-attr]


@pytest.fixture
def forwarding(read_directives: ReadDirectives, context: BlockContext, make_query: MakeQuery) -> Forwarding:
    @asynccontextmanager
    async def run(text: str) -> AsyncIterator[Forwarder]:
        part = forward.build(forward.parse(read_directives(text), context), context)

        async def following(query: Query) -> Reply:
            return failure(codes.SERVFAIL, NOT_OURS)

        assert part.handling.wrap is not None
        assert part.life.stop is not None
        try:
            yield Forwarder(part, part.handling.wrap(following), make_query, context.registry)
        finally:
            await part.life.stop()
        await asyncio.sleep(0)
        assert not [task for task in asyncio.all_tasks() if "clusterdns/upstream" in repr(task.get_coro())]

    return run


@pytest.fixture(scope="module")
def running() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(running: ScriptedUpstream) -> ScriptedUpstream:
    """The same for all tests, as if it were new."""
    running.always = ()
    running.forget()
    return running


def fast(upstream: ScriptedUpstream, *options: str, milliseconds: int = 500) -> str:
    """A forward to one upstream that gives up soon."""
    lines = "\n".join((f"read_timeout {milliseconds}ms", "max_connect_attempts 1", *options))
    return f"forward . {upstream.address} {{\n{lines}\n}}"


@pytest.mark.parametrize(
    ("name", "rcode", "answers"),
    [
        ("www.example.org", codes.NOERROR, 1),
        ("x.nxdomain.example.org", codes.NXDOMAIN, 0),
        ("x.nodata.example.org", codes.NOERROR, 0),
        ("x.servfail.example.org", codes.SERVFAIL, 0),
        ("x.refused.example.org", codes.REFUSED, 0),
        ("x.badvers.example.org", codes.BADVERS, 0),
        ("x.cname-3.example.org", codes.NOERROR, 4),
        ("x.many-100.example.org", codes.NOERROR, 100),
        ("x.tc.example.org", codes.NOERROR, 1),
        ("x.tcpart.example.org", codes.NOERROR, 1),
        ("x.lower.example.org", codes.NOERROR, 1),
        ("x.upper.example.org", codes.NOERROR, 1),
        ("x.forged-20.forgedname-20.example.org", codes.NOERROR, 1),
        ("x.twice-3.example.org", codes.NOERROR, 1),
        ("x.noopt.example.org", codes.NOERROR, 1),
    ],
)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_replies(
    forwarding: Forwarding, upstream: ScriptedUpstream, name: str, rcode: int, answers: int, transport: str
) -> None:
    async with forwarding(fast(upstream)) as ask:
        reply = await ask(name, transport=transport, edns_bytes=1232)
        assert (reply.rcode, len(reply.answer), reply.error) == (rcode, answers, "")
        assert (reply.is_upstream, reply.reusable, reply.is_truncated) == (True, False, False)
        assert reply.recursion_available


@pytest.mark.parametrize(
    ("name", "transport", "error"),
    [
        ("x.dead.example.org", "udp", "read udp 127.0.0.1:*->{to}: i/o timeout"),
        ("x.dead.example.org", "tcp", "read tcp 127.0.0.1:*->{to}: i/o timeout"),
        ("x.wrongid.example.org", "udp", "read udp 127.0.0.1:*->{to}: i/o timeout"),
        ("x.wrongname.example.org", "udp", "read udp 127.0.0.1:*->{to}: i/o timeout"),
        ("x.wrongtype.example.org", "udp", "read udp 127.0.0.1:*->{to}: i/o timeout"),
        ("x.wrongclass.example.org", "tcp", "read tcp 127.0.0.1:*->{to}: i/o timeout"),
        ("x.noquestion.example.org", "udp", "read udp 127.0.0.1:*->{to}: i/o timeout"),
        ("x.qr0.example.org", "udp", "read udp 127.0.0.1:*->{to}: i/o timeout"),
        ("x.garbage.example.org", "udp", "read udp 127.0.0.1:*->{to}: i/o timeout"),
        ("x.garbage.example.org", "tcp", "read tcp 127.0.0.1:*->{to}: i/o timeout"),
        ("x.runt.example.org", "udp", "read udp 127.0.0.1:*->{to}: i/o timeout"),
        ("x.halfframe.example.org", "tcp", "read tcp 127.0.0.1:*->{to}: i/o timeout"),
        ("x.reset.example.org", "tcp", "read tcp 127.0.0.1:*->{to}: read: connection reset by peer"),
        ("x.close.example.org", "tcp", "EOF*"),
        ("x.cut.example.org", "tcp", "malformed reply of {to}: message cut short"),
    ],
)
async def test_faults(
    forwarding: Forwarding, upstream: ScriptedUpstream, name: str, transport: str, error: str
) -> None:
    async with forwarding(fast(upstream, milliseconds=40)) as ask:
        reply = await ask(name, transport=transport)
        assert (reply.rcode, reply.is_written, reply.is_upstream) == (codes.SERVFAIL, False, False)
        head, _, tail = error.format(to=upstream.address).partition("*")
        assert reply.error.startswith(head)
        assert reply.error.endswith(tail)
        code, _, info = struct.unpack_from(">HHH", reply.options)
        assert code == codes.EDE
        assert info in (codes.EDE_NO_AUTHORITY, codes.EDE_NETWORK_ERROR, codes.EDE_INVALID_DATA)


async def test_a_fault_fails_over(forwarding: Forwarding, upstream: ScriptedUpstream) -> None:
    options = "read_timeout 50ms\npolicy sequential"
    with ScriptedUpstream(always=("dead",)) as dead:
        async with forwarding(f"forward . {dead.address} {upstream.address} {{\n{options}\n}}") as ask:
            for transport in ("udp", "tcp"):
                assert len((await ask("www.example.org", transport=transport)).answer) == 1
        assert dead.count("www.example.org") == 2


@pytest.mark.parametrize(("transport", "call"), [("udp", "read: "), ("tcp", "dial tcp ")])
async def test_nobody_there(forwarding: Forwarding, transport: str, call: str) -> None:
    with ScriptedUpstream() as gone:
        address = gone.address
    async with forwarding(f"forward . {address}") as ask:
        reply = await ask("www.example.org", transport=transport)
        assert reply.rcode == codes.SERVFAIL
        assert reply.error.endswith("connection refused")
        assert call in reply.error


async def test_what_upstreams_are_asked(
    forwarding: Forwarding, upstream: ScriptedUpstream, make_query: MakeQuery
) -> None:
    async with forwarding(fast(upstream)) as ask:
        await ask("plain.example.org")
        await ask("edns.example.org", edns_bytes=4096, do=True, checking_disabled=True)
        query = make_query("options.example.org", edns_bytes=1232)
        cookie, subnet = b"\0\x0a\0\x08abcdefgh", b"\0\x08\0\x07\0\1\x18\0\xc0\0\2"
        query.options = cookie + subnet + b"\0\x0b\0\0" + b"\0\x0c\0\1\0"
        await ask.put(query)
    (plain,) = upstream.queries("plain.example.org")
    assert (plain.udp_bytes, plain.flags) == (0, frozenset({"RD"}))
    (edns,) = upstream.queries("edns.example.org")
    assert (edns.udp_bytes, edns.flags) == (1232, frozenset({"RD", "CD", "DO"}))
    (options,) = upstream.queries("options.example.org")
    assert [code for code, _ in options.options] == [codes.ECS]


async def test_letters_and_ports_differ_each_time(forwarding: Forwarding, upstream: ScriptedUpstream) -> None:
    async with forwarding(fast(upstream)) as ask:
        for _ in range(8):
            await ask("a-long-name-with-many-letters.example.org")
    asked = upstream.queries(transport="udp")
    assert len({one.name_text for one in asked}) == len({one.port for one in asked}) == len(asked) == 8
    assert len({one.message_id for one in asked}) > 6


async def test_our_letters_do_not_come_back(
    forwarding: Forwarding, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterdns.upstream.exchange.urandom", lambda size: b"\xff" * size)
    async with forwarding(fast(upstream)) as ask:
        reply = await ask("a.cname-1.example.org")
        assert upstream.received[0].name_text == "A.CNAME-1.EXAMPLE.ORG."
        assert reply.answer[0].rdata.endswith(b"\7cname-1\7example\3org\0")


async def test_who_loses_letter_case_is_remembered(forwarding: Forwarding, upstream: ScriptedUpstream) -> None:
    name = "many-letters-in-a-name.example.org"
    upstream.always = ("lower",)
    async with forwarding(fast(upstream)) as ask:
        assert (await ask(name)).answer
        first, second = upstream.queries(name)
        assert first.name_text.lower() == second.name_text == name + "."
        assert first.name_text != second.name_text
        assert first.message_id != second.message_id
        assert first.port == second.port
        upstream.forget()
        assert (await ask(name)).answer
        (only,) = upstream.queries(name)
        assert only.name_text == name + "."


async def test_one_question_for_all_who_ask_the_same(forwarding: Forwarding, upstream: ScriptedUpstream) -> None:
    async with forwarding(f"forward . {upstream.address} {{\n max_concurrent 2\n}}") as ask:
        name = "x.slow-50.example.org"
        replies = await asyncio.gather(*(ask(name) for _ in range(1000)))
        assert upstream.count(name) == 1
        assert {len(reply.answer) for reply in replies} == {1}
        assert len({id(reply) for reply in replies}) == 1000
        await asyncio.gather(ask(name), ask(name, edns_bytes=1232))
        assert upstream.count(name) == 3


async def test_one_who_gives_up_takes_nothing_from_the_others(
    forwarding: Forwarding, upstream: ScriptedUpstream
) -> None:
    async with forwarding(fast(upstream)) as ask:
        tasks = [asyncio.ensure_future(ask("x.slow-30.example.org")) for _ in range(3)]
        await asyncio.sleep(0.005)
        tasks[0].cancel()
        assert len((await tasks[1]).answer) == len((await tasks[2]).answer) == 1
        assert tasks[0].cancelled()


async def test_too_many_questions_are_refused(forwarding: Forwarding, upstream: ScriptedUpstream) -> None:
    async with forwarding(f"forward . {upstream.address} {{\n max_concurrent 2\n}}") as ask:
        replies = await asyncio.gather(*(ask(f"x{number}.slow-20.example.org") for number in range(5)))
        assert [reply.rcode for reply in replies] == [codes.NOERROR] * 2 + [codes.REFUSED] * 3
        assert replies[-1].error == "concurrent queries exceeded maximum 2"
        assert ask.value("coredns_forward_max_concurrent_rejects_total") == 3


async def test_the_oldest_question_gives_way(
    forwarding: Forwarding, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterdns.plugins.forward.handler.MAX_FLIGHTS", 2)
    async with forwarding(f"forward . {upstream.address}") as ask:
        replies = await asyncio.gather(*(ask(f"x{number}.slow-20.example.org") for number in range(3)))
        assert [reply.rcode for reply in replies] == [codes.SERVFAIL, codes.NOERROR, codes.NOERROR]
        assert replies[0].error == "more than 2 questions are waiting for upstreams"


async def test_a_deadline(forwarding: Forwarding, upstream: ScriptedUpstream, make_query: MakeQuery) -> None:
    async with forwarding(f"forward . {upstream.address}") as ask:
        query = make_query("x.dead.example.org")
        query.deadline = asyncio.get_running_loop().time() + 0.02
        reply = await ask.put(query)
        assert (reply.rcode, reply.error) == (codes.SERVFAIL, "context deadline exceeded")


async def test_scopes(forwarding: Forwarding, upstream: ScriptedUpstream) -> None:
    with ScriptedUpstream(mark=7) as other:
        text = f"forward example.org {other.address} {{\n except no.example.org\n}}\n"
        async with forwarding(text + f"forward org {upstream.address}") as ask:
            for name, count in [
                ("example.org", 1),
                ("a.Example.org", 1),
                ("no.example.org", 0),
                ("x.no.example.org", 0),
            ]:
                assert (await ask(name)).error == ""
                assert (other.count(name), upstream.count(name)) == (count, 1 - count)
            assert (await ask("example.com")).error == NOT_OURS
            assert (await ask("notexample.org")).error == ""
            assert other.count("notexample.org") == 0
        async with forwarding(f"forward example.org {other.address} {{\n except example.org\n}}") as ask:
            assert (await ask("example.org")).error == ""  # FROM itself is never left out
            assert (await ask("a.example.org")).error == NOT_OURS


@pytest.mark.parametrize(
    ("name", "is_passed_on"),
    [("x.nxdomain.example.org", True), ("x.nodata.example.org", True), ("x.servfail.example.org", False)],
)
async def test_next(forwarding: Forwarding, upstream: ScriptedUpstream, name: str, is_passed_on: bool) -> None:
    with ScriptedUpstream() as second:
        text = f"forward . {upstream.address} {{\n next NXDOMAIN\n next_on_nodata\n}}\nforward "
        async with forwarding(text + f". {second.address} {{\n next NXDOMAIN\n}}") as ask:
            assert (await ask(name)).error == ""  # the last one's `next` leads nowhere
            assert second.count(name) == is_passed_on
        async with forwarding(text + f"example.com {second.address}") as ask:
            assert (await ask(name)).error == (NOT_OURS if is_passed_on else "")


async def test_failover(forwarding: Forwarding, upstream: ScriptedUpstream) -> None:
    with ScriptedUpstream(always=("servfail",)) as failing:
        options = "policy sequential\nfailover SERVFAIL\n"
        async with forwarding(f"forward . {failing.address} {upstream.address} {{\n{options}}}") as ask:
            assert (await ask("www.example.org")).rcode == codes.NOERROR
            assert (await ask("x.servfail.example.org")).rcode == codes.SERVFAIL
        assert (failing.count("x.servfail.example.org"), upstream.count("x.servfail.example.org")) == (1, 1)


@pytest.mark.parametrize(
    ("options", "transport", "asked"),
    [
        ("", "udp", "udp"), ("", "tcp", "tcp"), ("prefer_udp", "tcp", "udp"), ("force_tcp", "udp", "tcp"),
        ("force_tcp\nprefer_udp", "udp", "tcp"),
    ],
)  # fmt: skip
async def test_transports(
    forwarding: Forwarding, upstream: ScriptedUpstream, options: str, transport: str, asked: str
) -> None:
    async with forwarding(fast(upstream, options)) as ask:
        await ask("www.example.org", transport=transport)
        assert [one.transport for one in upstream.received] == [asked]


async def test_truncated_where_tcp_does_not_work(forwarding: Forwarding, upstream: ScriptedUpstream) -> None:
    async with forwarding(fast(upstream)) as ask:
        reply = await ask("x.tcpart.close.example.org")
        assert (reply.rcode, len(reply.answer), reply.is_truncated) == (codes.NOERROR, 1, True)
        reply = await ask("x.cut.close.example.org")
        assert (reply.rcode, len(reply.answer), reply.is_truncated) == (codes.NOERROR, 0, True)


async def test_malformed_either_way_is_the_next_upstreams_turn(
    forwarding: Forwarding, upstream: ScriptedUpstream
) -> None:
    with ScriptedUpstream() as sound:
        lines = f"forward . {upstream.address} {sound.address} {{\n policy sequential\n}}"
        async with forwarding(lines) as ask:
            upstream.script("bad.example.org", "cut", "cut")
            reply = await ask("bad.example.org")
            assert (reply.rcode, len(reply.answer), reply.is_truncated) == (codes.NOERROR, 1, False)
            assert [one.transport for one in upstream.queries("bad.example.org")] == ["udp", "tcp"]
            assert sound.count("bad.example.org") == 1


async def test_few_connections_carry_many_questions(forwarding: Forwarding, upstream: ScriptedUpstream) -> None:
    async with forwarding(f"forward . {upstream.address} {{\n force_tcp\n}}") as ask:
        replies = await asyncio.gather(*(ask(f"x{number}.slow-50.example.org") for number in range(1000)))
        assert {reply.rcode for reply in replies} == {codes.NOERROR}
        assert upstream.most_open <= 4
        assert upstream.count() == 1000
        late, early = (asyncio.ensure_future(ask(name)) for name in ("y.slow-50.example.org", "z.example.org"))
        await early
        assert not late.done()
        await late
        assert upstream.connections <= 4


async def test_idle_connections(forwarding: Forwarding, upstream: ScriptedUpstream) -> None:
    labels = ("forward", upstream.address, "tcp")
    async with forwarding(f"forward . {upstream.address} {{\n force_tcp\n expire 30ms\n}}") as ask:
        for _ in range(3):
            await ask("www.example.org")
        assert upstream.connections == 1
        assert ask.value("coredns_proxy_conn_cache_hits_total", *labels) == 2
        assert ask.value("coredns_proxy_conn_cache_misses_total", *labels) == 1
        await asyncio.sleep(0.06)
        await ask("www.example.org")
        assert upstream.connections == 2


async def test_what_the_peer_closed_is_asked_again(forwarding: Forwarding, upstream: ScriptedUpstream) -> None:
    async with forwarding(fast(upstream, "force_tcp")) as ask:
        await ask("www.example.org")
        for ending in ("close", "reset"):
            reply = await ask(f"x.{ending}-1.example.org")  # on the connection that is there, then on a new one
            assert (reply.rcode, reply.error) == (codes.NOERROR, "")


async def test_health(forwarding: Forwarding, upstream: ScriptedUpstream) -> None:
    upstream.always = ("dead",)
    options = "health_check 50ms domain check.example.org\nmax_fails 1\nread_timeout 20ms\nmax_connect_attempts 1\n"
    text = f"forward . {upstream.address} {{\n{options}failfast_all_unhealthy_upstreams\n}}"
    async with forwarding(text) as ask:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("clusterdns.upstream.server.HEALTH_SECONDS", 0.02)
            assert (await ask("www.example.org")).error.endswith("i/o timeout")
            await asyncio.sleep(0.25)
            reply = await ask("www.example.org")
            assert (reply.rcode, reply.error) == (codes.SERVFAIL, "no healthy proxies")
            assert ask.value("coredns_forward_healthcheck_broken_total") == 1
            assert ask.value("coredns_proxy_healthcheck_failures_total", "forward", upstream.address) >= 2
            upstream.always = ()
            await asyncio.sleep(0.1)
            assert (await ask("www.example.org")).rcode == codes.NOERROR
    assert {one.qtype for one in upstream.queries("check.example.org")} == {"NS"}


async def test_what_is_measured_and_labelled(
    forwarding: Forwarding, upstream: ScriptedUpstream, make_query: MakeQuery
) -> None:
    async with forwarding(fast(upstream)) as ask:
        query = make_query("www.example.org")
        query.labels = {}
        await ask.put(query)
        assert query.labels == {"forward/upstream": upstream.address}
        durations = ask.registry._families["coredns_proxy_request_duration_seconds"]
        assert list(durations.series) == [("forward", upstream.address, "NOERROR")]
        assert sum(durations.labels("forward", upstream.address, "NOERROR").counts) == 1


async def test_nothing_is_left_when_it_stops(forwarding: Forwarding, upstream: ScriptedUpstream) -> None:
    async with forwarding(f"forward . {upstream.address}") as ask:
        waiting = [
            asyncio.ensure_future(ask("x.dead.example.org", transport=transport)) for transport in ("udp", "tcp")
        ]
        await asyncio.sleep(0.02)
    assert {(await one).error for one in waiting} == {"forward is shutting down"}


async def test_questions_that_gave_way_leave_nothing_for_the_collector(
    forwarding: Forwarding, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterdns.plugins.forward.handler.MAX_FLIGHTS", 1)
    async with forwarding(fast(upstream, milliseconds=50)) as ask:
        gc.collect()
        gc.disable()
        before = those_of(asyncio.CancelledError | Flight)
        try:
            await asyncio.gather(*(ask(f"x{number}.dead.example.org") for number in range(9)))
            await asyncio.sleep(0)
            left = those_of(asyncio.CancelledError | Flight) - before
            assert left <= 1
        finally:
            gc.enable()


def those_of(kind: Any) -> int:
    """How many objects of a kind there are."""
    return sum(isinstance(one, kind) for one in gc.get_objects())


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_failures_leave_nothing_for_the_collector(
    forwarding: Forwarding, upstream: ScriptedUpstream, transport: str
) -> None:
    async with forwarding(fast(upstream, "max_connect_attempts 2", milliseconds=10)) as ask:
        gc.collect()
        gc.disable()  # it comes rarely in the server: what waits for it piles up by the megabyte in a flood
        before = those_of(ExchangeFailed)
        try:
            await asyncio.gather(*(ask(f"x{number}.dead.example.org", transport=transport) for number in range(9)))
            await asyncio.sleep(0)
            left = those_of(ExchangeFailed) - before
            assert left <= 1  # the last one may still be on its way
        finally:
            gc.enable()


async def test_a_query_that_is_dropped_while_it_waits_leaves_no_failure_unheard(
    forwarding: Forwarding, upstream: ScriptedUpstream
) -> None:
    told: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))
    async with forwarding(fast(upstream, milliseconds=10)) as ask:
        dropped = ask("x.dead.example.org")
        dropped.send(None)  # as dispatch does, up to the wait
        dropped.close()  # as a listener does over its bound
        await ask("x.dead.example.org")
    gc.collect()
    assert told == []


# TLS and HTTPS


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
            replies = await asyncio.gather(*(ask(f"x{number}.slow-20.example.org") for number in range(20)))
            if is_good:
                assert {reply.error for reply in replies} == {""}
                assert upstream.most_open <= 4
                assert upstream.count(transport="tls") == 20
                labels = ("forward", f"127.0.0.1:{upstream.tls_port}", "tcp-tls")
                assert ask.value("coredns_proxy_conn_cache_misses_total", *labels) == 20
            else:
                assert replies[0].rcode == codes.SERVFAIL
                assert "tls" in replies[0].error
                assert "mismatch" in replies[0].error
        await asyncio.sleep(0.01)


async def test_https_faults(forwarding: Forwarding, certificates: Path) -> None:
    with ScriptedUpstream() as gone:
        nobody = gone.port
    with ScriptedUpstream(tls=server_side(certificates, "name")) as upstream:  # whose certificate names no address
        for port, options, error in [
            (nobody, "", "connection refused"),
            (upstream.tls_port, "", "mismatch"),
            (upstream.port, "", "i/o timeout"),  # speaks no TLS
            (upstream.tls_port, "tls_servername dns.example.org", "i/o timeout"),  # speaks no HTTP
        ]:
            lines = f"tls {certificates}/ca.crt\nread_timeout 150ms\nmax_connect_attempts 1\n{options}"
            async with forwarding(f"forward . https://127.0.0.1:{port} {{\n{lines}\n}}") as ask:
                reply = await ask("www.example.org")
                assert reply.rcode == codes.SERVFAIL
                assert error in reply.error


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_https(forwarding: Forwarding, certificates: Path, method: str) -> None:
    asked: list[str] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(f"{request.method} {request.path}")
        wire = (
            await request.read() if request.method == "POST" else base64.urlsafe_b64decode(request.query["dns"] + "==")
        )
        query = dns.message.from_wire(wire)
        reply = dns.message.make_response(query, recursion_available=True)
        name = query.question[0].name
        if name.labels[0] == b"slow":
            await asyncio.sleep(0.3)
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
    lines = f"tls {certificates}/ca.crt\ndoh_method {method}\nread_timeout 200ms\nmax_connect_attempts 1"
    async with forwarding(f"forward . https://127.0.0.1:{port} {{\n{lines}\n}}") as ask:
        assert len((await ask("www.example.org", edns_bytes=1232)).answer) == 1
        assert asked == [f"{method} /dns-query"]
        for name, error in [("slow", "i/o timeout"), ("teapot", "status 418"), ("other", "answers another question")]:
            reply = await ask(f"{name}.example.org")
            assert (reply.rcode, error in reply.error) == (codes.SERVFAIL, True)
    await runner.cleanup()
    await asyncio.sleep(TLS_CLOSE_SECONDS)
