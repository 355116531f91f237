"""Reduces the API's structs to `objects`: the fields that answers depend on, checked one by one.

A part that cannot be used (one bad address among ten) is ignored with a warning; an object without a usable name raises
ValueError, of which `decoding`, the only caller, makes an ObjectError. Each function is a generator, which returns the
object after its last step: one per `ADDRESSES_PER_STEP` of a slice, none for another kind.
"""

from collections.abc import Generator
from contextlib import suppress
from sys import intern
from typing import NamedTuple

from clusterdns.cluster import raw_objects as raws
from clusterdns.cluster.objects import (
    IMPORT_LABEL,
    MAX_LABEL_BYTES,
    MAX_PORTS,
    SERVICE_LABEL,
    Endpoint,
    EndpointSlice,
    ImportedSlice,
    Namespace,
    Object,
    Pod,
    Port,
    Service,
    ServiceImport,
    canonical,
    labels_text,
)
from clusterdns.cluster.raw_objects import RawMeta, RawPort, RawSlice

SOURCE_CLUSTER_LABEL = "multicluster.kubernetes.io/source-cluster"
LAST_CHANGE_ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"


ADDRESSES_PER_STEP = 256  # half a millisecond


class Decoded(NamedTuple):
    """An object, and one warning for each part of it that was ignored (mostly none)."""

    object: Object
    warnings: tuple[str, ...]


Steps = Generator[None, None, Decoded]


def reduce_service(raw: raws.RawService) -> Steps:
    """Read a Service. Raises ValueError."""
    yield from ()
    warnings: list[str] = []
    namespace, name = _names(raw.metadata)
    _check_label(name, "name")
    spec = raw.spec or raws.RawServiceSpec()
    texts = spec.cluster_ips or ([spec.cluster_ip] if spec.cluster_ip else [])
    headless = bool(texts) and texts[0] == "None"
    service = Service(
        namespace,
        name,
        type=spec.type or "ClusterIP",
        cluster_ips=() if headless else _addresses(texts, "clusterIP", warnings),
        headless=headless,
        external_name=spec.external_name or "",
        ports=_ports(spec.ports, warnings),
        external=_external(spec, raw.status, warnings),
    )
    return Decoded(service, tuple(warnings))


def _external(spec: raws.RawServiceSpec, status: raws.RawServiceStatus | None, warnings: list[str]) -> tuple[str, ...]:
    """List the external addresses, then the host names; of an ingress with both only the address counts."""
    balancer = status.load_balancer if status is not None else None
    ingress = (balancer.ingress if balancer is not None else None) or ()
    if not spec.external_ips and not ingress:
        return ()
    texts = [*(spec.external_ips or ()), *(one.ip for one in ingress if one.ip)]
    hosts = (one.hostname.lower() for one in ingress if one.hostname and not one.ip)
    return (*_addresses(texts, "external address", warnings), *dict.fromkeys(hosts))


def reduce_import(raw: raws.RawImport) -> Steps:
    """Read a ServiceImport. Raises ValueError."""
    yield from ()
    warnings: list[str] = []
    namespace, name = _names(raw.metadata)
    _check_label(name, "name")
    spec = raw.spec or raws.RawImportSpec()
    headless = spec.type == "Headless"
    obj = ServiceImport(
        namespace,
        name,
        cluster_ips=() if headless else _addresses(spec.ips or (), "IP", warnings),
        headless=headless,
        ports=_ports(spec.ports, warnings),
    )
    return Decoded(obj, tuple(warnings))


def reduce_slice(raw: RawSlice) -> Steps:
    """Read an EndpointSlice of this cluster. Raises ValueError."""
    warnings: list[str] = []
    namespace, name = _names(raw.metadata)
    endpoints, unready = yield from _endpoints(raw, warnings)
    obj = EndpointSlice(
        namespace,
        name,
        service=_owning_service(raw.metadata, SERVICE_LABEL, warnings),
        ports=_ports(raw.ports, warnings),
        endpoints=endpoints,
        unready=unready,
        address_type=intern(raw.address_type or ""),
        triggered_at=_label(raw.metadata.annotations, LAST_CHANGE_ANNOTATION),
    )
    return Decoded(obj, tuple(warnings))


