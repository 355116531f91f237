"""`forward`: the reply that a client gets for that of an upstream, and the questions that upstreams get.

Time stands still in these tests (`held_clock`): an exchange times out when a test says so, on a slow machine as well.
"""

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest
from fakes.held_clock import HeldClock, turns, until
from plugins.forwarding import NOT_OURS, Forwarding, MakeQuery, assert_failed, once, time_out

from clusterdns.host.resources import DescriptorShares
from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.flight import Flight
from clusterdns.upstream.server import HEALTH_SECONDS, LOWER_CASE_SECONDS
from clusterdns.upstream.settings import TransportSettings
from clusterdns.wire import codes
from clusterdns.wire.decode import STEP_RECORDS, Message, decode_in_steps
from testing.upstream.scripted import ScriptedUpstream


@pytest.fixture(scope="module")
def running() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(running: ScriptedUpstream) -> ScriptedUpstream:
    """One upstream for all tests, with its counts at 0."""
    running.always = ()
    running.forget()
    return running


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
    async with forwarding(once(upstream)) as ask:
        reply = await ask(name, transport=transport, edns_bytes=1232)
        assert (reply.rcode, len(reply.answer), reply.error) == (rcode, answers, "")
        assert (reply.is_upstream, reply.reusable, reply.is_truncated) == (True, False, False)
        assert reply.recursion_available


@pytest.mark.parametrize(
    ("fault", "transport"),
    [
        ("dead", "udp"),
        ("dead", "tcp"),
        ("wrongid", "udp"),
        ("wrongname", "udp"),
        ("wrongtype", "udp"),
        ("wrongclass", "tcp"),
        ("noquestion", "udp"),
        ("qr0", "udp"),
        ("garbage", "udp"),
        ("garbage", "tcp"),
        ("runt", "udp"),
        ("halfframe", "tcp"),
    ],
)
async def test_a_message_that_is_no_reply_is_ignored(
    forwarding: Forwarding, upstream: ScriptedUpstream, fault: str, transport: str, held_clock: HeldClock
) -> None:
    async with forwarding(once(upstream)) as ask:
        asking = asyncio.ensure_future(ask(f"x.{fault}.example.org", transport=transport))
        await time_out(held_clock, upstream)
        assert_failed(await asking, f"read {transport} 127.0.0.1:*->{upstream.address}: i/o timeout")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("reset", "read tcp 127.0.0.1:*->{to}: read: connection reset by peer"),
        ("close", "EOF*"),
        ("cut", "malformed reply of {to}: message cut short"),
    ],
)
async def test_faults_that_end_an_exchange(
    forwarding: Forwarding, upstream: ScriptedUpstream, fault: str, error: str
) -> None:
    async with forwarding(once(upstream)) as ask:
        reply = await ask(f"x.{fault}.example.org", transport="tcp")
        assert_failed(reply, error.format(to=upstream.address))


async def test_a_fault_fails_over(forwarding: Forwarding, upstream: ScriptedUpstream, held_clock: HeldClock) -> None:
    with ScriptedUpstream(always=("dead",)) as dead:
        async with forwarding(f"forward . {dead.address} {upstream.address} {{\n policy sequential\n}}") as ask:
            for transport in ("udp", "tcp"):
                dead.forget()
                asking = asyncio.ensure_future(ask("www.example.org", transport=transport))
                await time_out(held_clock, dead)
                assert len((await asking).answer) == 1
                assert dead.count("www.example.org") == 1


@pytest.mark.parametrize(("transport", "call"), [("udp", "read: "), ("tcp", "dial tcp ")])
async def test_a_port_where_nothing_listens(
    forwarding: Forwarding, transport: str, call: str, held_clock: HeldClock
) -> None:
    with ScriptedUpstream() as gone:
        address = gone.address
    async with forwarding(f"forward . {address}") as ask:
        asking = asyncio.ensure_future(ask("www.example.org", transport=transport))
        await held_clock.pass_until(asking)
        reply = await asking
        assert reply.rcode == codes.SERVFAIL
        assert reply.error.endswith("connection refused")
        assert call in reply.error


async def test_what_upstreams_are_asked(
    forwarding: Forwarding, upstream: ScriptedUpstream, make_query: MakeQuery
) -> None:
    async with forwarding(once(upstream)) as ask:
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


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_flags_that_describe_replies_are_cleared(
    forwarding: Forwarding, upstream: ScriptedUpstream, make_query: MakeQuery, transport: str
) -> None:
    everything = 0x07FF  # AA, TC, RD, RA, Z, AD, CD and a response code
    async with forwarding(once(upstream)) as ask:
        for name, flags in (("all.example.org", everything), ("none.example.org", 0), ("rd.example.org", 0x0100)):
            query = make_query(name, edns_bytes=1232, transport=transport)
            query.flags = flags
            assert (await ask.put(query)).rcode == codes.NOERROR
    asked = {
        name: upstream.queries(name)[0].flags for name in ("all.example.org", "none.example.org", "rd.example.org")
    }
    assert asked == {
        "all.example.org": frozenset({"RD", "AD", "CD"}),
        "none.example.org": frozenset(),
        "rd.example.org": frozenset({"RD"}),
    }


