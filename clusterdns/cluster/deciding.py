"""Which kinds of objects decide about a name: those whose next event may change its answer, or make it exist.

A kind that is stale (`cluster.freshness`) casts doubt on the names that it decides about, and on no others: without
Pods that are current a Service is still known. The kinds are those of the object at which the look-up ended: a
namespace that does not exist, a Service that does not exist in it, or else the Service and its endpoints. No kind
decides about a name that no object can have. The zones of `index` look names up; this module is asked only while a kind
is stale.
"""

from collections.abc import Callable

from clusterdns.cluster.freshness import Kinds
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.pods import PodMode, address_in_label
from clusterdns.cluster.index.reverse import prefix_of
from clusterdns.cluster.index.schema import TREES, NameForm, ParsedName
from clusterdns.cluster.objects import EndpointSlice, ImportedSlice, Namespace, Pod, Service, ServiceImport
from clusterdns.wire import name

NO_KINDS: Kinds = frozenset()
_NAMESPACES: Kinds = frozenset((Namespace,))
_PODS: Kinds = frozenset((Pod,))
_MAX_EXTERNAL_LABELS = 4  # _port._protocol.SERVICE.NAMESPACE


class ServiceKinds:
    """The kinds that decide about a Service, or a ServiceImport, of an index."""

    def __init__(self, index: Index, *, is_imported: bool = False) -> None:
        self.of_service: Kinds = frozenset((ServiceImport if is_imported else Service,))
        self.of_endpoints = self.of_service | {ImportedSlice if is_imported else EndpointSlice}
        self.exposes = index.exposes
        self._index = index

    def in_namespace(self, namespace: bytes, service: bytes) -> Kinds:
        """Return the kinds for the names at and below a Service, or for a namespace where `service` is empty."""
        namespaces = self._index.namespaces
        if not namespaces.serves(namespace):
            return NO_KINDS
        if not service or not namespaces.exposes(namespace):
            return _NAMESPACES
        return self.of_service if self._index.service(namespace, service) is None else self.of_endpoints

    def of_reverse_name(self, qname: bytes) -> Kinds:
        """Return the kinds for the name of an address, or of a network; any address may become an endpoint's."""
        address = name.to_address(qname)
        if address is None:
            return NO_KINDS if prefix_of(qname) is None else self.of_endpoints
        reverse = self._index.reverse
        is_known = bool(reverse.services(address) or reverse.endpoints(address))
        return self.of_endpoints | _NAMESPACES if is_known else self.of_endpoints


class ClusterKinds:
    """The kinds that decide about the names of a zone such as cluster.local., or of a reverse zone."""

    def __init__(
        self,
        zone: bytes,
        services: ServiceKinds,
        parse: Callable[[list[bytes]], ParsedName],
        pods: PodMode,
        *,
        zonal: bool,
    ) -> None:
        self._zone = zone
        self._zone_labels = len(name.labels(zone))
        self._is_reverse = name.is_reverse(zone)
        self._services = services
        self._parse = parse
        self._pods = pods
        self._zonal = zonal

    def __call__(self, qname: bytes) -> Kinds:
        """Return the kinds for a name that is in the zone."""
        if qname == self._zone:
            return self._services.of_endpoints  # of its NS records
        labels = name.labels(qname)
        labels = labels[: len(labels) - self._zone_labels]
        if self._is_reverse and labels[-1] not in TREES:
            return self._services.of_reverse_name(qname)
        parsed = self._parse(labels)
        match parsed.form:
            case NameForm.FIXED | NameForm.VERSION:
                return NO_KINDS
            case NameForm.NAMESERVER:
                return self._services.of_endpoints
            case NameForm.POD_NAMESPACE | NameForm.POD:
                return self._of_pod(parsed)
            case NameForm.UNKNOWN if not (self._zonal and parsed.service):
                return NO_KINDS
        return self._services.in_namespace(parsed.namespace, parsed.service)

    def _of_pod(self, parsed: ParsedName) -> Kinds:
        is_possible = parsed.form is NameForm.POD_NAMESPACE or address_in_label(parsed.endpoint) is not None
        if self._pods is PodMode.DISABLED or not is_possible:
            return NO_KINDS
        of_namespace = self._services.in_namespace(parsed.namespace, b"")
        if parsed.form is NameForm.POD and self._pods is PodMode.VERIFIED and self._services.exposes(parsed.namespace):
            return _PODS
        return of_namespace


class ExternalKinds:
    """The kinds that decide about the names of a zone of `k8s_external`."""

    def __init__(self, zone: bytes, index: Index, apex_name: bytes, server_name: bytes) -> None:
        """`server_name` is the fixed name of the zone's server, below `apex_name`."""
        self._zone = zone
        self._apex_name = apex_name
        self._server_name = server_name
        self._zone_labels = len(name.labels(zone))
        self._is_reverse = name.is_reverse(zone)
        self._services = ServiceKinds(index)

    def __call__(self, qname: bytes) -> Kinds:
        """Return the kinds for a name that is in the zone."""
        if qname in (self._zone, self._server_name):
            return self._services.of_endpoints
        if qname == self._apex_name:
            return NO_KINDS
        if self._is_reverse:
            return self._services.of_reverse_name(qname)
        labels = name.labels(qname)
        labels = labels[: len(labels) - self._zone_labels]
        if len(labels) > _MAX_EXTERNAL_LABELS:
            return NO_KINDS
        return self._services.in_namespace(labels[-1], labels[-2] if len(labels) > 1 else b"")
