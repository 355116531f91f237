"""The index: Services, EndpointSlices, Namespaces and Pods, joined so that a name is a few dict look-ups.

A source calls `apply` with each change, in any order of kinds; `zone` and `external` read. After each change the index
notifies its subscribers of the dependencies that the change affects, and answer tables drop the answers that depend on
them. A dependency is `(namespace,)`, `(namespace, service)` or a packed address. The index does not know the tables.
"""

import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import partial

from clusterdns.cluster.index.namespaces import Namespaces
from clusterdns.cluster.index.pods import PodTable
from clusterdns.cluster.index.reverse import ReverseMap
from clusterdns.cluster.index.service import MOVING, EndpointAddress, ServiceEntry, endpoint_addresses, label_of
from clusterdns.cluster.index.topology import Topology
from clusterdns.cluster.objects import Change, EndpointSlice, Namespace, Pod, Service, packed, split_external
from clusterdns.wire.response import Serial

Subscriber = Callable[[set[Hashable]], object]  # called with the dependencies that a change affects


class Index:
    """The state of one cluster, or of its ServiceImports. One writer: the source of one kubernetes block."""

    def __init__(
        self,
        *,
        namespaces: Namespaces | None = None,
        pods: PodTable | None = None,
        use_pod_names: bool = False,
        zonal: bool = False,
        clock: Callable[[], float] = time.time,
        call_later: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        """Two indexes may share `namespaces` and `pods`; subscribe to both then, as each notifies of its own changes.

        `call_later` calls back after the time that an endpoint may take to move from one slice to another; without it
        an endpoint is removed as soon as its slice no longer lists it.
        """
        self.serial = Serial()
        self.synced = False
        self.reverse = ReverseMap()
        self.topology = Topology() if zonal else None
        self.namespaces = namespaces if namespaces is not None else Namespaces()
        self.exposes = self.namespaces.exposes  # whether a namespace exists and is served
        self.pods = pods if pods is not None else PodTable()
        self._external: ReverseMap | None = None
        self._subscribers: list[Subscriber] = []
        self._use_pod_names = use_pod_names
        self._clock = clock
        self._call_later = call_later
        self._services: dict[tuple[bytes, bytes], ServiceEntry] = {}

    # Reading

    def service(self, namespace: bytes, name: bytes) -> ServiceEntry | None:
        """Look up a Service with its endpoints; None while there is no Service object of this name."""
        entry = self._services.get((namespace, name))
        return entry if entry is not None and entry.service is not None else None

    def services(self) -> Iterator[ServiceEntry]:
        """Every Service of the served namespaces, in no order."""
        for entry in self._services.values():
            if entry.service is not None and self.exposes(entry.namespace):
                yield entry

    @property
    def external(self) -> ReverseMap:
        """The Services by their addresses outside the cluster; filled and kept up to date from its first use."""
        if self._external is None:
            self._external = ReverseMap()
            for key, entry in self._services.items():
                for address in split_external(entry.service)[0] if entry.service is not None else ():
                    self._external.add_service(address, key)
        return self._external

    # Subscribers

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call the subscriber after each change. There are two while a reload replaces a configuration."""
        self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Undo one `subscribe`."""
        self._subscribers.remove(subscriber)

    def _notify(self, touched: set[Hashable]) -> None:
        if touched:
            self.serial.set(int(self._clock()))
            for subscriber in self._subscribers:
                subscriber(touched)

    # Writing

    def apply(self, change: Change) -> None:
        """Apply one change, and notify the subscribers of the dependencies that it affects."""
        old, new = change
        touched: set[Hashable] = set()
        match new if new is not None else old:
            case Service():
                self._apply_service(old, new, touched)  # type: ignore[arg-type]  # both sides are of one kind
            case EndpointSlice():
                self._apply_slice(old, new, touched)  # type: ignore[arg-type]
            case Namespace(name=name):
                self.namespaces.set(label_of(name), exists=new is not None)
                touched.add((label_of(name),))
            case Pod():
                touched.update(self.pods.apply(old, new))  # type: ignore[arg-type]
        self._notify(touched)

    def _apply_service(self, old: Service | None, new: Service | None, touched: set[Hashable]) -> None:
        for service in (old, new):
            if service is None:
                continue
            key = (label_of(service.namespace), label_of(service.name))
            entry = self._entry(key)
            for text in entry.service.cluster_ips if entry.service is not None else ():
                self.reverse.remove_service(packed(text), key)
                touched.add(packed(text))
            if self._external is not None:
                self._move_external(self._external, key, entry.service, new if service is new else None, touched)
            entry.set_service(new if service is new else None)
            for text in service.cluster_ips if service is new else ():
                self.reverse.add_service(packed(text), key)
                touched.add(packed(text))
            touched.add(key)
            self._drop_if_empty(entry)

    def _move_external(
        self,
        external: ReverseMap,
        key: tuple[bytes, bytes],
        old: Service | None,
        new: Service | None,
        touched: set[Hashable],
    ) -> None:
        for address in split_external(old)[0] if old is not None else ():
            external.remove_service(address, key)
            touched.add(address)
        for address in split_external(new)[0] if new is not None else ():
            external.add_service(address, key)
            touched.add(address)

    def _apply_slice(self, old: EndpointSlice | None, new: EndpointSlice | None, touched: set[Hashable]) -> None:
        """Apply a slice, which an update may move to another Service; a slice that names no Service is ignored."""
        if old is not None and old.service and (new is None or new.service != old.service):
            self._set_slice(old, None, touched)
        if new is not None and new.service:
            self._set_slice(new, endpoint_addresses(new, use_pod_names=self._use_pod_names), touched)

    def _set_slice(
        self, obj: EndpointSlice, endpoints: tuple[EndpointAddress, ...] | None, touched: set[Hashable]
    ) -> None:
        entry = self._entry((label_of(obj.namespace), label_of(obj.service)))
        if self.topology is not None and endpoints is not None and self.topology.update(entry, obj):
            touched.add((entry.namespace, entry.name))
        removed: set[EndpointAddress] = set()
        if endpoints != entry.slice_endpoints(obj.name):  # else only endpoints that are not ready differ
            removed, added = entry.set_slice(obj.name, endpoints)
            self._update_reverse(entry, removed, added, touched)
        if removed or entry.has_moving:
            listed = {endpoint.address for endpoint in endpoints or ()} | set(map(packed, obj.unready))
            arrived = [one for address in listed for one in entry.moving(address)]
            leaving = self._leaving(entry, obj.name, [one for one in removed if one.address not in listed])
            if arrived or leaving:
                entry.set_moving(arrived, leaving)
                self._update_reverse(entry, arrived, leaving, touched)
        self._drop_if_empty(entry)

    def _leaving(self, entry: ServiceEntry, slice_name: str, removed: list[EndpointAddress]) -> list[EndpointAddress]:
        """Choose which of the endpoints that a slice no longer lists are answered for a moment longer.

        An endpoint that disappears from one of several slices is usually moving to another, whose event follows. An
        endpoint that is listed as not ready, in this slice or in the other, is removed on purpose.
        """
        if self._call_later is None or not entry.has_other_slices(slice_name):
            return []
        elsewhere = {one.address for endpoint in removed for one in entry.endpoints_at(endpoint.label)}
        leaving = [one._replace(slice_name=MOVING) for one in removed if one.address not in elsewhere]
        if leaving:
            self._call_later(partial(self._stop_moving, entry, leaving))
        return leaving

    def _stop_moving(self, entry: ServiceEntry, endpoints: list[EndpointAddress]) -> None:
        """Remove those of these endpoints that no slice has listed since; identity tells a later move from this one."""
        removed = [one for one in endpoints if any(one is other for other in entry.moving(one.address))]
        if not removed:
            return
        touched: set[Hashable] = set()
        entry.set_moving(removed, ())
        self._update_reverse(entry, removed, (), touched)
        self._drop_if_empty(entry)
        self._notify(touched)

    def _update_reverse(
        self,
        entry: ServiceEntry,
        removed: Iterable[EndpointAddress],
        added: Iterable[EndpointAddress],
        touched: set[Hashable],
    ) -> None:
        for endpoint in removed:
            self.reverse.remove_endpoint(endpoint)
            touched.add(endpoint.address)
        for endpoint in added:
            self.reverse.add_endpoint(endpoint)
            touched.add(endpoint.address)
        touched.add((entry.namespace, entry.name))

    def _entry(self, key: tuple[bytes, bytes]) -> ServiceEntry:
        entry = self._services.get(key)
        if entry is None:
            entry = self._services[key] = ServiceEntry(*key)
        return entry

    def _drop_if_empty(self, entry: ServiceEntry) -> None:
        if entry.is_empty:
            self._services.pop((entry.namespace, entry.name), None)
            if self.topology is not None:
                self.topology.forget(entry)
