"""Reads the metadata of a collection: pages of names, UIDs and resourceVersions, without the objects.

The first page is at least as new as a version that the caller knows, and the others are of the same state. From
Kubernetes 1.33 on the API server answers the first one from its watch cache, from 1.34 on every page, without a request
to etcd (measured with `apiserver_storage_list_total` and `etcd_requests_total`); older ones read as many objects from
etcd as the page has. Without a limit, or with resourceVersion=0, for which older servers ignore it, a response would
be as large as the collection.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from clusterdns.cluster.api.client import Client
from clusterdns.cluster.api.collection import Collection
from clusterdns.cluster.api.errors import ApiError
from clusterdns.cluster.api.lists import ListPage, read_list
from clusterdns.cluster.objects import ObjectKey
from clusterdns.cluster.versions import fingerprint

PAGE_LIMIT = 500  # half a MB, which takes about a millisecond to decode
ACCEPT = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1;drop=metadata.managedFields"


class _Meta(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str | None = None
    uid: Any = None
    version: str | None = msgspec.field(default=None, name="resourceVersion")


class _Item(msgspec.Struct, gc=False):
    metadata: _Meta


_decoder = msgspec.json.Decoder(ListPage[_Item])
_item_decoder = msgspec.json.Decoder(_Item)


class MetadataPage(NamedTuple):
    """Fingerprints by key, the version of the state that they are of, and the token of the next page."""

    versions: list[tuple[ObjectKey, int]]
    version: str
    rest: str


async def read_page(client: Client, collection: Collection, version: str, rest: str) -> MetadataPage:
    """Read the first page, of a state not older than `version`, or with `rest` a further one. Raises ApiError."""
    params: dict[str, str] = {**collection.selectors, "limit": str(PAGE_LIMIT)}
    if rest:
        params["continue"] = rest
    else:
        params |= {"resourceVersion": version, "resourceVersionMatch": "NotOlderThan"}
    page = read_list(_decoder, await client.page(collection.path, params, accept=ACCEPT))
    versions = [_identity(item.metadata) for item in page.items or ()]
    return MetadataPage(versions, page.meta.resource_version or "", page.meta.rest or "")


def object_request(collection: Collection, key: ObjectKey) -> tuple[str, Mapping[str, str]]:
    """Return the path and the parameters of a list that has one object of the collection, or none.

    The API server looks up a name in a namespace directly; with the name alone it would go through all objects.
    """
    namespace, name = key
    folder, _, resource = collection.path.rpartition("/")
    is_whole = namespace and "/namespaces/" not in folder
    path = f"{folder}/namespaces/{namespace}/{resource}" if is_whole else collection.path
    fields = (collection.selectors.get("fieldSelector", ""), f"metadata.name={name}")
    return path, {**collection.selectors, "fieldSelector": ",".join(filter(None, fields))}


def identity(raw: msgspec.Raw) -> tuple[ObjectKey, int]:
    """Return the key and the fingerprint of an object in JSON. Raises ApiError."""
    try:
        return _identity(_item_decoder.decode(raw).metadata)
    except msgspec.MsgspecError as error:
        raise ApiError(f"the response has an object without metadata: {error}") from error


def _identity(meta: _Meta) -> tuple[ObjectKey, int]:
    return (meta.namespace or "", meta.name), fingerprint(meta.uid, meta.version)
