"""Reads a collection page by page, and applies the differences to the store.

`reflector` decides when to list, `client` makes the requests, `turns` lets other tasks run between two objects.
"""

import asyncio

import msgspec

from clusterdns.cluster.api.client import Client
from clusterdns.cluster.api.collection import Collection
from clusterdns.cluster.api.errors import ApiError, is_html
from clusterdns.cluster.api.follow.turns import StoreTurns
from clusterdns.cluster.api.store import ObjectStore
from clusterdns.cluster.objects import ObjectKey


class _ListMeta(msgspec.Struct, gc=False, rename={"resource_version": "resourceVersion", "rest": "continue"}):
    resource_version: str | None = None
    rest: str | None = None


class _Page(msgspec.Struct, gc=False):
    kind: str = ""
    metadata: _ListMeta | None = None
    items: list[msgspec.Raw] | None = None


_page_decoder = msgspec.json.Decoder(_Page)


class PagedList:
    """The pages of one collection. `read` makes the store equal to them; no name is missing for a moment."""

    def __init__(self, collection: Collection, client: Client, store: ObjectStore, page_limit: int) -> None:
        self._collection = collection
        self._client = client
        self._store = store
        self._turns = StoreTurns(store)
        self._page_limit = page_limit

    async def read(self) -> str:
        """Read and apply every page. Returns the resourceVersion to watch from. Raises ApiError."""
        listed: set[ObjectKey] = set()
        rest: str | None = ""
        version = ""
        while rest is not None:
            params = {**self._collection.selectors, "limit": str(self._page_limit)}
            if rest:
                params["continue"] = rest
            rest, version = await self._apply(await self._client.page(self._collection.path, params), listed)
        self._turns.begin()
        for key in self._store.missing_from(listed):
            if key is not None:
                self._store.remove(key)
            await self._turns.complete()
        return version

    async def _apply(self, body: bytes, listed: set[ObjectKey]) -> tuple[str | None, str]:
        """Apply one page. Returns the token of the next one (None after the last) and the list's resourceVersion."""
        page = _read_page(body)  # some 2 ms for 500 large slices
        await asyncio.sleep(0)
        self._turns.begin()
        for raw in page.items or ():
            key = self._store.put(raw)
            if key is not None:
                listed.add(key)
            await self._turns.complete()
        meta = page.metadata or _ListMeta()
        if not meta.resource_version:
            raise ApiError("the API server sent a list without a resourceVersion")
        return meta.rest or None, meta.resource_version


def _read_page(body: bytes) -> _Page:
    if is_html(body):
        raise ApiError("HTML instead of JSON; check that this is an API server")
    try:
        page = _page_decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise ApiError(f"the response is not a list in JSON: {error}") from error
    if not page.kind.endswith("List"):
        raise ApiError(f"the response is not a list but {page.kind[:40] or 'an object without a kind'}")
    return page
