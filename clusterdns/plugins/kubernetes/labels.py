"""What the name asked for says of a Service or pod, and who asks: the labels that `kubernetes` gives to `metadata`.

The words are CoreDNS's. Those of the name are read off it alone, whether or not such a thing exists.
"""

from collections.abc import Mapping, Sequence

from clusterdns.chain import Query
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.schema import POD_TREE, SERVICE_TREE, without_underscore
from clusterdns.cluster.index.topology import read_labels
from clusterdns.wire.name import is_under, label_text, labels

PARSE_ERROR = "invalid query name"
_KEYS = ("endpoint", "kind", "namespace", "port-name", "protocol", "service")


class NameLabels:
    """The labeller of one kubernetes block."""

    def __init__(
        self,
        zones: Sequence[bytes],
        *,
        zonal: bool = False,
        imported: frozenset[bytes] = frozenset(),
        pods: Index | None = None,
    ) -> None:
        """`imported` are those of the zones that span clusters; `pods` is the index where it knows pods."""
        self._zonal = zonal
        self._imported = imported
        self._pods = pods
        self._zones = tuple(sorted(zones, key=len, reverse=True))

    def __call__(self, query: Query) -> Mapping[str, str]:
        """The labels of a query; none of its name where that is outside the block's zones."""
        return {**self._of_name(query), **self._of_client(query)}

    def _of_client(self, query: Query) -> Mapping[str, str]:
        if self._pods is None:
            return {}
        pods = self._pods.pods_at(query.client_ip.packed)
        if not pods:
            return {}
        namespace, pod = min(pods)
        return {"kubernetes/client-namespace": label_text(namespace), "kubernetes/client-pod-name": pod}

    def _of_name(self, query: Query) -> Mapping[str, str]:
        zone = next((zone for zone in self._zones if is_under(query.name, zone)), None)
        if zone is None:
            return {}
        parts = labels(query.name)
        left = parts[: len(parts) - len(labels(zone))]
        if zone in self._imported:
            return _described_import(left)
        return _described(left, zonal=self._zonal)


def _described(parts: list[bytes], *, zonal: bool) -> dict[str, str]:
    """By the labels left of the zone: [[PORT.PROTOCOL.|ENDPOINT.]SERVICE.]NAMESPACE.KIND."""
    found = dict.fromkeys((*_KEYS, "zone") if zonal else _KEYS, b"")
    asked = read_labels(parts[:-3]) if zonal and parts[-1:] == [SERVICE_TREE] else None
    if asked is not None:
        *_, found["service"], found["namespace"], found["kind"] = parts
        zone = ".".join(map(label_text, asked[0].split(b".")))
        return {f"kubernetes/{key}": label_text(label) for key, label in found.items()} | {"kubernetes/zone": zone}
    if len(parts) > 1 or (parts and parts[0] not in (SERVICE_TREE, POD_TREE)):
        *left, found["kind"] = parts
        if found["kind"] not in (SERVICE_TREE, POD_TREE) or len(left) > 4:
            return {"kubernetes/parse-error": PARSE_ERROR}
        for key in ("namespace", "service"):
            if left:
                found[key] = left.pop()
        if len(left) == 2:
            found["port-name"], found["protocol"] = map(without_underscore, left)
        elif left:
            found["endpoint"] = left[0]
    return {f"kubernetes/{key}": label_text(label) for key, label in found.items()}


def _described_import(parts: list[bytes]) -> dict[str, str]:
    """The same in a zone that spans clusters: ENDPOINT.CLUSTER where neither label has an underscore."""
    is_service = len(parts) == 5 and parts[-1] == SERVICE_TREE
    if not is_service or any(label.startswith(b"_") for label in parts[:2]):
        return _described(parts, zonal=False)
    endpoint, cluster, *service = parts
    return {**_described([endpoint, *service], zonal=False), "kubernetes/cluster": label_text(cluster)}
