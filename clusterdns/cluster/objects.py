"""Slim Kubernetes objects: the fields of Services, EndpointSlices, Namespaces and Pods that DNS answers depend on.

`api` and `manifests` produce them through `decoding`, `index` reads them, and a `Change` carries them from one to the
other. This module is not a model of the Kubernetes API (`raw_objects` is closer to it): there is no metadata beyond the
names.
"""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import NamedTuple

import msgspec

MAX_LABEL_BYTES = 63  # RFC 1035 §2.3.4; no query can contain a longer label
MAX_PORTS = 512  # of one object; the API server itself allows 100 per slice
SERVICE_LABEL = "kubernetes.io/service-name"
IMPORT_LABEL = "multicluster.kubernetes.io/service-name"  # names the ServiceImport of a slice


class Port(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A port, with its name and protocol as the API spells them; `number` is -1 where the object gives none."""

    name: str
    number: int
    protocol: str

    def matches(self, name: bytes, protocol: bytes) -> bool:
        """Return whether it matches these labels; an empty label matches every port, an unnamed port no label."""
        return (not name or self.name.encode().lower() == name) and (
            not protocol or self.protocol.encode().lower() == protocol
        )


class Service(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A Service. `cluster_ips` is empty for a headless one, in which case `headless` is true."""

    namespace: str
    name: str
    type: str = "ClusterIP"
    cluster_ips: tuple[str, ...] = ()
    headless: bool = False
    external_name: str = ""
    ports: tuple[Port, ...] = ()
    external: tuple[str, ...] = ()  # addresses outside the cluster, then host names of load balancers


class Endpoint(msgspec.Struct, frozen=True, gc=False, array_like=True, cache_hash=True):
    """A ready endpoint. Of an endpoint that is not ready only the addresses are kept, in `EndpointSlice.unready`."""

    addresses: tuple[str, ...]
    hostname: str = ""
    target_name: str = ""
    zone: str = ""  # its topology zone; interned


class EndpointSlice(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One slice of a Service's endpoints; `service` is empty where the slice names no Service."""

    namespace: str
    name: str
    service: str = ""
    ports: tuple[Port, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    unready: tuple[str, ...] = ()  # addresses listed as not ready: they are not moving to another slice
    address_type: str = ""  # IPv4, IPv6 or FQDN; empty where the source does not say
    triggered_at: str = ""  # when the pod change behind this slice happened (RFC 3339); for the programming latency


class ServiceImport(Service, frozen=True, gc=False, array_like=True):
    """A Service of several clusters: headless, or with the clusterset IPs that all of them route to it."""


class ImportedSlice(EndpointSlice, frozen=True, gc=False, array_like=True):
    """A slice of a ServiceImport: the endpoints of one cluster."""

    cluster: str = ""


class Namespace(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A Namespace."""

    name: str

    @property
    def namespace(self) -> str:
        """The empty text: a Namespace is in no namespace, and keys stay uniform."""
        return ""


class Pod(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A Pod; `terminating` from the request to delete it until it is deleted."""

    namespace: str
    name: str
    ips: tuple[str, ...] = ()
    terminating: bool = False
    labels: str = ""  # `KEY=VALUE,KEY=VALUE`, which takes a quarter of a dict's memory


_LAST_OF_IPV4 = frozenset("0123456789")  # so that few host names are tried as addresses: an exception takes 2 µs
ObjectKey = tuple[str, str]  # namespace and name; identifies an object within its kind
Object = Service | EndpointSlice | Namespace | Pod | ServiceImport | ImportedSlice
Kind = type[Service] | type[EndpointSlice] | type[Namespace] | type[Pod] | type[ServiceImport] | type[ImportedSlice]
KINDS: tuple[Kind, ...] = (Service, EndpointSlice, Namespace, Pod, ServiceImport, ImportedSlice)


class Change(NamedTuple):
    """One change to one object: `old` is None for an addition, `new` is None for a removal.

    Events of a watch come in the order in which the objects were changed. Other changes lead together to a later state.
    """

    old: Object | None
    new: Object | None
    is_event: bool = False


class ObjectError(ValueError):
    """An object that cannot be used: its kind, its key as far as it can be read, and the reason."""

    def __init__(self, kind: str, key: ObjectKey, reason: str, fingerprint: int = 0) -> None:
        """`fingerprint` is that of `api.versions`; 0 where the version is not known."""
        super().__init__(f"{kind} {shown_key(key)}: {reason}")
        self.kind = kind
        self.key = key
        self.reason = reason
        self.fingerprint = fingerprint


def shown_key(key: ObjectKey) -> str:
    """Format a key for messages: `namespace/name`, cut to 200 characters."""
    namespace, name = key
    return (f"{namespace}/{name}" if namespace else name)[:200] or "(unnamed)"


def labels_text(labels: Mapping[str, str | None]) -> str:
    """Join the labels of an object: `KEY=VALUE,KEY=VALUE`. The API allows neither sign in a key or value."""
    return ",".join([f"{key}={value or ''}" for key, value in labels.items()])


def key_of(obj: Object) -> ObjectKey:
    """Return the key of an object: namespace and name."""
    return (obj.namespace, obj.name)


def label_of(text: str) -> bytes:
    """Make a lower-case label of an object's name."""
    return text.encode().lower()


def canonical(address_text: str) -> str:
    """Spell an IP address in canonical form. Raises OSError or ValueError where the text is not an address."""
    if ":" not in address_text:
        inet_pton(AF_INET, address_text)
        return address_text
    text = inet_ntop(AF_INET6, inet_pton(AF_INET6, address_text))
    # an IPv4 address in IPv6 spelling is an A record, never an AAAA (RFC 4038 §4.2)
    return text.removeprefix("::ffff:") if "." in text else text


def is_address(text: str) -> bool:
    """Return whether a text is an IP address, in any spelling."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def packed(address_text: str) -> bytes:
    """Pack an address of an object into 4 or 16 bytes."""
    return inet_pton(AF_INET6 if ":" in address_text else AF_INET, address_text)


def packed_addresses(endpoints: Iterable[Endpoint]) -> list[bytes]:
    """Pack the addresses of endpoints, in half of the time that `packed` takes for each."""
    return [inet_pton(AF_INET6 if ":" in text else AF_INET, text) for one in endpoints for text in one.addresses]


def split_external(service: Service) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """Split `Service.external` into packed addresses and host names of load balancers."""
    addresses, hosts = [], []
    for text in service.external:
        if text[-1:] not in _LAST_OF_IPV4 and ":" not in text:
            hosts.append(text)
            continue
        try:
            addresses.append(packed(text))
        except OSError:
            hosts.append(text)
    return tuple(addresses), tuple(hosts)


def address_text(address: bytes) -> str:
    """Spell a packed address in canonical form."""
    return inet_ntop(AF_INET6 if len(address) == 16 else AF_INET, address)
