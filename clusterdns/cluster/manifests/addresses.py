"""Addresses for pods and Services, the same for the same manifests.

An address begins as a hash of the object's name, so that it does not depend on what else there is; where two meet, the
one that asks second takes the next free one. `controllers` asks in the order of names, after setting aside what the
manifests state. Nothing is remembered from one reading of the manifests to the next.
"""

from hashlib import blake2b
from ipaddress import IPv4Network, IPv6Network, ip_address

# IPv6 ranges are used no further than this, so that addresses stay short enough to be typed.
_MAX_SPAN = 1 << 20

FAMILIES = ("IPv4", "IPv6")


class Pool:
    """The addresses of one network, from its `first`-th up to the one before its last."""

    def __init__(self, network_text: str, first: int) -> None:
        network = IPv6Network(network_text) if ":" in network_text else IPv4Network(network_text)
        self._base = network.network_address
        self._first = first
        self._span = min(network.num_addresses, _MAX_SPAN) - first - 1
        self._taken: set[int] = set()
        self._dynamic_count = 0  # of those taken, how many lie within the span

    def reserve(self, address_text: str) -> bool:
        """Set an address aside; false where it was already, or is of another network."""
        address = ip_address(address_text)
        if address.version != self._base.version:
            return False
        offset = int(address) - int(self._base)
        if offset in self._taken:
            return False
        self._taken.add(offset)
        self._dynamic_count += 0 <= offset - self._first < self._span
        return True

    def take(self, key: str) -> str | None:
        """The address for the object of this name; None when there is none left."""
        if self._dynamic_count >= self._span:
            return None
        at = number_of(key) % self._span
        while self._first + at in self._taken:
            at = (at + 1) % self._span
        self._taken.add(self._first + at)
        self._dynamic_count += 1
        return str(self._base + (self._first + at))

    def take_offset(self, offset: int) -> str | None:
        """The address at this place of the network; None where it is taken."""
        text = str(self._base + offset)
        return text if self.reserve(text) else None


def family_of(address_text: str) -> str:
    """The IP family of an address, as `ipFamilies` spells it."""
    return "IPv6" if ":" in address_text else "IPv4"


def number_of(key: str) -> int:
    """64 bits that depend on the text alone, in this process and every other."""
    return int.from_bytes(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def pod_pools() -> dict[str, Pool]:
    """By IP family: the ranges of kubeadm's usual pod networks, without their routers' addresses."""
    return {"IPv4": Pool("10.244.0.0/16", first=2), "IPv6": Pool("fd00:10:244::/64", first=2)}


def service_pools() -> dict[str, Pool]:
    """By IP family. As in a cluster, the first 256 addresses are left to Services that choose their own."""
    return {"IPv4": Pool("10.96.0.0/12", first=256), "IPv6": Pool("fd00:10:96::/112", first=256)}
