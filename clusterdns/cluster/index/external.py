"""The view of a cluster from outside: Services by their external addresses, under a zone of its own.

`SERVICE.NAMESPACE.ZONE` has the externalIPs of a Service and what its load balancer has; with `headless` also the
endpoints of headless Services. A reverse zone has the addresses. Like `zone` this says what is there; what becomes of
names that are not is the plugin's to say.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator

from clusterdns.cluster.index import found
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.found import ADDRESS_BYTES, Dependencies, Found, below
from clusterdns.cluster.index.schema import without_underscore
from clusterdns.cluster.index.service import NO_PORTS, Member, ServiceNode, matches
from clusterdns.cluster.objects import Service, split_external
from clusterdns.wire import codes, name, record

SERVER_LABEL = b"ns1"
HOSTMASTER_LABEL = b"hostmaster"
_MAX_LABELS = 4  # _port._protocol.SERVICE.NAMESPACE


class ExternalZone:
    """A zone for clients outside the cluster, forward or reverse; `primary` is the one that PTR records point into."""

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
        """`apex` are the labels, with their lengths, between the zone and the names of its server and hostmaster."""
        self.zone = zone
        self.ttl_seconds = ttl_seconds
        self.is_reverse = name.is_reverse(zone)
        self.index = self._index = index
        self._by_address = index.external
        self._primary = primary
        self._headless = headless
        self._local_addresses = local_addresses
        self._apex_name = apex + zone
        self._server_name = below(self._apex_name, SERVER_LABEL)
        self._zone_labels = len(name.labels(zone))
        self.soa = record.soa(
            zone,
            ttl_seconds,
            self._server_name,
            below(self._apex_name, HOSTMASTER_LABEL),
            serial=0,  # the encoder writes the index's serial of the moment
            minimum=ttl_seconds,
        )

    def find(self, qname: bytes, qtype: int) -> Found:
        """Look a name of this zone up."""
        if qname == self.zone:
            return self._at_zone(qtype)
        if qname == self._server_name:
            dependencies, addresses = self._servers()
            return Found(dependencies, records=found.addresses(qname, self.ttl_seconds, qtype, addresses))
        if qname == self._apex_name:
            return Found(())
        return self._at_address(qname, qtype) if self.is_reverse else self._at_service(qname, qtype)

    def names(self) -> Iterator[bytes]:
        """Every name below the zone's own that has records, Service by Service."""
        if self.is_reverse:
            several = sorted(self._by_address.addresses(), key=lambda one: (len(one), one))
            names = map(name.from_address, several)
            yield from (one for one in names if one != self.zone and name.is_under(one, self.zone))
            return
        for node in sorted(self._index.services(), key=lambda one: (one.namespace, one.name)):
            yield from filter(None, self._names_of(node))

    # The zone itself

    def _at_zone(self, qtype: int) -> Found:
        if qtype == codes.SOA:
            return Found((), records=(self.soa,))
        if qtype != codes.NS:
            return Found(())
        dependencies, addresses = self._servers()
        glue = found.glue(self.ttl_seconds, [(self._server_name, addresses)])
        return Found(
            dependencies, records=(record.ns(self.zone, self.ttl_seconds, self._server_name),), additional=glue
        )

    def _servers(self) -> tuple[Dependencies, tuple[bytes, ...]]:
        """The external addresses of the Services that this host is behind; where they have none, its own."""
        dependencies: list[Hashable] = []
        external: dict[bytes, None] = {}
        local = tuple(self._local_addresses())
        for address in local:
            dependencies.append(address)
            for member in self._index.reverse.members(address):
                dependencies.append((member.namespace, member.service))
                node = self._index.service(member.namespace, member.service)
                if node is not None and node.service is not None:
                    external.update(dict.fromkeys(split_external(node.service)[0]))
        return tuple(dependencies), tuple(external) or local

    # Addresses

    def _at_address(self, qname: bytes, qtype: int) -> Found:
        address = name.to_address(qname)
        if address is None:
            v6 = name.is_under(qname, name.IP6_ARPA)
            tree = name.IP6_ARPA if v6 else name.IN_ADDR_ARPA
            labels = name.labels(qname[: len(qname) - len(tree)] + name.ROOT)
            return Found((), self._by_address.is_ancestor(labels, v6=v6), reusable=False)
        dependencies: list[Hashable] = [address]
        targets = []
        for namespace, service in sorted(self._by_address.services(address)):
            dependencies.append((namespace,))
            target = below(self._primary, service, namespace)
            if target and self._index.exposes(namespace):
                targets.append(record.ptr(qname, self.ttl_seconds, target))
        return Found(tuple(dependencies), bool(targets), tuple(targets) if qtype == codes.PTR else ())

    # Services

    def _at_service(self, qname: bytes, qtype: int) -> Found:
        labels = name.labels(qname)
        if self._zone_labels:
            del labels[-self._zone_labels :]
        namespace = labels[-1]
        if len(labels) == 1:
            return Found(((namespace,),), self._index.exposes(namespace))
        dependencies: Dependencies = ((namespace,), (namespace, labels[-2]))
        node = self._index.service(namespace, labels[-2]) if self._index.exposes(namespace) else None
        if node is None or node.service is None or len(labels) > _MAX_LABELS:
            return Found(dependencies, False)
        left = labels[:-2]
        if node.service.external:
            return self._external(dependencies, node, node.service, left, qname, qtype)
        if self._headless and (node.service.headless or len(left) == 1):
            return self._members(dependencies, node, left, qname, qtype)
        return Found(dependencies, False)

    def _external(
        self,
        dependencies: Dependencies,
        node: ServiceNode,
        service: Service,
        left: list[bytes],
        qname: bytes,
        qtype: int,
    ) -> Found:
        """A Service with addresses outside; one that has host names alone is an alias of the first."""
        if len(left) == 1:
            return Found(dependencies, self._is_protocol(left[0], service))
        port, protocol = map(without_underscore, left) if left else (b"", b"")
        if not any(matches(one, port, protocol) for one in service.ports or NO_PORTS):
            return Found(dependencies, False)
        addresses, hosts = split_external(service)
        aliases = tuple(filter(None, map(_as_name, hosts)))
        if qtype != codes.SRV:
            if addresses or not aliases:
                return Found(dependencies, records=found.addresses(qname, self.ttl_seconds, qtype, addresses))
            return Found(dependencies, alias=aliases[0])
        own = below(self.zone, node.name, node.namespace)
        targets = [(own, addresses)] if addresses else [(alias, ()) for alias in aliases]
        ports = [one.number for one in service.ports if one.number > 0 and matches(one, port, protocol)]
        several = ((target, number, packed) for target, packed in targets for number in ports)
        return found.srv(dependencies, qname, self.ttl_seconds, several)

    def _is_protocol(self, label: bytes, service: Service) -> bool:
        """Whether names of ports hang below `_tcp.SERVICE` (RFC 8020)."""
        protocol = without_underscore(label)
        return protocol != label and any(port.name and matches(port, b"", protocol) for port in service.ports)

    def _members(
        self, dependencies: Dependencies, node: ServiceNode, left: list[bytes], qname: bytes, qtype: int
    ) -> Found:
        """Endpoints, as inside the cluster; without any the name does not exist."""
        if len(left) == 1:
            members: Iterable[Member] = node.endpoint(left[0])
            port = protocol = b""
            if not members:
                label = without_underscore(left[0])
                is_protocol = bool(node.service and node.service.headless) and label != left[0]
                return Found(dependencies, is_protocol and node.has_named_port(label))
        else:
            port, protocol = map(without_underscore, left) if left else (b"", b"")
            if not node.has_port(port, protocol):
                return Found(dependencies, False)
            members = node.members()
        fitting = [(one, number) for one in members for number in one.ports if matches(number, port, protocol)]
        if qtype in ADDRESS_BYTES:
            addresses = dict.fromkeys(one.address for one, _ in fitting)
            return Found(dependencies, records=found.addresses(qname, self.ttl_seconds, qtype, addresses))
        if qtype != codes.SRV:
            return Found(dependencies)
        own = below(self.zone, node.name, node.namespace)
        targets = ((below(own, one.label), at.number, (one.address,)) for one, at in fitting if own and at.number > 0)
        return found.srv(dependencies, qname, self.ttl_seconds, targets)

    def _names_of(self, node: ServiceNode) -> Iterator[bytes]:
        """The Service's name, those of its ports, and those of its endpoints where they are its addresses."""
        assert node.service is not None
        own = below(self.zone, node.name, node.namespace)
        is_headless = not node.service.external and self._headless and node.service.headless and node.has_members
        if not own or not (node.service.external or is_headless):
            return
        yield own
        members = list(node.members()) if is_headless else []
        for label in dict.fromkeys(member.label for member in members):
            yield below(own, label)
        ports = {port for member in members for port in member.ports} if is_headless else set(node.service.ports)
        for port in sorted((one for one in ports if one.name), key=lambda one: (one.name, one.protocol)):
            yield below(own, b"_" + port.name.encode().lower(), b"_" + port.protocol.encode().lower())


def _as_name(host: str) -> bytes:
    """A load balancer's host name; empty where it is none."""
    try:
        return name.from_text(host)
    except ValueError:
        return b""
