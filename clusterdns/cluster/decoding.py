"""What the API says, cut down to `objects`: `from_json` for its bytes, `from_data` for a manifest's tree.

Unknown fields are ignored and unknown enum values kept as text, so a newer API server does not stop the stream. What
cannot be used at all raises `ObjectError`, which names the object; what can be used in part (one bad address among ten)
is cut to the usable part, and the loss is reported as a remark.
"""

from collections.abc import Callable
from sys import intern
from typing import Any, NamedTuple

import msgspec

from clusterdns.cluster.objects import (
    IMPORT_LABEL,
    MAX_LABEL_BYTES,
    MAX_PORTS,
    SERVICE_LABEL,
    Endpoint,
    EndpointSlice,
    ImportedSlice,
    Kind,
    Namespace,
    Object,
    ObjectError,
    Pod,
    Port,
    Service,
    ServiceImport,
    canonical,
)

SOURCE_CLUSTER_LABEL = "multicluster.kubernetes.io/source-cluster"
LAST_CHANGE_ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"


class Decoded(NamedTuple):
    """An object and what had to be left out of it (empty almost always)."""

    object: Object
    remarks: tuple[str, ...]


def from_json(kind: Kind, raw: bytes | msgspec.Raw) -> Decoded:
    """Decode the API's JSON of one object. Raises ObjectError."""
    reader = _READERS[kind]
    try:
        return reader.cut(reader.decoder.decode(raw))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _error(kind, error, lambda: msgspec.json.decode(raw, type=_Identity)) from error


def from_data(kind: Kind, data: Any) -> Decoded:
    """Convert one object's tree of dicts and lists, as a YAML manifest gives it. Raises ObjectError."""
    reader = _READERS[kind]
    try:
        return reader.cut(msgspec.convert(data, reader.raw_type))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _error(kind, error, lambda: msgspec.convert(data, _Identity)) from error


# The shapes below mirror the API's JSON just as far as it is read. `None` is allowed wherever Go would write `null`.


