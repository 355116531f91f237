"""What a whole Corefile answers: its parts are started without sockets, and asked for each name that they hold.

Every part that holds names lists the questions that it answers (`HeldQuestions`); each is asked through the chain, so
that the order of plugins, TTLs, rewrites and templates have their effect. Upstreams are not asked, and all clients
are alike: the directives of `LEFT_OUT` do not take part. `unlisted` says what the listing lacks for that.
"""

import asyncio
import sys
from collections.abc import Collection, Iterator

from msgspec.structs import replace

from clusterdns.chain import Query, StartError
from clusterdns.chain.exports import HeldQuestions
from clusterdns.chain.query import read_query
from clusterdns.cli.check.reading import corefile_at, named
from clusterdns.cli.names.cluster import LIST_TIMEOUT_SECONDS, POLL_SECONDS, SourceError
from clusterdns.cli.names.rewritten import with_rewritten
from clusterdns.cli.names.table import Row
from clusterdns.cli.names.unlisted import unlisted
from clusterdns.corefile.directive import ServerBlock
from clusterdns.corefile.errors import CorefileError, CorefileErrors, ErrorList
from clusterdns.corefile.load import Corefile
from clusterdns.server.assembly import Configuration, assemble
from clusterdns.server.dispatch import Dispatch
from clusterdns.server.instance import Instance
from clusterdns.server.listen_points import ListenPoint
from clusterdns.telemetry.metrics import Registry
from clusterdns.telemetry.printable import one_line
from clusterdns.telemetry.queries import QueryCounters, panics
from clusterdns.wire import codes
from clusterdns.wire.name import to_text
from clusterdns.wire.presentation.text import rdata_text

LEFT_OUT = frozenset({
    "acl", "any", "autopath", "cache", "cancel", "debug", "errors", "forward", "health", "loadbalance", "log", "loop",
    "pprof", "prometheus", "ready", "reload", "transfer", "whoami",
})  # fmt: skip
_CLIENT = ("127.0.0.1", 0)
_QUERY_HEADER = b"\0\0\0\0\0\1\0\0\0\0\0\0"


def rows_of_corefile(path: str, namespaces: Collection[str]) -> list[Row]:
    """List the records that a Corefile answers, of these namespaces or of all. Raises SourceError."""
    errors = ErrorList()
    try:
        with corefile_at(named(path), errors) as (corefile, _):
            reduced = replace(corefile, blocks=tuple(map(_reduced, corefile.blocks)))
            rows = asyncio.run(_ask(assemble(reduced, Registry(), dns_port=53, errors=errors), reduced))
    except (CorefileError, CorefileErrors, StartError) as error:
        raise SourceError(str(error)) from error
    for note in unlisted(corefile):
        print(one_line(note), file=sys.stderr)
    wanted = {f".{namespace}." for namespace in namespaces}
    return [row for row in rows if not wanted or any(part in f".{row.name}" for part in wanted)]


def _reduced(block: ServerBlock) -> ServerBlock:
    return replace(block, directives=tuple(one for one in block.directives if one.name not in LEFT_OUT))


async def _ask(configuration: Configuration, corefile: Corefile) -> list[Row]:
    """Start the parts, and ask for every name that they hold. Raises SourceError and StartError."""
    instance = Instance(configuration, "")
    try:
        await start_parts(instance)
        rows: dict[Row, None] = {}
        for point in configuration.listen_points:
            counters = QueryCounters(configuration.registry, point.server_text)
            dispatch = Dispatch(point.routes, counters, panics(configuration.registry))
            for block, context in zip(corefile.blocks, configuration.contexts, strict=True):
                held = [one for one in context.exports(HeldQuestions) if _is_at(block, point)]
                for name, rtype in with_rewritten(block, (pair for one in held for pair in one.questions())):
                    rows |= dict.fromkeys(await _answered(dispatch, name, rtype))
        return list(rows)
    finally:
        await instance.stop()


def _is_at(block: ServerBlock, point: ListenPoint) -> bool:
    return any(zone in point.zones_text for zone in block.zones_text)


async def start_parts(instance: Instance) -> None:
    """Start every part, and wait until all can answer. Raises SourceError at the first failure of a source."""
    starting = asyncio.ensure_future(instance.start())
    deadline = asyncio.get_running_loop().time() + LIST_TIMEOUT_SECONDS
    try:
        while True:
            await asyncio.wait([starting], timeout=POLL_SECONDS)
            reasons = instance.unready()
            is_failed = any(_is_failure(reason) for reason in reasons.values())
            if is_failed or asyncio.get_running_loop().time() > deadline:
                text = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
                raise SourceError(f"the Corefile's data could not be read: {text}")
            if starting.done() and not reasons:
                return starting.result()
            if starting.done() and starting.exception() is not None:
                return starting.result()
    finally:
        starting.cancel()


def _is_failure(reason: str) -> bool:
    return not reason.startswith(("waiting for", "not started", "manifests have not been read"))


async def _answered(dispatch: Dispatch, name: bytes, rtype: int) -> Iterator[Row]:
    """Ask a question, and make rows of the answer's records of this name."""
    query = read_query(_QUERY_HEADER + name + rtype.to_bytes(2, "big") + codes.IN.to_bytes(2, "big"))
    assert isinstance(query, Query)
    query.transport, query.client, query.server, query.lookup = "tcp", _CLIENT, _CLIENT[0], dispatch.lookup
    reply = await dispatch.lookup(query, name, rtype)
    route = dispatch.routes.find(name, rtype)
    zone = "" if route is None else to_text(route.zone)
    serial = b"" if reply.serial is None else reply.serial.wire
    found = (record.with_serial(serial) for record in reply.answer if record.name.lower() == name)
    return iter([Row(to_text(r.name), codes.type_text(r.rtype), r.ttl, rdata_text(r), zone) for r in found])
