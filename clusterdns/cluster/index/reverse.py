"""The Services and endpoints by address, for PTR records, and the reverse names that are ancestors of such an address.

Only the index writes it. A Service or endpoint is listed once for each object that has it, as two slices may list the
same address.
"""

from collections.abc import Iterator

from clusterdns.cluster.index.service import EndpointAddress
from clusterdns.wire.name import IN_ADDR_ARPA, IP6_ARPA, ROOT, is_under
from clusterdns.wire.name import labels as name_labels


class ReverseMap:
    """Packed address → the Services and endpoints that have it."""

    def __init__(self) -> None:
        self._services: dict[bytes, tuple[tuple[bytes, bytes], ...]] = {}
        self._endpoints: dict[bytes, tuple[EndpointAddress, ...]] = {}
        self._ancestors: dict[bytes | str, int] = {}  # address prefix → how many addresses have it

    def services(self, address: bytes) -> tuple[tuple[bytes, bytes], ...]:
        """Return the (namespace, service) pairs of the Services with this address."""
        return self._services.get(address, ())

    def endpoints(self, address: bytes) -> tuple[EndpointAddress, ...]:
        """Return the endpoints with this address: those with a hostname first, then by namespace, service and label."""
        found = self._endpoints.get(address, ())
        return tuple(sorted(found, key=_rank)) if len(found) > 1 else found

    def addresses(self) -> Iterator[bytes]:
        """Every address of a Service or endpoint, in no order."""
        yield from self._services
        yield from (address for address in self._endpoints if address not in self._services)

    def is_ancestor(self, qname: bytes) -> bool:
        """Return whether a reverse name such as `1.10.in-addr.arpa.` is above that of a known address."""
        v6 = is_under(qname, IP6_ARPA)
        tree = IP6_ARPA if v6 else IN_ADDR_ARPA
        labels = name_labels(qname[: len(qname) - len(tree)] + ROOT)
        read = _nibble if v6 else _octet
        try:
            parts = [read(label) for label in reversed(labels)]
            prefix: bytes | str = "".join([f"{nibble:x}" for nibble in parts]) if v6 else bytes(parts)
        except ValueError:
            return False
        return prefix in self._ancestors

    def add_service(self, address: bytes, key: tuple[bytes, bytes]) -> None:
        """Add an address of a Service."""
        self._count(address, 1)
        self._services[address] = (*self._services.get(address, ()), key)

    def remove_service(self, address: bytes, key: tuple[bytes, bytes]) -> None:
        """Remove an address of a Service."""
        self._count(address, -1)
        left = tuple(one for one in self._services[address] if one != key)
        if left:
            self._services[address] = left
        else:
            del self._services[address]

    def add_endpoint(self, endpoint: EndpointAddress) -> None:
        """Add an endpoint."""
        self._count(endpoint.address, 1)
        self._endpoints[endpoint.address] = (*self._endpoints.get(endpoint.address, ()), endpoint)

    def remove_endpoint(self, endpoint: EndpointAddress) -> None:
        """Remove an endpoint."""
        self._count(endpoint.address, -1)
        left = tuple(one for one in self._endpoints[endpoint.address] if one != endpoint)
        if left:
            self._endpoints[endpoint.address] = left
        else:
            del self._endpoints[endpoint.address]

    def _count(self, address: bytes, step: int) -> None:
        """Count the address in its ancestors, where its first listing is added or its last one removed."""
        others = len(self._services.get(address, ())) + len(self._endpoints.get(address, ()))
        if others > (0 if step > 0 else 1):
            return
        counts = self._ancestors
        for prefix in _prefixes(address):
            count = counts.get(prefix, 0) + step
            if count:
                counts[prefix] = count
            else:
                del counts[prefix]


def _rank(endpoint: EndpointAddress) -> tuple[bool, bytes, bytes, bytes, str]:
    return (not endpoint.has_hostname, endpoint.namespace, endpoint.service, endpoint.label, endpoint.slice_name)


def _prefixes(address: bytes) -> Iterator[bytes | str]:
    """Yield the prefixes of an address: octets of IPv4 as bytes, nibbles of IPv6 as text, which never collide."""
    if len(address) == 4:
        for size in range(1, 4):
            yield address[:size]
    else:
        nibbles = address.hex()
        for size in range(1, 32):
            yield nibbles[:size]


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
