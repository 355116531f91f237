"""The name grammar of Kubernetes DNS-based service discovery: which shapes of name there are below a cluster zone.

`locate` maps the labels left of the zone to a `Place`; whether something is there is the index's to say. Names are
looked at as lower-case labels, leftmost first. Nothing here knows objects or records.
"""

import enum
from typing import NamedTuple

SERVICE_TREE = b"svc"
POD_TREE = b"pod"
VERSION_LABEL = b"dns-version"
NAMESERVER_LABELS = [b"ns", b"dns"]


class Shape(enum.IntEnum):  # an integer, because the hash of a plain Enum is a call of its own
    """The shapes of name below a cluster zone."""

    FIXED = enum.auto()  # the zone itself, svc, pod or dns: always there
    SERVICE_NAMESPACE = enum.auto()  # NS.svc
    SERVICE = enum.auto()  # SVC.NS.svc
    ENDPOINT = enum.auto()  # ENDPOINT.SVC.NS.svc
    PORT = enum.auto()  # _PORT._PROTOCOL.SVC.NS.svc
    POD_NAMESPACE = enum.auto()  # NS.pod
    POD = enum.auto()  # ADDRESS.NS.pod
    NAMESERVER = enum.auto()  # ns.dns
    VERSION = enum.auto()  # dns-version
    NOTHING = enum.auto()  # no such shape


class Place(NamedTuple):
    """Where in the grammar a name stands; the labels that its shape does not have are empty."""

    shape: Shape
    namespace: bytes = b""
    service: bytes = b""
    endpoint: bytes = b""  # also the address label of a pod
    port: bytes = b""  # without underscore; empty matches every port
    protocol: bytes = b""


_FIXED = Place(Shape.FIXED)
_NOTHING = Place(Shape.NOTHING)


def locate(labels: list[bytes]) -> Place:
    """The place of a name from its labels left of the zone."""
    count = len(labels)
    if not count:
        return _FIXED
    tree = labels[-1]
    if tree == SERVICE_TREE:
        return _in_services(labels, count)
    if tree == POD_TREE:
        return _in_pods(labels, count)
    if tree == VERSION_LABEL and count == 1:
        return Place(Shape.VERSION)
    if labels == NAMESERVER_LABELS:
        return Place(Shape.NAMESERVER)
    if labels == NAMESERVER_LABELS[1:]:
        return _FIXED
    return _NOTHING


def locate_imported(labels: list[bytes]) -> Place:
    """The same where a Service spans clusters: an endpoint is ENDPOINT.CLUSTER, unless underscores tell it is a port.

    `Place.endpoint` has each of its labels with its length in front; one label alone is of no cluster.
    """
    count = len(labels)
    if count not in (4, 5) or labels[-1] != SERVICE_TREE:
        return locate(labels)
    left = labels[:-3]
    if count == 5 and any(label.startswith(b"_") for label in left):
        return locate(labels)
    return Place(Shape.ENDPOINT, labels[-2], labels[-3], b"".join([bytes((len(label),)) + label for label in left]))


def _in_services(labels: list[bytes], count: int) -> Place:
    if count == 3:
        return Place(Shape.SERVICE, labels[1], labels[0])
    if count == 4:
        return Place(Shape.ENDPOINT, labels[2], labels[1], labels[0])
    if count == 5:
        port, protocol, service, namespace = labels[:4]
        return Place(Shape.PORT, namespace, service, b"", without_underscore(port), without_underscore(protocol))
    if count == 2:
        return Place(Shape.SERVICE_NAMESPACE, labels[0])
    if count == 1:
        return _FIXED
    # more labels than any name has: absent, but it hangs below a service, and the dependencies say so
    return Place(Shape.NOTHING, labels[-2], labels[-3])


def _in_pods(labels: list[bytes], count: int) -> Place:
    if count == 3:
        return Place(Shape.POD, labels[1], b"", labels[0])
    if count == 2:
        return Place(Shape.POD_NAMESPACE, labels[0])
    if count == 1:
        return _FIXED
    return _NOTHING


def without_underscore(label: bytes) -> bytes:
    """A port or protocol label without its underscore, which CoreDNS makes optional."""
    return label[1:] if label.startswith(b"_") else label
