"""A subscriber that keeps a source's objects as an index would, and checks each change against the previous state."""

import asyncio
from collections.abc import Callable

from clusterdns.cluster.objects import Change, Kind, Object, key_of

WAIT_SECONDS = 60.0


class Seen:
    """The objects that a source has reported."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Kind, tuple[str, str]], Object] = {}
        self.changes: list[Change] = []
        self.synced_count = 0
        self._news = asyncio.Event()

    def on_change(self, change: Change) -> None:
        """Apply a change."""
        one = change.new or change.old
        assert one is not None, "a change from nothing to nothing"
        key = (type(one), key_of(one))
        assert self.objects.get(key) == change.old, "the old object is the one reported before"
        assert change.old != change.new, "a change that changes nothing"
        if change.new is None:
            del self.objects[key]
        else:
            self.objects[key] = change.new
        self.changes.append(change)
        self._news.set()

    def on_synced(self) -> None:
        """Count that the source has synced."""
        self.synced_count += 1

    def names(self, kind: Kind, namespace: str | None = None) -> set[str]:
        """Names of the known objects of a kind."""
        return {key[1] for one, key in self.objects if one is kind and (namespace is None or key[0] in ("", namespace))}

    async def until_names(self, kind: Kind, *names: str) -> None:
        """Wait until exactly these objects of a kind are known."""
        await self.until(lambda: self.names(kind) == set(names))

    async def until(self, check: Callable[[], object]) -> None:
        """Wait until `check` holds. Raises TimeoutError."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not check():
                try:  # a change wakes it at once; otherwise `check` is polled a hundred times a second
                    async with asyncio.timeout(0.01):
                        await self._news.wait()
                except TimeoutError:
                    continue
                self._news.clear()
