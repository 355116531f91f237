"""One zone's view of the index: a name and a type → what is there by DNS-based service discovery, or no such name.

The grammar comes from `schema`, the state from `cluster`; records are made here, when an answer is compiled, with
`apex` for the zone's own name and `pointers` for reverse zones. What a missing name means (NXDOMAIN, SERVFAIL while
unsynced, the next plugin) is for the kubernetes plugin to say, and so is what an ExternalName points to.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import ClassVar

from clusterdns.cluster.index import found
from clusterdns.cluster.index.apex import Apex
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.found import ADDRESS_BYTES, Dependencies, Found, Targets, below
from clusterdns.cluster.index.pointers import Pointers
from clusterdns.cluster.index.schema import SERVICE_TREE, Place, Shape, locate, without_underscore
from clusterdns.cluster.index.service import NO_PORTS, Member, ServiceNode, matches
from clusterdns.cluster.index.topology import ABOVE_ZONES, Topology, read_labels
from clusterdns.cluster.objects import Port, Service, packed
from clusterdns.wire import codes, name, record

SCHEMA_VERSION = "1.1.0"  # of the Kubernetes DNS specification
VERSION_TTL_SECONDS = 28800
MAX_ZONE_BYTES = name.MAX_NAME_BYTES - len(b"\x0ahostmaster")  # of the names that every zone has, the longest

_SERVICE_LABELS = ("service", "namespace", SERVICE_TREE)
_ADDRESS_LABEL = re.compile(rb"[0-9a-f:-]+")


class Pods(Enum):
    """How names of the form ADDRESS.NS.pod are answered."""

    DISABLED = "disabled"
    INSECURE = "insecure"
    VERIFIED = "verified"


class ClusterZone:
    """A forward zone such as cluster.local., or a reverse zone; all zones of a kubernetes block share the index.

    A zone with other names for endpoints (see `imports`) differs in what is said first.
    """

    _locate = staticmethod(locate)
    _below_service = staticmethod(below)
    _ports_of_none: ClassVar[tuple[Port, ...]] = NO_PORTS  # what a Service without ports is taken to have

    def __init__(
        self,
        zone: bytes,
        index: Index,
        *,
        primary: bytes,
        ttl_seconds: int,
        pods: Pods,
        ignores_empty: bool = False,
        zonal: bool = False,
        local_addresses: Callable[[], Iterable[bytes]] = tuple,
    ) -> None:
        self.zone = zone
        self.ttl_seconds = ttl_seconds
        self.is_reverse = name.is_reverse(zone)
        self.index = self._index = index
        self._pods = pods
        self._ignores_empty = ignores_empty
        self._topology = index.topology if zonal else None
        self._local_addresses = local_addresses
        self._apex = Apex(zone, index, ttl_seconds, local_addresses, self._below_service)
        self._pointers = Pointers(index, primary, ttl_seconds)
        self._zone_labels = len(name.labels(zone))
        self.soa = self._apex.soa

    def find(self, qname: bytes, qtype: int) -> Found:
        """Look a name of this zone up."""
        if qname == self.zone:
            return self._apex.find(qtype)
        if self.is_reverse:
            return self._pointers.find(qname, qtype)
        labels = name.labels(qname)
        if self._zone_labels:
            del labels[-self._zone_labels :]
        place = self._locate(labels)
        return self._AT[place.shape](self, place, qname, qtype)

    # Names that are always there, or never

    def _at_fixed(self, place: Place, qname: bytes, qtype: int) -> Found:
        return Found(())

    def _at_nothing(self, place: Place, qname: bytes, qtype: int) -> Found:
        if self._topology is not None and place.service:
            return self._zonal(self._topology, place, qname, qtype)
        return Found(_owners(place), False)

    def _at_version(self, place: Place, qname: bytes, qtype: int) -> Found:
        if qtype == codes.TXT:
            return Found((), records=(record.txt(qname, VERSION_TTL_SECONDS, SCHEMA_VERSION),))
        return Found(())

    def _at_nameserver(self, place: Place, qname: bytes, qtype: int) -> Found:
        return Found((), records=found.addresses(qname, self.ttl_seconds, qtype, self._local_addresses()))

    # Services

    def _at_namespace(self, place: Place, qname: bytes, qtype: int) -> Found:
        return Found(_owners(place), self._index.exposes(place.namespace))

    def _node(self, place: Place) -> ServiceNode | None:
        """The Service a place is at or below, if it answers at all."""
        if not self._index.exposes(place.namespace):
            return None
        node = self._index.service(place.namespace, place.service)
        if node is None or node.service is None:
            return None
        is_plain = not node.service.headless and node.service.type != "ExternalName"
        return None if self._ignores_empty and is_plain and not node.has_members else node

    def _at_service(self, place: Place, qname: bytes, qtype: int) -> Found:
        """The Service's own name, or one of its ports (`_port._protocol.SERVICE`)."""
        node = self._node(place)
        if node is None or node.service is None:
            return Found(_owners(place), False)
        if node.service.type == "ExternalName":
            return self._external(place, node.service.external_name)
        if node.service.headless:
            return self._headless(node, place, qname, qtype)
        return self._plain(node, node.service, place, qname, qtype)

    def _external(self, place: Place, external_name: str) -> Found:
        """A CNAME, at the Service's own name only; a target that is no name (an address) is as good as none."""
        dependencies = _owners(place)
        if place.shape is Shape.SERVICE and external_name and not _is_address(external_name):
            try:
                return Found(dependencies, alias=name.from_text(external_name))
            except ValueError:
                return Found(dependencies, False)
        return Found(dependencies, False)

    def _plain(self, node: ServiceNode, service: Service, place: Place, qname: bytes, qtype: int) -> Found:
        """A Service with clusterIPs, which answer whether or not there are endpoints."""
        dependencies = _owners(place)
        if not any(matches(port, place.port, place.protocol) for port in service.ports or self._ports_of_none):
            return Found(
                dependencies, place.shape is Shape.SERVICE and node.has_members
            )  # RFC 8020: above its endpoints
        cluster_ips = tuple(map(packed, service.cluster_ips))
        if qtype == codes.SRV:
            target = self._service_name(node)
            targets = [(target, port.number, cluster_ips) for port in _numbered(service.ports, place)]
            return found.srv(dependencies, qname, self.ttl_seconds, targets)
        return Found(dependencies, records=found.addresses(qname, self.ttl_seconds, qtype, cluster_ips))

    def _headless(self, node: ServiceNode, place: Place, qname: bytes, qtype: int) -> Found:
        """The ready endpoints; without any the name does not exist."""
        dependencies = _owners(place)
        if not node.has_port(place.port, place.protocol):
            return Found(dependencies, self._leads_to_zones(node, place.port, b"_" + place.protocol))
        if qtype == codes.SRV:
            return node.view(
                (qname, qtype, self.ttl_seconds),
                lambda: found.srv(
                    dependencies, qname, self.ttl_seconds, self._member_targets(node, node.members(), place)
                ),
            )
        if qtype not in ADDRESS_BYTES:
            return Found(dependencies)
        return node.view(
            (qname, qtype, self.ttl_seconds), lambda: self._headless_addresses(node, dependencies, place, qname, qtype)
        )

    def _headless_addresses(
        self, node: ServiceNode, dependencies: Dependencies, place: Place, qname: bytes, qtype: int
    ) -> Found:
        addresses = dict.fromkeys(
            member.address
            for member in node.members()
            if any(matches(port, place.port, place.protocol) for port in member.ports)
        )
        return Found(dependencies, records=found.addresses(qname, self.ttl_seconds, qtype, addresses))

    def _at_endpoint(self, place: Place, qname: bytes, qtype: int) -> Found:
        dependencies = _owners(place)
        node = self._node(place)
        if node is None or node.service is None or node.service.type == "ExternalName":
            return Found(dependencies, False)
        members = node.endpoint(place.endpoint)
        if not members:
            return Found(dependencies, self._is_above(node, place.endpoint))
        if qtype == codes.SRV:
            return found.srv(dependencies, qname, self.ttl_seconds, self._member_targets(node, members, place))
        addresses = dict.fromkeys(member.address for member in members)
        return Found(dependencies, records=found.addresses(qname, self.ttl_seconds, qtype, addresses))

    def _is_above(self, node: ServiceNode, label: bytes) -> bool:
        """Whether there are names below a label that no endpoint has."""
        return self._is_protocol(node, label) or self._leads_to_zones(node, label)

    def _is_protocol(self, node: ServiceNode, label: bytes) -> bool:
        """Whether names of ports hang below `_tcp.SERVICE` (RFC 8020: then it exists too, without records)."""
        protocol = without_underscore(label)
        assert node.service is not None
        if protocol == label:
            return False
        if node.service.headless:
            return node.has_named_port(protocol)
        return any(port.name and matches(port, b"", protocol) for port in node.service.ports)

    # SRV

    def _member_targets(self, node: ServiceNode, members: Iterable[Member], place: Place) -> Targets:
        service_name = self._service_name(node)
        for member in members:
            target = self._below_service(service_name, member.label)
            for port in _numbered(member.ports, place):
                yield target, port.number, (member.address,)

    def labels_of(self, endpoint: bytes) -> list[bytes]:
        """The labels of an endpoint's name that stand in front of its Service's."""
        return [endpoint]

    def _service_name(self, node: ServiceNode) -> bytes:
        return below(self.zone, node.name, node.namespace, SERVICE_TREE)

    # Topology zones

    def _zonal(self, topology: Topology, place: Place, qname: bytes, qtype: int) -> Found:
        """Endpoints of a headless Service that are in a zone; without any there is the name, and no records."""
        dependencies = _owners(place)
        asked = read_labels(name.labels(qname)[: -self._zone_labels - len(_SERVICE_LABELS)])
        node = self._node(place)
        if asked is None or node is None or node.service is None or not node.service.headless:
            return Found(dependencies, False)
        members = topology.members(node, *asked)
        if qtype == codes.SRV:
            targets = self._member_targets(node, members, place)
            return found.srv(dependencies, qname, self.ttl_seconds, targets)
        addresses = dict.fromkeys(member.address for member in members)
        return Found(dependencies, records=found.addresses(qname, self.ttl_seconds, qtype, addresses))

    def _leads_to_zones(self, node: ServiceNode, *left: bytes) -> bool:
        """Whether names of topology zones hang below these labels (RFC 8020: then they exist)."""
        assert node.service is not None
        return self._topology is not None and node.service.headless and left in ABOVE_ZONES

    # Pods

    def _at_pod_namespace(self, place: Place, qname: bytes, qtype: int) -> Found:
        return Found(_owners(place), self._pods is not Pods.DISABLED and self._index.exposes(place.namespace))

    def _at_pod(self, place: Place, qname: bytes, qtype: int) -> Found:
        address = _undashed(place.endpoint)
        if self._pods is Pods.DISABLED or address is None or not self._index.exposes(place.namespace):
            return Found(_owners(place), False)
        dependencies = (*_owners(place), address)
        if self._pods is Pods.VERIFIED and not self._index.has_pod(place.namespace, address):
            return Found(dependencies, False)
        return Found(dependencies, records=found.addresses(qname, self.ttl_seconds, qtype, (address,)))

    _AT: ClassVar = {
        Shape.FIXED: _at_fixed,
        Shape.NOTHING: _at_nothing,
        Shape.SERVICE_NAMESPACE: _at_namespace,
        Shape.SERVICE: _at_service,
        Shape.PORT: _at_service,
        Shape.ENDPOINT: _at_endpoint,
        Shape.POD_NAMESPACE: _at_pod_namespace,
        Shape.POD: _at_pod,
        Shape.NAMESERVER: _at_nameserver,
        Shape.VERSION: _at_version,
    }


def _owners(place: Place) -> Dependencies:
    """What a name at this place depends on: its namespace, and its Service where it is at or below one."""
    if not place.namespace:
        return ()
    if not place.service:
        return ((place.namespace,),)
    return ((place.namespace,), (place.namespace, place.service))


def _numbered(ports: Iterable[Port], place: Place) -> Iterator[Port]:
    return (port for port in ports if port.number > 0 and matches(port, place.port, place.protocol))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _undashed(label: bytes) -> bytes | None:
    """The packed address that a pod's label spells: three single dashes for IPv4, otherwise dashes for colons."""
    if not _ADDRESS_LABEL.fullmatch(label):
        return None
    text = label.decode()
    try:
        if text.count("-") == 3 and "--" not in text:
            return IPv4Address(text.replace("-", ".")).packed
        address = IPv6Address(text.replace("-", ":"))
    except ValueError:
        return None
    return (address.ipv4_mapped or address).packed
