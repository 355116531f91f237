"""Refreshes of cached replies: upstreams are asked in the background, in one task per question.

A refresh belongs to no client: it is sent over UDP without the EDNS options of the client that caused it, and neither
that client's deadline nor its cancellation ends it. Several clients may wait for one refresh.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from clusterdns.chain import Query, Reply
from clusterdns.wire.header import AD

MAX_REFRESHES = 1_000  # beyond that stale entries are not refreshed: the upstreams are overloaded

# asks upstreams, caches the reply and returns it, or None if the entry stays; raises nothing
Refresh = Callable[[Query], Coroutine[Any, Any, Reply | None]]


class Refreshes:
    """The refreshes under way in one cache."""

    def __init__(self) -> None:
        self._tasks: dict[bytes, asyncio.Task[Reply | None]] = {}
        self._started: dict[bytes, float] = {}  # times of the event loop's clock

    def begin(self, key: bytes, query: Query, refresh: Refresh) -> bool:
        """Run `refresh` in the background; return False if one of this key, or the maximum number, is running."""
        if key in self._tasks or len(self._tasks) >= MAX_REFRESHES:
            return False
        asked = query.asking(query.name, query.qtype, query.qclass)
        asked.question = query.question
        asked.flags |= AD  # for the clients that ask for it (RFC 6840 §5.7)
        asked.transport = "udp"
        asked.options = b""
        asked.deadline = asked.labels = None
        loop = asyncio.get_running_loop()
        self._started[key] = loop.time()
        task = self._tasks[key] = loop.create_task(refresh(asked))
        task.add_done_callback(lambda _: self._end(key))
        return True

    async def wait(self, key: bytes, query: Query, refresh: Refresh, patience_seconds: float) -> Reply | None:
        """Return the reply of a refresh, as a copy for this client; None if it fails or takes too long.

        Patience (0: unlimited) counts from the beginning of the refresh, so that a dead upstream delays the first
        clients only. The deadline of the query ends the wait as well.
        """
        self.begin(key, query, refresh)
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
        """Cancel all refreshes."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self, key: bytes) -> None:
        del self._tasks[key]
        del self._started[key]
