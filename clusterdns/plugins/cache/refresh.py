"""Asking again for what `cache` holds: in the background, one task per entry, for everybody and for no client.

A refresh is asked over UDP without the options of the client that gave rise to it, and neither its deadline nor its
going away ends it. Whoever waits for one waits beside it: several wait for the same.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from clusterdns.chain import Query, Reply
from clusterdns.plugins.cache.store import Entry
from clusterdns.wire.header import AD

MAX_REFRESHES = 1_000  # beyond them stale entries stay as they are, because upstreams have enough to do

# asks, stores, and gives the reply, or None where upstream has nothing better; raises nothing
Refresh = Callable[[Query, bytes, Entry], Coroutine[Any, Any, Reply | None]]


def asking_for_all(query: Query) -> Query:
    """The query with AD set, so that the reply tells those who want to know (RFC 6840 §5.7)."""
    asked = query.asking(query.name, query.qtype, query.qclass)
    asked.question = query.question
    asked.flags |= AD
    return asked


class Refreshes:
    """All refreshes under way in one cache."""

    def __init__(self, refresh: Refresh, limit: int = MAX_REFRESHES) -> None:
        self._refresh = refresh
        self._limit = limit
        self._tasks: dict[bytes, asyncio.Task[Reply | None]] = {}
        self._started: dict[bytes, float] = {}  # of the event loop's clock

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, key: bytes, query: Query, entry: Entry) -> bool:
        """Refresh an entry in the background; False where that is going on, or too much of it is."""
        if key in self._tasks or len(self._tasks) >= self._limit:
            return False
        asked = asking_for_all(query)
        asked.transport = "udp"
        asked.options = b""
        asked.deadline = asked.labels = None
        loop = asyncio.get_running_loop()
        self._started[key] = loop.time()
        task = self._tasks[key] = loop.create_task(self._refresh(asked, key, entry))
        task.add_done_callback(lambda _: self._end(key))
        return True

    async def wait(self, key: bytes, query: Query, entry: Entry, patience_seconds: float) -> Reply | None:
        """What a refresh brings, for this client to change; None where it brings nothing, or not in time.

        Patience counts from its beginning, so that an upstream that is dead delays the first clients, not all. 0 is
        as long as it takes. The query's own deadline holds as well.
        """
        self.begin(key, query, entry)
        task = self._tasks.get(key)
        if task is None:
            return None
        ends = [self._started[key] + patience_seconds] if patience_seconds else []
        if query.deadline is not None:
            ends.append(query.deadline)
        timeout = min(ends) - asyncio.get_running_loop().time() if ends else None
        if timeout is not None and timeout <= 0:
            return None
        await asyncio.wait((task,), timeout=timeout)
        reply = task.result() if task.done() and not task.cancelled() else None
        return None if reply is None else reply.duplicate()

    async def close(self) -> None:
        """End them all."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self, key: bytes) -> None:
        del self._tasks[key]
        del self._started[key]