async def test_case_and_port_are_random(forwarding: Forwarding, upstream: ScriptedUpstream) -> None:
    async with forwarding(once(upstream)) as ask:
        for _ in range(8):
            await ask("a-long-name-with-many-letters.example.org")
    asked = upstream.queries(transport="udp")
    assert len({one.name_text for one in asked}) == len({one.port for one in asked}) == len(asked) == 8
    assert len({one.message_id for one in asked}) > 6


async def test_our_random_case_does_not_come_back(
    forwarding: Forwarding, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterdns.upstream.exchange.urandom", lambda size: b"\xff" * size)
    async with forwarding(once(upstream)) as ask:
        reply = await ask("a.cname-1.example.org")
        assert upstream.received[0].name_text == "A.CNAME-1.EXAMPLE.ORG."
        assert reply.answer[0].rdata.endswith(b"\7cname-1\7example\3org\0")


async def test_an_upstream_that_does_not_preserve_case_is_asked_in_lower_case(
    forwarding: Forwarding, upstream: ScriptedUpstream, held_clock: HeldClock
) -> None:
    name = "many-letters-in-a-name.example.org"
    upstream.always = ("lower",)
    async with forwarding(once(upstream)) as ask:
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
        upstream.always = ()
        upstream.forget()
        await held_clock.pass_seconds(LOWER_CASE_SECONDS)
        assert (await ask(name)).answer
        (only,) = upstream.queries(name)
        assert only.name_text != name + "."


async def test_one_question_for_all_clients_that_ask_the_same(
    forwarding: Forwarding, upstream: ScriptedUpstream
) -> None:
    async with forwarding(f"forward . {upstream.address} {{\n max_concurrent 2\n}}") as ask:
        name = "x.held.example.org"
        asking = asyncio.gather(*(ask(name) for _ in range(1000)))
        await until(lambda: upstream.count(name))
        upstream.release()
        replies = await asking
        assert upstream.count(name) == 1
        assert {len(reply.answer) for reply in replies} == {1}
        assert len({id(reply) for reply in replies}) == 1000
        others = [asyncio.ensure_future(one) for one in (ask(name), ask(name, edns_bytes=1232))]
        await until(lambda: upstream.count(name) == 3)
        upstream.release()
        await asyncio.gather(*others)


async def test_a_client_that_gives_up_takes_nothing_from_the_others(
    forwarding: Forwarding, upstream: ScriptedUpstream
) -> None:
    async with forwarding(once(upstream)) as ask:
        tasks = [asyncio.ensure_future(ask("x.held.example.org")) for _ in range(3)]
        await until(upstream.count)
        tasks[0].cancel()
        upstream.release()
        assert len((await tasks[1]).answer) == len((await tasks[2]).answer) == 1
        assert tasks[0].cancelled()


async def test_too_many_questions_are_refused(forwarding: Forwarding, upstream: ScriptedUpstream) -> None:
    async with forwarding(f"forward . {upstream.address} {{\n max_concurrent 2\n}}") as ask:
        asking = asyncio.gather(*(ask(f"x{number}.held.example.org") for number in range(5)))
        await until(lambda: upstream.count() == 2)
        upstream.release()
        replies = await asking
        assert [reply.rcode for reply in replies] == [codes.NOERROR] * 2 + [codes.REFUSED] * 3
        assert replies[-1].error == "concurrent queries exceeded maximum 2"
        assert ask.value("coredns_forward_max_concurrent_rejects_total") == 3


async def test_the_oldest_question_fails_where_there_are_too_many(
    forwarding: Forwarding, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterdns.plugins.forward.handler.MAX_FLIGHTS", 2)
    async with forwarding(f"forward . {upstream.address}") as ask:
        asking = asyncio.gather(*(ask(f"x{number}.held.example.org") for number in range(3)))
        await until(lambda: upstream.count("x1.held.example.org") and upstream.count("x2.held.example.org"))
        upstream.release()
        replies = await asking
        assert [reply.rcode for reply in replies] == [codes.SERVFAIL, codes.NOERROR, codes.NOERROR]
        assert replies[0].error == "more than 2 questions are waiting for upstreams"


async def test_questions_take_no_more_descriptors_than_their_share(
    forwarding: Forwarding, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterdns.plugins.forward.directive.descriptor_shares", lambda: DescriptorShares(9, 9, 2))
    lines = f"forward x0.held.example.org {upstream.address}\nforward . {upstream.address}"
    async with forwarding(lines) as ask:
        asking = asyncio.gather(*(ask(f"x{number}.held.example.org") for number in range(3)))
        await until(lambda: upstream.count("x1.held.example.org") and upstream.count("x2.held.example.org"))
        upstream.release()
        assert [reply.rcode for reply in await asking] == [codes.SERVFAIL, codes.NOERROR, codes.NOERROR]


async def test_a_deadline(
    forwarding: Forwarding, upstream: ScriptedUpstream, make_query: MakeQuery, held_clock: HeldClock
) -> None:
    async with forwarding(f"forward . {upstream.address}") as ask:
        query = make_query("x.dead.example.org")
        query.deadline = held_clock.now + 1
        asking = asyncio.ensure_future(ask.put(query))
        await held_clock.pass_seconds(1)
        reply = await asking
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
    async with forwarding(once(upstream, options)) as ask:
        await ask("www.example.org", transport=transport)
        assert [one.transport for one in upstream.received] == [asked]


async def test_truncated_where_tcp_does_not_work(forwarding: Forwarding, upstream: ScriptedUpstream) -> None:
    async with forwarding(once(upstream)) as ask:
        reply = await ask("x.tcpart.close.example.org")
        assert (reply.rcode, len(reply.answer), reply.is_truncated) == (codes.NOERROR, 1, True)
        reply = await ask("x.cut.close.example.org")
        assert (reply.rcode, len(reply.answer), reply.is_truncated) == (codes.NOERROR, 0, True)


async def test_a_reply_that_is_malformed_over_tcp_too_goes_on_with_the_next_upstream(
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


async def test_a_reply_of_64_kib_is_decoded_between_other_work(
    forwarding: Forwarding, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\0\0\1"
    turn = 0
    seen: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        question = query[12 : query.index(b"\0", 12) + 5]
        message = query[:2] + b"\x81\x80\0\1\x0f\xa0\0\0\0\0" + question + record * 4_000
        writer.write(len(message).to_bytes(2, "big") + message)
        await reader.read()
        writer.close()

    async def count_turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    def watched(packet: bytes) -> Iterator[Message | None]:
        for one in decode_in_steps(packet):
            seen.append(turn)
            yield one

    monkeypatch.setattr("clusterdns.upstream.server.decode_in_steps", watched)
    upstream = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = upstream.sockets[0].getsockname()[1]
    counting = asyncio.ensure_future(count_turns())
    async with forwarding(f"forward . 127.0.0.1:{port} {{\n force_tcp\n}}") as ask:
        reply = await ask("www.example.org")
    counting.cancel()
    upstream.close()
    assert len(reply.answer) == 4_000
    assert len(set(seen)) == len(seen) == -(-4_000 // STEP_RECORDS)


async def test_few_connections_carry_many_questions(forwarding: Forwarding, upstream: ScriptedUpstream) -> None:
    async with forwarding(f"forward . {upstream.address} {{\n force_tcp\n}}") as ask:
        asking = asyncio.gather(*(ask(f"x{number}.held.example.org") for number in range(1000)))
        await until(lambda: upstream.count() == 1000)
        upstream.release()
        assert {reply.rcode for reply in await asking} == {codes.NOERROR}
        assert upstream.most_open <= 4
        late, early = (asyncio.ensure_future(ask(name)) for name in ("y.held.example.org", "z.example.org"))
        await early
        assert not late.done()
        await until(lambda: upstream.count("y.held.example.org"))
        upstream.release()
        await late
        assert upstream.connections <= 4


async def test_idle_connections(forwarding: Forwarding, upstream: ScriptedUpstream, held_clock: HeldClock) -> None:
    labels = ("forward", upstream.address, "tcp")
    async with forwarding(f"forward . {upstream.address} {{\n force_tcp\n}}") as ask:
        for _ in range(3):
            await ask("www.example.org")
        assert upstream.connections == 1
        assert ask.value("coredns_proxy_conn_cache_hits_total", *labels) == 2
        assert ask.value("coredns_proxy_conn_cache_misses_total", *labels) == 1
        await held_clock.pass_seconds(TransportSettings().expire_seconds)
        await ask("www.example.org")
        assert upstream.connections == 2


async def test_questions_on_a_connection_that_the_upstream_closed_are_asked_again(
    forwarding: Forwarding, upstream: ScriptedUpstream
) -> None:
    async with forwarding(once(upstream, "force_tcp")) as ask:
        await ask("www.example.org")
        for ending in ("close", "reset"):
            reply = await ask(f"x.{ending}-1.example.org")  # on the connection that is there, then on a new one
            assert (reply.rcode, reply.error) == (codes.NOERROR, "")


async def test_health(forwarding: Forwarding, upstream: ScriptedUpstream, held_clock: HeldClock) -> None:
    upstream.always = ("dead",)
    options = "health_check 500ms domain check.example.org\nmax_fails 1\nfailfast_all_unhealthy_upstreams"
    async with forwarding(once(upstream, options)) as ask:
        asking = asyncio.ensure_future(ask("www.example.org"))
        await time_out(held_clock, upstream)
        assert (await asking).error.endswith("i/o timeout")
        await until(lambda: upstream.count("check.example.org") == 1)
        await held_clock.pass_seconds(HEALTH_SECONDS + 0.5)
        await until(lambda: upstream.count("check.example.org") == 2)
        await held_clock.pass_seconds(HEALTH_SECONDS + 0.5)
        reply = await ask("www.example.org")
        assert (reply.rcode, reply.error) == (codes.SERVFAIL, "no healthy proxies")
        assert ask.value("coredns_forward_healthcheck_broken_total") == 1
        assert ask.value("coredns_proxy_healthcheck_failures_total", "forward", upstream.address) == 2
        await until(lambda: upstream.count("check.example.org") == 3)
        upstream.always = ()
        await held_clock.pass_seconds(HEALTH_SECONDS + 0.5)
        await until(lambda: upstream.responses >= 5)
        await turns()
        assert (await ask("www.example.org")).rcode == codes.NOERROR
    assert {one.qtype for one in upstream.queries("check.example.org")} == {"NS"}


async def test_what_is_measured_and_labelled(
    forwarding: Forwarding, upstream: ScriptedUpstream, make_query: MakeQuery
) -> None:
    async with forwarding(once(upstream)) as ask:
        query = make_query("www.example.org")
        query.labels = {}
        await ask.put(query)
        assert query.labels == {"forward/upstream": upstream.address}
        durations: Any = ask.registry._families["coredns_proxy_request_duration_seconds"]
        assert list(durations.series) == [("forward", upstream.address, "NOERROR")]
        assert sum(durations.labels("forward", upstream.address, "NOERROR").counts) == 1


async def test_stopping_fails_the_questions_under_way(forwarding: Forwarding, upstream: ScriptedUpstream) -> None:
    async with forwarding(f"forward . {upstream.address}") as ask:
        waiting = [
            asyncio.ensure_future(ask("x.dead.example.org", transport=transport)) for transport in ("udp", "tcp")
        ]
        await until(lambda: upstream.count() == 2)
    assert {(await one).error for one in waiting} == {"forward is shutting down"}


async def test_questions_that_gave_way_leave_nothing_for_the_collector(
    forwarding: Forwarding, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch, held_clock: HeldClock
) -> None:
    monkeypatch.setattr("clusterdns.plugins.forward.handler.MAX_FLIGHTS", 1)
    async with forwarding(once(upstream)) as ask:
        gc.collect()
        gc.disable()
        before = objects_of(asyncio.CancelledError | Flight)
        try:
            asking = asyncio.gather(*(ask(f"x{number}.dead.example.org") for number in range(9)))
            await held_clock.pass_until(asking)
            await asyncio.sleep(0)
            left = objects_of(asyncio.CancelledError | Flight) - before
            assert left <= 1
        finally:
            gc.enable()


def objects_of(kind: Any) -> int:
    """Count the objects of a kind."""
    return sum(isinstance(one, kind) for one in gc.get_objects())


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_failures_leave_nothing_for_the_collector(
    forwarding: Forwarding, upstream: ScriptedUpstream, transport: str, held_clock: HeldClock
) -> None:
    async with forwarding(once(upstream, "max_connect_attempts 2")) as ask:
        gc.collect()
        gc.disable()  # it runs rarely in the server: garbage would pile up by the megabyte in a flood
        before = objects_of(ExchangeFailed)
        try:
            asking = asyncio.gather(*(ask(f"x{number}.dead.example.org", transport=transport) for number in range(9)))
            await held_clock.pass_until(asking)
            await asyncio.sleep(0)
            left = objects_of(ExchangeFailed) - before
            assert left <= 1  # the last one may still be on its way
        finally:
            gc.enable()


async def test_a_query_that_is_dropped_while_it_waits_leaves_no_failure_unretrieved(
    forwarding: Forwarding, upstream: ScriptedUpstream, held_clock: HeldClock
) -> None:
    reported: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context))
    async with forwarding(once(upstream)) as ask:
        dropped = ask("x.dead.example.org")
        dropped.send(None)  # as dispatch does, up to the wait
        dropped.close()  # as a listener does over its bound
        asking = asyncio.ensure_future(ask("x.dead.example.org"))
        await held_clock.pass_until(asking)
        await asking
    gc.collect()
    assert reported == []
