"""The index: Services, EndpointSlices, Namespaces and Pods, joined so that a name is a few dict look-ups.

A source calls `apply` with each change, in any order of kinds; `zone` and `external` read. After each change the index
notifies its subscribers of the dependencies that the change affects (see `dependents`), and answer tables drop the
answers that depend on them.
"""

import time
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from functools import partial

from msgspec.structs import replace

from clusterdns.cluster.dependents import ANY_SERVICE, Dependents
from clusterdns.cluster.freshness import Kinds
from clusterdns.cluster.index.pods import PodTable
from clusterdns.cluster.index.reverse import ExternalMap, ReverseMap
from clusterdns.cluster.index.service import ServiceEntry
from clusterdns.cluster.index.slices import EndpointAddress, SliceState, in_chunks, reader_of
from clusterdns.cluster.index.topology import Topology
from clusterdns.cluster.namespaces import Namespaces
from clusterdns.cluster.objects import Change, EndpointSlice, Namespace, Pod, Service, label_of, packed

MAX_ADDRESSES_PER_STEP = 64  # of one step of a change: half a millisecond


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
        self._dependents = Dependents(clock)
        self._notify, self.changes = self._dependents.notify, self._dependents.changes
        self.subscribe, self.unsubscribe = self._dependents.subscribe, self._dependents.unsubscribe
        self.serial = self._dependents.serial
        self.synced = self.restored = False  # restored from a snapshot: all kinds are stale until it is synced
        self.stale: Kinds = frozenset()  # the kinds whose latest state is not known at present
        self.reverse = ReverseMap()
        self.topology = Topology() if zonal else None
        self.namespaces = namespaces if namespaces is not None else Namespaces()
        self.exposes = self.namespaces.exposes  # whether a namespace exists and is served
        self.pods = pods if pods is not None else PodTable()
        self._external: ExternalMap | None = None
        self._use_pod_names = use_pod_names
        self._call_later = call_later
        self._services: dict[tuple[bytes, bytes], ServiceEntry] = {}
        self.nameless: set[tuple[bytes, bytes]] = set()  # of the Services, those whose endpoints have no names
        self._moves = 0  # how many times endpoints have left a slice

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

    def service_keys(self) -> list[tuple[bytes, bytes]]:
        """List the namespace and name of every Service or endpoint's Service, served or not, in no order."""
        return list(self._services)

    @property
    def external(self) -> ReverseMap:
        """The Services by their addresses outside the cluster; what `fill_external` has left is done at once."""
        for _ in self.fill_external():
            pass
        assert self._external is not None
        return self._external

    def fill_external(self) -> Iterator[None]:
        """Fill `external`, in steps, and keep it up to date from now on."""
        if self._external is None:
            self._external = ExternalMap(self._services)
        return self._external.fill()

    # Writing

    def set_stale(self, kinds: Kinds) -> None:
        """Set the kinds that are stale, and have every answer made from the index forgotten."""
        self.stale = kinds
        self._dependents.forget_all()

    def clear(self) -> None:
        """Drop every object at once; the index is neither synced nor restored then."""
        self.synced = self.restored = False
        for entry in self._services.values():
            entry.forget_moving()  # their timers find nothing then
        self._services, self._external, self.reverse = {}, None, ReverseMap()
        self.nameless.clear()
        self.topology = Topology() if self.topology is not None else None
        self.namespaces.clear()
        self.pods.clear()
        self.set_stale(frozenset())

    def apply(self, change: Change) -> None:
        """Apply one change, and notify the subscribers of the dependencies that it affects."""
        for _ in self.steps(change):
            pass

    def steps(self, change: Change) -> Iterator[None]:
        """Apply one change in parts, each of a bounded number of addresses, and notify the subscribers of each part.

        The caller may let other tasks run between two parts; only a change of a large slice has several.
        """
        old, new, is_event = change
        touched: set[Hashable] = set()
        match new if new is not None else old:
            case Service():
                self._apply_service(old, new, touched)  # type: ignore[arg-type]  # both sides are of one kind
            case EndpointSlice():
                yield from self._apply_slice(old, new, is_event=is_event)  # type: ignore[arg-type]
            case Namespace(name=name):
                self.namespaces.set(label_of(name), exists=new is not None)
                touched.update(((label_of(name),), ANY_SERVICE))
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
                touched.update(self._external.replace(key, entry.service, new if service is new else None))
            entry.set_service(new if service is new else None)
            is_nameless = entry.service is None or entry.service.type == "ExternalName"
            (self.nameless.add if is_nameless else self.nameless.discard)(key)
            for text in service.cluster_ips if service is new else ():
                self.reverse.add_service(packed(text), key)
                touched.add(packed(text))
            touched.update((key, ANY_SERVICE))
            self._drop_if_empty(entry)

    def _apply_slice(self, old: EndpointSlice | None, new: EndpointSlice | None, *, is_event: bool) -> Iterator[None]:
        """Apply a slice, which an update may move to another Service; a slice that names no Service is ignored."""
        if old is not None and old.service and (new is None or new.service != old.service):
            yield from self._change_slice(old, is_deleted=True, is_event=is_event)
        if new is not None and new.service:
            yield from self._change_slice(new, is_deleted=False, is_event=is_event)

    def _change_slice(self, obj: EndpointSlice, *, is_deleted: bool, is_event: bool) -> Iterator[None]:
        """Add the endpoints that the slice did not list before, then remove those that it no longer lists.

        Those may turn up in another slice (see `_note_moves`) where this is one of several changes in no order, or
        where the ports have changed: the slice controller then fills the Service's slices anew, one by one. It deletes
        those that it does not need afterwards, and moves no endpoint for another reason.
        """
        entry = self._entry((label_of(obj.namespace), label_of(obj.service)))
        touched: set[Hashable] = set()
        if self.topology is not None and not is_deleted and self.topology.update(entry, obj):
            touched.add((entry.namespace, entry.name))
        reader = reader_of(entry.namespace, entry.name, obj, use_pod_names=self._use_pod_names)
        state = entry.slice(obj.name)
        if state is None:
            if is_deleted:
                return
            state = entry.add_slice(obj.name)
            touched.add((entry.namespace, entry.name))
            if not entry.has_moving and (addresses := state.fill(reader, obj.endpoints)) is not None:
                entry.fill_slice(state, len(addresses))
                self.reverse.add_slice(state, addresses)
                touched.update(addresses)
                self._notify(touched)
                yield
                return
        listed = {} if is_deleted else dict.fromkeys(obj.endpoints)
        yield
        self.reverse.read(state)
        yield
        known = state.open()
        yield
        is_same = is_deleted or state.reader == reader
        changed = list(set(listed).difference(known) if is_same else listed)  # as sets: an endpoint is hashed once
        changed += set(known).difference(listed)
        may_move = not is_deleted and (not is_event or state.ports != reader.ports)
        state.reader = reader
        unready = set(map(packed, obj.unready)) if changed or entry.has_moving else set()
        if entry.has_moving:
            self._stop_moving(entry, [one for address in unready for one in entry.moving(address)], touched)
        yield
        for chunk in in_chunks(changed, MAX_ADDRESSES_PER_STEP):
            removed = [one for endpoint in chunk for one in known.pop(endpoint, ())]
            for endpoint in chunk:
                if endpoint in listed:
                    known[endpoint] = reader.read((endpoint,))
            added = [one for endpoint in chunk for one in known.get(endpoint, ())]
            self._update(entry, removed, added, touched)
            leaving = [one for one in removed if one.address not in unready] if may_move else []
            self._note_moves(entry, state, added, leaving, touched)
            self._notify(touched)
            touched.clear()
            yield
        if state.close(listed) or is_deleted:
            entry.clear_cache()
            touched.add((entry.namespace, entry.name))
        if is_deleted:
            entry.drop_slice(obj.name)
        self._drop_if_empty(entry)
        self._notify(touched)
        yield

    def _note_moves(
        self,
        entry: ServiceEntry,
        state: SliceState,
        arrived: list[EndpointAddress],
        removed: list[EndpointAddress],
        touched: set[Hashable],
    ) -> None:
        """Stop answering separately for endpoints that have arrived, and start to for those that may arrive elsewhere.

        An endpoint that disappears from one of several slices is usually moving to another, whose event follows. One
        that is listed as not ready, in this slice or in the other, is removed on purpose.
        """
        if arrived and entry.has_moving:
            self._stop_moving(entry, [one for each in arrived for one in entry.moving(each.address)], touched)
        if not removed or self._call_later is None or not entry.has_place_for(state):
            return
        key = (entry.namespace, entry.name)
        if lost := [one for one in removed if not self.reverse.has_endpoint_of(one.address, key)]:
            self._moves += 1
            # no object's name begins with a space: the number tells this move from a later one of the same endpoint
            leaving = [replace(one, slice_name=f" {self._moves}") for one in lost]
            entry.start_moving(leaving)
            self._update_reverse(entry, (), leaving, touched)
            self._call_later(partial(self._end_moves, entry, leaving))

    def _end_moves(self, entry: ServiceEntry, endpoints: list[EndpointAddress]) -> None:
        """Remove those of these endpoints that no slice has listed since."""
        touched: set[Hashable] = set()
        self._stop_moving(entry, endpoints, touched)
        if touched:
            self._drop_if_empty(entry)
            self._notify(touched)

    def _stop_moving(self, entry: ServiceEntry, endpoints: list[EndpointAddress], touched: set[Hashable]) -> None:
        if removed := entry.stop_moving(endpoints):
            self._update_reverse(entry, removed, (), touched)

    def _update(
        self,
        entry: ServiceEntry,
        removed: Collection[EndpointAddress],
        added: Collection[EndpointAddress],
        touched: set[Hashable],
    ) -> None:
        entry.update(removed, added)
        self._update_reverse(entry, removed, added, touched)

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
        self.reverse.add_endpoints(added)
        touched.update([endpoint.address for endpoint in added])
        touched.add((entry.namespace, entry.name))

    def _entry(self, key: tuple[bytes, bytes]) -> ServiceEntry:
        entry = self._services.get(key)
        if entry is None:
            entry = self._services[key] = ServiceEntry(*key)
            self.nameless.add(key)
        return entry

    def _drop_if_empty(self, entry: ServiceEntry) -> None:
        if entry.is_empty:
            key = (entry.namespace, entry.name)
            self._services.pop(key, None)
            self.nameless.discard(key)
            if self.topology is not None:
                self.topology.forget(entry)
