"""One EndpointSlice as the index keeps it: its endpoints, one for each address, with the labels that name them.

`service` joins the slices of a Service. A change of a slice is applied in parts (see `Index.steps`), between which the
state has the endpoints of the old slice and those of the new one that are applied. A new slice is kept as it came until
one of its endpoints is asked for.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from itertools import chain, groupby
from operator import attrgetter
from typing import TypeAlias, TypeVar

import msgspec

from clusterdns.cluster.objects import (
    MAX_LABEL_BYTES,
    Endpoint,
    EndpointSlice,
    ImportedSlice,
    Port,
    label_of,
    packed,
    packed_addresses,
)

NO_PORTS = (Port("", -1, ""),)  # stands for a missing list of ports: there are addresses, but no SRV records
MIN_CACHED_ENDPOINTS = 32  # below this many endpoints computing a result again is cheap enough
MAX_ADDRESSES_AT_ONCE = 128  # of a new slice: adding and reading them takes half a millisecond
MAX_PARTS = 16  # cached results of one slice: a few names and types; more after reloads with other TTLs

T = TypeVar("T")

# endpoints with the same ports: these, and the addresses by label; a label may come again
EndpointGroup: TypeAlias = tuple[tuple[Port, ...], Iterable[tuple[bytes, Collection[bytes]]]]

_addresses_of = attrgetter("addresses")


class EndpointAddress(msgspec.Struct, frozen=True, gc=False):
    """One address of an endpoint of a slice, with the label that names it below its Service."""

    label: bytes  # of an imported endpoint: its own label and that of its cluster, in wire format
    address: bytes  # packed
    ports: tuple[Port, ...]
    slice_name: str
    namespace: bytes
    service: bytes
    has_hostname: bool


class SliceReader(msgspec.Struct, frozen=True, gc=False):
    """What all endpoints of a slice share; two slices with equal readers make the same of an endpoint."""

    namespace: bytes
    service: bytes
    slice_name: str
    ports: tuple[Port, ...]
    cluster: bytes | None  # None: an endpoint of this cluster
    address_type: str
    use_pod_names: bool

    def read(self, endpoints: Iterable[Endpoint]) -> tuple[EndpointAddress, ...]:
        """List the addresses of endpoints, one after the other."""
        namespace, service, slice_name, ports = self.namespace, self.service, self.slice_name, self.ports
        cluster, use_pod_names = self.cluster, self.use_pod_names
        found = []
        for endpoint in endpoints:
            hostname = endpoint.hostname
            own_label = _own_label(endpoint, use_pod_names) if hostname or use_pod_names else b""
            for text in endpoint.addresses:
                label = own_label or dashed(text)
                if cluster is not None:
                    label = in_cluster(label, cluster)
                found.append(
                    EndpointAddress(label, packed(text), ports, slice_name, namespace, service, bool(hostname))
                )
        return tuple(found)


def reader_of(namespace: bytes, service: bytes, obj: EndpointSlice, *, use_pod_names: bool) -> SliceReader:
    """Make the reader of the endpoints of a Service's slice."""
    cluster = label_of(obj.cluster) if type(obj) is ImportedSlice else None  # isinstance takes 0.2 µs more
    ports = obj.ports or NO_PORTS
    return SliceReader(namespace, service, obj.name, ports, cluster, obj.address_type, use_pod_names)


