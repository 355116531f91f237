"""`cache` with arbitrary queries and replies: TTLs, ages and networks of the replies to clients are right.

Every reply of the upstream has a stamp, so that the test knows which of them a client got.
"""

import asyncio
import math
from typing import NamedTuple

from fakes.aging import Bed, FakeUpstream, option, said
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.chain import BlockContext, Query, Reply
from clusterdns.plugins.cache.phases import PHASES
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire import codes, record
from clusterdns.wire.name import from_text
from clusterdns.wire.query import QueryMessage


class Options(NamedTuple):
    """The options of a directive, as text and as bounds on what clients may see."""

    text: str
    least_ttl: int = 5
    most_ttl: int = 3600
    stale_seconds: float = 0
    stale_ttl: int = 0
    keeps_ttl: bool = False


class Step(NamedTuple):
    """A query, and the reply that an upstream would give."""

    name: str
    network: int  # in the ECS option of the client; 0: no option
    pause_seconds: float  # before the query
    ttl: int
    kind: str


OPTIONS = st.sampled_from(
    [
        Options(""),
        Options("success 5000 3600 0\ndenial 5000 1800 0", least_ttl=0),
        Options("success 5000 4 2\ndenial 5000 4 2", least_ttl=2, most_ttl=4),
        Options("prefetch 1 1m 50%"),
        Options("serve_stale 4s", stale_seconds=4),
        Options("serve_stale 4s verify 1s 3s", stale_seconds=4, stale_ttl=3),
        Options("serve_stale 4s immediate 2s\nserve_stale_policy prefer_positive", stale_seconds=4, stale_ttl=2),
        Options("keepttl", keeps_ttl=True),
    ]
)
STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(["a.org", "b.org"]),
        st.sampled_from([0, 0, 0, 1, 2]),
        st.floats(0, 6),
        st.integers(0, 12),
        st.sampled_from(["answer", "cname", "nxdomain", "nodata", "failure", "refused"]),
    ),
    max_size=30,
)


def network_option(network: int, scope: int) -> bytes:
    return option(codes.ECS, bytes((0, 1, 24, scope, 10, network, 0))) if network else b""


class StampedReply(NamedTuple):
    """A reply that the upstream gave."""

    name: str
    network: int
    at: float
    ttl: int


class StampingUpstream(FakeUpstream):
    def __init__(self) -> None:
        super().__init__()
        self.given: list[StampedReply] = []
        self.bed: Bed
        self.next: Step

    async def __call__(self, query: Query) -> Reply:
        name, network, _, ttl, kind = self.next
        asked_network = network if query.options else 0
        soa = f"org {ttl} SOA {ttl + 3}"
        reply = {
            "answer": lambda: said(0, f"{name} {ttl} A"),
            "cname": lambda: said(0, f"{name} {ttl + 2} CNAME c.org,c.org {ttl} A"),
            "nxdomain": lambda: said(3, "", soa),
            "nodata": lambda: said(0, "", soa),
            "failure": lambda: said(2),
            "refused": lambda: said(5),
        }[kind]()
        stamp = len(self.given).to_bytes(2, "big")
        reply.additional = [record.record(from_text("stamp"), codes.TXT, ttl + 1, stamp)]
        reply.options = network_option(asked_network, scope=24)
        self.given.append(StampedReply(name, asked_network, self.bed.clock.now, ttl))
        return reply


async def run(options: Options, steps: list[Step], context: BlockContext) -> None:
    upstream = StampingUpstream()
    bed = upstream.bed = Bed(f"cache . {{\n{options.text}\n}}", context, upstream)
    await bed.cache.start()
    for step in steps:
        bed.clock.pass_seconds(step.pause_seconds)
        upstream.next = step
        query = query_of(step)
        reply = await bed.handler(query)
        (stamp,) = reply.additional
        check(options, step, reply, upstream.given[int.from_bytes(stamp.rdata, "big")], bed.clock.now)
        for _ in range(4):
            await asyncio.sleep(0)
    await bed.cache.stop()
    assert not bed.clock.waiting()


def query_of(step: Step) -> Query:
    query = Query()
    for slot in (*QueryMessage.__slots__, *Query.__slots__):
        setattr(query, slot, None)
    query.flags, query.do, query.has_edns, query.transport = 0x0100, False, bool(step.network), "udp"
    query.options = network_option(step.network, scope=0)
    query.name, query.qtype, query.qclass = from_text(step.name), codes.A, codes.IN
    query.question = query.name + b"\0\1\0\1"
    return query


def check(options: Options, step: Step, reply: Reply, given: StampedReply, now: float) -> None:
    assert given.name == step.name
    assert given.network == step.network, "a reply for another network"
    is_failure = reply.rcode in (codes.SERVFAIL, codes.REFUSED)
    lifetime_seconds = 5
    if reply.rcode != codes.SERVFAIL:
        lifetime_seconds = min(max(5 if is_failure else given.ttl, options.least_ttl), options.most_ttl)
    (ttl,) = {one.ttl for one in (*reply.answer, *reply.authority, *reply.additional)}
    stored = math.floor(given.at * PHASES) / PHASES
    left_seconds = lifetime_seconds - int(now - stored)
    if given.at == now or left_seconds > 0:
        assert ttl == (lifetime_seconds if options.keeps_ttl else left_seconds)
        assert options.keeps_ttl or 0 <= ttl <= lifetime_seconds - int(now - given.at)
        assert reply.rcode != codes.REFUSED or given.at == now
    else:
        assert now - stored - lifetime_seconds <= options.stale_seconds
        assert ttl == options.stale_ttl
        assert not is_failure
        assert not reply.reusable


@settings(max_examples=150, deadline=None)
@given(options=OPTIONS, steps=STEPS)
def test_ttl_age_and_network_of_every_reply(options: Options, steps: list[Step]) -> None:
    class Shared:
        def forget(self, dependencies: object) -> None:
            assert dependencies

    context = BlockContext((".",), "dns://:53", Registry(), Shared())  # type: ignore[arg-type]
    asyncio.run(run(options, steps, context))
