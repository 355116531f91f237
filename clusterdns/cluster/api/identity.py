"""Which cluster an API server belongs to: the UID of the Namespace kube-system, which every cluster has for its life.

`cluster.snapshot` keeps it with the objects, so that those of one cluster are never answered in another.
"""

import msgspec

from clusterdns.cluster.api.client import Client
from clusterdns.cluster.api.lists import ListPage, read_list

NAMESPACE = "kube-system"
_PATH = "/api/v1/namespaces"


class _Meta(msgspec.Struct):
    name: str = ""
    uid: str = ""


class _Item(msgspec.Struct):
    metadata: _Meta


_decoder = msgspec.json.Decoder(ListPage[_Item])


async def cluster_uid(client: Client) -> str:
    """Return the UID; empty where the server does not show the Namespace to us. Raises ApiError.

    It is asked as a list of one, which the right to list namespaces allows; `get` is another right.
    """
    page = read_list(_decoder, await client.page(_PATH, {"fieldSelector": f"metadata.name={NAMESPACE}"}))
    return next((one.metadata.uid for one in page.items or () if one.metadata.name == NAMESPACE), "")
