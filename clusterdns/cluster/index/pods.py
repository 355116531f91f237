"""The Pods by their addresses, for names of the form 10-1-2-3.NAMESPACE.pod and for the client's namespace.

The index of the cluster and the index of its ServiceImports share one `PodTable`. `Index.apply` writes it.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

from clusterdns.cluster.grouped import Grouped
from clusterdns.cluster.objects import Pod, label_of, packed

PodKey = tuple[bytes, str]  # namespace and name

_ADDRESS_LABEL = re.compile(rb"[0-9a-f:-]+")


class PodMode(Enum):
    """How names of pods are answered: not at all, for any address, or for the addresses of existing pods."""

    DISABLED = "disabled"
    INSECURE = "insecure"
    VERIFIED = "verified"


class PodTable:
    """Packed address → the Pods that have it."""

    def __init__(self) -> None:
        self._by_address: Grouped[bytes, PodKey] = Grouped(lambda key: key)
        self._addresses: dict[PodKey, tuple[bytes, ...]] = {}
        self._labels: dict[PodKey, str] = {}

    def has(self, namespace: bytes, address: bytes) -> bool:
        """Return whether a Pod of the namespace has this packed address."""
        pods = self._by_address.get(address)
        first = bisect_left(pods, (namespace, ""))
        return first < len(pods) and pods[first][0] == namespace

    def at(self, address: bytes) -> Sequence[PodKey]:
        """Return the Pods with this packed address, in order; several where they share the address of their host."""
        return self._by_address.get(address)

    def labels(self, key: PodKey) -> Iterator[tuple[str, str]]:
        """Yield the labels of a Pod: key and value."""
        for text in filter(None, self._labels.get(key, "").split(",")):
            label, _, value = text.partition("=")
            yield label, value

    def addresses(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the (namespace, packed address) pairs, in no order."""
        for address in self._by_address:
            for namespace in {key[0] for key in self._by_address.get(address)}:
                yield namespace, address

    def clear(self) -> None:
        """Remove every Pod."""
        for table in (self._by_address, self._addresses, self._labels):
            table.clear()

    def apply(self, old: Pod | None, new: Pod | None) -> set[bytes]:
        """Apply a change to one Pod. Returns the packed addresses that it affects.

        A Pod that is terminating keeps the addresses that it had before until it is deleted, as in CoreDNS. They are
        kept here because `old` may be a state from after the termination began.
        """
        if new is not None and new.terminating and old is not None:
            return set()
        pod = new if new is not None else old
        assert pod is not None
        key = (label_of(pod.namespace), pod.name)
        removed = self._addresses.pop(key, ())
        added = tuple(map(packed, new.ips)) if new is not None else ()
        for address in removed:
            self._by_address.remove(address, key)
        for address in added:
            self._by_address.add(address, key)
        self._labels.pop(key, None)
        if added:
            assert new is not None
            self._addresses[key] = added
            self._labels[key] = new.labels
        return {*removed, *added}


def address_in_label(label: bytes) -> bytes | None:
    """Unpack the address that a pod's label spells: three single dashes for IPv4, else dashes in place of colons."""
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
