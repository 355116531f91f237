"""One block's use of a feed, from the block's start to its stop.

`directive` makes one for each block; the configurations before and after a reload have one each on the same `feed`.
"""

from clusterdns.cluster.dependents import Subscriber
from clusterdns.plugins.kubernetes.feed import Feed


class Subscription:
    """One block's use of a feed: its answer tables are notified of changes from `start` to `stop`."""

    def __init__(self, feed: Feed, subscriber: Subscriber, patience_seconds: float) -> None:
        self._feed = feed
        self._subscriber = subscriber
        self._patience_seconds = patience_seconds
        self._is_started = False

    async def prepare(self) -> None:
        """Restore what the feed knew in a previous process."""
        await self._feed.prepare()

    async def start(self) -> None:
        """Subscribe, and start the feed. Call `stop` also after a start that failed or was cancelled."""
        self._is_started = True
        self._feed.subscribe(self._subscriber)
        await self._feed.start()

    async def wait_synced(self) -> None:
        """Wait for the first full state of the feed, as long as the settings allow."""
        await self._feed.wait_synced(self._patience_seconds)

    async def drain(self) -> None:
        """Do what takes long at the end of the process, while queries are still answered."""
        if self._is_started:
            await self._feed.drain()

    async def stop(self) -> None:
        """Unsubscribe and stop the feed, where `start` was called."""
        if self._is_started:
            self._is_started = False
            self._feed.unsubscribe(self._subscriber)
            await self._feed.stop()
