"""Raw objects from an API server: lists with selectors, so that the right to list is enough."""

import asyncio

import msgspec

from clusterdns.cluster.api.client import Client
from clusterdns.cluster.api.errors import ApiError
from clusterdns.cluster.api.lists import raw_items, read_list
from clusterdns.cluster.details.reader import (
    CONFIG_MAPS,
    MAX_OBJECTS,
    MAX_PAGE,
    PODS,
    SERVICES,
    SLICES,
    FoundObjects,
    ObjectFilter,
)

READ_SECONDS = 3.0
_GROUPS = {SERVICES: "/api/v1", PODS: "/api/v1", CONFIG_MAPS: "/api/v1", SLICES: "/apis/discovery.k8s.io/v1"}


class ApiReader:
    """Reads raw objects with the client of a source, and so with the rights of this server."""

    def __init__(self, client: Client, read_seconds: float = READ_SECONDS) -> None:
        self._client = client
        self._read_seconds = read_seconds

    @property
    def text(self) -> str:
        """The API server's URL."""
        return self._client.server or "the API server"

    async def read(self, resource: str, wanted: ObjectFilter) -> FoundObjects:
        """List objects (see `ObjectReader.read`)."""
        params: dict[str, str] = {}
        if wanted.name:
            params["fieldSelector"] = f"metadata.name={wanted.name}"
        if wanted.labels:
            params["labelSelector"] = ",".join(f"{key}={value}" for key, value in sorted(wanted.labels.items()))
        path = f"{_GROUPS[resource]}/namespaces/{wanted.namespace}/{resource}"
        found: list[msgspec.Raw] = []
        rest: str | None = None
        try:
            async with asyncio.timeout(self._read_seconds):
                while rest is None or (rest and len(found) < MAX_OBJECTS[resource]):
                    limit = min(MAX_PAGE[resource], MAX_OBJECTS[resource] - len(found))
                    next_page = {"continue": rest} if rest else {}
                    body = await self._client.page(path, {**params, **next_page, "limit": str(limit)})
                    page = read_list(raw_items, body)
                    found += page.items or ()
                    rest = page.meta.rest or ""
        except ApiError as error:
            return FoundObjects(problem=str(error))
        except TimeoutError:
            return FoundObjects(problem=f"{self.text} does not answer within {self._read_seconds:g} s")
        return FoundObjects(tuple(found), is_cut=bool(rest))
