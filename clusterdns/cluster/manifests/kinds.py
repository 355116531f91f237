"""Manifests as structs: of each Kubernetes kind the fields that its controller reads.

`documents` keeps the documents of the kinds in `MANIFEST_TYPES`, and `controllers` converts them to these structs and
computes `objects` from them. Unknown fields are ignored and `null` is allowed wherever Go may write it. Defaults and
checks of the API server are not applied here. `raw_objects` has the fields of Services, EndpointSlices and Pods that
come from an API server, where no controller needs to be simulated.
"""

from typing import Any, NamedTuple

import msgspec

from clusterdns.cluster.objects import MAX_LABEL_BYTES, ObjectError, ObjectKey

Labels = dict[str, str | None]


class _Manifest(msgspec.Struct, gc=False, rename="camel"):
    """Base of all structs: camelCase in the manifest, snake_case here."""


class ObjectReference(_Manifest):
    """A reference to another object: an owner of this one, or the target of an endpoint."""

    kind: str | None = None
    name: str | None = None


class ObjectMeta(_Manifest):
    """`metadata`: the identity of an object, its labels and its owners."""

    name: str | None = None
    namespace: str | None = None
    labels: Labels | None = None
    deletion_timestamp: str | None = None
    owner_references: tuple[ObjectReference, ...] | None = None


class ContainerPort(_Manifest):
    """A port of a container; the targetPort of a Service can refer to it by name."""

    name: str | None = None
    container_port: int | None = None
    protocol: str | None = None


class Container(_Manifest):
    """A container; with `restart_policy` Always an init container is a sidecar, which keeps running."""

    ports: tuple[ContainerPort, ...] | None = None
    restart_policy: str | None = None


class PodSpec(_Manifest):
    """`spec` of a Pod: the fields that endpoints depend on."""

    hostname: str | None = None
    subdomain: str | None = None
    containers: tuple[Container, ...] | None = None
    init_containers: tuple[Container, ...] | None = None


class Condition(_Manifest):
    """One condition of a pod."""

    type: str | None = None
    status: str | None = None


class PodAddress(_Manifest):
    """One entry of `status.podIPs`."""

    ip: str | None = None


class PodStatus(_Manifest):
    """`status` of a Pod, in a manifest that was dumped from a cluster."""

    phase: str | None = None
    pod_ip: str | None = msgspec.field(default=None, name="podIP")
    pod_ips: tuple[PodAddress, ...] | None = msgspec.field(default=None, name="podIPs")
    conditions: tuple[Condition, ...] | None = None


class PodManifest(_Manifest):
    """The manifest of a Pod."""

    metadata: ObjectMeta
    spec: PodSpec | None = None
    status: PodStatus | None = None


class PodTemplate(_Manifest):
    """The pod template of a workload."""

    metadata: ObjectMeta | None = None
    spec: PodSpec | None = None


class Ordinals(_Manifest):
    """`ordinals` of a StatefulSet: the first number of its pods."""

    start: int | None = None


class WorkloadSpec(_Manifest):
    """Specification of a Deployment, ReplicaSet, StatefulSet or DaemonSet."""

    replicas: int | None = None
    service_name: str | None = None
    ordinals: Ordinals | None = None
    template: PodTemplate | None = None


class WorkloadManifest(_Manifest):
    """The manifest of a Deployment, ReplicaSet, StatefulSet or DaemonSet."""

    metadata: ObjectMeta
    spec: WorkloadSpec | None = None


class ServicePort(_Manifest):
    """A port of a Service; `target_port` is a number or the name of a container's port."""

    name: str | None = None
    port: int | None = None
    target_port: int | str | None = None
    protocol: str | None = None


class ServiceSpec(_Manifest):
    """`spec` of a Service: the fields that its addresses and slices depend on."""

    type: str | None = None
    cluster_ip: str | None = msgspec.field(default=None, name="clusterIP")
    cluster_ips: tuple[str, ...] | None = msgspec.field(default=None, name="clusterIPs")
    ip_families: tuple[str, ...] | None = None
    ip_family_policy: str | None = None
    selector: Labels | None = None
    ports: tuple[ServicePort, ...] | None = None
    publish_not_ready_addresses: bool | None = None


class ServiceManifest(_Manifest):
    """The manifest of a Service."""

    metadata: ObjectMeta
    spec: ServiceSpec | None = None


class EndpointsAddress(_Manifest):
    """One address of a legacy Endpoints object."""

    ip: str | None = None
    hostname: str | None = None
    target_ref: ObjectReference | None = None


class EndpointsPort(_Manifest):
    """One port of a legacy Endpoints object."""

    name: str | None = None
    port: int | None = None
    protocol: str | None = None


class Subset(_Manifest):
    """Addresses of a legacy Endpoints object with the same ports; those that are not ready are not read."""

    addresses: tuple[EndpointsAddress, ...] | None = None
    ports: tuple[EndpointsPort, ...] | None = None


class EndpointsManifest(_Manifest):
    """The manifest of a legacy Endpoints object."""

    metadata: ObjectMeta
    subsets: tuple[Subset, ...] | None = None