class SliceState:
    """The endpoints of one slice, and results that were made of them."""

    __slots__ = ("_endpoints", "_open", "_parts", "_read", "name", "reader")

    def __init__(self, name: str) -> None:
        self.name = name
        self.reader: SliceReader | None = None
        self._endpoints: tuple[Endpoint, ...] = ()
        self._read: tuple[EndpointAddress, ...] | None = ()  # what `reader` makes of them; None until that is needed
        self._open: dict[Endpoint, tuple[EndpointAddress, ...]] | None = None  # in place of both during a change
        self._parts: dict[Hashable, object] = {}

    @property
    def is_empty(self) -> bool:
        """Whether the slice has no ready endpoint."""
        return not (self._endpoints if self._open is None else self._open)

    @property
    def ports(self) -> tuple[Port, ...]:
        """The ports of the endpoints."""
        return self.reader.ports if self.reader is not None else NO_PORTS

    def endpoints(self) -> Iterable[EndpointAddress]:
        """Return the endpoints in the order of the slice."""
        return self._addresses() if self._open is None else chain.from_iterable(self._open.values())

    def _addresses(self) -> tuple[EndpointAddress, ...]:
        """Return the addresses of the endpoints of a slice that is not changing, one after the other."""
        if self._read is None:
            assert self.reader is not None
            self._read = self.reader.read(self._endpoints)
        return self._read

    def may_list_endpoints_of(self, other: "SliceState") -> bool:
        """Return whether an endpoint of the other slice could move to this one.

        All addresses of a slice are of one type, and a cluster exports the endpoints of its own pods.
        """
        if self.reader is None or other.reader is None:
            return True
        ours, theirs = self.reader, other.reader
        is_same_type = not ours.address_type or not theirs.address_type or ours.address_type == theirs.address_type
        return is_same_type and ours.cluster == theirs.cluster

    def fill(self, reader: SliceReader, endpoints: tuple[Endpoint, ...]) -> Collection[bytes] | None:
        """Set the endpoints of a slice that has none, and return their addresses; they are read when first needed.

        Returns None, and does nothing, where they are too many for one step, or one of them is perhaps listed twice.
        """
        if len(endpoints) > MAX_ADDRESSES_AT_ONCE:
            return None
        addresses = packed_addresses(endpoints)
        if not len(set(addresses)) == len(addresses) <= MAX_ADDRESSES_AT_ONCE:
            return None
        self.reader = reader
        self._endpoints = endpoints
        self._read = None
        return addresses

    def open(self) -> dict[Endpoint, tuple[EndpointAddress, ...]]:
        """Return the endpoints with their addresses, for the caller to change until `close`."""
        if self._open is None:
            addresses = self._addresses()
            if set(map(len, map(_addresses_of, self._endpoints))) <= {1}:  # as nearly always
                self._open = dict(zip(self._endpoints, zip(addresses, strict=True), strict=True))
                return self._open
            self._open = {}
            start = 0
            for endpoint in self._endpoints:
                end = start + len(endpoint.addresses)
                self._open[endpoint] = addresses[start:end]
                start = end
        return self._open

    def close(self, order: Iterable[Endpoint]) -> bool:
        """End a change; `order` has each endpoint once. Returns whether the order differs from that before it."""
        assert self._open is not None
        before = self._endpoints
        found: dict[Endpoint, tuple[EndpointAddress, ...]] = dict.fromkeys(order, ())
        found.update(self._open)  # from dict to dict: no endpoint is hashed again
        self._endpoints = tuple(found)
        self._read = tuple(chain.from_iterable(found.values()))
        self._open = None
        self._parts.clear()
        return before != self._endpoints

    def groups(self) -> Iterable[EndpointGroup]:
        """Group the endpoints by their ports, which all have in common unless the slice is changing."""
        if self._open is not None:
            return in_groups(self.endpoints())
        addresses = self._addresses()
        if len(addresses) < MIN_CACHED_ENDPOINTS:
            return ((self.ports, [(one.label, (one.address,)) for one in addresses]),)
        return ((self.ports, self.cached("labels", by_label).items()),)

    def addresses_at(self, port: bytes, protocol: bytes) -> Sequence[bytes]:
        """List the addresses of the endpoints that have a port with these labels."""
        if self._open is not None:
            return addresses_at(self.endpoints(), port, protocol)
        if (port or protocol) and not any(one.matches(port, protocol) for one in self.ports):
            return ()
        addresses = self._addresses()
        if len(addresses) < MIN_CACHED_ENDPOINTS:
            return [one.address for one in addresses]
        return self.cached("addresses", every_address)

    def cached(self, key: Hashable, make: Callable[[Iterable[EndpointAddress]], T]) -> T:
        """Return the result of `make` for the endpoints, cached until the slice changes."""
        if self._open is not None:
            return make(self.endpoints())
        found = self._parts.get(key)
        if found is None:
            found = make(self._addresses())
            if len(self._parts) >= MAX_PARTS:
                self._parts.clear()
            self._parts[key] = found
        return found  # type: ignore[return-value]  # every key has one `make`


