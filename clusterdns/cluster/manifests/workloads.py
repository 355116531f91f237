"""Plays the workload controllers and the kubelet: Deployments and their like become pods with names.

Their addresses come later, from `controllers`, when every address that a manifest states is known. There is one node,
so a DaemonSet has one pod. Names do not change when a template does, so that a pod keeps its address.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass

from clusterdns.cluster.manifests import kinds
from clusterdns.cluster.manifests.addresses import number_of
from clusterdns.cluster.objects import ObjectError, canonical

MAX_PODS = 60_000  # of all workloads together: what the pod network has room for
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # what Kubernetes makes names of: no vowels, hence no words
_FINISHED = ("Succeeded", "Failed")
_PENDING = "Pending"

Key = tuple[str, str]
NamedPorts = dict[tuple[str, str], int]  # (name, protocol) → number


@dataclass
class PlayedPod:
    """A pod as the controllers of Services see it. `addresses` is written once, by whoever gives them out."""

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
    wants_address: bool = True
    phase: str = "Running"


def from_manifest(namespace: str, pod: kinds.Pod) -> PlayedPod:
    """The pod of a Pod manifest; what its status says is taken as it is. Raises ObjectError."""
    status = pod.status or kinds.PodStatus()
    spec = pod.spec or kinds.PodSpec()
    name = pod.metadata.name or ""
    stated = [entry.ip for entry in status.pod_ips or () if entry.ip] or ([status.pod_ip] if status.pod_ip else [])
    try:
        addresses = tuple(dict.fromkeys(map(canonical, stated)))
    except (OSError, ValueError):
        raise ObjectError("Pod", f"{namespace}/{name}", "status.podIPs holds what is not an IP address") from None
    ready = [one.status for one in status.conditions or () if one.type == "Ready"]
    return PlayedPod(
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
        wants_address=not addresses and status.phase not in (*_FINISHED, _PENDING),
        phase=status.phase or "Running",
    )


def from_workload(kind: str, namespace: str, workload: kinds.Workload, taken: Container[Key]) -> Iterator[PlayedPod]:
    """The pods of a workload, without addresses. None gets a name in `taken`. Raises ObjectError."""
    spec = workload.spec or kinds.WorkloadSpec()
    template = spec.template or kinds.Template()
    pod_spec = template.spec or kinds.PodSpec()
    labels = labels_of(template.metadata.labels if template.metadata else None)
    ports = _named_ports(pod_spec)
    own_name = workload.metadata.name or ""
    count = 1 if spec.replicas is None or kind == "DaemonSet" else spec.replicas
    if count < 0:
        raise ObjectError(kind, f"{namespace}/{own_name}", f"{count} replicas")
    if kind == "StatefulSet":
        start = (spec.ordinals.start if spec.ordinals else None) or 0
        for ordinal in range(start, start + count):
            name = f"{own_name}-{ordinal}"
            if (namespace, name) not in taken:
                yield PlayedPod(namespace, name, labels, ports, hostname=name, subdomain=spec.service_name or "")
        return
    prefix = f"{own_name}-{letters(f'{namespace}/{own_name}', 10)}" if kind == "Deployment" else own_name
    used: set[str] = set()
    for ordinal in range(count):
        name = _free_name(namespace, prefix, ordinal, used, taken)
        used.add(name)
        hostname, subdomain = pod_spec.hostname or "", pod_spec.subdomain or ""
        yield PlayedPod(namespace, name, labels, ports, hostname=hostname, subdomain=subdomain)


def _free_name(namespace: str, prefix: str, ordinal: int, used: set[str], taken: Container[Key]) -> str:
    """Five letters from the ordinal. Of 10,000 pods some three pairs meet, and the later of a pair gets others."""
    attempt = 0
    while True:
        name = f"{prefix}-{letters(f'{namespace}/{prefix}/{ordinal}/{attempt}', 5)}"
        if name not in used and (namespace, name) not in taken:
            return name
        attempt += 1


def letters(key: str, count: int) -> str:
    """Letters that depend on the key alone, as at the end of a made-up name."""
    number = number_of(key)
    found = []
    for _ in range(count):
        number, at = divmod(number, len(_LETTERS))
        found.append(_LETTERS[at])
    return "".join(found)


def labels_of(labels: kinds.Labels | None) -> dict[str, str]:
    """Labels with the empty text where a manifest has null."""
    return {key: value or "" for key, value in (labels or {}).items()}


def _named_ports(spec: kinds.PodSpec) -> NamedPorts:
    """Of containers that run as long as the pod; the first of a name counts."""
    found: NamedPorts = {}
    lasting = [one for one in spec.init_containers or () if one.restart_policy == "Always"]
    for container in (*(spec.containers or ()), *lasting):
        for port in container.ports or ():
            number = port.container_port or 0
            if port.name and 0 < number <= 65535:
                found.setdefault((port.name, port.protocol or "TCP"), number)
    return found
