"""The Services and endpoints by address, for PTR records, and the reverse names that are ancestors of such an address.

Only the index writes it. A Service or endpoint is listed once for each object that has it, as two slices may list the
same address. Of a new slice only the addresses are listed; its endpoints are read when one of these is asked for.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from clusterdns.cluster.grouped import Grouped
from clusterdns.cluster.index.service import ServiceEntry
from clusterdns.cluster.index.slices import EndpointAddress, SliceState
from clusterdns.cluster.objects import Service, split_external
from clusterdns.wire.name import IN_ADDR_ARPA, IP6_ARPA, ROOT, is_under
from clusterdns.wire.name import labels as name_labels

MAX_UNREAD_SLICES = 8  # at one address: reading them takes a millisecond

ServiceKey = tuple[bytes, bytes]  # namespace and name


class AddressPrefixes:
    """The prefixes of addresses: octets of IPv4 as bytes, nibbles of IPv6 as text.

    A prefix counts those that are longer by one step, not addresses: the neighbours of a known address change its
    nearest prefix alone, not all 31 of IPv6.
    """

    def __init__(self) -> None:
        self._counts: dict[bytes | str, int] = {}  # of those that are longer by one step; the longest count addresses

    def __contains__(self, prefix: bytes | str) -> bool:
        return prefix in self._counts

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, addresses: Iterable[bytes]) -> None:
        """Add addresses, which may have been added before."""
        counts = self._counts
        for address in addresses:
            nearest = address[:3] if len(address) == 4 else address.hex()[:31]
            try:  # most addresses have neighbours, and nothing costs less here
                counts[nearest] += 1
            except KeyError:
                self._add_prefix(nearest)

    def _add_prefix(self, nearest: bytes | str) -> None:
        self._counts[nearest] = 1
        for prefix in _shorter(nearest):
            before = self._counts.get(prefix, 0)
            self._counts[prefix] = before + 1
            if before:
                return

    def remove(self, address: bytes) -> None:
        """Remove an address, as often as it was added."""
        counts = self._counts
        for prefix in _shorter(address if len(address) == 4 else address.hex()):
            counts[prefix] -= 1
            if counts[prefix]:
                return
            del counts[prefix]


class ReverseMap:
    """Packed address → the Services and endpoints that have it."""

    def __init__(self) -> None:
        self._services: Grouped[bytes, ServiceKey] = Grouped(lambda key: key)
        self._endpoints: Grouped[bytes, EndpointAddress] = Grouped(_rank)
        self._unread: dict[bytes, tuple[SliceState, ...]] = {}  # slices whose endpoints are not in `_endpoints` yet
        self._prefixes = AddressPrefixes()  # of the addresses of Services, and of those of endpoints

    def services(self, address: bytes) -> Sequence[ServiceKey]:
        """Return the Services with this address, by namespace and name."""
        return self._services.get(address)

    def endpoints(self, address: bytes) -> Sequence[EndpointAddress]:
        """Return the endpoints with this address: those with a hostname first, then by namespace, service and label."""
        for state in self._unread.get(address, ()):
            self.read(state)
        return self._endpoints.get(address)

    def has_endpoint_of(self, address: bytes, key: ServiceKey) -> bool:
        """Return whether an endpoint of this Service has the address."""
        found = self.endpoints(address)
        for is_nameless in (False, True):
            first = bisect_left(found, (is_nameless, *key), key=_service_rank)
            if first < len(found) and _service_rank(found[first]) == (is_nameless, *key):
                return True
        return False

    def addresses(self) -> set[bytes]:
        """Every address of a Service or endpoint."""
        return {*self._services, *self._endpoints, *self._unread}

    def is_ancestor(self, qname: bytes) -> bool:
        """Return whether a reverse name such as `1.10.in-addr.arpa.` is above that of a known address."""
        prefix = prefix_of(qname)
        return prefix is not None and prefix in self._prefixes

    def add_service(self, address: bytes, key: ServiceKey) -> None:
        """Add an address of a Service."""
        if address not in self._services:
            self._prefixes.add((address,))
        self._services.add(address, key)

    def remove_service(self, address: bytes, key: ServiceKey) -> None:
        """Remove an address of a Service. Raises KeyError where it has none such."""
        self._services.remove(address, key)
        if address not in self._services:
            self._prefixes.remove(address)

    def move_service(self, key: ServiceKey, removed: Iterable[bytes], added: Iterable[bytes]) -> None:
        """Remove addresses of a Service, and add others."""
        for address in removed:
            self.remove_service(address, key)
        for address in added:
            self.add_service(address, key)

    def add_slice(self, state: SliceState, addresses: Collection[bytes]) -> None:
        """Add the endpoints of a slice, which have these addresses; they are read when one of these is asked for."""
        unread = self._unread
        if unread.keys().isdisjoint(addresses):
            self._prefixes.add(self._endpoints.without(addresses))
            unread.update(dict.fromkeys(addresses, (state,)))  # nearly every slice
            return
        self._prefixes.add(self._without_endpoints(addresses))
        for address in addresses:
            unread[address] = (*unread.get(address, ()), state)
        for address in addresses:
            if len(unread.get(address, ())) > MAX_UNREAD_SLICES:
                self.endpoints(address)

    def read(self, state: SliceState) -> None:
        """Read the endpoints of a slice, which may have been read before, so that they are found by address."""
        endpoints = tuple(state.endpoints())
        unread = self._unread
        if not endpoints or state not in unread.get(endpoints[0].address, ()):
            return
        for address in {endpoint.address for endpoint in endpoints}:
            others = tuple([one for one in unread.pop(address) if one is not state])
            if others:
                unread[address] = others
        self._endpoints.add_all([(endpoint.address, endpoint) for endpoint in endpoints])

    def add_endpoints(self, endpoints: Iterable[EndpointAddress]) -> None:
        """Add endpoints."""
        pairs = [(endpoint.address, endpoint) for endpoint in endpoints]
        self._prefixes.add(self._without_endpoints(dict(pairs)))
        self._endpoints.add_all(pairs)

    def remove_endpoint(self, endpoint: EndpointAddress) -> None:
        """Remove an endpoint. Raises KeyError where it is not there."""
        self._endpoints.remove(endpoint.address, endpoint)
        if self._without_endpoints((endpoint.address,)):
            self._prefixes.remove(endpoint.address)

    def _without_endpoints(self, addresses: Collection[bytes]) -> Collection[bytes]:
        """Return those of the addresses that no endpoint has."""
        if not self._unread.keys().isdisjoint(addresses):
            addresses = [one for one in addresses if one not in self._unread]
        return self._endpoints.without(addresses)


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


def _shorter(path: bytes | str) -> Iterator[bytes | str]:
    """Yield the prefixes of a prefix, or of an address in the same form, longest first."""
    return (path[:size] for size in range(len(path) - 1, 0, -1))


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
