"""Decodes a list of the API server, as far as all lists are alike; each reader says what it wants of the objects.

`client` gets the bytes. `follow.listing` applies objects, `audit` compares metadata, `identity` looks for one UID.
"""

from typing import Generic, TypeVar

import msgspec

from clusterdns.cluster.api.errors import ApiError, is_html

T = TypeVar("T")


class ListMeta(msgspec.Struct, gc=False, rename={"resource_version": "resourceVersion", "rest": "continue"}):
    """The metadata of a page: the version of the list, and the token of the next page."""

    resource_version: str | None = None
    rest: str | None = None


class ListPage(msgspec.Struct, Generic[T], gc=False):
    """A page of a list."""

    kind: str = ""
    metadata: ListMeta | None = None
    items: list[T] | None = None

    @property
    def meta(self) -> ListMeta:
        """The metadata, empty where the page has none."""
        return self.metadata or ListMeta()


raw_items = msgspec.json.Decoder(ListPage[msgspec.Raw])  # the objects stay JSON


def read_list(decoder: msgspec.json.Decoder[ListPage[T]], body: bytes | bytearray) -> ListPage[T]:
    """Decode a page. Raises ApiError."""
    if is_html(body):
        raise ApiError("HTML instead of JSON; check that this is an API server")
    try:
        page = decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise ApiError(f"the response is not a list in JSON: {error}") from error
    if not page.kind.endswith("List"):
        raise ApiError(f"the response is not a list but {page.kind[:40] or 'an object without a kind'}")
    return page