def every_address(endpoints: Iterable[EndpointAddress]) -> list[bytes]:
    """List the addresses of endpoints."""
    return [one.address for one in endpoints]


def addresses_at(endpoints: Iterable[EndpointAddress], port: bytes, protocol: bytes) -> list[bytes]:
    """List the addresses of endpoints that have a port with these labels."""
    found: list[bytes] = []
    for ports, several in groupby(endpoints, attrgetter("ports")):
        if (not port and not protocol) or any(one.matches(port, protocol) for one in ports):
            found += every_address(several)
    return found


def groups_of(endpoints: Sequence[EndpointAddress]) -> Iterable[EndpointGroup]:
    """Group the endpoints of one label as `in_groups` does; mostly there is but one."""
    if len(endpoints) > 1:
        return in_groups(endpoints)
    return [(one.ports, ((one.label, (one.address,)),)) for one in endpoints]


def in_groups(endpoints: Iterable[EndpointAddress]) -> Iterator[EndpointGroup]:
    """Group endpoints by their ports where these change from one to the next."""
    for ports, several in groupby(endpoints, attrgetter("ports")):
        yield ports, by_label(several).items()


def by_label(endpoints: Iterable[EndpointAddress]) -> dict[bytes, Sequence[bytes]]:
    """Group the addresses of endpoints by label. Mostly each has a label of its own, or all have the same."""
    several = tuple(endpoints)
    if len(several) > 1 and several[0].label == several[-1].label and len({one.label for one in several}) == 1:
        return {several[0].label: [one.address for one in several]}
    found: dict[bytes, Sequence[bytes]] = {one.label: (one.address,) for one in several}
    if len(found) < len(several):
        lists: dict[bytes, list[bytes]] = {label: [] for label in found}
        for one in several:
            lists[one.label].append(one.address)
        found.update(lists)
    return found


def in_chunks(endpoints: Iterable[Endpoint], max_addresses: int) -> Iterator[list[Endpoint]]:
    """Split endpoints into lists of at most so many addresses, or of one endpoint."""
    chunk: list[Endpoint] = []
    count = 0
    for endpoint in endpoints:
        count += len(endpoint.addresses)
        if count > max_addresses and chunk:
            yield chunk
            chunk, count = [], len(endpoint.addresses)
        chunk.append(endpoint)
    if chunk:
        yield chunk


def dashed(address_text: str) -> bytes:
    """Make the label of an endpoint without a hostname: its address with dashes (`fd00::` → `fd00--0`)."""
    if ":" not in address_text:
        return address_text.replace(".", "-").encode()
    label = address_text.replace(":", "-").replace(".", "-").encode()
    return label + b"0" if label.endswith(b"-") else label


def in_cluster(label: bytes, cluster: bytes) -> bytes:
    """Make the label of an imported endpoint in wire format: ENDPOINT.CLUSTER, or ENDPOINT without a cluster."""
    parts = (label, cluster) if cluster else (label,)
    return b"".join(bytes((len(part),)) + part for part in parts)


def _own_label(endpoint: Endpoint, use_pod_names: bool) -> bytes:
    label = label_of(endpoint.hostname)
    if not label and use_pod_names:
        label = label_of(endpoint.target_name)
    return label if 0 < len(label) <= MAX_LABEL_BYTES else b""
