"""One Service joined with its EndpointSlices: the addresses of its endpoints and the labels that name them.

The slices of a Service change one by one and an endpoint may move between two of them, so the endpoints are kept per
slice, and one is removed only when no slice lists it any more. The name of an endpoint is looked up in a dict; results
that concern all endpoints are computed when first needed and cached until something changes.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from clusterdns.cluster.objects import MAX_LABEL_BYTES, Endpoint, EndpointSlice, ImportedSlice, Port, Service, packed

MOVING = ""  # the slice name of an endpoint that one slice no longer lists and another may list soon
NO_PORTS = (Port("", -1, ""),)  # stands for a missing list of ports: there are addresses, but no SRV records
MIN_CACHED_LABELS = 32  # below this many labels computing a result again is cheap enough

T = TypeVar("T")


class EndpointAddress(NamedTuple):
    """One address of an endpoint of a slice, with the label that names it below its Service."""

    label: bytes  # of an imported endpoint: its own label and that of its cluster, in wire format
    address: bytes  # packed
    ports: tuple[Port, ...]
    slice_name: str
    namespace: bytes
    service: bytes
    has_hostname: bool


class ServiceEntry:
    """The Service object and the endpoints of one (namespace, service) name, either of which may be absent.

    Only the index writes it.
    """

    __slots__ = ("_by_label", "_by_slice", "_cache", "_moving", "name", "namespace", "service")

    def __init__(self, namespace: bytes, name: bytes) -> None:
        self.namespace = namespace
        self.name = name
        self.service: Service | None = None
        self._by_slice: dict[str, tuple[EndpointAddress, ...]] = {}  # by slice name
        self._moving: dict[bytes, tuple[EndpointAddress, ...]] = {}  # by address; in no slice
        self._by_label: dict[bytes, tuple[EndpointAddress, ...]] = {}
        self._cache: dict[Hashable, object] = {}

    @property
    def is_empty(self) -> bool:
        """Whether there is neither a Service object nor an endpoint of this name."""
        return self.service is None and not self._by_slice and not self._moving

    def slice_endpoints(self, slice_name: str) -> tuple[EndpointAddress, ...] | None:
        """Return the endpoints of a slice; None where there is no such slice."""
        return self._by_slice.get(slice_name)

    @property
    def has_moving(self) -> bool:
        """Whether any endpoint is moving from one slice to another."""
        return bool(self._moving)

    def moving(self, address: bytes) -> tuple[EndpointAddress, ...]:
        """Return the moving endpoints with this address."""
        return self._moving.get(address, ())

    def has_other_slices(self, slice_name: str) -> bool:
        """Return whether the Service has a slice besides this one, to which an endpoint could move."""
        return any(name != slice_name for name in self._by_slice)

    @property
    def has_endpoints(self) -> bool:
        """Whether any endpoint is ready."""
        return bool(self._moving) or any(self._by_slice.values())

    def set_service(self, service: Service | None) -> None:
        """Set the Service object; None where it is deleted."""
        self.service = service
        self._cache.clear()

    def set_slice(
        self, slice_name: str, endpoints: tuple[EndpointAddress, ...] | None
    ) -> tuple[set[EndpointAddress], set[EndpointAddress]]:
        """Replace the endpoints of a slice (None: the slice is deleted). Returns those removed and those added."""
        before = set(self._by_slice.get(slice_name, ()))
        after = set(endpoints or ())
        if endpoints is None:
            self._by_slice.pop(slice_name, None)
        else:
            self._by_slice[slice_name] = endpoints
        removed, added = before - after, after - before
        self._update_labels(removed, added)
        return removed, added

    def set_moving(self, removed: Iterable[EndpointAddress], added: Iterable[EndpointAddress]) -> None:
        """Remove these moving endpoints, and add those."""
        for endpoint in removed:
            left = tuple(one for one in self._moving[endpoint.address] if one is not endpoint)
            if left:
                self._moving[endpoint.address] = left
            else:
                del self._moving[endpoint.address]
        for endpoint in added:
            self._moving[endpoint.address] = (*self.moving(endpoint.address), endpoint)
        self._update_labels(removed, added)

    def _update_labels(self, removed: Iterable[EndpointAddress], added: Iterable[EndpointAddress]) -> None:
        for endpoint in removed:
            left = tuple(one for one in self._by_label[endpoint.label] if one != endpoint)
            if left:
                self._by_label[endpoint.label] = left
            else:
                del self._by_label[endpoint.label]
        for endpoint in added:
            self._by_label[endpoint.label] = (*self._by_label.get(endpoint.label, ()), endpoint)
        self._cache.clear()

    def endpoints_at(self, label: bytes) -> tuple[EndpointAddress, ...]:
        """Return the endpoints with this label, in an order that does not depend on the order of changes."""
        found = self._by_label.get(label, ())
        return tuple(sorted(found, key=_rank)) if len(found) > 1 else found

    def labels(self) -> Iterator[bytes]:
        """Return the labels of the endpoints, in no order."""
        return iter(self._by_label)

    def endpoints(self) -> Iterator[EndpointAddress]:
        """Every endpoint: first the moving ones, then slice by slice, in the order of slice names."""
        for several in self._moving.values():
            yield from several
        for slice_name in sorted(self._by_slice):
            yield from self._by_slice[slice_name]

    def has_port(self, port: bytes, protocol: bytes) -> bool:
        """Return whether any endpoint has a port with these labels; an empty label matches every port."""
        return any(matches(one, port, protocol) for one in self._ports())

    def has_named_port(self, protocol: bytes) -> bool:
        """Return whether any endpoint has a named port of this protocol."""
        return any(one.name and matches(one, b"", protocol) for one in self._ports())

    def cached(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the result of `make`, cached until the Service or its endpoints change.

        Use this for a result that takes a pass over all endpoints, and only with keys that clients cannot choose
        freely, as the cache has no limit. Results of small Services are not cached.
        """
        found = self._cache.get(key)
        if found is None:
            found = make()
            if len(self._by_label) >= MIN_CACHED_LABELS:
                self._cache[key] = found
        return found  # type: ignore[return-value]  # every key has one `make`

    def clear_cache(self) -> None:
        """Drop the cached results, because something that they depend on has changed outside this entry."""
        self._cache.clear()

    def _ports(self) -> frozenset[Port]:
        return self.cached(
            "ports", lambda: frozenset(port for ports in {m.ports for m in self.endpoints()} for port in ports)
        )


