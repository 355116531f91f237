"""One Service joined with its EndpointSlices: the addresses of its endpoints and the labels that name them.

The slices of a Service change one by one and an endpoint may move between two of them, so the endpoints are kept per
slice (`slices`), and one is removed only when no slice lists it any more. The name of an endpoint is looked up in a
dict, which is made when the first is asked for, or once there are many; results that concern all endpoints are computed
when first needed and cached until something changes.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeVar

from clusterdns.cluster.grouped import Grouped
from clusterdns.cluster.index.slices import (
    MIN_CACHED_ENDPOINTS,
    EndpointAddress,
    EndpointGroup,
    SliceState,
    addresses_at,
    in_groups,
)
from clusterdns.cluster.objects import Port, Service

MAX_UNREAD_ENDPOINTS = 256  # of a Service; a query that has to read them takes a quarter of a millisecond longer

T = TypeVar("T")


class ServiceEntry:
    """The Service object and the endpoints of one (namespace, service) name, either of which may be absent.

    Only the index writes it.
    """

    __slots__ = ("_by_label", "_cache", "_count", "_moving", "_ordered", "_slices", "name", "namespace", "service")

    def __init__(self, namespace: bytes, name: bytes) -> None:
        self.namespace = namespace
        self.name = name
        self.service: Service | None = None
        self._slices: dict[str, SliceState] = {}
        self._ordered: list[SliceState] | None = None  # by name; None after a slice was added or deleted
        self._moving = _NOTHING  # by address; in no slice
        self._by_label: Grouped[bytes, EndpointAddress] | None = None  # until it is asked for
        self._count = 0
        self._cache: dict[Hashable, object] = {}

    @property
    def is_empty(self) -> bool:
        """Whether there is neither a Service object nor a slice or an endpoint of this name."""
        return self.service is None and not self._slices and not self._moving

    def slice(self, name: str) -> SliceState | None:
        """Look up a slice; None where there is none of this name."""
        return self._slices.get(name)

    def add_slice(self, name: str) -> SliceState:
        """Add a slice without endpoints."""
        state = self._slices[name] = SliceState(name)
        self._ordered = None
        return state

    def drop_slice(self, name: str) -> None:
        """Delete a slice whose endpoints have been removed."""
        del self._slices[name]
        self._ordered = None

    def has_place_for(self, state: SliceState) -> bool:
        """Return whether there is another slice that may list the endpoints of this one."""
        return any(one is not state and one.may_list_endpoints_of(state) for one in self._slices.values())

    def moving(self, address: bytes) -> tuple[EndpointAddress, ...]:
        """Return the endpoints with this address that are moving from one slice to another."""
        return tuple(self._moving.get(address))

    @property
    def has_moving(self) -> bool:
        """Whether any endpoint is moving from one slice to another."""
        return bool(self._moving)

    @property
    def has_endpoints(self) -> bool:
        """Whether any endpoint is ready."""
        return bool(self._count)

    @property
    def address_count(self) -> int:
        """The number of addresses of its ready endpoints."""
        return self._count

    @property
    def is_without_endpoints(self) -> bool:
        """Whether it has cluster IPs that no endpoint stands behind (`ignore empty_service`)."""
        service = self.service
        is_routed = service is not None and not service.headless and service.type != "ExternalName"
        return is_routed and not self.has_endpoints

    def set_service(self, service: Service | None) -> None:
        """Set the Service object; None where it is deleted."""
        self.service = service
        self._cache.clear()

    def update(self, removed: Collection[EndpointAddress], added: Collection[EndpointAddress]) -> None:
        """Remove these endpoints from those found by label, and add those; the caller changes the slice."""
        if self._by_label is not None:
            for endpoint in removed:
                self._by_label.remove(endpoint.label, endpoint)
            self._by_label.add_all([(endpoint.label, endpoint) for endpoint in added])
        self._grow(len(added) - len(removed))

    def fill_slice(self, state: SliceState, count: int) -> None:
        """Add the endpoints of a slice that had none: so many addresses."""
        if self._by_label is not None:
            self._by_label.add_all([(endpoint.label, endpoint) for endpoint in state.endpoints()])
        self._grow(count)

    def _grow(self, count: int) -> None:
        self._count += count
        self._cache.clear()
        if self._count > MAX_UNREAD_ENDPOINTS:
            self._labels()

    def _labels(self) -> Grouped[bytes, EndpointAddress]:
        """Return the endpoints by label, which are read when they are first asked for: of most Services never."""
        if self._by_label is None:
            self._by_label = Grouped(_rank)
            self._by_label.add_all([(endpoint.label, endpoint) for endpoint in self.endpoints()])
        return self._by_label

    def start_moving(self, endpoints: Collection[EndpointAddress]) -> None:
        """Add endpoints that are in no slice."""
        if self._moving is _NOTHING:
            self._moving = Grouped(_rank)
        for endpoint in endpoints:
            self._moving.add(endpoint.address, endpoint)
        self.update((), endpoints)

    def stop_moving(self, endpoints: Iterable[EndpointAddress]) -> list[EndpointAddress]:
        """Remove those of these endpoints that are still moving, and return them."""
        removed = [one for one in endpoints if self._moving.discard(one.address, one)]
        self.update(removed, ())
        return removed

    def forget_moving(self) -> None:
        """Forget the endpoints that are moving, where the entry itself is dropped."""
        self._moving = _NOTHING

    def endpoints_at(self, label: bytes) -> Sequence[EndpointAddress]:
        """Return the endpoints with this label, in an order that does not depend on the order of changes."""
        return self._labels().get(label)

    def labels(self) -> Iterator[bytes]:
        """Return the labels of the endpoints, in no order."""
        return iter(self._labels())

    def endpoints(self) -> Iterator[EndpointAddress]:
        """Every endpoint: first the moving ones, then slice by slice, in the order of slice names."""
        yield from self._moving_endpoints()
        for state in self._in_order():
            yield from state.endpoints()

    def addresses(self, port: bytes, protocol: bytes) -> Collection[bytes]:
        """Return the addresses of the endpoints that have a port with these labels, each once."""
        return self.cached(("addresses", port, protocol), lambda: self._find_addresses(port, protocol))

    def _find_addresses(self, port: bytes, protocol: bytes) -> Collection[bytes]:
        moving = addresses_at(self._moving_endpoints(), port, protocol)
        found = list(chain(moving, *[state.addresses_at(port, protocol) for state in self._in_order()]))
        return found if len(set(found)) == len(found) else dict.fromkeys(found)  # mostly no two slices share one

    def groups(self) -> Iterable[EndpointGroup]:
        """Group the endpoints by ports: first the moving ones, then slice by slice."""
        groups = chain.from_iterable(map(SliceState.groups, self._in_order()))  # lazily: a message may take but a few
        return chain(in_groups(self._moving_endpoints()), groups) if self._moving else groups

    def _moving_endpoints(self) -> Iterator[EndpointAddress]:
        return chain.from_iterable(map(self._moving.get, self._moving))

    def has_port(self, port: bytes, protocol: bytes) -> bool:
        """Return whether any endpoint has a port with these labels; an empty label matches every port."""
        return any(one.matches(port, protocol) for one in self.ports())

    def has_named_port(self, protocol: bytes) -> bool:
        """Return whether any endpoint has a named port of this protocol."""
        return any(one.name and one.matches(b"", protocol) for one in self.ports())

    def cached(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the result of `make`, cached until the Service or its endpoints change.

        Use this for a result that takes a pass over many endpoints, and only with keys that clients cannot choose
        freely, as the cache has no limit. Results of small Services are not cached.
        """
        found = self._cache.get(key)
        if found is None:
            found = make()
            if self._count >= MIN_CACHED_ENDPOINTS:
                self._cache[key] = found
        return found  # type: ignore[return-value]  # every key has one `make`

    def clear_cache(self) -> None:
        """Drop the cached results, because something that they depend on has changed outside this entry."""
        self._cache.clear()

    def ports(self) -> frozenset[Port]:
        """Return the ports of the endpoints."""
        return self.cached("ports", self._find_ports)

    def _find_ports(self) -> frozenset[Port]:
        lists = {state.ports for state in self._slices.values() if not state.is_empty}
        lists.update(one.ports for address in self._moving for one in self._moving.get(address))
        return frozenset(chain.from_iterable(lists))

    def _in_order(self) -> list[SliceState]:
        if self._ordered is None:
            self._ordered = [self._slices[name] for name in sorted(self._slices)]
        return self._ordered


def _rank(endpoint: EndpointAddress) -> tuple[str, bytes, bool]:
    return (endpoint.slice_name, endpoint.address, endpoint.has_hostname)


_NOTHING: Grouped[bytes, EndpointAddress] = Grouped(_rank)  # is never written
