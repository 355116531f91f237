"""The handler of zone `test.`, which fails, waits and is held in every way that a handler can."""

import asyncio

from clusterdns.chain import Query, Reply, code_only
from clusterdns.cluster.objects import packed
from clusterdns.wire import codes, name, record

TTL_SECONDS = 5


class MisbehavingHandler:
    """A handler that behaves as the first label of the QNAME says."""

    def __init__(self) -> None:
        self.held: list[asyncio.Future[bytes]] = []  # queries that wait until they are released

    def release(self) -> None:
        """Answer the queries that are held."""
        while self.held:
            self.held.pop().set_result(packed("192.0.2.1"))

    async def handle(self, query: Query) -> Reply:
        """Answer, fail, or wait."""
        manner = name.labels(query.name)[0]
        if manner == b"boom":
            raise RuntimeError("as asked")
        if manner == b"unencodable":
            return Reply(codes.NOERROR, [record.Record(b"", codes.A, None)])  # type: ignore[arg-type]
        if manner not in (b"slow", b"held", b"lost", b"rescued", b"done", b"never"):
            return code_only(codes.NXDOMAIN)
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[bytes] = loop.create_future()
        if manner == b"slow":
            loop.call_later(0.02, waiting.set_result, packed("192.0.2.1"))
        elif manner == b"held":
            self.held.append(waiting)
        elif manner in (b"lost", b"rescued"):
            loop.call_soon(waiting.set_exception, OSError("upstream is gone"))
        elif manner == b"done":
            waiting.set_result(packed("192.0.2.3"))
        try:
            address = await waiting
            address = await asyncio.sleep(0, address)
        except OSError:
            if manner == b"lost":
                raise
            address = packed("192.0.2.2")
        return Reply(codes.NOERROR, [record.address(query.name, TTL_SECONDS, address)])
