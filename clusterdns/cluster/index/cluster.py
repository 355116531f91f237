"""The index: what exists in the cluster, as of the last change, and what each change touched.

A source hands changes to `apply`, in any order of kinds; handlers read through `index.zone`. After each change the
index notifies its subscribers of the dependencies that it touched, so that answer tables forget; it does not know the
tables. A dependency is `(namespace,)`, `(namespace, service)` or a packed address.
"""

import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import partial

from clusterdns.cluster.index.reverse import ReverseMap
from clusterdns.cluster.index.service import MOVING, Member, ServiceNode, label_of, members_of
from clusterdns.cluster.index.topology import Topology
from clusterdns.cluster.objects import Change, EndpointSlice, Namespace, Pod, Service, packed, split_external
from clusterdns.wire.response import Serial

PodKey = tuple[bytes, str]  # namespace and name
Forget = Callable[[set[Hashable]], object]  # told the dependencies that a change touched


class Index:
    """Joined state of Services, EndpointSlices, Namespaces and Pods. One writer: the source of one kubernetes block."""

    def __init__(
        self,
        forget: Forget | None = None,
        *,
        namespaces: frozenset[str] = frozenset(),
        use_pod_names: bool = False,
        zonal: bool = False,
        clock: Callable[[], float] = time.time,
        later: Callable[[Callable[[], None]], object] | None = None,
        beside: "Index | None" = None,
    ) -> None:
        """`later` calls back after the time that an endpoint may take from slice to slice; None: it takes none.

        An index `beside` another has the namespaces and pods of that, which also tells of their changes.
        """
        self.serial = Serial()
        self.synced = False
        self.reverse = ReverseMap()
        self._external: ReverseMap | None = None
        self.topology = Topology() if zonal else None
        self._forgets: list[Forget] = [] if forget is None else [forget]
        self._only: frozenset[bytes] = frozenset(map(label_of, namespaces)) if beside is None else beside._only
        self._use_pod_names = use_pod_names
        self._clock = clock
        self._later = later
        self._namespaces: set[bytes] = set() if beside is None else beside._namespaces
        self._services: dict[tuple[bytes, bytes], ServiceNode] = {}
        self._pods: dict[bytes, tuple[PodKey, ...]] = {} if beside is None else beside._pods  # by address
        self._pod_addresses: dict[PodKey, tuple[bytes, ...]] = {}

    # Reading

    def exposes(self, namespace: bytes) -> bool:
        """Whether the namespace exists and is not kept out by the `namespaces` option."""
        return namespace in self._namespaces and (not self._only or namespace in self._only)

    def service(self, namespace: bytes, name: bytes) -> ServiceNode | None:
        """The Service of this name, joined with its slices; None while no Service object is known."""
        node = self._services.get((namespace, name))
        return node if node is not None and node.service is not None else None

    def has_pod(self, namespace: bytes, address: bytes) -> bool:
        """Whether a known Pod of the namespace has this packed address."""
        return any(one == namespace for one, _ in self._pods.get(address, ()))

    def pods_at(self, address: bytes) -> tuple[PodKey, ...]:
        """The known Pods with this packed address, in no order; several where they share their host's."""
        return self._pods.get(address, ())

    def services(self) -> Iterator[ServiceNode]:
        """Every Service that is answered for, in no order."""
        return (node for node in self._services.values() if node.service is not None and self.exposes(node.namespace))

    def pods(self) -> Iterator[tuple[bytes, bytes]]:
        """The (namespace, packed address) pairs of known Pods that are answered for, in no order."""
        pairs = ((one, address) for address, several in self._pods.items() for one in {key[0] for key in several})
        return (pair for pair in pairs if self.exposes(pair[0]))

    @property
    def external(self) -> ReverseMap:
        """The Services by their addresses outside the cluster; kept from the first time that somebody asks."""
        if self._external is None:
            self._external = ReverseMap()
            for key, node in self._services.items():
                for address in split_external(node.service)[0] if node.service is not None else ():
                    self._external.add_service(address, key)
        return self._external

    # Who depends on it

    def tell(self, forget: Forget) -> None:
        """Tell this one too, from now on; while one configuration takes over from another there are two."""
        self._forgets.append(forget)

    def tell_no_more(self, forget: Forget) -> None:
        """Take back one `tell`."""
        self._forgets.remove(forget)

    # Writing

    def apply(self, change: Change) -> None:
        """Take one change and tell who depends on what it touched."""
        old, new = change
        touched: set[Hashable] = set()
        match new if new is not None else old:
            case Service():
                self._apply_service(old, new, touched)  # type: ignore[arg-type]  # both sides are of one kind
            case EndpointSlice():
                self._apply_slice(old, new, touched)  # type: ignore[arg-type]
            case Namespace(name=name):
                self._apply_namespace(label_of(name), new is not None, touched)
            case Pod():
                self._apply_pod(old, new, touched)  # type: ignore[arg-type]
        self._tell(touched)

    def _tell(self, touched: set[Hashable]) -> None:
        if touched:
            self.serial.set(int(self._clock()))
            for forget in self._forgets:
                forget(touched)

    def _apply_namespace(self, label: bytes, exists: bool, touched: set[Hashable]) -> None:
        if exists:
            self._namespaces.add(label)
        else:
            self._namespaces.discard(label)
        touched.add((label,))

    def _apply_service(self, old: Service | None, new: Service | None, touched: set[Hashable]) -> None:
        for service in (old, new):
            if service is None:
                continue
            key = (label_of(service.namespace), label_of(service.name))
            node = self._node(key)
            for text in node.service.cluster_ips if node.service is not None else ():
                self.reverse.remove_service(packed(text), key)
                touched.add(packed(text))
            if self._external is not None:
                self._move_external(self._external, key, node.service, new if service is new else None, touched)
            node.set_service(new if service is new else None)
            for text in service.cluster_ips if service is new else ():
                self.reverse.add_service(packed(text), key)
                touched.add(packed(text))
            touched.add(key)
            self._tidy(node)

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
        """An update may move a slice to another Service; a slice without a Service's name belongs to nobody."""
        if old is not None and old.service and (new is None or new.service != old.service):
            self._set_slice(old, None, touched)
        if new is not None and new.service:
            self._set_slice(new, members_of(new, use_pod_names=self._use_pod_names), touched)

    def _set_slice(self, obj: EndpointSlice, members: tuple[Member, ...] | None, touched: set[Hashable]) -> None:
        node = self._node((label_of(obj.namespace), label_of(obj.service)))
        if self.topology is not None and members is not None and self.topology.note(node, obj):
            touched.add((node.namespace, node.name))
        gone: set[Member] = set()
        if members != node.slice_members(obj.name):  # else only endpoints that are not ready differ
            gone, come = node.set_slice(obj.name, members)
            self._join(node, gone, come, touched)
        if gone or node.has_moving:
            listed = {member.address for member in members or ()} | set(map(packed, obj.unready))
            arrived = [one for address in listed for one in node.moving(address)]
            leaving = self._leaving(node, obj.name, [one for one in gone if one.address not in listed])
            if arrived or leaving:
                node.set_moving(arrived, leaving)
                self._join(node, arrived, leaving, touched)
        self._tidy(node)

    def _leaving(self, node: ServiceNode, left: str, gone: list[Member]) -> list[Member]:
        """Of the members that vanished from a slice, those to be answered for a moment more.

        An endpoint that vanishes from one of several slices is mostly on its way to another, in an event still to come.
        One that is listed as not ready, there or in the slice it went to, is gone on purpose.
        """
        if self._later is None or not node.has_other_slices(left):
            return []
        elsewhere = {one.address for member in gone for one in node.endpoint(member.label)}
        leaving = [one._replace(slice_name=MOVING) for one in gone if one.address not in elsewhere]
        if leaving:
            self._later(partial(self._stop_moving, node, leaving))
        return leaving

    def _stop_moving(self, node: ServiceNode, members: list[Member]) -> None:
        """Nobody has listed these again: they are gone. One that has left anew since then is not one of them."""
        gone = [member for member in members if any(member is one for one in node.moving(member.address))]
        if not gone:
            return
        touched: set[Hashable] = set()
        node.set_moving(gone, ())
        self._join(node, gone, (), touched)
        self._tidy(node)
        self._tell(touched)

    def _join(self, node: ServiceNode, gone: Iterable[Member], come: Iterable[Member], touched: set[Hashable]) -> None:
        """Bring what went and what came of a Service into the reverse map."""
        for member in gone:
            self.reverse.remove_member(member)
            touched.add(member.address)
        for member in come:
            self.reverse.add_member(member)
            touched.add(member.address)
        touched.add((node.namespace, node.name))

    def _apply_pod(self, old: Pod | None, new: Pod | None, touched: set[Hashable]) -> None:
        """What a Pod had is remembered here, because `old` may be a terminating state that was never taken."""
        if new is not None and new.terminating and old is not None:
            return  # the state before termination stays until the Pod is deleted
        pod = new if new is not None else old
        assert pod is not None
        namespace = label_of(pod.namespace)
        addresses = tuple(map(packed, new.ips)) if new is not None else ()
        key = (namespace, pod.name)
        for address in self._pod_addresses.pop(key, ()):
            left = tuple(one for one in self._pods[address] if one != key)
            if left:
                self._pods[address] = left
            else:
                del self._pods[address]
            touched.add(address)
        for address in addresses:
            self._pods[address] = (*self._pods.get(address, ()), key)
            touched.add(address)
        if addresses:
            self._pod_addresses[key] = addresses

    def _node(self, key: tuple[bytes, bytes]) -> ServiceNode:
        node = self._services.get(key)
        if node is None:
            node = self._services[key] = ServiceNode(*key)
        return node

    def _tidy(self, node: ServiceNode) -> None:
        if node.is_empty:
            self._services.pop((node.namespace, node.name), None)
            if self.topology is not None:
                self.topology.forget(node)
