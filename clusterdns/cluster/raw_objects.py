"""The Kubernetes API's objects as structs: only the fields that answers depend on, as the API's JSON spells them.

`decoding` fills these structs and reduces them to `objects`. Unknown fields are ignored; `None` is allowed wherever Go
may write `null`. The manifests of workloads, which are never read from an API server, are in `manifests.kinds`.
"""

from typing import Any

import msgspec


class RawMeta(msgspec.Struct, gc=False):
    """`metadata` of any object. `resource_version` is where a watch resumes after the event that carries it."""

    name: str = ""
    namespace: str | None = None
    uid: Any = None  # an audit compares it; of whatever type it is, the object can be used
    resource_version: str | None = msgspec.field(default=None, name="resourceVersion")
    labels: dict[str, str | None] | None = None
    annotations: dict[str, str | None] | None = None
    deletion_timestamp: str | None = msgspec.field(default=None, name="deletionTimestamp")


class RawPort(msgspec.Struct, gc=False):
    """A port of a Service, ServiceImport or EndpointSlice."""

    name: str | None = None
    port: int | None = None
    protocol: str | None = None


class RawServiceSpec(msgspec.Struct, gc=False, rename="camel"):
    """`spec` of a Service."""

    type: str | None = None
    cluster_ip: str | None = msgspec.field(default=None, name="clusterIP")
    cluster_ips: list[str] | None = msgspec.field(default=None, name="clusterIPs")
    external_name: str | None = None
    ports: list[RawPort] | None = None
    external_ips: list[str] | None = msgspec.field(default=None, name="externalIPs")


class RawIngress(msgspec.Struct, gc=False):
    """One ingress point of a load balancer."""

    ip: str | None = None
    hostname: str | None = None


class RawLoadBalancer(msgspec.Struct, gc=False):
    """`status.loadBalancer` of a Service."""

    ingress: list[RawIngress] | None = None


class RawServiceStatus(msgspec.Struct, gc=False, rename="camel"):
    """`status` of a Service."""

    load_balancer: RawLoadBalancer | None = None


class RawService(msgspec.Struct, gc=False):
    """A Service."""

    metadata: RawMeta
    spec: RawServiceSpec | None = None
    status: RawServiceStatus | None = None


class RawImportSpec(msgspec.Struct, gc=False):
    """`spec` of a ServiceImport."""

    type: str | None = None
    ips: list[str] | None = None
    ports: list[RawPort] | None = None


class RawImport(msgspec.Struct, gc=False):
    """A ServiceImport."""

    metadata: RawMeta
    spec: RawImportSpec | None = None


class RawConditions(msgspec.Struct, gc=False):
    """`conditions` of an endpoint."""

    ready: bool | None = None


class RawReference(msgspec.Struct, gc=False):
    """A reference to another object."""

    name: str | None = None


class RawEndpoint(msgspec.Struct, gc=False, rename="camel"):
    """One endpoint of an EndpointSlice."""

    addresses: list[str] | None = None
    conditions: RawConditions | None = None
    hostname: str | None = None
    target_ref: RawReference | None = None
    zone: str | None = None


class RawSlice(msgspec.Struct, gc=False):
    """An EndpointSlice."""

    metadata: RawMeta
    address_type: str | None = msgspec.field(default=None, name="addressType")
    ports: list[RawPort] | None = None
    endpoints: list[RawEndpoint] | None = None


class RawNamespace(msgspec.Struct, gc=False):
    """A Namespace."""

    metadata: RawMeta


class RawPodIP(msgspec.Struct, gc=False):
    """One entry of `status.podIPs`."""

    ip: str | None = None


class RawPodStatus(msgspec.Struct, gc=False):
    """`status` of a Pod."""

    pod_ip: str | None = msgspec.field(default=None, name="podIP")
    pod_ips: list[RawPodIP] | None = msgspec.field(default=None, name="podIPs")


class RawPod(msgspec.Struct, gc=False):
    """A Pod."""

    metadata: RawMeta
    status: RawPodStatus | None = None


RawObject = RawService | RawImport | RawSlice | RawNamespace | RawPod
