"""Reads a collection page by page, and applies the differences to the store.

`reflector` decides when to list, `client` makes the requests, `turns` lets other tasks run between two steps.
"""

import asyncio

from clusterdns.cluster.api.errors import ApiError, TooLarge
from clusterdns.cluster.api.follow.watch import Followed
from clusterdns.cluster.api.lists import ListMeta, raw_items, read_list
from clusterdns.cluster.objects import ObjectKey

_SHRINK = 8  # pages that are too large
_FIRST_LIMIT = 50
_PAGE_BYTES = 1 << 20  # aimed at; decoding as much takes half a millisecond in one piece


class PagedList:
    """The pages of one collection. `read` makes the store equal to them; no name is missing for a moment."""

    def __init__(self, followed: Followed, page_limit: int) -> None:
        """`page_limit` is the largest number of objects to ask for at a time."""
        self._followed = followed
        self._most = page_limit
        self._page_limit = min(page_limit, _FIRST_LIMIT)

    async def read(self) -> int:
        """Read and apply every page. Returns the number of requests. Raises ApiError."""
        followed = self._followed
        unlisted = followed.store.known_keys()
        rest = ""
        count = 0
        while rest or not count:
            # no resourceVersion: the first page is as new as etcd is, and the others are of the same state
            params = {**followed.collection.selectors, "limit": str(self._page_limit)}
            if rest:
                params["continue"] = rest
            try:
                body = await followed.client.page(
                    followed.collection.path, params, is_last_of_connection=followed.position.is_refusing
                )
            except TooLarge:
                if self._page_limit == 1:
                    raise
                self._page_limit = max(1, self._page_limit // _SHRINK)
                continue
            meta = await self._apply(body, unlisted, is_first=not rest)
            rest = meta.rest or ""
            if rest:  # the page had as many objects as were asked for
                fitting = self._page_limit * _PAGE_BYTES // len(body)
                self._page_limit = max(1, min(fitting, 2 * self._page_limit, self._most))
            count += 1
        async with followed.applying:
            followed.turns.begin()
            for key in unlisted:
                followed.store.remove(key)
                await followed.turns.take(followed.store.steps())
        followed.position.advance(meta.resource_version or "")
        return count

    async def _apply(self, body: bytes | bytearray, unlisted: set[ObjectKey], *, is_first: bool) -> ListMeta:
        """Apply one page, unless it is from an older state than what is known. Returns its metadata."""
        followed = self._followed
        page = read_list(raw_items, body)
        meta = page.meta
        if not meta.resource_version:
            raise ApiError("the API server sent a list without a resourceVersion")
        if is_first:
            followed.position.check_list(meta.resource_version)
        await asyncio.sleep(0)
        async with followed.applying:  # an audit may be in the middle of a change
            followed.turns.begin()
            for raw in page.items or ():
                key = followed.store.put(raw)
                if key is not None:
                    unlisted.discard(key)
                await followed.turns.take(followed.store.steps())
        return meta
