"""Looks up a name and type in a zone of the cluster, by the rules of DNS-based service discovery.

`schema` parses the name, `Index` has the state, and this module makes the records, with `apex` for the zone's own name
and `pointers` for reverse zones. The result is a `LookupResult`. The kubernetes plugin decides what it means: NXDOMAIN,
SERVFAIL while the index is not synced, the next plugin, or the lookup of an ExternalName's target.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import ClassVar

from clusterdns.cluster.deciding import ClusterKinds, ServiceKinds
from clusterdns.cluster.index.apex import Apex
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.lookup import (
    ADDRESS_TYPES,
    Dependencies,
    LookupResult,
    Targets,
    below,
    dependencies_of,
    endpoint_targets,
    groups_at,
    port_numbers,
    srv_result,
    wire_label,
)
from clusterdns.cluster.index.pods import PodMode, address_in_label
from clusterdns.cluster.index.pointers import Pointers, SetPointers
from clusterdns.cluster.index.schema import SERVICE_TREE, TREES, NameForm, ParsedName, parse_name, without_underscore
from clusterdns.cluster.index.service import ServiceEntry
from clusterdns.cluster.index.slices import MIN_CACHED_ENDPOINTS, NO_PORTS, EndpointAddress, EndpointGroup, groups_of
from clusterdns.cluster.index.topology import ABOVE_ZONES, Topology, parse_zone_labels
from clusterdns.cluster.objects import Port, Service, is_address, packed
from clusterdns.wire import codes, name, record
from clusterdns.wire.runs import address_records

SCHEMA_VERSION = "1.1.0"  # of the Kubernetes DNS specification
VERSION_TTL_SECONDS = 28800
MAX_ZONE_BYTES = name.MAX_NAME_BYTES - len(b"\x0ahostmaster")  # the longest of the names that every zone has

_SERVICE_LABEL_COUNT = 3  # SERVICE.NS.svc


class ClusterZone:
    """A forward zone such as cluster.local., or a reverse zone. All zones of a kubernetes block share one index.

    `find` calls one `_find_…` method by the form of the name; they take the parsed name, the QNAME and the QTYPE.
    `ImportZone` overrides the class attributes, because its endpoints have other names.
    """

    _parse = staticmethod(parse_name)
    _endpoint_start = staticmethod(wire_label)
    _is_imported: ClassVar = False
    _default_ports: ClassVar[tuple[Port, ...]] = NO_PORTS  # stands for the ports of a Service that lists none

    def __init__(
        self,
        zone: bytes,
        index: Index,
        *,
        primary: bytes,
        ttl_seconds: int,
        pods: PodMode,
        ignores_empty: bool = False,
        zonal: bool = False,
        local_addresses: Callable[[], Iterable[bytes]] = tuple,
    ) -> None:
        self.zone = zone
        self.ttl_seconds = ttl_seconds
        self.is_reverse = name.is_reverse(zone)
        self.index = index
        self._exposes = index.exposes
        self._pods = pods
        self._topology = index.topology if zonal else None
        self._local_addresses = local_addresses
        self._find_entry = partial(_visible_entry, index, ignores_empty)  # a bound method would be a reference cycle
        names = (self._find_entry, self._endpoint_start)
        needs_ports = not self._default_ports
        self._apex = Apex(zone, index, ttl_seconds, local_addresses, *names, needs_ports=needs_ports)
        pointers = Pointers(index, primary, ttl_seconds, *names, needs_ports=needs_ports)
        self.pointers: Pointers | SetPointers = pointers  # the directive adds those of a clusterset
        self._zone_labels = len(name.labels(zone))
        self.soa = self._apex.soa
        services = ServiceKinds(index, is_imported=self._is_imported)
        self.deciding_kinds = ClusterKinds(zone, services, self._parse, pods, zonal=zonal)

    def find(self, qname: bytes, qtype: int) -> LookupResult:
        """Look up a name that is in this zone."""
        if qname == self.zone:
            return self._apex.find(qtype)
        labels = name.labels(qname)
        if self._zone_labels:
            del labels[-self._zone_labels :]
        if self.is_reverse and labels[-1] not in TREES:
            return self.pointers.find(qname, qtype)
        parsed = self._parse(labels)
        return self._FIND_BY_FORM[parsed.form](self, parsed, qname, qtype)

    # Names that always exist, and names without a form

    def _find_fixed(self, parsed: ParsedName, qname: bytes, qtype: int) -> LookupResult:
        return LookupResult(())

    def _find_unknown(self, parsed: ParsedName, qname: bytes, qtype: int) -> LookupResult:
        if self._topology is not None and parsed.service:
            return self._zonal(self._topology, parsed, qname, qtype)
        return LookupResult(dependencies_of(parsed), False)

    def _find_version(self, parsed: ParsedName, qname: bytes, qtype: int) -> LookupResult:
        if qtype == codes.TXT:
            return LookupResult((), records=(record.txt(qname, VERSION_TTL_SECONDS, SCHEMA_VERSION),))
        return LookupResult(())

    def _find_nameserver(self, parsed: ParsedName, qname: bytes, qtype: int) -> LookupResult:
        return self._apex.find_server(qname, qtype)

    # Services

    def _find_namespace(self, parsed: ParsedName, qname: bytes, qtype: int) -> LookupResult:
        return LookupResult(dependencies_of(parsed), self._exposes(parsed.namespace))

    def _find_service(self, parsed: ParsedName, qname: bytes, qtype: int) -> LookupResult:
        """Look up the name of a Service, or of one of its ports (`_PORT._PROTOCOL.SERVICE`)."""
        entry = self._find_entry(parsed.namespace, parsed.service)
        if entry is None or entry.service is None:
            return LookupResult(dependencies_of(parsed), False)
        if entry.service.type == "ExternalName":
            return self._external_name(parsed, entry.service.external_name)
        if entry.service.headless:
            return self._headless(entry, parsed, qname, qtype)
        return self._cluster_ip(entry, entry.service, parsed, qname, qtype)

    def _external_name(self, parsed: ParsedName, external_name: str) -> LookupResult:
        """Look up an ExternalName: a CNAME, at the Service's own name only, unless the target is an address."""
        dependencies = dependencies_of(parsed)
        if parsed.form is NameForm.SERVICE and external_name and not is_address(external_name):
            try:
                return LookupResult(dependencies, cname=name.from_text(external_name))
            except ValueError:
                return LookupResult(dependencies, False)
        return LookupResult(dependencies, False)

    def _cluster_ip(
        self, entry: ServiceEntry, service: Service, parsed: ParsedName, qname: bytes, qtype: int
    ) -> LookupResult:
        """Look up a Service with clusterIPs; it has them whether or not it has endpoints."""
        dependencies = dependencies_of(parsed)
        if not any(port.matches(parsed.port, parsed.protocol) for port in service.ports or self._default_ports):
            # a Service without such a port exists where there are endpoints below it (RFC 8020)
            return LookupResult(dependencies, parsed.form is NameForm.SERVICE and entry.has_endpoints)
        cluster_ips = tuple(map(packed, service.cluster_ips))
        if qtype == codes.SRV:
            target = self._service_name(entry)
            numbers = list(port_numbers(service.ports, parsed.port, parsed.protocol))
            targets = [(numbers, [(target, cluster_ips)])] if target else []
            return srv_result(dependencies, qname, self.ttl_seconds, targets)
        return LookupResult(dependencies, records=address_records(qname, self.ttl_seconds, qtype, cluster_ips))

    def _headless(self, entry: ServiceEntry, parsed: ParsedName, qname: bytes, qtype: int) -> LookupResult:
        """Look up a headless Service: its ready endpoints. Without any the name does not exist."""
        dependencies = dependencies_of(parsed)
        if not entry.has_port(parsed.port, parsed.protocol):
            return LookupResult(dependencies, self._is_above_zones(entry, parsed.port, b"_" + parsed.protocol))
        if qtype == codes.SRV:
            return entry.cached(
                (qname, qtype, self.ttl_seconds),
                lambda: self._srv_records(dependencies, entry, entry.groups(), parsed, qname),
            )
        if qtype not in ADDRESS_TYPES:
            return LookupResult(dependencies)
        return entry.cached(
            (qname, qtype, self.ttl_seconds),
            lambda: LookupResult(
                dependencies,
                records=address_records(qname, self.ttl_seconds, qtype, entry.addresses(parsed.port, parsed.protocol)),
            ),
        )

    def _find_endpoint(self, parsed: ParsedName, qname: bytes, qtype: int) -> LookupResult:
        dependencies = dependencies_of(parsed)
        entry = self._find_entry(parsed.namespace, parsed.service)
        if entry is None or entry.service is None or entry.service.type == "ExternalName":
            return LookupResult(dependencies, False)
        endpoints = entry.endpoints_at(parsed.endpoint)
        if not endpoints:
            return LookupResult(dependencies, self._exists_above(entry, parsed.endpoint))
        if len(endpoints) < MIN_CACHED_ENDPOINTS:
            return self._endpoint_records(entry, endpoints, parsed, qname, qtype)
        key = (qname, qtype, self.ttl_seconds)
        if qtype == codes.SRV:
            groups = groups_at(parsed.endpoint, endpoints)
            return entry.cached(key, lambda: self._srv_records(dependencies, entry, groups, parsed, qname))
        return entry.cached(key, lambda: self._endpoint_records(entry, endpoints, parsed, qname, qtype))

    def _endpoint_records(
        self, entry: ServiceEntry, endpoints: Sequence[EndpointAddress], parsed: ParsedName, qname: bytes, qtype: int
    ) -> LookupResult:
        if qtype == codes.SRV:
            return self._srv_records(dependencies_of(parsed), entry, groups_of(endpoints), parsed, qname)
        addresses = dict.fromkeys([endpoint.address for endpoint in endpoints])
        return LookupResult(dependencies_of(parsed), records=address_records(qname, self.ttl_seconds, qtype, addresses))

    def _exists_above(self, entry: ServiceEntry, label: bytes) -> bool:
        """Return whether names exist below a label that no endpoint has, so that this one exists too (RFC 8020)."""
        return self._is_protocol(entry, label) or self._is_above_zones(entry, label)

    def _is_protocol(self, entry: ServiceEntry, label: bytes) -> bool:
        """Return whether names of ports exist below a label such as `_tcp`."""
        protocol = without_underscore(label)
        assert entry.service is not None
        if protocol == label:
            return False
        if entry.service.headless:
            return entry.has_named_port(protocol)
        return any(port.name and port.matches(b"", protocol) for port in entry.service.ports)

    # SRV

    def _srv_records(
        self,
        dependencies: Dependencies,
        entry: ServiceEntry,
        groups: Iterable[EndpointGroup],
        parsed: ParsedName,
        qname: bytes,
    ) -> LookupResult:
        service_name = self._service_name(entry)
        targets: Targets = ()
        if service_name:
            targets = endpoint_targets(groups, self._endpoint_start, parsed.port, parsed.protocol)
        return srv_result(dependencies, qname, self.ttl_seconds, targets, service_name)

    def endpoint_labels(self, endpoint: bytes) -> list[bytes]:
        """Split an endpoint's `label` into the labels in front of its Service's name."""
        return [endpoint]

    def _service_name(self, entry: ServiceEntry) -> bytes:
        return below(self.zone, entry.name, entry.namespace, SERVICE_TREE)

    # Topology zones

    def _zonal(self, topology: Topology, parsed: ParsedName, qname: bytes, qtype: int) -> LookupResult:
        """Look up the endpoints of a headless Service in a topology zone; without any the name has no records."""
        dependencies = dependencies_of(parsed)
        zone = parse_zone_labels(name.labels(qname)[: -self._zone_labels - _SERVICE_LABEL_COUNT])
        entry = self._find_entry(parsed.namespace, parsed.service)
        if zone is None or entry is None or entry.service is None or not entry.service.headless:
            return LookupResult(dependencies, False)
        endpoints, is_zone = topology.endpoints(entry, *zone)
        if not is_zone:  # clients can make up any number of such names, so the result is not cached
            return self._endpoint_records(entry, endpoints, parsed, qname, qtype)
        return entry.cached(
            (qname, qtype, self.ttl_seconds),
            lambda: self._endpoint_records(entry, endpoints, parsed, qname, qtype),
        )

    def _is_above_zones(self, entry: ServiceEntry, *left: bytes) -> bool:
        """Return whether names of topology zones exist below these labels, such as `pin._zone`."""
        assert entry.service is not None
        return self._topology is not None and entry.service.headless and left in ABOVE_ZONES

    # Pods

    def _find_pod_namespace(self, parsed: ParsedName, qname: bytes, qtype: int) -> LookupResult:
        exists = self._pods is not PodMode.DISABLED and self._exposes(parsed.namespace)
        return LookupResult(dependencies_of(parsed), exists)

    def _find_pod(self, parsed: ParsedName, qname: bytes, qtype: int) -> LookupResult:
        address = address_in_label(parsed.endpoint)
        if self._pods is PodMode.DISABLED or address is None or not self._exposes(parsed.namespace):
            return LookupResult(dependencies_of(parsed), False)
        dependencies = (*dependencies_of(parsed), address)
        if self._pods is PodMode.VERIFIED and not self.index.pods.has(parsed.namespace, address):
            return LookupResult(dependencies, False)
        return LookupResult(dependencies, records=address_records(qname, self.ttl_seconds, qtype, (address,)))

    _FIND_BY_FORM: ClassVar = {
        NameForm.FIXED: _find_fixed,
        NameForm.UNKNOWN: _find_unknown,
        NameForm.SERVICE_NAMESPACE: _find_namespace,
        NameForm.SERVICE: _find_service,
        NameForm.PORT: _find_service,
        NameForm.ENDPOINT: _find_endpoint,
        NameForm.POD_NAMESPACE: _find_pod_namespace,
        NameForm.POD: _find_pod,
        NameForm.NAMESERVER: _find_nameserver,
        NameForm.VERSION: _find_version,
    }


def _visible_entry(index: Index, ignores_empty: bool, namespace: bytes, service: bytes) -> ServiceEntry | None:
    """Look up a Service; None where it does not exist for clients."""
    entry = index.service(namespace, service) if index.exposes(namespace) else None
    return None if entry is None or (ignores_empty and entry.is_without_endpoints) else entry
