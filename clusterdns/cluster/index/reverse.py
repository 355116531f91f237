"""The Services and endpoints by address, for PTR records, and the reverse names that are ancestors of such an address.

Only the index writes it. A Service or endpoint is listed once for each object that has it, as two slices may list the
same address.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

from clusterdns.cluster.grouped import Grouped
from clusterdns.cluster.index.service import ServiceEntry
from clusterdns.cluster.index.slices import EndpointAddress
from clusterdns.cluster.objects import Service, split_external
from clusterdns.wire.name import IN_ADDR_ARPA, IP6_ARPA, ROOT, is_under
from clusterdns.wire.name import labels as name_labels

ServiceKey = tuple[bytes, bytes]  # namespace and name


class ReverseMap:
    """Packed address → the Services and endpoints that have it."""

    def __init__(self) -> None:
        self._services: Grouped[bytes, ServiceKey] = Grouped(lambda key: key)
        self._endpoints: Grouped[bytes, EndpointAddress] = Grouped(_rank)
        self._below: dict[bytes | str, int] = {}  # address prefix → how many longer ones by one step there are

    def services(self, address: bytes) -> Sequence[ServiceKey]:
        """Return the Services with this address, by namespace and name."""
        return self._services.get(address)

    def endpoints(self, address: bytes) -> Sequence[EndpointAddress]:
        """Return the endpoints with this address: those with a hostname first, then by namespace, service and label."""
        return self._endpoints.get(address)

    def has_endpoint_of(self, address: bytes, key: ServiceKey) -> bool:
        """Return whether an endpoint of this Service has the address."""
        found = self._endpoints.get(address)
        for is_nameless in (False, True):
            first = bisect_left(found, (is_nameless, *key), key=_service_rank)
            if first < len(found) and _service_rank(found[first]) == (is_nameless, *key):
                return True
        return False

    def addresses(self) -> Iterator[bytes]:
        """Every address of a Service or endpoint, in no order."""
        yield from self._services
        yield from (address for address in self._endpoints if address not in self._services)

    def is_ancestor(self, qname: bytes) -> bool:
        """Return whether a reverse name such as `1.10.in-addr.arpa.` is above that of a known address."""
        prefix = prefix_of(qname)
        return prefix is not None and prefix in self._below

    def add_service(self, address: bytes, key: ServiceKey) -> None:
        """Add an address of a Service."""
        if address not in self._services and address not in self._endpoints:
            self._count(address, 1)
        self._services.add(address, key)

    def remove_service(self, address: bytes, key: ServiceKey) -> None:
        """Remove an address of a Service. Raises KeyError where it has none such."""
        self._services.remove(address, key)
        self._count_removed(address)

    def move_service(self, key: ServiceKey, removed: Iterable[bytes], added: Iterable[bytes]) -> None:
        """Remove addresses of a Service, and add others."""
        for address in removed:
            self.remove_service(address, key)
        for address in added:
            self.add_service(address, key)

    def add_endpoints(self, endpoints: Iterable[EndpointAddress]) -> None:
        """Add endpoints."""
        counts = self._below
        new = self._endpoints.add_all([(endpoint.address, endpoint) for endpoint in endpoints])
        for address in self._services.without(new):
            nearest = _nearest_prefix(address)
            if nearest in counts:  # as for most addresses, which have neighbours
                counts[nearest] += 1
            else:
                self._count(address, 1)

    def remove_endpoint(self, endpoint: EndpointAddress) -> None:
        """Remove an endpoint. Raises KeyError where it is not there."""
        self._endpoints.remove(endpoint.address, endpoint)
        self._count_removed(endpoint.address)

    def _count_removed(self, address: bytes) -> None:
        if address not in self._services and address not in self._endpoints:
            self._count(address, -1)

    def _count(self, address: bytes, step: int) -> None:
        """Count an address, at which nothing was or nothing is left, in its ancestors.

        A prefix counts those that are longer by one step, not addresses: the neighbours of a known address change its
        nearest prefix alone, not all 31 of IPv6.
        """
        counts = self._below
        for prefix in _prefixes(address):
            before = counts.get(prefix, 0)
            if before + step:
                counts[prefix] = before + step
            else:
                del counts[prefix]
            if before > (0 if step > 0 else 1):
                return


class ExternalMap(ReverseMap):
    """Packed address outside the cluster → the Services that have it: filled in steps, while Services change."""

    def __init__(self, services: Mapping[ServiceKey, ServiceEntry]) -> None:
        super().__init__()
        self._left = dict(services)  # those that have not been read yet, and have not changed since

    def fill(self) -> Iterator[None]:
        """Read the Services that are left."""
        while self._left:
            key, entry = self._left.popitem()
            self.move_service(key, (), _external_addresses(entry.service))
            yield

    def replace(self, key: ServiceKey, old: Service | None, new: Service | None) -> Sequence[bytes]:
        """Replace a Service by another, or add or remove one; return the addresses whose Services may differ."""
        removed = () if self._left.pop(key, None) is not None else _external_addresses(old)
        added = _external_addresses(new)
        self.move_service(key, removed, added)
        return (*removed, *added)


def in_chunks(endpoints: Sequence[EndpointAddress], size: int) -> Iterator[Sequence[EndpointAddress]]:
    """Split what `ReverseMap.endpoints` returns, and pass over endpoints that have the name of a whole chunk."""
    start = 0
    while start < len(endpoints):
        chunk = endpoints[start : start + size]
        yield chunk
        start += len(chunk)
        name = _name_rank(chunk[-1])
        if len(chunk) > 1 and _name_rank(chunk[0]) == name:
            start = bisect_right(endpoints, name, start, key=_name_rank)


def prefix_of(qname: bytes) -> bytes | str | None:
    """Read the reverse name of a network, such as `1.10.in-addr.arpa.`.

    The result is octets of IPv4, nibbles of IPv6 as text, or None for a name that is above no address.
    """
    v6 = is_under(qname, IP6_ARPA)
    tree = IP6_ARPA if v6 else IN_ADDR_ARPA
    labels = name_labels(qname[: len(qname) - len(tree)] + ROOT)
    read = _nibble if v6 else _octet
    try:
        parts = [read(label) for label in reversed(labels)]
        return "".join([f"{nibble:x}" for nibble in parts]) if v6 else bytes(parts)
    except ValueError:
        return None


def _external_addresses(service: Service | None) -> tuple[bytes, ...]:
    return split_external(service)[0] if service is not None else ()


def _rank(endpoint: EndpointAddress) -> tuple[bool, bytes, bytes, bytes, str]:
    return (not endpoint.has_hostname, endpoint.namespace, endpoint.service, endpoint.label, endpoint.slice_name)


def _name_rank(endpoint: EndpointAddress) -> tuple[bool, bytes, bytes, bytes]:
    """Return the beginning of the rank: it is that of all endpoints with the same name."""
    return (not endpoint.has_hostname, endpoint.namespace, endpoint.service, endpoint.label)


def _service_rank(endpoint: EndpointAddress) -> tuple[bool, bytes, bytes]:
    """Return the beginning of the rank."""
    return (not endpoint.has_hostname, endpoint.namespace, endpoint.service)


def _nearest_prefix(address: bytes) -> bytes | str:
    """Return the longest prefix of an address: octets of IPv4 as bytes, nibbles of IPv6 as text."""
    return address[:3] if len(address) == 4 else address.hex()[:31]


def _prefixes(address: bytes) -> Iterator[bytes | str]:
    """Yield the prefixes of an address, longest first."""
    longest = _nearest_prefix(address)
    for size in range(len(longest), 0, -1):
        yield longest[:size]


def _octet(label: bytes) -> int:
    text = label.decode("ascii")
    number = int(text)
    if str(number) != text or number > 255:
        raise ValueError(label)
    return number


def _nibble(label: bytes) -> int:
    if len(label) != 1 or label not in b"0123456789abcdef":
        raise ValueError(label)
    return int(label, 16)
