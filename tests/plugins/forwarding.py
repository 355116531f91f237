"""What the tests of `forward` share: a part in use, and time-outs that cost no waiting."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fakes.held_clock import HeldClock, until

from clusterdns.chain import BlockContext, Handler, Part, Query, Reply, failure
from clusterdns.corefile.directive import Directive
from clusterdns.plugins.forward import directive as forward
from clusterdns.telemetry.metrics import Registry
from clusterdns.upstream.datagram import SWEEP_SECONDS
from clusterdns.upstream.settings import PoolSettings
from clusterdns.wire import codes
from testing.upstream.scripted import ScriptedUpstream

NOT_OURS = "answered by the next handler"
READ_SECONDS = PoolSettings().read_seconds

MakeQuery = Callable[..., Query]


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


Forwarding = Callable[[str], AbstractAsyncContextManager[Forwarder]]


@asynccontextmanager
async def forwarding_part(
    directives: Sequence[Directive], context: BlockContext, make_query: MakeQuery
) -> AsyncIterator[Forwarder]:
    """Use the part of some `forward` lines; no task of its upstreams is left afterwards."""
    part = forward.build(forward.parse(directives, context), context)

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


def once(upstream: ScriptedUpstream, *options: str) -> str:
    """A line that asks one upstream, and gives up after a failed exchange."""
    lines = "\n".join(("max_connect_attempts 1", *options))
    return f"forward . {upstream.address} {{\n{lines}\n}}"


async def time_out(held_clock: HeldClock, upstream: ScriptedUpstream, responses: int = 1) -> None:
    """Let exchanges time out, once their upstream has sent this many responses, or withheld them."""
    await until(lambda: upstream.responses >= responses)
    await held_clock.pass_seconds(READ_SECONDS + SWEEP_SECONDS)


def assert_failed(reply: Reply, error: str) -> None:
    assert (reply.rcode, reply.is_written, reply.is_upstream) == (codes.SERVFAIL, False, False)
    head, _, tail = error.partition("*")
    assert reply.error.startswith(head)
    assert reply.error.endswith(tail)
    code, _, info = struct.unpack_from(">HHH", reply.options)
    assert code == codes.EDE
    assert info in (codes.EDE_NO_AUTHORITY, codes.EDE_NETWORK_ERROR, codes.EDE_INVALID_DATA)
