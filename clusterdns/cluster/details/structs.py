"""The fields of raw objects that explanations show, as the API's JSON spells them.

A field of an unexpected type makes the whole object unreadable here, as in `decoding`; `read` says why.
"""

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class _Raw(msgspec.Struct, rename="camel", gc=False):
    """Base of all structs: camelCase in JSON, snake_case here."""


class RawObjectMeta(_Raw):
    """`metadata`."""

    name: str = ""
    labels: dict[str, str | None] | None = None
    deletion_timestamp: str | None = None


class RawServicePort(_Raw):
    """A port of a Service."""

    name: str | None = None
    port: int | None = None
    protocol: str | None = None
    target_port: int | str | None = None
    node_port: int | None = None


class RawServiceDetails(_Raw):
    """`spec` of a Service."""

    type: str | None = None
    selector: dict[str, str | None] | None = None
    ports: list[RawServicePort] | None = None
    external_name: str | None = None
    publish_not_ready_addresses: bool | None = None
    ip_families: list[str] | None = None


class RawServiceObject(_Raw):
    """A Service."""

    metadata: RawObjectMeta
    spec: RawServiceDetails | None = None


class RawEndpointConditions(_Raw):
    """`conditions` of an endpoint; a missing `ready` means ready."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class RawTarget(_Raw):
    """`targetRef` of an endpoint."""

    kind: str | None = None
    name: str | None = None


class RawEndpointDetails(_Raw):
    """One endpoint of a slice."""

    addresses: list[str] | None = None
    conditions: RawEndpointConditions | None = None
    hostname: str | None = None
    target_ref: RawTarget | None = None
    node_name: str | None = None
    zone: str | None = None


class RawSliceObject(_Raw):
    """An EndpointSlice."""

    metadata: RawObjectMeta
    address_type: str | None = None
    endpoints: list[RawEndpointDetails] | None = None


class RawProbe(_Raw):
    """A probe of a container; only whether there is one matters."""


class RawContainer(_Raw):
    """A container of a pod."""

    name: str = ""
    readiness_probe: RawProbe | None = None


class RawDnsOption(_Raw):
    """An entry of `dnsConfig.options`."""

    name: str | None = None
    value: str | None = None


class RawDnsConfig(_Raw):
    """`dnsConfig` of a pod."""

    searches: list[str] | None = None
    options: list[RawDnsOption] | None = None


class RawPodSpecDetails(_Raw):
    """`spec` of a Pod."""

    containers: list[RawContainer] | None = None
    readiness_gates: list[dict[str, str]] | None = None
    dns_policy: str | None = None
    dns_config: RawDnsConfig | None = None
    host_network: bool | None = None
    node_name: str | None = None
    hostname: str | None = None
    subdomain: str | None = None


class RawStateReason(_Raw):
    """`waiting` or `terminated` of a container's state."""

    reason: str | None = None
    message: str | None = None


class RawContainerState(_Raw):
    """`state` of a container."""

    waiting: RawStateReason | None = None
    terminated: RawStateReason | None = None
    running: dict[str, Any] | None = None


class RawContainerStatus(_Raw):
    """An entry of `containerStatuses`."""

    name: str = ""
    ready: bool | None = None
    state: RawContainerState | None = None


class RawPodCondition(_Raw):
    """One condition of a pod."""

    type: str | None = None
    status: str | None = None
    reason: str | None = None
    message: str | None = None


class RawPodAddress(_Raw):
    """One entry of `status.podIPs`."""

    ip: str | None = None


class RawPodStatusDetails(_Raw):
    """`status` of a Pod."""

    phase: str | None = None
    reason: str | None = None
    conditions: list[RawPodCondition] | None = None
    container_statuses: list[RawContainerStatus] | None = None
    init_container_statuses: list[RawContainerStatus] | None = None
    pod_ip: str | None = msgspec.field(default=None, name="podIP")
    pod_ips: list[RawPodAddress] | None = msgspec.field(default=None, name="podIPs")


class RawPodObject(_Raw):
    """A Pod; without `status` where it is a template."""

    metadata: RawObjectMeta
    spec: RawPodSpecDetails | None = None
    status: RawPodStatusDetails | None = None


def read(tree: Any, kind: type[T]) -> tuple[T | None, str]:
    """Decode JSON, or convert a tree, to a struct; or return why it cannot be."""
    try:
        if isinstance(tree, msgspec.Raw):
            return msgspec.json.decode(tree, type=kind), ""
        return msgspec.convert(tree, kind), ""
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return None, str(error) or type(error).__name__


def as_tree(found: Any) -> Any:
    """Decode JSON into dicts and lists; a tree is returned as it is."""
    return msgspec.json.decode(found) if isinstance(found, msgspec.Raw) else found