class MetadataOnly(_Manifest):
    """A manifest of which only the metadata is read here: an EndpointSlice, a Namespace, a ServiceImport."""

    metadata: ObjectMeta


Manifest = PodManifest | WorkloadManifest | ServiceManifest | EndpointsManifest | MetadataOnly

MANIFEST_TYPES: dict[str, type[Manifest]] = {
    "Namespace": MetadataOnly,
    "Service": ServiceManifest,
    "Pod": PodManifest,
    "Deployment": WorkloadManifest,
    "ReplicaSet": WorkloadManifest,
    "StatefulSet": WorkloadManifest,
    "DaemonSet": WorkloadManifest,
    "Endpoints": EndpointsManifest,
    "EndpointSlice": MetadataOnly,
    "ServiceImport": MetadataOnly,
}

_OTHER_KINDS = """
APIService Binding CertificateSigningRequest ClusterRole ClusterRoleBinding ClusterTrustBundle ComponentStatus ConfigMap
ControllerRevision CronJob CSIDriver CSINode CSIStorageCapacity CustomResourceDefinition DeviceClass DeviceTaintRule
Event Eviction FlowSchema HorizontalPodAutoscaler Ingress IngressClass IPAddress Job Lease LeaseCandidate LimitRange
LocalSubjectAccessReview MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration
NetworkPolicy Node PersistentVolume PersistentVolumeClaim PodCertificateRequest PodDisruptionBudget PodSecurityPolicy
PodTemplate PriorityClass PriorityLevelConfiguration ReplicationController ResourceClaim ResourceClaimTemplate
ResourceQuota ResourceSlice Role RoleBinding RuntimeClass Scale Secret SelfSubjectAccessReview SelfSubjectReview
SelfSubjectRulesReview ServiceAccount ServiceCIDR StorageClass StorageVersion StorageVersionMigration
SubjectAccessReview TokenRequest TokenReview ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding
ValidatingWebhookConfiguration VolumeAttachment VolumeAttributesClass
"""
_NAMED_GROUPS = """
admissionregistration apiextensions apiregistration authentication authorization certificates coordination discovery
events flowcontrol.apiserver internal.apiserver multicluster.x networking node rbac.authorization resource scheduling
storage storagemigration
"""

# The other kinds of Kubernetes' own groups. A document of them is ignored in silence, because it makes no names; the
# pods of Jobs and ReplicationControllers are not simulated.
KINDS_WITHOUT_NAMES = frozenset(_OTHER_KINDS.split())
GROUPS = frozenset(
    ["", "apps", "autoscaling", "batch", "extensions", "policy", *(f"{one}.k8s.io" for one in _NAMED_GROUPS.split())]
)


class ManifestEntry(NamedTuple):
    """A manifest with its kind, key and location."""

    kind: str
    key: ObjectKey
    manifest: Any  # the struct of its kind
    tree: dict[str, Any]
    location: str


def to_entry(kind: str, tree: Any, location: str) -> ManifestEntry:
    """Convert the tree of a manifest to an entry. Raises ObjectError."""
    found: Any = to_manifest(kind, tree)
    name = found.metadata.name
    namespace = "" if kind == "Namespace" else found.metadata.namespace or "default"
    if kind == "Namespace" and len(name.encode()) > MAX_LABEL_BYTES:
        raise ObjectError(kind, ("", name), f"its name has more than {MAX_LABEL_BYTES} bytes")
    if kind == "Service" and found.spec is None:
        raise ObjectError(kind, (namespace, name), "spec is missing")
    return ManifestEntry(kind, (namespace, name), found, tree, location)


def to_manifest(kind: str, tree: Any) -> Manifest:
    """Convert the tree of a manifest to the struct of its kind. Raises ObjectError."""
    try:
        found: Manifest = msgspec.convert(tree, MANIFEST_TYPES[kind])
        f"{found.metadata.namespace}/{found.metadata.name}".encode()  # JSON can hold half a surrogate pair
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ObjectError(kind, readable_key(kind, tree), str(error) or type(error).__name__) from error
    if not found.metadata.name:
        raise ObjectError(kind, readable_key(kind, tree), "metadata.name is missing")
    if len((found.metadata.namespace or "").encode()) > MAX_LABEL_BYTES:
        raise ObjectError(kind, readable_key(kind, tree), f"its namespace has more than {MAX_LABEL_BYTES} bytes")
    return found


def group_of(tree: Any) -> str:
    """Read the API group of a manifest; the core group's is empty, and so is that of a manifest without apiVersion."""
    version = tree.get("apiVersion") if isinstance(tree, dict) else None
    return version.rpartition("/")[0] if isinstance(version, str) else ""


def readable_key(kind: str, tree: Any) -> ObjectKey:
    """Read the key as far as a broken tree gives it."""
    meta = tree.get("metadata") if isinstance(tree, dict) else None
    meta = meta if isinstance(meta, dict) else {}
    name = meta.get("name")
    if not name or not isinstance(name, str):
        return "", ""
    return "" if kind == "Namespace" else str(meta.get("namespace") or "default"), name
