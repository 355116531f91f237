"""Slim Kubernetes objects: what an answer needs of a Service, EndpointSlice, Namespace or Pod, and nothing else.

The sources make them (see `sources.decoding`), the index reads them, and a `Change` carries them from one to the other.
What cannot be used at all raises `ObjectError`, which names the object.

This module is not a model of the Kubernetes API: no metadata beyond the names, nothing that is only ever displayed.
"""

from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import NamedTuple

import msgspec

MAX_LABEL_BYTES = 63  # RFC 1035 §2.3.4; a longer name could never be asked for
MAX_PORTS = 512  # of one object; the API server itself allows 100 per slice
SERVICE_LABEL = "kubernetes.io/service-name"
IMPORT_LABEL = "multicluster.kubernetes.io/service-name"  # a slice that several clusters share


class Port(msgspec.Struct, frozen=True, gc=False):
    """A port with its name and protocol as the API spells them; `number` is -1 where the object states none."""

    name: str
    number: int
    protocol: str


class Service(msgspec.Struct, frozen=True, gc=False):
    """A Service. `cluster_ips` is empty for a headless one, in which case `headless` is true."""

    namespace: str
    name: str
    type: str = "ClusterIP"
    cluster_ips: tuple[str, ...] = ()
    headless: bool = False
    external_name: str = ""
    ports: tuple[Port, ...] = ()
    external: tuple[str, ...] = ()  # what it has outside the cluster: addresses, and host names of load balancers


class Endpoint(msgspec.Struct, frozen=True, gc=False):
    """A ready endpoint: of one that is not ready only the addresses are kept, in `EndpointSlice.unready`."""

    addresses: tuple[str, ...]
    hostname: str = ""
    target_name: str = ""
    zone: str = ""  # of the topology, one object for all endpoints in it


class EndpointSlice(msgspec.Struct, frozen=True, gc=False):
    """One slice of a Service; `service` is empty when the slice does not say whose it is."""

    namespace: str
    name: str
    service: str = ""
    ports: tuple[Port, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    unready: tuple[str, ...] = ()  # addresses listed as not ready: gone on purpose, not on their way elsewhere
    triggered_at: str = ""  # RFC 3339 moment of the pod change behind this slice, for the programming-latency metric


class ServiceImport(Service, frozen=True, gc=False):
    """A Service of several clusters: headless, or with the addresses that stand for it in all of them."""


class ImportedSlice(EndpointSlice, frozen=True, gc=False):
    """A slice of a ServiceImport: the endpoints of one cluster."""

    cluster: str = ""


class Namespace(msgspec.Struct, frozen=True, gc=False):
    """A Namespace, which exists or does not."""

    name: str

    @property
    def namespace(self) -> str:
        """Namespaces are not in a namespace; the empty text keeps keys uniform."""
        return ""


class Pod(msgspec.Struct, frozen=True, gc=False):
    """A Pod that has addresses. `terminating` pods keep their last state until they are deleted."""

    namespace: str
    name: str
    ips: tuple[str, ...] = ()
    terminating: bool = False


Object = Service | EndpointSlice | Namespace | Pod | ServiceImport | ImportedSlice
Kind = type[Service] | type[EndpointSlice] | type[Namespace] | type[Pod] | type[ServiceImport] | type[ImportedSlice]


class Change(NamedTuple):
    """One step of the cluster: `old` is None for an addition, `new` is None for a removal."""

    old: Object | None
    new: Object | None


class ObjectError(ValueError):
    """An object that cannot be used, with its kind, `namespace/name` as far as known, and the reason."""

    def __init__(self, kind: str, key: str, reason: str) -> None:
        super().__init__(f"{kind} {key}: {reason}")
        self.kind = kind
        self.key = key
        self.reason = reason


def key_of(obj: Object) -> tuple[str, str]:
    """The identity of an object within its kind."""
    return (obj.namespace, obj.name)


def canonical(address_text: str) -> str:
    """The one spelling of an IP address that this server uses. Raises OSError or ValueError where it is none."""
    if ":" not in address_text:
        inet_pton(AF_INET, address_text)
        return address_text
    text = inet_ntop(AF_INET6, inet_pton(AF_INET6, address_text))
    # an IPv4 address in IPv6 spelling is an A record, never an AAAA (RFC 4038 §4.2)
    return text.removeprefix("::ffff:") if "." in text else text


def packed(address_text: str) -> bytes:
    """The 4 or 16 bytes of an address of an object."""
    return inet_pton(AF_INET6 if ":" in address_text else AF_INET, address_text)


def split_external(service: Service) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """What a Service has outside the cluster: packed addresses, and host names of load balancers."""
    addresses, hosts = [], []
    for text in service.external:
        try:
            addresses.append(packed(text))
        except OSError:
            hosts.append(text)
    return tuple(addresses), tuple(hosts)


def address_text(address: bytes) -> str:
    """The canonical text of a packed address."""
    return inet_ntop(AF_INET6 if len(address) == 16 else AF_INET, address)
