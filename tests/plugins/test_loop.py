"""`loop`: an upstream that leads back to this server is not asked, until it no longer does."""

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


class FakeUpstream:
    """An upstream that answers, is silent, or sends what it is asked to this server (`front`)."""

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
            query.server = "127.0.0.1"
            reply = await self.front(query)
            assert reply.rcode == codes.SERVFAIL


class Setup:
    """A detector with its upstreams, and a record of what it did."""

    def __init__(
        self, *upstreams: FakeUpstream, zone: bytes = ROOT, scope: bytes = ROOT, is_fatal: bool = False
    ) -> None:
        self.detected = Series()
        self.ends: list[int] = []
        self.passed: list[Query] = []
        self.pauses: list[float] = []
        self.after_pause: Callable[[], object] = lambda: None
        self.upstreams = upstreams
        self.detector = loop.LoopDetector(
            zone, ":53", self.detected, is_fatal=is_fatal, sleep=self.pause, end=self.ends.append
        )  # fmt: skip
        self.front = self.detector.wrap([(scope, upstream) for upstream in upstreams], self.below)
        for upstream in upstreams:
            upstream.front = self.front

    async def below(self, query: Query) -> Reply:
        self.passed.append(query)
        return Reply(codes.NOERROR)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.after_pause()

    async def run(self) -> None:
        await self.detector.serving()
        for _ in range(10):
            await asyncio.sleep(0)


async def test_a_loop_is_logged_once_and_ends_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bad, good = FakeUpstream("loops"), FakeUpstream(text="9.9.9.9:53")
    setup = Setup(bad, good, zone=from_text("example.org."))

    def next_stage() -> None:
        if len(setup.pauses) == 1:
            assert (bad.is_looping, good.is_looping, setup.detected.value) == (True, False, 1)
            warning = "zone example.org.: 127.0.0.53:53 leads back to this server and is not asked"
            assert setup.detector.warning() == warning
        elif len(setup.pauses) == 2:
            bad.mode = "dead"
        elif len(setup.pauses) == 3:
            assert bad.is_looping
            bad.mode = "answers"

    setup.after_pause = next_stage
    await setup.run()
    assert (bad.is_looping, setup.detected.value, setup.detector.warning()) == (False, 0, "")
    assert setup.pauses == [loop.RECHECK_SECONDS] * 3
    assert (len(bad.asked), len(good.asked)) == (4, 1)
    assert caplog.messages[0] == (
        'Loop (127.0.0.1:37214 -> :53) detected for zone "example.org.", see '
        f'https://coredns.io/plugins/loop#troubleshooting. Query: "HINFO {to_text(bad.asked[0])}"'
    )
    assert "--resolv-conf" in caplog.messages[1]
    assert caplog.messages[2:] == [
        "Upstream 127.0.0.53:53 is not asked while it leads back to this server; names in zones of this server are "
        "answered",
        "Upstream 127.0.0.53:53 no longer leads back to this server; it is asked again",
    ]
    assert setup.ends == []


async def test_an_upstream_that_does_not_answer_is_probed_again_soon() -> None:
    upstream = FakeUpstream("dead")
    setup = Setup(upstream)

    def recover() -> None:
        upstream.mode = "answers" if len(setup.pauses) == 3 else "dead"

    setup.after_pause = recover
    await setup.run()
    assert setup.pauses == [loop.RETRY_SECONDS] * 3


async def test_a_client_that_repeats_a_probe_is_not_a_loop(make_query: MakeQuery) -> None:
    upstream = FakeUpstream()
    setup = Setup(upstream)
    await setup.run()
    for _ in range(3):
        await setup.front(make_query(to_text(upstream.asked[0]), "HINFO"))
    assert setup.detected.value == 0
    assert len(setup.passed) == 3


async def test_the_probe_has_a_name_that_is_forwarded() -> None:
    scope = from_text("corp.example.")
    upstream = FakeUpstream()
    await Setup(upstream, scope=scope).run()
    assert upstream.asked[0].endswith(scope)


async def test_fatal_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    setup = Setup(FakeUpstream("loops"), is_fatal=True)
    await setup.detector.probe(ROOT, setup.upstreams[0])
    assert setup.ends == [1]
    assert {one.levelno for one in caplog.records} == {logging.CRITICAL}


async def test_a_stopped_detector_leaves_no_upstream_marked() -> None:
    setup = Setup(FakeUpstream("loops"))
    await setup.detector.probe(ROOT, setup.upstreams[0])
    await setup.detector.stop()
    assert (setup.detected.value, setup.upstreams[0].is_looping) == (0, False)


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