def _rank(endpoint: EndpointAddress) -> tuple[str, bytes, bool]:
    return (endpoint.slice_name, endpoint.address, endpoint.has_hostname)


def matches(port: Port, name: bytes, protocol: bytes) -> bool:
    """Return whether a port matches these labels; an empty label matches every port, an unnamed port no label."""
    return (not name or port.name.encode().lower() == name) and (
        not protocol or port.protocol.encode().lower() == protocol
    )


def endpoint_addresses(obj: EndpointSlice, *, use_pod_names: bool) -> tuple[EndpointAddress, ...]:
    """List the endpoints of a slice, one per address."""
    namespace, service = label_of(obj.namespace), label_of(obj.service)
    ports = obj.ports or NO_PORTS
    cluster = label_of(obj.cluster) if isinstance(obj, ImportedSlice) else None
    found = []
    for endpoint in obj.endpoints:
        hostname = _own_label(endpoint, use_pod_names)
        for text in endpoint.addresses:
            label = hostname or dashed(text)
            if cluster is not None:
                label = in_cluster(label, cluster)
            found.append(
                EndpointAddress(label, packed(text), ports, obj.name, namespace, service, bool(endpoint.hostname))
            )
    return tuple(found)


def label_of(text: str) -> bytes:
    """Make a lower-case label of an object's name."""
    return text.encode().lower()


def dashed(address_text: str) -> bytes:
    """Make the label of an endpoint without a hostname: its address with dashes (`fd00::` → `fd00--0`)."""
    label = address_text.replace(".", "-").replace(":", "-").encode()
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
