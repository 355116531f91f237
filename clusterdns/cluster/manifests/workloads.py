"""Simulates the workload controllers and the kubelet: makes the pods of Deployments, StatefulSets and DaemonSets.

`controllers` allocates the addresses of the pods later, when every address that a manifest gives is reserved. There is
one node, so a DaemonSet has one pod. A pod's name does not depend on the template, so that the pod keeps its address
when the template changes.
"""

from collections.abc import Container, Iterator

import msgspec

from clusterdns.cluster.manifests import kinds
from clusterdns.cluster.manifests.addresses import hash64
from clusterdns.cluster.objects import ObjectError, ObjectKey, canonical

MAX_PODS = 60_000  # of all workloads together; the pod network has 65,533 addresses
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # that of Kubernetes: without vowels there are no words
_FINISHED = ("Succeeded", "Failed")
_PENDING = "Pending"

NamedPorts = dict[tuple[str, str], int]  # (name, protocol) → number


class SimulatedPod(msgspec.Struct):
    """A pod as the EndpointSlice controller sees it. `controllers` writes `addresses` once."""

    namespace: str
    name: str
    labels: dict[str, str]
    ports: NamedPorts
    hostname: str = ""
    subdomain: str = ""
    addresses: tuple[str, ...] = ()
    is_ready: bool = True
    is_finished: bool = False
    is_terminating: bool = False
    needs_address: bool = True
    phase: str = "Running"


def from_manifest(namespace: str, pod: kinds.PodManifest) -> SimulatedPod:
    """Make the pod of a Pod manifest, with the addresses and conditions of its status. Raises ObjectError."""
    status = pod.status or kinds.PodStatus()
    spec = pod.spec or kinds.PodSpec()
    name = pod.metadata.name or ""
    texts = [entry.ip for entry in status.pod_ips or () if entry.ip] or ([status.pod_ip] if status.pod_ip else [])
    try:
        addresses = tuple(dict.fromkeys(map(canonical, texts)))
    except (OSError, ValueError):
        raise ObjectError("Pod", (namespace, name), "an entry of status.podIPs is not an IP address") from None
    ready = [one.status for one in status.conditions or () if one.type == "Ready"]
    return SimulatedPod(
        namespace,
        name,
        labels_of(pod.metadata.labels),
        _named_ports(spec),
        hostname=spec.hostname or "",
        subdomain=spec.subdomain or "",
        addresses=addresses,
        is_ready=not ready or ready[-1] == "True",
        is_finished=status.phase in _FINISHED,
        is_terminating=pod.metadata.deletion_timestamp is not None,
        needs_address=not addresses and status.phase not in (*_FINISHED, _PENDING),
        phase=status.phase or "Running",
    )


def from_workload(
    kind: str, namespace: str, workload: kinds.WorkloadManifest, taken: Container[ObjectKey]
) -> Iterator[SimulatedPod]:
    """Make the pods of a workload, without addresses and without the names in `taken`. Raises ObjectError."""
    spec = workload.spec or kinds.WorkloadSpec()
    template = spec.template or kinds.PodTemplate()
    pod_spec = template.spec or kinds.PodSpec()
    labels = labels_of(template.metadata.labels if template.metadata else None)
    ports = _named_ports(pod_spec)
    own_name = workload.metadata.name or ""
    count = 1 if spec.replicas is None or kind == "DaemonSet" else spec.replicas
    if count < 0:
        raise ObjectError(kind, (namespace, own_name), f"{count} replicas")
    if kind == "StatefulSet":
        start = (spec.ordinals.start if spec.ordinals else None) or 0
        for ordinal in range(start, start + count):
            name = f"{own_name}-{ordinal}"
            if (namespace, name) not in taken:
                yield SimulatedPod(namespace, name, labels, ports, hostname=name, subdomain=spec.service_name or "")
        return
    prefix = f"{own_name}-{name_suffix(f'{namespace}/{own_name}', 10)}" if kind == "Deployment" else own_name
    used: set[str] = set()
    for ordinal in range(count):
        name = _free_name(namespace, prefix, ordinal, used, taken)
        used.add(name)
        hostname, subdomain = pod_spec.hostname or "", pod_spec.subdomain or ""
        yield SimulatedPod(namespace, name, labels, ports, hostname=hostname, subdomain=subdomain)


def _free_name(namespace: str, prefix: str, ordinal: int, used: set[str], taken: Container[ObjectKey]) -> str:
    """Add a suffix made of the ordinal. Of 10,000 pods some three pairs collide; the second of a pair gets another."""
    attempt = 0
    while True:
        name = f"{prefix}-{name_suffix(f'{namespace}/{prefix}/{ordinal}/{attempt}', 5)}"
        if name not in used and (namespace, name) not in taken:
            return name
        attempt += 1


def name_suffix(key: str, size: int) -> str:
    """Make the suffix of a generated name, of this many characters, from a hash of the key."""
    number = hash64(key)
    found = []
    for _ in range(size):
        number, at = divmod(number, len(_SUFFIX_ALPHABET))
        found.append(_SUFFIX_ALPHABET[at])
    return "".join(found)


def labels_of(labels: kinds.Labels | None) -> dict[str, str]:
    """Read labels, with the empty text where a manifest has null."""
    return {key: value or "" for key, value in (labels or {}).items()}


def _named_ports(spec: kinds.PodSpec) -> NamedPorts:
    """Read the named ports of the containers and sidecars; of equal names the first counts."""
    found: NamedPorts = {}
    sidecars = [one for one in spec.init_containers or () if one.restart_policy == "Always"]
    for container in (*(spec.containers or ()), *sidecars):
        for port in container.ports or ():
            number = port.container_port or 0
            if port.name and 0 < number <= 65535:
                found.setdefault((port.name, port.protocol or "TCP"), number)
    return found
