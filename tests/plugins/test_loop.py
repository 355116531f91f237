"""`loop`: what comes back stops forwarding, until it does not come back any more."""

import logging
from collections.abc import Callable, Sequence

import pytest

from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileErrors
from clusterdns.plugins import loop
from clusterdns.plugins.handler import BlockContext, Handler
from clusterdns.telemetry.metrics import Series
from clusterdns.wire import codes
from clusterdns.wire.name import ROOT, from_text, to_text
from clusterdns.wire.query import Query
from clusterdns.wire.reply import Reply, failure

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]


class Upstream:
    """What stands below `loop`: sends what it gets back to the front door, or answers."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.asked: list[bytes] = []
        self.front: Handler | None = None

    async def __call__(self, query: Query) -> Reply:
        self.asked.append(query.name)
        if self.mode == "loops":
            assert self.front is not None
            return await self.front(query)
        return failure(codes.SERVFAIL) if self.mode == "dead" else Reply(codes.NXDOMAIN)


def set_up(upstream: Upstream, zone: bytes = ROOT, **options: bool) -> tuple[loop.Watch, Handler, Series, list[int]]:
    detected, ends = Series(), list[int]()
    watch = loop.Watch(zone, ":53", detected, is_fatal=options.get("is_fatal", False), end=ends.append)
    front = upstream.front = watch.wrap(upstream)
    return watch, front, detected, ends


async def test_a_loop_stops_forwarding_until_it_is_gone(
    make_query: MakeQuery, caplog: pytest.LogCaptureFixture
) -> None:
    upstream = Upstream("loops")
    watch, front, detected, ends = set_up(upstream, from_text("example.org."))
    with caplog.at_level(logging.INFO):
        assert not await watch.probe()
        assert not await watch.probe()
    asked = to_text(upstream.asked[0])
    assert caplog.messages[0] == (
        'Loop (127.0.0.1:0 -> :53) detected for zone "example.org.", see '
        f'https://coredns.io/plugins/loop#troubleshooting. Query: "HINFO {asked}"'
    )
    assert "--resolv-conf" in caplog.messages[1]
    assert len(caplog.messages) == 3  # told once
    assert detected.value == 1
    assert watch.remark() == "zone example.org.: forwarding is stopped: it leads back to this server"
    reply = await front(make_query("www.example.org."))
    assert (reply.rcode, reply.reusable, reply.is_written) == (codes.SERVFAIL, False, False)
    assert b"leads back" in reply.options
    assert "leads back" in reply.error
    assert len(upstream.asked) == 2
    assert ends == []

    upstream.mode = "answers"
    assert await watch.probe()
    assert (await front(make_query("www.example.org."))).rcode == codes.NXDOMAIN
    assert (detected.value, watch.remark()) == (0, "")


@pytest.mark.parametrize(("mode", "is_well"), [("answers", True), ("dead", False), ("loops", False)])
async def test_probe(mode: str, is_well: bool) -> None:
    watch, *_ = set_up(Upstream(mode))
    assert await watch.probe() == is_well
    assert watch.is_looping == (mode == "loops")


async def test_only_the_probe_counts(make_query: MakeQuery) -> None:
    upstream = Upstream("answers")
    watch, front, detected, _ = set_up(upstream)
    await watch.probe()
    for _ in range(3):
        await front(make_query(to_text(upstream.asked[0]), "HINFO"))
    assert detected.value == 0


async def test_fatal_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    watch, _, _, ends = set_up(Upstream("loops"), is_fatal=True)
    await watch.probe()
    assert ends == [1]
    assert {one.levelno for one in caplog.records} == {logging.CRITICAL}


async def test_a_stopped_watch_takes_its_word_back() -> None:
    watch, _, detected, _ = set_up(Upstream("loops"))
    await watch.probe()
    await watch.stop()
    assert detected.value == 0


@pytest.mark.parametrize("zone_text", [".", "cluster.local.", ".".join(["a" * 61] * 4) + "."])
def test_probes_are_names_of_the_zone_and_differ(zone_text: str) -> None:
    zone = from_text(zone_text)
    asked = [loop.probe_query(zone) for _ in range(2)]
    assert asked[0].name != asked[1].name
    assert all(one.qtype == codes.HINFO and len(one.name) <= 255 for one in asked)
    assert len(zone) > 200 or all(one.name.endswith(zone) for one in asked)


@pytest.mark.parametrize(("text", "is_fatal"), [("loop", False), ("loop {\n fatal\n}", True)])
def test_parse(read_directives: ReadDirectives, context: BlockContext, text: str, is_fatal: bool) -> None:
    assert loop.parse(read_directives(text), context) == is_fatal
    part = loop.build(is_fatal, context)
    assert part.serving is not None
    assert part.remark is not None
    assert part.remark() == ""


def test_mistake(read_directives: ReadDirectives, context: BlockContext) -> None:
    with pytest.raises(CorefileErrors, match="Corefile:3: unknown property 'deadly'"):
        loop.parse(read_directives("loop {\n deadly\n}"), context)
