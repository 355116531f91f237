"""One zone's view of the index: a name and a type → the reply of DNS-based service discovery, or that there is no
such name.

The grammar comes from `schema`, the state from `cluster`; records are made here, when an answer is compiled. What a
missing name means (NXDOMAIN, SERVFAIL while unsynced, the next plugin) is for the kubernetes plugin to say, and so is
what an ExternalName points to.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import ClassVar, NamedTuple

from clusterdns.index.cluster import Index
from clusterdns.index.schema import NAMESERVER_LABELS, Place, Shape, locate, without_underscore
from clusterdns.index.service import NO_PORTS, Member, ServiceNode, matches
from clusterdns.objects import Port, packed
from clusterdns.wire import codes, name, record
from clusterdns.wire.record import Record

SCHEMA_VERSION = "1.1.0"  # of the Kubernetes DNS specification
VERSION_TTL_SECONDS = 28800
MAX_SOA_TTL_SECONDS = 300
MAX_ZONE_BYTES = name.MAX_NAME_BYTES - len(b"\x0ahostmaster")  # of the names that every zone has, the longest

_ADDRESS_LABEL = re.compile(rb"[0-9a-f-]+")
ADDRESS_BYTES = {codes.A: 4, codes.AAAA: 16}
Owners = tuple[object, ...]
Targets = Iterator[tuple[bytes, int, tuple[bytes, ...]]]  # target name, port number, addresses


class Pods(Enum):
    """How names of the form ADDRESS.NS.pod are answered."""

    DISABLED = "disabled"
    INSECURE = "insecure"
    VERIFIED = "verified"


class Found(NamedTuple):
    """What a zone holds for a name and type: records, none of that type (both empty), or no such name."""

    owners: Owners
    exists: bool = True
    records: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    alias: bytes = b""  # the target of an ExternalName: a CNAME, to be followed
    reusable: bool = True  # false where what it depends on has no owner


class ClusterZone:
    """A forward zone such as cluster.local., or a reverse zone; all zones of a kubernetes block share the index."""

    def __init__(
        self,
        zone: bytes,
        index: Index,
        *,
        primary: bytes,
        ttl_seconds: int,
        pods: Pods,
        ignores_empty: bool = False,
        local_addresses: Callable[[], Iterable[bytes]] = tuple,
    ) -> None:
        self.zone = zone
        self._index = index
        self._primary = primary
        self._ttl = ttl_seconds
        self._pods = pods
        self._ignores_empty = ignores_empty
        self._local_addresses = local_addresses
        self.is_reverse = name.is_reverse(zone)
        nameserver = self._below(*NAMESERVER_LABELS)
        self.soa = record.soa(
            zone,
            min(ttl_seconds, MAX_SOA_TTL_SECONDS),
            nameserver,
            name.from_labels(b"hostmaster", *name.labels(zone)),
            serial=0,  # the encoder writes the index's serial of the moment
            minimum=ttl_seconds,
        )

    @property
    def ttl_seconds(self) -> int:
        """Of every record but the SOA and the schema's version."""
        return self._ttl

    def find(self, qname: bytes, qtype: int) -> Found:
        """Look a name of this zone up."""
        if qname == self.zone:
            return self._at_apex(qtype)
        if self.is_reverse:
            return self._find_reverse(qname, qtype)
        labels = name.labels(qname[: len(qname) - len(self.zone)] + name.ROOT)
        place = locate(labels)
        return self._AT[place.shape](self, place, qname, qtype)

    # The zone itself and its fixed names

    def _at_apex(self, qtype: int) -> Found:
        if qtype == codes.SOA:
            return Found((), records=(self.soa,))
        if qtype == codes.NS:
            return self._nameservers()
        return Found(())

    def _at_fixed(self, place: Place, qname: bytes, qtype: int) -> Found:
        return Found(())

    def _at_nothing(self, place: Place, qname: bytes, qtype: int) -> Found:
        return Found(_owners(place), exists=False)

    def _at_version(self, place: Place, qname: bytes, qtype: int) -> Found:
        if qtype == codes.TXT:
            return Found((), records=(record.txt(qname, VERSION_TTL_SECONDS, SCHEMA_VERSION),))
        return Found(())

    def _at_nameserver(self, place: Place, qname: bytes, qtype: int) -> Found:
        return Found((), records=self._addresses(qname, qtype, self._local_addresses()))

    def _nameservers(self) -> Found:
        """The Services that our own addresses are behind, as this zone's servers; else `ns.dns` with those
        addresses."""
        owners: list[object] = []
        names: dict[bytes, tuple[bytes, ...]] = {}
        for local in self._local_addresses():
            owners.append(local)
            for member in self._index.reverse.members(local):
                owners.append((member.namespace, member.service))
                node = self._index.service(member.namespace, member.service)
                if node is not None and node.service is not None:
                    names.update(self._server_names(node))
        if not names:
            names[self._below(*NAMESERVER_LABELS)] = tuple(self._local_addresses())
        return Found(
            tuple(owners),
            records=tuple(record.ns(self.zone, self._ttl, target) for target, addresses in names.items() if addresses),
            additional=self._glue(names.items()),
        )

    def _server_names(self, node: ServiceNode) -> Iterator[tuple[bytes, tuple[bytes, ...]]]:
        assert node.service is not None
        if node.service.headless:
            for label, addresses in _by_label(node.members()).items():
                yield self._endpoint_name(node, label), tuple(addresses)
        else:
            yield self._service_name(node), tuple(map(packed, node.service.cluster_ips))

    # Services

    def _at_namespace(self, place: Place, qname: bytes, qtype: int) -> Found:
        return Found(_owners(place), exists=self._index.exposes(place.namespace))

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
        owners = _owners(place)
        node = self._node(place)
        if node is None or node.service is None:
            return Found(owners, exists=False)
        service = node.service
        if service.type == "ExternalName":
            return self._external(place, service.external_name)
        if service.headless:
            if not self._has_port_members(node, place):
                return Found(owners, exists=False)
        elif not any(matches(port, place.port, place.protocol) for port in service.ports or NO_PORTS):
            return Found(owners, exists=False)
        if qtype == codes.SRV:
            targets = self._headless_targets if service.headless else self._service_targets
            return self._srv(owners, qname, targets(node, place))
        size = ADDRESS_BYTES.get(qtype)
        if size is None:
            return Found(owners)
        if service.headless:
            addresses = node.addresses(size, place.port, place.protocol)
        else:
            addresses = tuple(map(packed, service.cluster_ips))
        return Found(owners, records=self._addresses(qname, qtype, addresses))

    def _has_port_members(self, node: ServiceNode, place: Place) -> bool:
        return any(node.addresses(size, place.port, place.protocol) for size in ADDRESS_BYTES.values())

    def _external(self, place: Place, external_name: str) -> Found:
        """A CNAME, at the Service's own name only; a target that is no name (an address) is as good as none."""
        owners = _owners(place)
        if place.shape is Shape.SERVICE and not _is_address(external_name):
            try:
                return Found(owners, alias=name.from_text(external_name))
            except ValueError:
                return Found(owners, exists=False)
        return Found(owners, exists=False)

    def _at_endpoint(self, place: Place, qname: bytes, qtype: int) -> Found:
        owners = _owners(place)
        node = self._node(place)
        if node is None or node.service is None or node.service.type == "ExternalName":
            return Found(owners, exists=False)
        members = node.endpoint(place.endpoint)
        if not members:
            return Found(owners, exists=self._is_protocol(node, place.endpoint))
        if qtype == codes.SRV:
            return self._srv(owners, qname, self._member_targets(node, members, place))
        return Found(owners, records=self._addresses(qname, qtype, dict.fromkeys(m.address for m in members)))

    def _is_protocol(self, node: ServiceNode, label: bytes) -> bool:
        """Whether names of ports hang below `_tcp.SERVICE` (RFC 8020: then it exists too, without records)."""
        protocol = without_underscore(label)
        assert node.service is not None
        if protocol == label:
            return False
        if not node.service.headless:
            return any(port.name and matches(port, b"", protocol) for port in node.service.ports)
        return any(port.name and matches(port, b"", protocol) for member in node.members() for port in member.ports)

    # SRV

    def _service_targets(self, node: ServiceNode, place: Place) -> Targets:
        assert node.service is not None
        target, addresses = self._service_name(node), tuple(map(packed, node.service.cluster_ips))
        for port in _numbered(node.service.ports, place):
            yield target, port.number, addresses

    def _headless_targets(self, node: ServiceNode, place: Place) -> Targets:
        return self._member_targets(node, node.members(), place)

    def _member_targets(self, node: ServiceNode, members: Iterable[Member], place: Place) -> Targets:
        below = self._service_name(node)
        for member in members:
            target = bytes((len(member.label),)) + member.label + below
            for port in _numbered(member.ports, place):
                yield target, port.number, (member.address,)

    def _srv(self, owners: Owners, qname: bytes, targets: Targets) -> Found:
        """SRV records, equal in weight, and the addresses of their targets. Weights are shared out after
        de-duplication."""
        ports: dict[tuple[bytes, int], None] = {}
        glue: dict[bytes, dict[bytes, None]] = {}
        for target, number, addresses in targets:
            ports[target, number] = None
            glue.setdefault(target, {}).update(dict.fromkeys(addresses))
        weight = max(1, 100 // len(ports)) if ports else 0
        return Found(
            owners,
            records=tuple(record.srv(qname, self._ttl, weight, number, target) for target, number in ports),
            additional=self._glue(glue.items()),
        )

    # Pods

    def _at_pod_namespace(self, place: Place, qname: bytes, qtype: int) -> Found:
        exists = self._pods is not Pods.DISABLED and self._index.exposes(place.namespace)
        return Found(_owners(place), exists=exists)

    def _at_pod(self, place: Place, qname: bytes, qtype: int) -> Found:
        address = _undashed(place.endpoint)
        owners = (*_owners(place), address)
        if self._pods is Pods.DISABLED or address is None or not self._index.exposes(place.namespace):
            return Found(owners, exists=False)
        if self._pods is Pods.VERIFIED and not self._index.has_pod(place.namespace, address):
            return Found(owners, exists=False)
        return Found(owners, records=self._addresses(qname, qtype, (address,)))

    # Reverse names

    def _find_reverse(self, qname: bytes, qtype: int) -> Found:
        address = name.to_address(qname)
        if address is None:
            return self._at_reverse_ancestor(qname)
        targets, owners = self._pointers(address)
        records = tuple(record.ptr(qname, self._ttl, target) for target in targets) if qtype == codes.PTR else ()
        return Found(owners, exists=bool(targets), records=records)

    def _at_reverse_ancestor(self, qname: bytes) -> Found:
        v6 = name.is_under(qname, name.IP6_ARPA)
        tree = name.IP6_ARPA if v6 else name.IN_ADDR_ARPA
        labels = name.labels(qname[: len(qname) - len(tree)] + name.ROOT)
        return Found((), exists=self._index.reverse.is_ancestor(labels, v6=v6), reusable=False)

    def _pointers(self, address: bytes) -> tuple[tuple[bytes, ...], Owners]:
        """The names of an address: of the one Service with that clusterIP, else of every endpoint with it."""
        index = self._index
        owners: dict[object, None] = {address: None}
        for key in sorted(index.reverse.services(address)):
            owners[key[:1]] = None
            if index.exposes(key[0]):
                return (self._below(key[1], key[0], b"svc", zone=self._primary),), tuple(owners)
        targets: dict[bytes, None] = {}
        for member in index.reverse.members(address):
            owners[member.namespace,] = None
            if index.exposes(member.namespace):
                target = self._below(member.label, member.service, member.namespace, b"svc", zone=self._primary)
                targets[target] = None
        return tuple(targets), tuple(owners)

    # Making records

    def _addresses(self, owner: bytes, qtype: int, addresses: Iterable[bytes]) -> tuple[Record, ...]:
        size = ADDRESS_BYTES.get(qtype)
        return tuple(record.address(owner, self._ttl, one) for one in addresses if len(one) == size)

    def _glue(self, addresses_by_name: Iterable[tuple[bytes, Iterable[bytes]]]) -> tuple[Record, ...]:
        return tuple(
            record.address(target, self._ttl, address)
            for target, addresses in addresses_by_name
            for address in addresses
        )

    def _below(self, *labels: bytes, zone: bytes = b"") -> bytes:
        return b"".join(bytes((len(label),)) + label for label in labels) + (zone or self.zone)

    def _service_name(self, node: ServiceNode) -> bytes:
        return self._below(node.name, node.namespace, b"svc")

    def _endpoint_name(self, node: ServiceNode, label: bytes) -> bytes:
        return self._below(label, node.name, node.namespace, b"svc")

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


def _owners(place: Place) -> Owners:
    """What a name at this place depends on: its namespace, and its Service where it is at or below one."""
    if not place.namespace:
        return ()
    if not place.service:
        return ((place.namespace,),)
    return ((place.namespace,), (place.namespace, place.service))


def _numbered(ports: Iterable[Port], place: Place) -> Iterator[Port]:
    return (port for port in ports if port.number > 0 and matches(port, place.port, place.protocol))


def _by_label(members: Iterable[Member]) -> dict[bytes, dict[bytes, None]]:
    found: dict[bytes, dict[bytes, None]] = {}
    for member in members:
        found.setdefault(member.label, {})[member.address] = None
    return found


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
