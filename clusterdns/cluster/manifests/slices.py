"""Plays the EndpointSlice controllers: selectors find pods, and legacy Endpoints are mirrored.

What is made here is what an API server would hold, cut as `objects` cuts it: endpoints that are not ready are left
out, as no answer needs them. Slices of a Service are not split at 100 endpoints; one holds what shares an address
family and ports. Addresses of pods and families of Services are `controllers`' doing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from clusterdns.cluster.manifests import kinds
from clusterdns.cluster.manifests.addresses import family_of
from clusterdns.cluster.manifests.services import stated_addresses
from clusterdns.cluster.manifests.workloads import Key, PlayedPod, labels_of, letters
from clusterdns.cluster.objects import (
    MAX_LABEL_BYTES,
    MAX_PORTS,
    SERVICE_LABEL,
    Endpoint,
    EndpointSlice,
    Port,
    canonical,
)

MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
SELECTING, MIRRORING = "endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"
_SKIP_MIRROR_LABEL = "endpointslice.kubernetes.io/skip-mirror"
_HEADLESS_LABEL = "service.kubernetes.io/headless"


class Made(NamedTuple):
    """A slice with the labels that the controller would give it."""

    slice: EndpointSlice
    labels: Mapping[str, str]


class PodIndex:
    """The pods that can be endpoints, by each of their labels."""

    def __init__(self, pods: Iterable[PlayedPod]) -> None:
        self._by_label: dict[tuple[str, str, str], list[PlayedPod]] = {}
        for pod in pods:
            if pod.addresses and not pod.is_finished:
                for key, value in pod.labels.items():
                    self._by_label.setdefault((pod.namespace, key, value), []).append(pod)

    def selected(self, namespace: str, selector: Mapping[str, str]) -> list[PlayedPod]:
        """The namespace's pods that have all these labels, in the order given at construction."""
        lists = [self._by_label.get((namespace, *item), []) for item in selector.items()]
        shortest = min(lists, key=len, default=[])
        return [pod for pod in shortest if selector.items() <= pod.labels.items()]


def from_selector(key: Key, service: kinds.Service, families: Sequence[str], pods: PodIndex) -> Iterator[Made]:
    """The slices of a Service with a selector."""
    spec = service.spec or kinds.ServiceSpec()
    groups: dict[tuple[str, tuple[Port, ...]], list[Endpoint]] = {}
    for pod in pods.selected(key[0], labels_of(spec.selector)):
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
    if stated_addresses(spec)[:1] == ["None"]:
        labels[_HEADLESS_LABEL] = ""
    return _slices(key, groups, labels)


def is_mirrored(endpoints: kinds.Endpoints) -> bool:
    """Whether slices are to be made of a legacy Endpoints object."""
    return labels_of(endpoints.metadata.labels).get(_SKIP_MIRROR_LABEL) != "true"


def from_endpoints(key: Key, endpoints: kinds.Endpoints, remarks: list[str]) -> Iterator[Made]:
    """The slices that mirror a legacy Endpoints object; what had to be left out is added to `remarks`."""
    groups: dict[tuple[str, tuple[Port, ...]], list[Endpoint]] = {}
    for subset in endpoints.subsets or ():
        ports = tuple(Port(one.name or "", one.port or 0, one.protocol or "TCP") for one in subset.ports or ())
        usable = tuple(port for port in ports if 0 < port.number <= 65535)[:MAX_PORTS]
        if usable != ports:
            remarks.append(f"{len(ports) - len(usable)} ports left out: too many, or not between 1 and 65535")
        for one in subset.addresses or ():
            try:
                address = canonical(one.ip or "")
            except (OSError, ValueError):
                remarks.append(f"{(one.ip or '')[:64]!r} is not an IP address, left out")
                continue
            hostname = one.hostname or ""
            if len(hostname.encode("utf-8", "surrogatepass")) > MAX_LABEL_BYTES:
                remarks.append(f"the hostname of {address} has more than {MAX_LABEL_BYTES} bytes, left out")
                hostname = ""
            target = (one.target_ref.name if one.target_ref else None) or ""
            group = groups.setdefault((family_of(address), usable), [])
            group.append(Endpoint((address,), hostname, target))
    labels = labels_of(endpoints.metadata.labels) | {SERVICE_LABEL: key[1], MANAGED_BY_LABEL: MIRRORING}
    return _slices(key, groups, labels)


def _slices(
    key: Key, groups: Mapping[tuple[str, tuple[Port, ...]], list[Endpoint]], labels: Mapping[str, str]
) -> Iterator[Made]:
    """One slice per family and ports. Its name depends on these, so that other endpoints do not rename it."""
    namespace, service = key
    for (family, ports), endpoints in groups.items():
        name = f"{service}-{letters(f'{namespace}/{service}/{family}/{ports}', 5)}"
        yield Made(EndpointSlice(namespace, name, service, ports, tuple(endpoints)), labels)


def _resolved(ports: Sequence[kinds.ServicePort], pod: PlayedPod) -> tuple[Port, ...]:
    """The ports of a Service as this pod has them; one that the pod does not name is left out."""
    found = []
    for port in ports[:MAX_PORTS]:
        protocol = port.protocol or "TCP"
        target = port.target_port or port.port
        number = pod.ports.get((target, protocol)) if isinstance(target, str) else target
        if number is not None and 0 < number <= 65535:
            found.append(Port(port.name or "", number, protocol))
    return tuple(found)
