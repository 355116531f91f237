"""Addresses for pods and Services, a function of the manifests alone.

An address is chosen by a hash of the object's name, so that it mostly does not depend on other objects; where two
hashes collide, the second object gets the next free address. `controllers` reserves the addresses that manifests give,
then allocates in the order of names. No state is kept from one reading of the manifests to the next.
"""

from hashlib import blake2b
from ipaddress import IPv4Network, IPv6Network, ip_address

# Of an IPv6 range only this many addresses are used, so that they are short enough to type.
_MAX_SPAN = 1 << 20

FAMILIES = ("IPv4", "IPv6")


class AddressPool:
    """The addresses of one network, from its `first`-th to the last but one."""

    def __init__(self, network_text: str, first: int) -> None:
        network = IPv6Network(network_text) if ":" in network_text else IPv4Network(network_text)
        self._base = network.network_address
        self._first = first
        self._span = min(network.num_addresses, _MAX_SPAN) - first - 1
        self._taken: set[int] = set()
        self._dynamic_count = 0  # of the taken offsets, those within the span

    def reserve(self, address_text: str) -> bool:
        """Reserve an address. Returns false where it is taken, or of the other IP family."""
        address = ip_address(address_text)
        if address.version != self._base.version:
            return False
        offset = int(address) - int(self._base)
        if offset in self._taken:
            return False
        self._taken.add(offset)
        self._dynamic_count += 0 <= offset - self._first < self._span
        return True

    def allocate(self, key: str) -> str | None:
        """Allocate an address to the object with this key; None where the pool is exhausted."""
        if self._dynamic_count >= self._span:
            return None
        at = hash64(key) % self._span
        while self._first + at in self._taken:
            at = (at + 1) % self._span
        self._taken.add(self._first + at)
        self._dynamic_count += 1
        return str(self._base + (self._first + at))

    def allocate_at(self, offset: int) -> str | None:
        """Allocate the address with this offset in the network; None where it is taken."""
        text = str(self._base + offset)
        return text if self.reserve(text) else None


def family_of(address_text: str) -> str:
    """Name the IP family of an address as `ipFamilies` does."""
    return "IPv6" if ":" in address_text else "IPv4"


def hash64(key: str) -> int:
    """Hash a text to 64 bits, the same in every process."""
    return int.from_bytes(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def pod_pools() -> dict[str, AddressPool]:
    """Make the pools of kubeadm's default pod networks by IP family, without the addresses of their routers."""
    return {"IPv4": AddressPool("10.244.0.0/16", first=2), "IPv6": AddressPool("fd00:10:244::/64", first=2)}


def service_pools() -> dict[str, AddressPool]:
    """Make the pools of the Service networks by IP family; the first 256 addresses are for Services that choose one."""
    return {"IPv4": AddressPool("10.96.0.0/12", first=256), "IPv6": AddressPool("fd00:10:96::/112", first=256)}