def reduce_imported_slice(raw: RawSlice) -> Steps:
    """Read an EndpointSlice of a ServiceImport, with the cluster that it comes from. Raises ValueError."""
    warnings: list[str] = []
    namespace, name = _names(raw.metadata)
    endpoints, unready = yield from _endpoints(raw, warnings)
    cluster = _label(raw.metadata.labels, SOURCE_CLUSTER_LABEL)
    _check_label(cluster or "-", f"label {SOURCE_CLUSTER_LABEL}")
    obj = ImportedSlice(
        namespace,
        name,
        service=_owning_service(raw.metadata, IMPORT_LABEL, warnings),
        ports=_ports(raw.ports, warnings),
        endpoints=endpoints,
        unready=unready,
        address_type=intern(raw.address_type or ""),
        cluster=intern(cluster),
    )
    return Decoded(obj, tuple(warnings))


def _endpoints(
    raw: RawSlice, warnings: list[str]
) -> Generator[None, None, tuple[tuple[Endpoint, ...], tuple[str, ...]]]:
    """Split the endpoints into those that are ready and the addresses of the others."""
    endpoints = []
    unready: list[str] = []
    spare = ADDRESSES_PER_STEP
    for endpoint in raw.endpoints or ():
        texts = endpoint.addresses or ()
        spare -= len(texts)
        if spare < 0:
            yield
            spare = ADDRESSES_PER_STEP - len(texts)
        addresses = _addresses(texts, "endpoint address", warnings)
        if endpoint.conditions is not None and endpoint.conditions.ready is False:
            unready += addresses
        elif addresses:
            target = endpoint.target_ref.name if endpoint.target_ref else None
            hostname = _hostname(endpoint.hostname, warnings) if endpoint.hostname else ""
            endpoints.append(Endpoint(addresses, hostname, target or "", intern(endpoint.zone or "")))
    return tuple(endpoints), tuple(unready)


def reduce_namespace(raw: raws.RawNamespace) -> Steps:
    """Read a Namespace. Raises ValueError."""
    yield from ()
    _check_label(raw.metadata.name, "name")
    return Decoded(Namespace(raw.metadata.name), ())


def reduce_pod(raw: raws.RawPod) -> Steps:
    """Read a Pod. Raises ValueError."""
    yield from ()
    warnings: list[str] = []
    if not raw.metadata.name or not raw.metadata.namespace:
        raise ValueError("metadata.name and metadata.namespace must be set")
    status = raw.status or raws.RawPodStatus()
    texts = [entry.ip for entry in status.pod_ips or () if entry.ip] or ([status.pod_ip] if status.pod_ip else [])
    pod = Pod(
        raw.metadata.namespace,
        raw.metadata.name,
        ips=_addresses(texts, "podIP", warnings),
        terminating=raw.metadata.deletion_timestamp is not None,
        labels=labels_text(raw.metadata.labels or {}),
    )
    return Decoded(pod, tuple(warnings))


def _names(meta: RawMeta) -> tuple[str, str]:
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


def _owning_service(meta: RawMeta, key: str, warnings: list[str]) -> str:
    text = _label(meta.labels, key)
    if len(text.encode()) > MAX_LABEL_BYTES:
        warnings.append(f"label {key} of {len(text.encode())} bytes is too long for the name of a Service; ignored")
        return ""
    return text


def _hostname(text: str, warnings: list[str]) -> str:
    if len(text.encode()) > MAX_LABEL_BYTES:
        warnings.append(f"endpoint hostname of {len(text.encode())} bytes is longer than a DNS label; ignored")
        return ""
    return text


def _addresses(texts: list[str] | tuple[str, ...], what: str, warnings: list[str]) -> tuple[str, ...]:
    """Read the valid addresses: canonical text, each once, in order."""
    if len(texts) == 1:  # nearly every endpoint
        with suppress(OSError, ValueError):
            return (canonical(texts[0]),)
    found: dict[str, None] = {}
    for text in texts:
        try:
            found[canonical(text)] = None
        except (OSError, ValueError):
            warnings.append(f"{what} {text[:64]!r} is not an IP address; ignored")
    return tuple(found)


def _ports(raw_ports: list[RawPort] | None, warnings: list[str]) -> tuple[Port, ...]:
    ports = []
    for raw in raw_ports or ():
        number = -1 if raw.port is None else raw.port
        if number == -1 or 0 < number <= 65535:
            ports.append(Port(raw.name or "", number, raw.protocol or "TCP"))
        else:
            warnings.append(f"port {number} is not between 1 and 65535; ignored")
    if len(ports) > MAX_PORTS:
        warnings.append(f"{len(ports)} ports; only the first {MAX_PORTS} are used")
    return tuple(ports[:MAX_PORTS])
