"""One Service joined with its EndpointSlices: who is behind it, under which names.

Slices come and go one by one and an endpoint may move between two of them, so every slice's contribution is kept apart
and an endpoint is gone only when no slice names it any more. An endpoint's name is a dict hit; what concerns the whole
Service is put together when first asked for and kept until something changes.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from clusterdns.cluster.objects import MAX_LABEL_BYTES, Endpoint, EndpointSlice, ImportedSlice, Port, Service, packed

MOVING = ""  # the slice name of an endpoint that has left one slice and may turn up in another
NO_PORTS = (Port("", -1, ""),)  # an object without ports still has addresses, only no SRV
MIN_MEMBERS_KEPT = 32  # from this many labels on, what is made of all of them is worth its memory

T = TypeVar("T")


class Member(NamedTuple):
    """One address of one endpoint of one slice, under the label that names it."""

    label: bytes  # of an imported endpoint both, its own and its cluster's, each with its length
    address: bytes  # packed
    ports: tuple[Port, ...]
    slice_name: str
    namespace: bytes
    service: bytes
    has_hostname: bool


class ServiceNode:
    """The state of one (namespace, service) name. Written by the index, which is told who comes and who goes."""

    __slots__ = ("_by_label", "_members", "_moving", "_views", "name", "namespace", "service")

    def __init__(self, namespace: bytes, name: bytes) -> None:
        self.namespace = namespace
        self.name = name
        self.service: Service | None = None
        self._members: dict[str, tuple[Member, ...]] = {}  # by slice name
        self._moving: dict[bytes, tuple[Member, ...]] = {}  # by address; in no slice
        self._by_label: dict[bytes, tuple[Member, ...]] = {}
        self._views: dict[Hashable, object] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known of this name any more."""
        return self.service is None and not self._members and not self._moving

    def slice_members(self, slice_name: str) -> tuple[Member, ...] | None:
        """What a slice contributes; None where there is no such slice."""
        return self._members.get(slice_name)

    @property
    def has_moving(self) -> bool:
        """Whether any endpoint is on its way from slice to slice."""
        return bool(self._moving)

    def moving(self, address: bytes) -> tuple[Member, ...]:
        """The members with this address that are on their way."""
        return self._moving.get(address, ())

    def has_other_slices(self, slice_name: str) -> bool:
        """Whether the Service has a slice beside this one, to which an endpoint could move."""
        return any(name != slice_name for name in self._members)

    @property
    def has_members(self) -> bool:
        """Whether any endpoint is ready."""
        return bool(self._moving) or any(self._members.values())

    def set_service(self, service: Service | None) -> None:
        """Take the Service object, or its removal."""
        self.service = service
        self._views.clear()

    def set_slice(self, slice_name: str, members: tuple[Member, ...] | None) -> tuple[set[Member], set[Member]]:
        """Take what a slice contributes now (None: the slice is gone); gives the members gone and come."""
        before = set(self._members.get(slice_name, ()))
        after = set(members or ())
        if members is None:
            self._members.pop(slice_name, None)
        else:
            self._members[slice_name] = members
        gone, come = before - after, after - before
        self._join(gone, come)
        return gone, come

    def set_moving(self, gone: Iterable[Member], come: Iterable[Member]) -> None:
        """Take members off their way, and put others on it."""
        for member in gone:
            left = tuple(one for one in self._moving[member.address] if one is not member)
            if left:
                self._moving[member.address] = left
            else:
                del self._moving[member.address]
        for member in come:
            self._moving[member.address] = (*self.moving(member.address), member)
        self._join(gone, come)

    def _join(self, gone: Iterable[Member], come: Iterable[Member]) -> None:
        for member in gone:
            left = tuple(one for one in self._by_label[member.label] if one != member)
            if left:
                self._by_label[member.label] = left
            else:
                del self._by_label[member.label]
        for member in come:
            self._by_label[member.label] = (*self._by_label.get(member.label, ()), member)
        self._views.clear()

    def endpoint(self, label: bytes) -> tuple[Member, ...]:
        """The members under this label, in an order that does not tell how they came; empty when there are none."""
        found = self._by_label.get(label, ())
        return tuple(sorted(found, key=_rank)) if len(found) > 1 else found

    def labels(self) -> Iterator[bytes]:
        """The labels that name its endpoints, in no order."""
        return iter(self._by_label)

    def members(self) -> Iterator[Member]:
        """Every member: those on their way, then in the order of slice names and, within a slice, of its object."""
        for several in self._moving.values():
            yield from several
        for slice_name in sorted(self._members):
            yield from self._members[slice_name]

    def has_port(self, port: bytes, protocol: bytes) -> bool:
        """Whether any ready endpoint has a port with these labels; empty ones match every port."""
        return any(matches(one, port, protocol) for one in self._ports())

    def has_named_port(self, protocol: bytes) -> bool:
        """Whether any ready endpoint has a port with a name and this protocol."""
        return any(one.name and matches(one, b"", protocol) for one in self._ports())

    def view(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, made once and kept until the Service or its endpoints change.

        For what concerns the whole Service: asked about ten thousand endpoints it costs no more than about ten. Small
        ones are not kept. The caller sees to it that clients cannot make up keys.
        """
        found = self._views.get(key)
        if found is None:
            found = make()
            if len(self._by_label) >= MIN_MEMBERS_KEPT:
                self._views[key] = found
        return found  # type: ignore[return-value]  # what is under a key came from its own `make`

    def drop_views(self) -> None:
        """Something changed that views are made of, and that is kept elsewhere."""
        self._views.clear()

    def _ports(self) -> frozenset[Port]:
        return self.view(
            "ports", lambda: frozenset(port for ports in {m.ports for m in self.members()} for port in ports)
        )


def _rank(member: Member) -> tuple[str, bytes, bool]:
    return (member.slice_name, member.address, member.has_hostname)


def matches(port: Port, name: bytes, protocol: bytes) -> bool:
    """Whether a port answers to these labels; an empty label matches every port, an unnamed port no label."""
    return (not name or port.name.encode().lower() == name) and (
        not protocol or port.protocol.encode().lower() == protocol
    )


def members_of(obj: EndpointSlice, *, use_pod_names: bool) -> tuple[Member, ...]:
    """What a slice contributes to its Service."""
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
            found.append(Member(label, packed(text), ports, obj.name, namespace, service, bool(endpoint.hostname)))
    return tuple(found)


def label_of(text: str) -> bytes:
    """A name of an object as a label."""
    return text.encode().lower()


def dashed(address_text: str) -> bytes:
    """The label of an endpoint that has no name of its own: its address with dashes (`fd00::` → `fd00--0`)."""
    label = address_text.replace(".", "-").replace(":", "-").encode()
    return label + b"0" if label.endswith(b"-") else label


def in_cluster(label: bytes, cluster: bytes) -> bytes:
    """Under what an endpoint of another cluster is kept; a slice may not say which cluster it is of."""
    parts = (label, cluster) if cluster else (label,)
    return b"".join(bytes((len(part),)) + part for part in parts)


def _own_label(endpoint: Endpoint, use_pod_names: bool) -> bytes:
    label = label_of(endpoint.hostname)
    if not label and use_pod_names:
        label = label_of(endpoint.target_name)
    return label if 0 < len(label) <= MAX_LABEL_BYTES else b""