class _Meta(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str | None = None
    labels: dict[str, str | None] | None = None
    annotations: dict[str, str | None] | None = None
    deletion_timestamp: str | None = msgspec.field(default=None, name="deletionTimestamp")


class _Identity(msgspec.Struct, gc=False):
    metadata: _Meta | None = None


class _RawPort(msgspec.Struct, gc=False):
    name: str | None = None
    port: int | None = None
    protocol: str | None = None


class _ServiceSpec(msgspec.Struct, gc=False, rename="camel"):
    type: str | None = None
    cluster_ip: str | None = msgspec.field(default=None, name="clusterIP")
    cluster_ips: list[str] | None = msgspec.field(default=None, name="clusterIPs")
    external_name: str | None = None
    ports: list[_RawPort] | None = None
    external_ips: list[str] | None = msgspec.field(default=None, name="externalIPs")


class _Ingress(msgspec.Struct, gc=False):
    ip: str | None = None
    hostname: str | None = None


class _LoadBalancer(msgspec.Struct, gc=False):
    ingress: list[_Ingress] | None = None


class _ServiceStatus(msgspec.Struct, gc=False, rename="camel"):
    load_balancer: _LoadBalancer | None = None


class _RawService(msgspec.Struct, gc=False):
    metadata: _Meta
    spec: _ServiceSpec | None = None
    status: _ServiceStatus | None = None


class _ImportSpec(msgspec.Struct, gc=False):
    type: str | None = None
    ips: list[str] | None = None
    ports: list[_RawPort] | None = None


class _RawImport(msgspec.Struct, gc=False):
    metadata: _Meta
    spec: _ImportSpec | None = None


class _Conditions(msgspec.Struct, gc=False):
    ready: bool | None = None


class _TargetRef(msgspec.Struct, gc=False):
    name: str | None = None


class _RawEndpoint(msgspec.Struct, gc=False, rename="camel"):
    addresses: list[str] | None = None
    conditions: _Conditions | None = None
    hostname: str | None = None
    target_ref: _TargetRef | None = None
    zone: str | None = None


class _RawSlice(msgspec.Struct, gc=False):
    metadata: _Meta
    ports: list[_RawPort] | None = None
    endpoints: list[_RawEndpoint] | None = None


class _RawNamespace(msgspec.Struct, gc=False):
    metadata: _Meta


class _PodIP(msgspec.Struct, gc=False):
    ip: str | None = None


class _PodStatus(msgspec.Struct, gc=False):
    pod_ip: str | None = msgspec.field(default=None, name="podIP")
    pod_ips: list[_PodIP] | None = msgspec.field(default=None, name="podIPs")


class _RawPod(msgspec.Struct, gc=False):
    metadata: _Meta
    status: _PodStatus | None = None


def _cut_service(raw: _RawService) -> Decoded:
    remarks: list[str] = []
    namespace, name = _names(raw.metadata)
    _check_label(name, "name")
    spec = raw.spec or _ServiceSpec()
    texts = spec.cluster_ips or ([spec.cluster_ip] if spec.cluster_ip else [])
    headless = bool(texts) and texts[0] == "None"
    service = Service(
        namespace,
        name,
        type=spec.type or "ClusterIP",
        cluster_ips=() if headless else _addresses(texts, "clusterIP", remarks),
        headless=headless,
        external_name=spec.external_name or "",
        ports=_ports(spec.ports, remarks),
        external=_external(spec, raw.status, remarks),
    )
    return Decoded(service, tuple(remarks))


def _external(spec: _ServiceSpec, status: _ServiceStatus | None, remarks: list[str]) -> tuple[str, ...]:
    """Addresses before host names; an ingress with both is known by its address."""
    balancer = status.load_balancer if status is not None else None
    ingress = (balancer.ingress if balancer is not None else None) or ()
    if not spec.external_ips and not ingress:
        return ()
    texts = [*(spec.external_ips or ()), *(one.ip for one in ingress if one.ip)]
    hosts = (one.hostname.lower() for one in ingress if one.hostname and not one.ip)
    return (*_addresses(texts, "external address", remarks), *dict.fromkeys(hosts))


def _cut_import(raw: _RawImport) -> Decoded:
    remarks: list[str] = []
    namespace, name = _names(raw.metadata)
    _check_label(name, "name")
    spec = raw.spec or _ImportSpec()
    headless = spec.type == "Headless"
    obj = ServiceImport(
        namespace,
        name,
        cluster_ips=() if headless else _addresses(spec.ips or (), "IP", remarks),
        headless=headless,
        ports=_ports(spec.ports, remarks),
    )
    return Decoded(obj, tuple(remarks))


def _cut_slice(raw: _RawSlice) -> Decoded:
    remarks: list[str] = []
    namespace, name = _names(raw.metadata)
    endpoints, unready = _endpoints(raw, remarks)
    obj = EndpointSlice(
        namespace,
        name,
        service=_owning_service(raw.metadata, SERVICE_LABEL, remarks),
        ports=_ports(raw.ports, remarks),
        endpoints=endpoints,
        unready=unready,
        triggered_at=_label(raw.metadata.annotations, LAST_CHANGE_ANNOTATION),
    )
    return Decoded(obj, tuple(remarks))


def _cut_imported_slice(raw: _RawSlice) -> Decoded:
    remarks: list[str] = []
    namespace, name = _names(raw.metadata)
    endpoints, unready = _endpoints(raw, remarks)
    cluster = _label(raw.metadata.labels, SOURCE_CLUSTER_LABEL)
    _check_label(cluster or "-", f"label {SOURCE_CLUSTER_LABEL}")
    obj = ImportedSlice(
        namespace,
        name,
        service=_owning_service(raw.metadata, IMPORT_LABEL, remarks),
        ports=_ports(raw.ports, remarks),
        endpoints=endpoints,
        unready=unready,
        cluster=intern(cluster),
    )
    return Decoded(obj, tuple(remarks))


def _endpoints(raw: _RawSlice, remarks: list[str]) -> tuple[tuple[Endpoint, ...], tuple[str, ...]]:
    """The endpoints that are ready, and the addresses of the others."""
    endpoints = []
    unready: list[str] = []
    for endpoint in raw.endpoints or ():
        addresses = _addresses(endpoint.addresses or (), "endpoint address", remarks)
        if endpoint.conditions is not None and endpoint.conditions.ready is False:
            unready += addresses
        elif addresses:
            target = endpoint.target_ref.name if endpoint.target_ref else None
            hostname = _hostname(endpoint.hostname, remarks)
            endpoints.append(Endpoint(addresses, hostname, target or "", intern(endpoint.zone or "")))
    return tuple(endpoints), tuple(unready)


def _cut_namespace(raw: _RawNamespace) -> Decoded:
    _check_label(raw.metadata.name, "name")
    return Decoded(Namespace(raw.metadata.name), ())


def _cut_pod(raw: _RawPod) -> Decoded:
    remarks: list[str] = []
    if not raw.metadata.name or not raw.metadata.namespace:
        raise ValueError("metadata.name and metadata.namespace must be set")
    status = raw.status or _PodStatus()
    texts = [entry.ip for entry in status.pod_ips or () if entry.ip] or ([status.pod_ip] if status.pod_ip else [])
    pod = Pod(
        raw.metadata.namespace,
        raw.metadata.name,
        ips=_addresses(texts, "podIP", remarks),
        terminating=raw.metadata.deletion_timestamp is not None,
    )
    return Decoded(pod, tuple(remarks))


def _names(meta: _Meta) -> tuple[str, str]:
    namespace = meta.namespace or ""
    _check_label(namespace, "namespace")
    if not meta.name:
        raise ValueError("metadata.name is empty")
    return namespace, meta.name


def _check_label(text: str, what: str) -> None:
    size = len(text.encode())
    if not 0 < size <= MAX_LABEL_BYTES:
        raise ValueError(f"{what} of {size} bytes is not a DNS label of 1 to {MAX_LABEL_BYTES}")


def _label(labels: dict[str, str | None] | None, key: str) -> str:
    return (labels.get(key) or "") if labels else ""


def _owning_service(meta: _Meta, key: str, remarks: list[str]) -> str:
    text = _label(meta.labels, key)
    if len(text.encode()) > MAX_LABEL_BYTES:
        remarks.append(f"label {key} of {len(text.encode())} bytes names no Service, left out")
        return ""
    return text


def _hostname(text: str | None, remarks: list[str]) -> str:
    if text and len(text.encode()) > MAX_LABEL_BYTES:
        remarks.append(f"endpoint hostname of {len(text.encode())} bytes left out")
        return ""
    return text or ""


def _addresses(texts: list[str] | tuple[str, ...], what: str, remarks: list[str]) -> tuple[str, ...]:
    """The valid addresses in their canonical text, each once, in order."""
    found: dict[str, None] = {}
    for text in texts:
        try:
            found[canonical(text)] = None
        except (OSError, ValueError):
            remarks.append(f"{what} {text[:64]!r} is not an IP address, left out")
    return tuple(found)


def _ports(raw_ports: list[_RawPort] | None, remarks: list[str]) -> tuple[Port, ...]:
    ports = []
    for raw in raw_ports or ():
        number = -1 if raw.port is None else raw.port
        if number == -1 or 0 < number <= 65535:
            ports.append(Port(raw.name or "", number, raw.protocol or "TCP"))
        else:
            remarks.append(f"port {number} is not between 1 and 65535, left out")
    if len(ports) > MAX_PORTS:
        remarks.append(f"{len(ports)} ports, only the first {MAX_PORTS} are used")
    return tuple(ports[:MAX_PORTS])


def _error(kind: Kind, error: Exception, identify: Callable[[], _Identity]) -> ObjectError:
    """Name the object as well as its own broken content allows."""
    try:
        meta = identify().metadata or _Meta()
    except (msgspec.MsgspecError, ValueError, RecursionError):
        meta = _Meta()
    key = f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name
    return ObjectError(kind.__name__, key[:200] or "(unnamed)", str(error) or type(error).__name__)


class _Reader(NamedTuple):
    raw_type: type[Any]
    decoder: msgspec.json.Decoder[Any]
    cut: Callable[[Any], Decoded]


def _reader(raw_type: type[Any], cut: Callable[[Any], Decoded]) -> _Reader:
    return _Reader(raw_type, msgspec.json.Decoder(raw_type), cut)


_READERS: dict[Kind, _Reader] = {
    Service: _reader(_RawService, _cut_service),
    EndpointSlice: _reader(_RawSlice, _cut_slice),
    Namespace: _reader(_RawNamespace, _cut_namespace),
    Pod: _reader(_RawPod, _cut_pod),
    ServiceImport: _reader(_RawImport, _cut_import),
    ImportedSlice: _reader(_RawSlice, _cut_imported_slice),
}
