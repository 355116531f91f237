"""Which names an address stands for, and which reverse names exist only as ancestors of such an address.

Written by the index alone. Services by their clusterIPs, endpoints by the slices that list them; both count, since two
slices may list the same address.
"""

from collections.abc import Iterator

from clusterdns.cluster.index.service import Member


class ReverseMap:
    """Packed address → the services and members that have it."""

    def __init__(self) -> None:
        self._services: dict[bytes, tuple[tuple[bytes, bytes], ...]] = {}
        self._members: dict[bytes, tuple[Member, ...]] = {}
        self._ancestors: dict[bytes | str, int] = {}  # address prefix → how many addresses have it

    def services(self, address: bytes) -> tuple[tuple[bytes, bytes], ...]:
        """The (namespace, service) pairs with this clusterIP."""
        return self._services.get(address, ())

    def members(self, address: bytes) -> tuple[Member, ...]:
        """The ready endpoints with this address: those with a hostname first, then by namespace, service and label."""
        found = self._members.get(address, ())
        return tuple(sorted(found, key=_rank)) if len(found) > 1 else found

    def addresses(self) -> Iterator[bytes]:
        """Every address that stands for something, in no order."""
        yield from self._services
        yield from (address for address in self._members if address not in self._services)

    def is_ancestor(self, labels: list[bytes], *, v6: bool) -> bool:
        """Whether some address lies below these reverse labels (`1 10` of `1.10.in-addr.arpa.`), leftmost first."""
        read = _nibble if v6 else _octet
        try:
            parts = [read(label) for label in reversed(labels)]
            prefix: bytes | str = "".join([f"{nibble:x}" for nibble in parts]) if v6 else bytes(parts)
        except ValueError:
            return False
        return prefix in self._ancestors

    def add_service(self, address: bytes, key: tuple[bytes, bytes]) -> None:
        """A Service has this clusterIP now."""
        self._count(address, 1)
        self._services[address] = (*self._services.get(address, ()), key)

    def remove_service(self, address: bytes, key: tuple[bytes, bytes]) -> None:
        """A Service no longer has this clusterIP."""
        self._count(address, -1)
        left = tuple(one for one in self._services[address] if one != key)
        if left:
            self._services[address] = left
        else:
            del self._services[address]

    def add_member(self, member: Member) -> None:
        """An endpoint has come."""
        self._count(member.address, 1)
        self._members[member.address] = (*self._members.get(member.address, ()), member)

    def remove_member(self, member: Member) -> None:
        """An endpoint has gone."""
        self._count(member.address, -1)
        left = tuple(one for one in self._members[member.address] if one != member)
        if left:
            self._members[member.address] = left
        else:
            del self._members[member.address]

    def _count(self, address: bytes, step: int) -> None:
        """Count the ancestors, but only when the address itself appears or vanishes."""
        others = len(self._services.get(address, ())) + len(self._members.get(address, ()))
        if others > (0 if step > 0 else 1):
            return
        counts = self._ancestors
        for prefix in _prefixes(address):
            count = counts.get(prefix, 0) + step
            if count:
                counts[prefix] = count
            else:
                del counts[prefix]


def _rank(member: Member) -> tuple[bool, bytes, bytes, bytes, str]:
    return (not member.has_hostname, member.namespace, member.service, member.label, member.slice_name)


def _prefixes(address: bytes) -> Iterator[bytes | str]:
    """The address's own ancestors: octets of IPv4 as bytes, nibbles of IPv6 as text, so that the two never meet."""
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
