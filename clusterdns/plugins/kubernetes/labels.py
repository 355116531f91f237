"""The labels that `kubernetes` gives to `metadata`: the parts of the QNAME, and the client's pod.

The label names are CoreDNS's. The labels of the QNAME are parsed from it, whether or not the name exists.
"""

from collections.abc import Mapping, Sequence

from clusterdns.chain import Query
from clusterdns.cluster.index.pods import PodTable
from clusterdns.cluster.index.schema import POD_TREE, SERVICE_TREE, without_underscore
from clusterdns.cluster.index.topology import parse_zone_labels
from clusterdns.wire.name import label_text, labels, longest_suffix

PARSE_ERROR = "invalid query name"
_KEYS = ("endpoint", "kind", "namespace", "port-name", "protocol", "service")


class NameLabels:
    """Makes the labels of one kubernetes block."""

    def __init__(
        self,
        zones: Sequence[bytes],
        *,
        zonal: bool = False,
        imported: frozenset[bytes] = frozenset(),
        pods: PodTable | None = None,
    ) -> None:
        """`imported` are the zones of ServiceImports; `pods` is None where the index has no pods."""
        self._zonal = zonal
        self._imported = imported
        self._pods = pods
        self._zones = frozenset(zones)

    def __call__(self, query: Query) -> Mapping[str, str]:
        """Make the labels of a query; a QNAME outside the block's zones gives none."""
        return {**self._of_name(query), **self._of_client(query)}

    def _of_client(self, query: Query) -> Mapping[str, str]:
        if self._pods is None:
            return {}
        pods = self._pods.at(query.client_ip.packed)
        if not pods:
            return {}
        key = namespace, pod = min(pods)
        found = {"kubernetes/client-namespace": label_text(namespace), "kubernetes/client-pod-name": pod}
        return found | {f"kubernetes/client-label/{label}": value for label, value in self._pods.labels(key)}

    def _of_name(self, query: Query) -> Mapping[str, str]:
        zone = longest_suffix(query.name, self._zones)
        if zone is None:
            return {}
        parts = labels(query.name)
        left = parts[: len(parts) - len(labels(zone))]
        if zone in self._imported:
            return _labels_of_import(left)
        return _labels_of(left, zonal=self._zonal)


def _labels_of(parts: list[bytes], *, zonal: bool) -> dict[str, str]:
    """Parse the labels left of the zone: [[PORT.PROTOCOL.|ENDPOINT.]SERVICE.]NAMESPACE.KIND."""
    found = dict.fromkeys((*_KEYS, "zone") if zonal else _KEYS, b"")
    topology = parse_zone_labels(parts[:-3]) if zonal and parts[-1:] == [SERVICE_TREE] else None
    if topology is not None:
        *_, found["service"], found["namespace"], found["kind"] = parts
        zone = ".".join(map(label_text, topology[0].split(b".")))
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


def _labels_of_import(parts: list[bytes]) -> dict[str, str]:
    """Parse a name of a zone of ServiceImports, with ENDPOINT.CLUSTER where neither label has an underscore."""
    is_service = len(parts) == 5 and parts[-1] == SERVICE_TREE
    if not is_service or any(label.startswith(b"_") for label in parts[:2]):
        return _labels_of(parts, zonal=False)
    endpoint, cluster, *service = parts
    return {**_labels_of([endpoint, *service], zonal=False), "kubernetes/cluster": label_text(cluster)}
