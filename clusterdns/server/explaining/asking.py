"""One question asked through a traced chain of a configuration: from the choice of the server block to the reply.

It is a query like a client's to every handler: a reply of an upstream may be cached, and a counter of a plugin counts
it. What dispatch does with a client's query does not happen: no answer is compiled, no observer (`log`, `errors`) sees
the reply, and coredns_dns_* does not count it.
"""

import asyncio
from dataclasses import dataclass, field
from time import perf_counter

from clusterdns.chain import Query, Reply, failure
from clusterdns.chain.query import read_query
from clusterdns.corefile.directive import ServerBlock
from clusterdns.server.assembly import Configuration
from clusterdns.server.dispatch import Dispatch
from clusterdns.server.explaining.tracing import Trace
from clusterdns.server.listen_points import ListenPoint
from clusterdns.server.routes import Route
from clusterdns.telemetry.metrics import Registry
from clusterdns.telemetry.queries import QueryCounters, panics
from clusterdns.upstream.pool import ATTEMPTS, Attempt
from clusterdns.wire import codes
from clusterdns.wire.edns import opt_record
from clusterdns.wire.name import is_under

ASK_SECONDS = 6.0  # `forward` begins no attempt after 5 s
NO_ANSWER = f"no answer within {ASK_SECONDS:g} s"
FAILED = "a handler failed with an exception"
_HEADER = b"\0\0\x01\0\0\1\0\0\0\0\0\1"  # RD, one question, an OPT record
_ANYWHERE = "127.0.0.1"


@dataclass
class AskedQuestion:
    """A question, its reply, and what happened on the way."""

    query: Query
    reply: Reply
    trace: Trace
    block: ServerBlock | None  # None: no block serves the name
    zone: bytes
    attempts: list[Attempt] = field(default_factory=list)
    seconds: float = 0.0
    problem: str = ""  # NO_ANSWER or FAILED, where the chain gave no reply


async def ask(configuration: Configuration, name: bytes, qtype: int, client: str) -> AskedQuestion:
    """Ask a question as a client at this address does, over UDP with EDNS."""
    trace = Trace()
    point = _point_for(configuration.folded(trace.traced), name, qtype)
    registry = Registry()
    dispatch = Dispatch(point.routes, QueryCounters(registry, point.server_text), panics(registry))
    route = point.routes.find(name, qtype)
    query = _query(name, qtype, client, point, dispatch)
    attempts: list[Attempt] = []
    token = ATTEMPTS.set(attempts)
    started, problem = perf_counter(), ""
    try:
        async with asyncio.timeout(ASK_SECONDS):
            reply = await dispatch.lookup(query, name, qtype)
    except TimeoutError:
        problem, reply = NO_ANSWER, failure(codes.SERVFAIL, NO_ANSWER)
    except Exception as error:  # noqa: BLE001  # whatever a handler raises; dispatch answers SERVFAIL
        problem, reply = FAILED, failure(codes.SERVFAIL, f"{type(error).__name__}: {error}")
    finally:
        ATTEMPTS.reset(token)
    seconds = perf_counter() - started
    await asyncio.sleep(0)  # the answer of a large Service is a turn of its own
    block = trace.roots[0].source if trace.roots else _block_of(configuration, route)
    zone = b"" if route is None else route.zone
    return AskedQuestion(query, reply, trace, block, zone, attempts, seconds, problem)


def _point_for(points: tuple[ListenPoint, ...], name: bytes, qtype: int) -> ListenPoint:
    """Choose the listen point: plain DNS before TLS, and of these the one with the longest zone for the name."""

    def rank(point: ListenPoint) -> tuple[bool, int]:
        route = point.routes.find(name, qtype)
        return point.transport == "dns", -1 if route is None else len(route.zone)

    return max(points, key=rank)


def _query(name: bytes, qtype: int, client: str, point: ListenPoint, dispatch: Dispatch) -> Query:
    kind = qtype.to_bytes(2, "big") + codes.IN.to_bytes(2, "big")
    query = read_query(_HEADER + name + kind + opt_record(0, b"", do=False))
    assert isinstance(query, Query)
    query.transport, query.client, query.lookup = "udp", (client, 0), dispatch.lookup
    query.server = point.address or _ANYWHERE
    query.depth = -1  # `lookup` asks one level deeper: at 0, as a client's query
    return query


def _block_of(configuration: Configuration, route: Route | None) -> ServerBlock | None:
    """Return the block of a route that no handler of it has seen a query for."""
    if route is None:
        return None
    return next(
        (block for block in configuration.sources if any(is_under(route.zone, key.zone) for key in block.keys)), None
    )
