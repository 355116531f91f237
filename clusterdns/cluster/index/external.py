"""Looks up names of `k8s_external`: Services by their addresses outside the cluster, in zones of their own.

`SERVICE.NAMESPACE.ZONE` has the externalIPs of a Service and the addresses or host names of its load balancer; with the
option `headless` also the endpoints of headless Services. A reverse zone has PTR records of the external addresses. As
for `zone`, the plugin decides what a missing name means.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from itertools import chain

from clusterdns.cluster.deciding import ExternalKinds
from clusterdns.cluster.index.apex import MAX_SERVERS
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.lookup import (
    ADDRESS_TYPES,
    Dependencies,
    LookupResult,
    below,
    endpoint_targets,
    glue_records,
    pointer_records,
    port_numbers,
    srv_result,
    wire_label,
)
from clusterdns.cluster.index.schema import without_underscore
from clusterdns.cluster.index.service import ServiceEntry
from clusterdns.cluster.index.slices import MIN_CACHED_ENDPOINTS, NO_PORTS, EndpointAddress, addresses_at, in_groups
from clusterdns.cluster.objects import Service, split_external
from clusterdns.wire import codes, name, record
from clusterdns.wire.header import MAX_STREAM_BYTES
from clusterdns.wire.name import MAX_NAME_BYTES
from clusterdns.wire.runs import address_records, joined

SERVER_LABEL = b"ns1"
HOSTMASTER_LABEL = b"hostmaster"
_PTR_BYTES = 15  # beside the label of a Service: two pointers, its length, and what precedes RDATA
_MAX_LABELS = 4  # _port._protocol.SERVICE.NAMESPACE


class ExternalZone:
    """A zone for clients outside the cluster, forward or reverse; PTR records point into the zone `primary`."""

    def __init__(
        self,
        zone: bytes,
        index: Index,
        *,
        primary: bytes,
        apex: bytes,
        ttl_seconds: int,
        headless: bool,
        local_addresses: Callable[[], Iterable[bytes]],
    ) -> None:
        """`apex` is the option of that name in wire format: the server of the zone is ns1.APEX.ZONE."""
        self.zone = zone
        self.ttl_seconds = ttl_seconds
        self.is_reverse = name.is_reverse(zone)
        self.index = index
        self._primary = primary
        self._headless = headless
        self._local_addresses = local_addresses
        self._apex_name = apex + zone
        self._server_name = below(self._apex_name, SERVER_LABEL)
        self.deciding_kinds = ExternalKinds(zone, index, self._apex_name, self._server_name)
        self._zone_labels = len(name.labels(zone))
        self.soa = record.soa(
            zone,
            ttl_seconds,
            self._server_name,
            below(self._apex_name, HOSTMASTER_LABEL),
            serial=0,  # the encoder writes the current serial of the index
            minimum=ttl_seconds,
        )

    def find(self, qname: bytes, qtype: int) -> LookupResult:
        """Look up a name that is in this zone."""
        if qname == self.zone:
            return self._find_zone(qtype)
        if qname == self._server_name:
            dependencies, addresses = self._servers()
            return LookupResult(dependencies, records=address_records(qname, self.ttl_seconds, qtype, addresses))
        if qname == self._apex_name:
            return LookupResult(())
        return self._find_address(qname, qtype) if self.is_reverse else self._find_service(qname, qtype)

    def names(self) -> Iterator[bytes]:
        """Yield the names below the zone's own that have records, Service by Service."""
        if self.is_reverse:
            several = sorted(self.index.external.addresses(), key=lambda one: (len(one), one))
            names = map(name.from_address, several)
            yield from (one for one in names if one != self.zone and name.is_under(one, self.zone))
            return
        for entry in sorted(self.index.services(), key=lambda one: (one.namespace, one.name)):
            yield from filter(None, self._names_of(entry))

    # The zone itself

    def _find_zone(self, qtype: int) -> LookupResult:
        if qtype == codes.SOA:
            return LookupResult((), records=(self.soa,))
        if qtype != codes.NS:
            return LookupResult(())
        dependencies, addresses = self._servers()
        glue = glue_records(self.ttl_seconds, [(self._server_name, addresses)])
        return LookupResult(
            dependencies, records=(record.ns(self.zone, self.ttl_seconds, self._server_name),), additional=glue
        )

    def _servers(self) -> tuple[Dependencies, tuple[bytes, ...]]:
        """Return the external addresses of Services with this host among their endpoints, or else the host's own.

        No more than MAX_SERVERS endpoints are read of an address.
        """
        dependencies: dict[Hashable, None] = {}
        external: dict[bytes, None] = {}
        local = tuple(self._local_addresses())
        for address in local:
            dependencies[address] = None
            for endpoint in self.index.reverse.endpoints(address)[:MAX_SERVERS]:
                dependencies[endpoint.namespace, endpoint.service] = None
                entry = self.index.service(endpoint.namespace, endpoint.service)
                if entry is not None and entry.service is not None:
                    external.update(dict.fromkeys(split_external(entry.service)[0]))
        return tuple(dependencies), tuple(external) or local

    # Addresses

    def _find_address(self, qname: bytes, qtype: int) -> LookupResult:
        address = name.to_address(qname)
        if address is None:
            return LookupResult((), self.index.external.is_ancestor(qname), reusable=False)
        dependencies: list[Hashable] = [address]
        targets: dict[bytes, list[bytes]] = {}  # how the names of a namespace end, and how they begin
        spare_bytes = MAX_STREAM_BYTES
        starts: list[bytes] | None = None
        end, last = b"", None
        for namespace, service in self.index.external.services(address):
            if namespace != last:
                last = namespace
                dependencies.append((namespace,))
                end = below(self._primary, namespace)
                starts = targets.setdefault(end, []) if end and self.index.exposes(namespace) else None
            start = wire_label(service)
            if starts is not None and len(start) + len(end) <= MAX_NAME_BYTES:
                starts.append(start)
                spare_bytes -= _PTR_BYTES + len(service)
                if spare_bytes < 0:
                    break
        runs = [pointer_records(qname, self.ttl_seconds, starts, end) for end, starts in targets.items() if starts]
        return LookupResult(tuple(dependencies), bool(runs), joined(*runs) if qtype == codes.PTR else ())

    # Services

    def _find_service(self, qname: bytes, qtype: int) -> LookupResult:
        labels = name.labels(qname)
        if self._zone_labels:
            del labels[-self._zone_labels :]
        namespace = labels[-1]
        if len(labels) == 1:
            return LookupResult(((namespace,),), self.index.exposes(namespace))
        dependencies: Dependencies = ((namespace,), (namespace, labels[-2]))
        entry = self.index.service(namespace, labels[-2]) if self.index.exposes(namespace) else None
        if entry is None or entry.service is None or len(labels) > _MAX_LABELS:
            return LookupResult(dependencies, False)
        left = labels[:-2]
        if entry.service.external:
            return self._external_addresses(dependencies, entry, entry.service, left, qname, qtype)
        if self._headless and (entry.service.headless or len(left) == 1):
            return self._headless_endpoints(dependencies, entry, left, qname, qtype)
        return LookupResult(dependencies, False)

    def _external_addresses(
        self,
        dependencies: Dependencies,
        entry: ServiceEntry,
        service: Service,
        left: list[bytes],
        qname: bytes,
        qtype: int,
    ) -> LookupResult:
        """Look up a Service with external addresses; with host names alone, it is a CNAME of the first."""
        if len(left) == 1:
            return LookupResult(dependencies, self._is_protocol(left[0], service))
        port, protocol = map(without_underscore, left) if left else (b"", b"")
        if not any(one.matches(port, protocol) for one in service.ports or NO_PORTS):
            return LookupResult(dependencies, False)
        addresses, hosts = split_external(service)
        host_names = filter(None, map(_as_name, hosts))  # lazily: as many as fill a message
        if qtype != codes.SRV:
            host_name = None if addresses else next(host_names, None)
            if host_name is None:
                return LookupResult(dependencies, records=address_records(qname, self.ttl_seconds, qtype, addresses))
            return LookupResult(dependencies, cname=host_name)
        own = below(self.zone, entry.name, entry.namespace)
        with_addresses = [(own, addresses)] if own and addresses else []
        targets = chain(with_addresses, ((target, ()) for target in host_names))
        numbers = list(port_numbers(service.ports, port, protocol))
        return srv_result(dependencies, qname, self.ttl_seconds, [(numbers, targets)])

    def _is_protocol(self, label: bytes, service: Service) -> bool:
        """Return whether names of ports exist below a label such as `_tcp`, so that it exists too (RFC 8020)."""
        protocol = without_underscore(label)
        return protocol != label and any(port.name and port.matches(b"", protocol) for port in service.ports)

    def _headless_endpoints(
        self, dependencies: Dependencies, entry: ServiceEntry, left: list[bytes], qname: bytes, qtype: int
    ) -> LookupResult:
        """Look up endpoints, as in the cluster's own zones; without any the name does not exist."""
        port = protocol = b""
        if len(left) == 1:
            endpoints = entry.endpoints_at(left[0])
            if not endpoints:
                label = without_underscore(left[0])
                is_protocol = bool(entry.service and entry.service.headless) and label != left[0]
                return LookupResult(dependencies, is_protocol and entry.has_named_port(label))
            if len(endpoints) < MIN_CACHED_ENDPOINTS:
                return self._endpoint_records(dependencies, entry, endpoints, (port, protocol), qname, qtype)
        else:
            port, protocol = map(without_underscore, left) if left else (b"", b"")
            if not entry.has_port(port, protocol):
                return LookupResult(dependencies, False)
            endpoints = ()  # all of them
        return entry.cached(
            (ExternalZone, qname, qtype, self.ttl_seconds),
            lambda: self._endpoint_records(dependencies, entry, endpoints, (port, protocol), qname, qtype),
        )

    def _endpoint_records(
        self,
        dependencies: Dependencies,
        entry: ServiceEntry,
        endpoints: Collection[EndpointAddress],
        wanted: tuple[bytes, bytes],
        qname: bytes,
        qtype: int,
    ) -> LookupResult:
        """Make the records of these endpoints, or of all without any, that have the wanted port and protocol."""
        if qtype in ADDRESS_TYPES:
            addresses = dict.fromkeys(addresses_at(endpoints, *wanted)) if endpoints else entry.addresses(*wanted)
            return LookupResult(dependencies, records=address_records(qname, self.ttl_seconds, qtype, addresses))
        if qtype != codes.SRV:
            return LookupResult(dependencies)
        own = below(self.zone, entry.name, entry.namespace)
        groups = in_groups(endpoints) if endpoints else entry.groups()
        targets = endpoint_targets(groups if own else (), wire_label, *wanted)
        return srv_result(dependencies, qname, self.ttl_seconds, targets, own)

    def _names_of(self, entry: ServiceEntry) -> Iterator[bytes]:
        """Yield the name of a Service, those of its ports, and with `headless` those of its endpoints."""
        assert entry.service is not None
        own = below(self.zone, entry.name, entry.namespace)
        is_headless = not entry.service.external and self._headless and entry.service.headless and entry.has_endpoints
        if not own or not (entry.service.external or is_headless):
            return
        yield own
        endpoints = list(entry.endpoints()) if is_headless else []
        for label in dict.fromkeys(endpoint.label for endpoint in endpoints):
            yield below(own, label)
        ports = {port for endpoint in endpoints for port in endpoint.ports} if is_headless else set(entry.service.ports)
        for port in sorted((one for one in ports if one.name), key=lambda one: (one.name, one.protocol)):
            yield below(own, b"_" + port.name.encode().lower(), b"_" + port.protocol.encode().lower())


def _as_name(host: str) -> bytes:
    """Read a load balancer's host name; empty where it is not a domain name."""
    try:
        return name.from_text(host)
    except ValueError:
        return b""
