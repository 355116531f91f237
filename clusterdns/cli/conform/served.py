"""The objects that both sides know, as the tables of cases need them: Services with ports, addresses and endpoints.

They come from manifests: the suite's own (`fixtures`), those of the user, or those that a cluster has made of the
suite's (`live`). Only what the specification of names depends on is kept. The objects of the suite have roles in cases
(`db`, `crowd`); for other objects the tables take what has the same properties.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any

from clusterdns.wire.name import from_labels

Manifest = dict[str, Any]

SERVICE_LABEL = "kubernetes.io/service-name"
IMPORT_LABEL = "multicluster.kubernetes.io/service-name"
CLUSTER_LABEL = "multicluster.kubernetes.io/source-cluster"
CLUSTER_IP, HEADLESS, EXTERNAL_NAME = "cluster IP", "headless", "ExternalName"
V4, V6 = "IPv4", "IPv6"
_UNSLICED = "its EndpointSlices are not in the manifests"


@dataclass(frozen=True)
class ServedPort:
    """A port of a Service; an unnamed one has no SRV record."""

    name: str
    number: int
    protocol: str  # in lower case


@dataclass(frozen=True)
class ServedEndpoint:
    """An address of an endpoint, as DNS sees it."""

    address: str
    hostname: str
    is_ready: bool
    cluster: str = ""  # the source cluster of an imported one

    @property
    def family(self) -> str:
        """IPv4 or IPv6."""
        return family_of(self.address)


@dataclass
class ServedService:
    """A Service or ServiceImport. `key` is its name in IDs of cases, the same whatever its namespace is called."""

    key: str
    name: str
    namespace: str
    kind: str
    families: tuple[str, ...]  # as the manifest asks for them
    ips: tuple[str, ...] = ()
    ports: tuple[ServedPort, ...] = ()
    endpoints: list[ServedEndpoint] = field(default_factory=list)
    external_name: str = ""
    is_import: bool = False
    missing: str = ""  # why it could not be made

    def ips_of(self, family: str) -> list[str]:
        """Return the cluster IPs of a family."""
        return [ip for ip in self.ips if family_of(ip) == family]

    def addresses(self, family: str, *, is_ready: bool = True) -> list[str]:
        """Return the addresses of endpoints that are ready, or of the others."""
        return [one.address for one in self.endpoints if one.is_ready == is_ready and one.family == family]

    def hostnames(self, *, is_ready: bool = True) -> list[str]:
        """Return the different hostnames of endpoints that are ready, or of those that never are."""
        ready = {one.hostname for one in self.endpoints if one.is_ready}
        found = (one.hostname for one in self.endpoints if one.hostname and one.is_ready == is_ready)
        return [name for name in dict.fromkeys(found) if is_ready or name not in ready]

    @property
    def named_ports(self) -> list[ServedPort]:
        """The ports that have SRV records."""
        return [port for port in self.ports if port.name]

    def lacks(self, family: str) -> str:
        """Say why the cluster has no addresses of a family, which the manifest asks for; empty where it has them."""
        if self.missing or family not in self.families or self.kind != CLUSTER_IP or self.ips_of(family):
            return self.missing
        return f"the cluster gives no {family} cluster IPs"


@dataclass
class ServedObjects:
    """All Services and ServiceImports, and the zones that they are served in."""

    zone: str
    set_zone: str
    services: list[ServedService]
    imports: list[ServedService]
    empty_namespace: str = ""  # one without objects
    orphans: tuple[tuple[str, str], ...] = ()  # (name, namespace) of Services that have slices only
    imports_missing: str = ""  # why there are no ServiceImports

    def name_of(self, service: ServedService, *before: str) -> str:
        """Return the name of a Service, with labels before it."""
        zone = self.set_zone if service.is_import else self.zone
        return ".".join([*before, service.name, service.namespace, "svc", zone]) + "."

    def under(self, *labels: str) -> str:
        """Return a name below the zone."""
        return ".".join([*labels, self.zone]) + "."

    def of_kind(self, kind: str) -> list[ServedService]:
        """Return the Services of a kind, those that could not be made too."""
        return [one for one in self.services if one.kind == kind]


def family_of(address: str) -> str:
    """Return the family of an address."""
    return V6 if ":" in address else V4


def canonical(address: str) -> str:
    """Return an address in the spelling of RFC 5952, or as it is where it is not one."""
    try:
        return str(ip_address(address))
    except ValueError:
        return address


def served(manifests: Iterable[Manifest], zone: str, set_zone: str) -> ServedObjects:
    """Make the objects of manifests; the namespace of the first Service is the one that keys do not name."""
    documents = list(manifests)
    slices: dict[tuple[str, str, str], list[Manifest]] = defaultdict(list)
    for one in documents:
        if one["kind"] == "EndpointSlice":
            labels = one["metadata"].get("labels") or {}
            for label in (SERVICE_LABEL, IMPORT_LABEL):
                if label in labels:
                    slices[label, _namespace(one), labels[label]].append(one)
    found = [one for one in documents if one["kind"] in ("Service", "ServiceImport")]
    first = next((_namespace(one) for one in found if one["kind"] == "Service"), "")
    rows = [_row(one, first, slices) for one in found]
    unsliced = {(_namespace(one), one["metadata"]["name"]) for one in documents if one["kind"] == "Endpoints"}
    for row in rows:
        if row.kind == HEADLESS and not row.endpoints and (row.namespace, row.name) in unsliced:
            row.missing = _UNSLICED
    used = {row.namespace for row in rows}
    places = {(row.name, row.namespace) for row in rows if not row.is_import}
    names = [one["metadata"]["name"] for one in documents if one["kind"] == "Namespace"]
    return ServedObjects(
        zone, set_zone,
        [row for row in rows if not row.is_import], [row for row in rows if row.is_import],
        next((name for name in names if name not in used), ""),
        tuple(
            (name, namespace)
            for label, namespace, name in slices
            if label == SERVICE_LABEL and (name, namespace) not in places
        ),
    )  # fmt: skip


def _namespace(one: Manifest) -> str:
    return str(one["metadata"].get("namespace") or "default")


def _row(one: Manifest, first: str, slices: dict[tuple[str, str, str], list[Manifest]]) -> ServedService:
    """Make the row of a Service or ServiceImport."""
    spec, name, namespace = one.get("spec") or {}, one["metadata"]["name"], _namespace(one)
    is_import = one["kind"] == "ServiceImport"
    ips = spec.get("ips") if is_import else spec.get("clusterIPs") or [spec.get("clusterIP")]
    ips = tuple(canonical(ip) for ip in ips or () if ip and ip != "None")
    if spec.get("type") == "ExternalName":
        kind = EXTERNAL_NAME
    else:
        is_headless = spec.get("type") == "Headless" if is_import else spec.get("clusterIP") == "None"
        kind = HEADLESS if is_headless else CLUSTER_IP
    row = ServedService(
        name if namespace == first else f"{namespace.removeprefix(f'{first}-')}.{name}", name, namespace, kind,
        tuple(spec.get("ipFamilies") or dict.fromkeys(map(family_of, ips))), ips,
        tuple(map(_port, spec.get("ports") or ())), [], spec.get("externalName", ""), is_import,
        "" if kind != CLUSTER_IP or ips or is_import else "it has no cluster IP in the manifests",
    )  # fmt: skip
    for slice_ in slices[IMPORT_LABEL if is_import else SERVICE_LABEL, namespace, name]:
        cluster = (slice_["metadata"].get("labels") or {}).get(CLUSTER_LABEL, "")
        if kind == HEADLESS:  # its clients connect to endpoints: their ports count where targetPort differs
            numbers = {one.get("name") or "": one.get("port") for one in slice_.get("ports") or ()}
            row.ports = tuple(replace(port, number=numbers.get(port.name) or port.number) for port in row.ports)
        row.endpoints += [
            _endpoint(end, ip, cluster)
            for end in slice_.get("endpoints") or ()
            for ip in end["addresses"]
            if slice_.get("addressType") in (V4, V6)
        ]
    _require_names(row)
    if kind == HEADLESS and spec.get("selector") and not row.endpoints:
        row.missing = _UNSLICED
    return row


def _require_names(row: ServedService) -> None:
    """Raise ValueError where a label of the names that the Service makes is none."""
    labels = [
        row.name,
        row.namespace,
        *(one.hostname for one in row.endpoints),
        *(f"_{port.name}" for port in row.ports),
    ]
    for label in filter(None, labels):
        try:
            from_labels(label.encode())
        except ValueError as error:
            raise ValueError(f"Service {row.namespace}/{row.name}: {error}") from error
    for end in row.endpoints:
        ip_address(end.address)


def _port(port: Manifest) -> ServedPort:
    return ServedPort(port.get("name") or "", port["port"], (port.get("protocol") or "TCP").lower())


def _endpoint(end: Manifest, address: str, cluster: str) -> ServedEndpoint:
    is_ready = (end.get("conditions") or {}).get("ready")
    return ServedEndpoint(canonical(address), end.get("hostname") or "", is_ready is not False, cluster)
