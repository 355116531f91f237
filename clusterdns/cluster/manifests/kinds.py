"""The shapes of the manifests that are played: as much of each Kubernetes kind as its controller reads.

`documents` keeps documents of the kinds named here, `controllers` converts them into these structs and makes `objects`
out of them. Unknown fields are ignored and `null` is allowed wherever Go would write it. What the API server itself
would default or check is not done here.
"""

from typing import Any

import msgspec

from clusterdns.cluster.objects import MAX_LABEL_BYTES, ObjectError

Labels = dict[str, str | None]


class _Shape(msgspec.Struct, gc=False, rename="camel"):
    """What all shapes share: camelCase in the manifest, snake_case here."""


class Owner(_Shape):
    """A reference from a dependent object to what made it."""

    kind: str | None = None
    name: str | None = None


class Meta(_Shape):
    """The identity of an object and what selectors ask of it."""

    name: str | None = None
    namespace: str | None = None
    labels: Labels | None = None
    deletion_timestamp: str | None = None
    owner_references: tuple[Owner, ...] | None = None


class ContainerPort(_Shape):
    """A port of a container; only a named one can be meant by a Service's targetPort."""

    name: str | None = None
    container_port: int | None = None
    protocol: str | None = None


class Container(_Shape):
    """A container; `restart_policy` makes an init container one that keeps running."""

    ports: tuple[ContainerPort, ...] | None = None
    restart_policy: str | None = None


class PodSpec(_Shape):
    """What endpoints take from a pod's specification."""

    hostname: str | None = None
    subdomain: str | None = None
    containers: tuple[Container, ...] | None = None
    init_containers: tuple[Container, ...] | None = None


class Condition(_Shape):
    """One condition of a pod."""

    type: str | None = None
    status: str | None = None


class PodAddress(_Shape):
    """One entry of `status.podIPs`."""

    ip: str | None = None


class PodStatus(_Shape):
    """What a kubelet has said about a pod, in a manifest that was taken from a cluster."""

    phase: str | None = None
    pod_ip: str | None = msgspec.field(default=None, name="podIP")
    pod_ips: tuple[PodAddress, ...] | None = msgspec.field(default=None, name="podIPs")
    conditions: tuple[Condition, ...] | None = None


class Pod(_Shape):
    """A Pod."""

    metadata: Meta
    spec: PodSpec | None = None
    status: PodStatus | None = None


class Template(_Shape):
    """The pod template of a workload."""

    metadata: Meta | None = None
    spec: PodSpec | None = None


class Ordinals(_Shape):
    """Where a StatefulSet begins to count."""

    start: int | None = None


class WorkloadSpec(_Shape):
    """Specification of a Deployment, ReplicaSet, StatefulSet or DaemonSet."""

    replicas: int | None = None
    service_name: str | None = None
    ordinals: Ordinals | None = None
    template: Template | None = None


class Workload(_Shape):
    """A Deployment, ReplicaSet, StatefulSet or DaemonSet."""

    metadata: Meta
    spec: WorkloadSpec | None = None


class ServicePort(_Shape):
    """A port of a Service; `target_port` is a number or the name of a container's port."""

    name: str | None = None
    port: int | None = None
    target_port: int | str | None = None
    protocol: str | None = None


class ServiceSpec(_Shape):
    """What addresses and slices of a Service depend on."""

    type: str | None = None
    cluster_ip: str | None = msgspec.field(default=None, name="clusterIP")
    cluster_ips: tuple[str, ...] | None = msgspec.field(default=None, name="clusterIPs")
    ip_families: tuple[str, ...] | None = None
    ip_family_policy: str | None = None
    selector: Labels | None = None
    ports: tuple[ServicePort, ...] | None = None
    publish_not_ready_addresses: bool | None = None


class Service(_Shape):
    """A Service."""

    metadata: Meta
    spec: ServiceSpec | None = None


class EndpointsAddress(_Shape):
    """One address of a legacy Endpoints object."""

    ip: str | None = None
    hostname: str | None = None
    target_ref: Owner | None = None


class EndpointsPort(_Shape):
    """One port of a legacy Endpoints object."""

    name: str | None = None
    port: int | None = None
    protocol: str | None = None


class Subset(_Shape):
    """Addresses of a legacy Endpoints object that share their ports. The unready ones are not read."""

    addresses: tuple[EndpointsAddress, ...] | None = None
    ports: tuple[EndpointsPort, ...] | None = None


class Endpoints(_Shape):
    """A legacy Endpoints object."""

    metadata: Meta
    subsets: tuple[Subset, ...] | None = None


class Bare(_Shape):
    """An object of which only the metadata matters here: an EndpointSlice, a Namespace, a ServiceImport."""

    metadata: Meta


Shape = Pod | Workload | Service | Endpoints | Bare

SHAPES: dict[str, type[Shape]] = {
    "Namespace": Bare,
    "Service": Service,
    "Pod": Pod,
    "Deployment": Workload,
    "ReplicaSet": Workload,
    "StatefulSet": Workload,
    "DaemonSet": Workload,
    "Endpoints": Endpoints,
    "EndpointSlice": Bare,
    "ServiceImport": Bare,
}


def shape(kind: str, tree: Any) -> Shape:
    """The tree of a manifest of one of `SHAPES` as its struct. Raises ObjectError."""
    try:
        found: Shape = msgspec.convert(tree, SHAPES[kind])
        key = f"{found.metadata.namespace}/{found.metadata.name}"
        key.encode()  # half a surrogate pair, as JSON can hold it, is not text
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ObjectError(kind, _key_text(kind, tree), str(error) or type(error).__name__) from error
    if not found.metadata.name:
        raise ObjectError(kind, _key_text(kind, tree), "metadata.name is missing")
    if len((found.metadata.namespace or "").encode()) > MAX_LABEL_BYTES:
        raise ObjectError(kind, _key_text(kind, tree), f"its namespace has more than {MAX_LABEL_BYTES} bytes")
    return found


def _key_text(kind: str, tree: Any) -> str:
    """`namespace/name` as far as a broken tree gives it."""
    meta = tree.get("metadata") if isinstance(tree, dict) else None
    meta = meta if isinstance(meta, dict) else {}
    name = meta.get("name")
    if not name or not isinstance(name, str):
        return "(unnamed)"
    namespace = meta.get("namespace") or "default"
    return name[:200] if kind == "Namespace" else f"{namespace}/{name}"[:200]
