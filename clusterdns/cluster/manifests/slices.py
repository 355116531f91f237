"""Simulates the EndpointSlice controllers: makes slices for the pods that selectors match and for legacy Endpoints.

The slices are those of a real cluster, with two differences that no answer shows: endpoints that are not ready are
absent, and a slice is not split at 100 endpoints but has every endpoint of one address family and set of ports.
`controllers` decides the addresses of pods and the families of Services before.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from clusterdns.cluster.manifests import kinds
from clusterdns.cluster.manifests.addresses import family_of
from clusterdns.cluster.manifests.services import given_addresses
from clusterdns.cluster.manifests.workloads import SimulatedPod, labels_of, name_suffix
from clusterdns.cluster.objects import (
    MAX_LABEL_BYTES,
    MAX_PORTS,
    SERVICE_LABEL,
    Endpoint,
    EndpointSlice,
    ObjectKey,
    Port,
    canonical,
)

MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
SELECTING, MIRRORING = "endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"
_SKIP_MIRROR_LABEL = "endpointslice.kubernetes.io/skip-mirror"
_HEADLESS_LABEL = "service.kubernetes.io/headless"


class LabelledSlice(NamedTuple):
    """A slice with the labels that the controller gives it."""

    slice: EndpointSlice
    labels: Mapping[str, str]


class PodsByLabel:
    """The pods that can be endpoints, by each of their labels."""

    def __init__(self, pods: Iterable[SimulatedPod]) -> None:
        self._by_label: dict[tuple[str, str, str], list[SimulatedPod]] = {}
        for pod in pods:
            if pod.addresses and not pod.is_finished:
                for key, value in pod.labels.items():
                    self._by_label.setdefault((pod.namespace, key, value), []).append(pod)

    def selected(self, namespace: str, selector: Mapping[str, str]) -> list[SimulatedPod]:
        """Find the pods of a namespace that have all these labels, in the order given at construction."""
        lists = [self._by_label.get((namespace, *item), []) for item in selector.items()]
        shortest = min(lists, key=len, default=[])
        return [pod for pod in shortest if selector.items() <= pod.labels.items()]


def from_pods(
    key: ObjectKey, service: kinds.ServiceManifest, families: Sequence[str], selected: Sequence[SimulatedPod]
) -> Iterator[LabelledSlice]:
    """Make the slices of a Service whose selector matches these pods."""
    spec = service.spec or kinds.ServiceSpec()
    groups: dict[tuple[str, tuple[Port, ...]], list[Endpoint]] = {}
    for pod in selected:
        if not spec.publish_not_ready_addresses and (pod.is_terminating or not pod.is_ready):
            continue
        is_named = pod.subdomain == key[1] and len(pod.hostname.encode()) <= MAX_LABEL_BYTES
        ports = _resolved(spec.ports or (), pod)
        for family in families:
            addresses = tuple(one for one in pod.addresses if family_of(one) == family)
            if addresses:
                endpoint = Endpoint(addresses, pod.hostname if is_named else "", pod.name)
                groups.setdefault((family, ports), []).append(endpoint)
    labels = labels_of(service.metadata.labels) | {SERVICE_LABEL: key[1], MANAGED_BY_LABEL: SELECTING}
    if given_addresses(spec)[:1] == ["None"]:
        labels[_HEADLESS_LABEL] = ""
    return _slices(key, groups, labels)


def is_mirrored(endpoints: kinds.EndpointsManifest) -> bool:
    """Return whether the controller mirrors a legacy Endpoints object."""
    return labels_of(endpoints.metadata.labels).get(_SKIP_MIRROR_LABEL) != "true"


def from_endpoints(key: ObjectKey, endpoints: kinds.EndpointsManifest, warnings: list[str]) -> Iterator[LabelledSlice]:
    """Make the slices that mirror a legacy Endpoints object; `warnings` gets a line for each part that is ignored."""
    groups: dict[tuple[str, tuple[Port, ...]], list[Endpoint]] = {}
    for subset in endpoints.subsets or ():
        ports = tuple(Port(one.name or "", one.port or 0, one.protocol or "TCP") for one in subset.ports or ())
        usable = tuple(port for port in ports if 0 < port.number <= 65535)[:MAX_PORTS]
        if usable != ports:
            warnings.append(f"{len(ports) - len(usable)} ports are too many, or not between 1 and 65535; ignored")
        for one in subset.addresses or ():
            try:
                address = canonical(one.ip or "")
            except (OSError, ValueError):
                warnings.append(f"{(one.ip or '')[:64]!r} is not an IP address; ignored")
                continue
            hostname = one.hostname or ""
            if len(hostname.encode("utf-8", "surrogatepass")) > MAX_LABEL_BYTES:
                warnings.append(f"the hostname of {address} has more than {MAX_LABEL_BYTES} bytes; ignored")
                hostname = ""
            target = (one.target_ref.name if one.target_ref else None) or ""
            group = groups.setdefault((family_of(address), usable), [])
            group.append(Endpoint((address,), hostname, target))
    labels = labels_of(endpoints.metadata.labels) | {SERVICE_LABEL: key[1], MANAGED_BY_LABEL: MIRRORING}
    return _slices(key, groups, labels)


def _slices(
    key: ObjectKey, groups: Mapping[tuple[str, tuple[Port, ...]], list[Endpoint]], labels: Mapping[str, str]
) -> Iterator[LabelledSlice]:
    """Make a slice per family and ports, which alone decide its name: it is the same whatever the endpoints."""
    namespace, service = key
    for (family, ports), endpoints in groups.items():
        name = f"{service}-{name_suffix(f'{namespace}/{service}/{family}/{ports}', 5)}"
        obj = EndpointSlice(namespace, name, service, ports, tuple(endpoints), address_type=family)
        yield LabelledSlice(obj, labels)


def _resolved(ports: Sequence[kinds.ServicePort], pod: SimulatedPod) -> tuple[Port, ...]:
    """Resolve the ports of a Service in a pod; a targetPort that the pod does not name is absent."""
    found = []
    for port in ports[:MAX_PORTS]:
        protocol = port.protocol or "TCP"
        target = port.target_port or port.port
        number = pod.ports.get((target, protocol)) if isinstance(target, str) else target
        if number is not None and 0 < number <= 65535:
            found.append(Port(port.name or "", number, protocol))
    return tuple(found)
