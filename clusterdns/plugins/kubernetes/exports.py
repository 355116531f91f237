"""What `kubernetes` exports: the index and the search lists of pods to directives of its block, its state to people.

`autopath` and `k8s_external` use it in their `wrap`.
"""

from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.lookup import below
from clusterdns.cluster.index.schema import SERVICE_TREE
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.plugins.kubernetes.changes import ObjectChanges
from clusterdns.plugins.kubernetes.settings import KubernetesSettings
from clusterdns.wire.name import labels, longest_suffix

if TYPE_CHECKING:
    from clusterdns.cluster.api.source import ApiSource
    from clusterdns.cluster.manifests.source import ManifestSource


class ClusterView(msgspec.Struct, frozen=True):
    """What an explanation reads of a cluster: its zones with their indexes, and the source of their objects."""

    zones: Sequence[ClusterZone]
    settings: KubernetesSettings
    source: Callable[[], "ApiSource | ManifestSource | None"]
    doubt: Callable[[], str]  # why a name that is not known may exist
    changes: ObjectChanges


class PodSearchList(NamedTuple):
    """The search list of the pods of a namespace."""

    namespace: bytes
    domains: tuple[bytes, ...]


class ClusterExports(msgspec.Struct, frozen=True):
    """The index of a block, its zones, and the addresses at which clients reach this server."""

    index: Index
    zones: frozenset[bytes]
    knows_pods: bool
    local_addresses: Callable[[], Iterable[bytes]]
    unready: Callable[[], str]  # why the index does not know the latest state

    def search_list_of(self, qname: bytes) -> PodSearchList | None:
        """Return the search list that makes names such as PREFIX.NAMESPACE.svc.ZONE; None for names of other forms."""
        zone = longest_suffix(qname, self.zones)
        if zone is None:
            return None
        left = labels(qname[: len(qname) - len(zone)] + b"\0")
        if len(left) < 3 or left[-1] != SERVICE_TREE:
            return None
        return PodSearchList(left[-2], (below(zone, left[-2], SERVICE_TREE), below(zone, SERVICE_TREE), zone))

    def has_pod(self, namespace: bytes, client: IPv4Address | IPv6Address) -> bool:
        """Return whether a pod of the namespace has this address."""
        return self.knows_pods and self.index.pods.has(namespace, client.packed)
