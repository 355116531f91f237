"""A snapshot in memory: the objects of each collection, and what tells whether it belongs to a feed.

`format` writes and reads it, `keeper` decides when.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from clusterdns.cluster.api.collection import Collection
from clusterdns.cluster.api.settings import ApiSettings
from clusterdns.cluster.objects import Kind, Object


class CollectionState(NamedTuple):
    """The objects of one collection at one moment; `label` tells it from others of its kind."""

    label: str
    kind: Kind
    objects: Sequence[Object]


class SavedCollection(msgspec.Struct, frozen=True):
    """A collection in the header of a snapshot."""

    label: str
    kind: str
    count: int


class SnapshotHeader(msgspec.Struct, frozen=True):
    """The beginning of a snapshot. `cluster` is the UID of the Namespace kube-system, empty where it is not known."""

    program: str  # the version that saved it
    layout: str  # of the objects
    key: str
    cluster: str
    saved_at: float  # seconds since 1970
    collections: tuple[SavedCollection, ...]


def snapshot_key(api: ApiSettings, collections: Iterable[tuple[Kind, Collection]]) -> str:
    """Return a digest of what decides which objects are read: the way to the API server, paths and selectors.

    Options that only change how the objects are answered, or when, are not in it.
    """
    server = (api.kubeconfig, api.context, "" if api.kubeconfig else api.endpoint)
    read = sorted((kind.__name__, one.label, one.path, sorted(one.selectors.items())) for kind, one in collections)
    return hashlib.blake2b(msgspec.json.encode((server, read)), digest_size=8).hexdigest()
