"""`loop`: what comes back stops forwarding, until it does not come back any more."""

import asyncio
import logging
from collections.abc import Callable, Sequence

import pytest

from clusterdns.chain import BlockContext, Handler, Query, Reply
from clusterdns.chain.query import read_query
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileErrors
from clusterdns.plugins import loop
from clusterdns.telemetry.metrics import Series
from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.upstream.messages import make_query
from clusterdns.wire import codes
from clusterdns.wire.name import ROOT, from_text, to_text

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]


class Upstream:
    """Sends what it is asked to the front door, answers, or does not."""

    def __init__(self, mode: str = "answers", text: str = "127.0.0.53:53") -> None:
        self.mode = mode
        self.text = text
        self.is_looping = False
        self.asked: list[bytes] = []
        self.front: Handler | None = None

    async def probe(self, name: bytes, qtype: int, seconds: float) -> None:
        self.asked.append(name)
        if self.mode == "dead":
            raise ExchangeFailed("timeout", codes.EDE_NO_AUTHORITY)
        if self.mode == "loops":
            assert self.front is not None
            query = read_query(bytes(make_query(name, qtype).pack()))
            assert isinstance(query, Query)
            query.client = ("127.0.0.1", 37214)
            reply = await self.front(query)
            assert reply.rcode == codes.SERVFAIL


class Bench:
    """A watch over some upstreams, with what it did."""

    def __init__(self, *upstreams: Upstream, zone: bytes = ROOT, scope: bytes = ROOT, is_fatal: bool = False) -> None:
        self.detected = Series()
        self.ends: list[int] = []
        self.passed: list[Query] = []
        self.pauses: list[float] = []
        self.after_pause: Callable[[], object] = lambda: None
        self.upstreams = upstreams
        self.watch = loop.Watch(
            zone, ":53", self.detected, is_fatal=is_fatal, sleep=self.pause, end=self.ends.append
        )  # fmt: skip
        self.front = self.watch.wrap([(scope, upstream) for upstream in upstreams], self.below)
        for upstream in upstreams:
            upstream.front = self.front

    async def below(self, query: Query) -> Reply:
        self.passed.append(query)
        return Reply(codes.NOERROR)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.after_pause()

    async def run(self) -> None:
        await self.watch.serving()
        for _ in range(10):
            await asyncio.sleep(0)


async def test_a_loop_is_told_once_and_ends_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bad, good = Upstream("loops"), Upstream(text="9.9.9.9:53")
    bench = Bench(bad, good, zone=from_text("example.org."))

    def next_stage() -> None:
        if len(bench.pauses) == 1:
            assert (bad.is_looping, good.is_looping, bench.detected.value) == (True, False, 1)
            remark = "zone example.org.: 127.0.0.53:53 leads back to this server and is not asked"
            assert bench.watch.remark() == remark
        elif len(bench.pauses) == 2:
            bad.mode = "dead"
        elif len(bench.pauses) == 3:
            assert bad.is_looping
            bad.mode = "answers"

    bench.after_pause = next_stage
    await bench.run()
    assert (bad.is_looping, bench.detected.value, bench.watch.remark()) == (False, 0, "")
    assert bench.pauses == [loop.RECHECK_SECONDS] * 3
    assert (len(bad.asked), len(good.asked)) == (4, 1)
    assert caplog.messages[0] == (
        'Loop (127.0.0.1:37214 -> :53) detected for zone "example.org.", see '
        f'https://coredns.io/plugins/loop#troubleshooting. Query: "HINFO {to_text(bad.asked[0])}"'
    )
    assert "--resolv-conf" in caplog.messages[1]
    assert caplog.messages[2:] == [
        "Upstream 127.0.0.53:53 is not asked until that ends; names held here are answered",
        "Upstream 127.0.0.53:53 does not lead back any more: it is asked again",
    ]
    assert bench.ends == []


async def test_upstreams_that_do_not_answer_are_tried_again_soon() -> None:
    upstream = Upstream("dead")
    bench = Bench(upstream)

    def recover() -> None:
        upstream.mode = "answers" if len(bench.pauses) == 3 else "dead"

    bench.after_pause = recover
    await bench.run()
    assert bench.pauses == [loop.RETRY_SECONDS] * 3


async def test_only_the_probe_counts(make_query: MakeQuery) -> None:
    upstream = Upstream()
    bench = Bench(upstream)
    await bench.run()
    for _ in range(3):
        await bench.front(make_query(to_text(upstream.asked[0]), "HINFO"))
    assert bench.detected.value == 0
    assert len(bench.passed) == 3


async def test_the_name_is_one_that_is_forwarded() -> None:
    scope = from_text("corp.example.")
    upstream = Upstream()
    await Bench(upstream, scope=scope).run()
    assert upstream.asked[0].endswith(scope)


async def test_fatal_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(Upstream("loops"), is_fatal=True)
    await bench.watch.probe(ROOT, bench.upstreams[0])
    assert bench.ends == [1]
    assert {one.levelno for one in caplog.records} == {logging.CRITICAL}


async def test_a_stopped_watch_takes_its_word_back() -> None:
    bench = Bench(Upstream("loops"))
    await bench.watch.probe(ROOT, bench.upstreams[0])
    await bench.watch.stop()
    assert (bench.detected.value, bench.upstreams[0].is_looping) == (0, False)


@pytest.mark.parametrize("zone_text", [".", "cluster.local.", ".".join(["a" * 61] * 4) + "."])
def test_probes_are_names_of_the_zone_and_differ(zone_text: str) -> None:
    zone = from_text(zone_text)
    one, other = (loop.probe_name(zone) for _ in range(2))
    assert one != other
    assert len(one) <= 255
    assert len(zone) > 200 or one.endswith(zone)


@pytest.mark.parametrize(("text", "is_fatal"), [("loop", False), ("loop {\n fatal\n}", True)])
def test_parse(read_directives: ReadDirectives, context: BlockContext, text: str, is_fatal: bool) -> None:
    assert loop.parse(read_directives(text), context) == is_fatal
    part = loop.build(is_fatal, context)
    assert part.life.serving is not None
    assert part.readiness.warning is not None
    assert part.readiness.warning() == ""


def test_mistake(read_directives: ReadDirectives, context: BlockContext) -> None:
    with pytest.raises(CorefileErrors, match="Corefile:3: unknown property 'deadly'"):
        loop.parse(read_directives("loop {\n deadly\n}"), context)
