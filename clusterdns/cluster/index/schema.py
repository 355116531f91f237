"""The name grammar of Kubernetes DNS-based service discovery, version 1.1.0: `parse_name` reads a name below a zone.

Below a zone such as cluster.local. there are these names (NameForm); NS is a namespace, SERVICE a Service:

    (the zone itself), svc, pod, dns     FIXED              exist always
    NS.svc                               SERVICE_NAMESPACE  exists, without records
    SERVICE.NS.svc                       SERVICE            A, AAAA, SRV; a CNAME for an ExternalName
    _PORT._PROTOCOL.SERVICE.NS.svc       PORT               SRV, and the Service's A, AAAA
    ENDPOINT.SERVICE.NS.svc              ENDPOINT           A, AAAA, SRV; ENDPOINT is a hostname or 10-1-2-3
    NS.pod, 10-1-2-3.NS.pod              POD_NAMESPACE, POD A, AAAA of the address that the label spells
    ns.dns, dns-version                  NAMESERVER, VERSION

`index.imports` and `index.topology` add forms of their own. Labels are lower-case, the leftmost first. This module says
what a name would mean; whether it exists is for `zone` to look up. It knows neither objects nor records.
"""

import enum
from typing import NamedTuple

SERVICE_TREE = b"svc"
POD_TREE = b"pod"
VERSION_LABEL = b"dns-version"
NAMESERVER_LABELS = [b"ns", b"dns"]
TREES = frozenset((SERVICE_TREE, POD_TREE, VERSION_LABEL, NAMESERVER_LABELS[-1]))  # the labels below a zone's own name


class NameForm(enum.IntEnum):  # IntEnum, because hashing a plain Enum calls a Python function
    """The forms of names below a cluster zone."""

    FIXED = enum.auto()
    SERVICE_NAMESPACE = enum.auto()
    SERVICE = enum.auto()
    ENDPOINT = enum.auto()
    PORT = enum.auto()
    POD_NAMESPACE = enum.auto()
    POD = enum.auto()
    NAMESERVER = enum.auto()
    VERSION = enum.auto()
    UNKNOWN = enum.auto()  # no form of the grammar


class ParsedName(NamedTuple):
    """The form of a name and its labels by their meaning; labels that the form does not have are empty."""

    form: NameForm
    namespace: bytes = b""
    service: bytes = b""
    endpoint: bytes = b""  # of a POD, the label that spells its address
    port: bytes = b""  # without underscore; empty matches every port
    protocol: bytes = b""


_FIXED = ParsedName(NameForm.FIXED)
_UNKNOWN = ParsedName(NameForm.UNKNOWN)


def parse_name(labels: list[bytes]) -> ParsedName:
    """Parse the labels of a name left of its zone."""
    count = len(labels)
    if not count:
        return _FIXED
    tree = labels[-1]
    if tree == SERVICE_TREE:
        return _in_services(labels, count)
    if tree == POD_TREE:
        return _in_pods(labels, count)
    if tree == VERSION_LABEL and count == 1:
        return ParsedName(NameForm.VERSION)
    if labels == NAMESERVER_LABELS:
        return ParsedName(NameForm.NAMESERVER)
    if labels == NAMESERVER_LABELS[1:]:
        return _FIXED
    return _UNKNOWN


def parse_imported_name(labels: list[bytes]) -> ParsedName:
    """Parse a name of a zone of ServiceImports, where an endpoint is ENDPOINT.CLUSTER; with underscores it is a port.

    `ParsedName.endpoint` has both labels in wire format. A single label is that of a cluster, or of an endpoint whose
    slice names no cluster.
    """
    count = len(labels)
    if count not in (4, 5) or labels[-1] != SERVICE_TREE:
        return parse_name(labels)
    left = labels[:-3]
    if count == 5 and any(label.startswith(b"_") for label in left):
        return parse_name(labels)
    endpoint = b"".join([bytes((len(label),)) + label for label in left])
    return ParsedName(NameForm.ENDPOINT, labels[-2], labels[-3], endpoint)


def _in_services(labels: list[bytes], count: int) -> ParsedName:
    if count == 3:
        return ParsedName(NameForm.SERVICE, labels[1], labels[0])
    if count == 4:
        return ParsedName(NameForm.ENDPOINT, labels[2], labels[1], labels[0])
    if count == 5:
        port, protocol, service, namespace = labels[:4]
        return ParsedName(
            NameForm.PORT, namespace, service, b"", without_underscore(port), without_underscore(protocol)
        )
    if count == 2:
        return ParsedName(NameForm.SERVICE_NAMESPACE, labels[0])
    if count == 1:
        return _FIXED
    # too many labels, but below a Service, on which the answer therefore depends
    return ParsedName(NameForm.UNKNOWN, labels[-2], labels[-3])


def _in_pods(labels: list[bytes], count: int) -> ParsedName:
    if count == 3:
        return ParsedName(NameForm.POD, labels[1], b"", labels[0])
    if count == 2:
        return ParsedName(NameForm.POD_NAMESPACE, labels[0])
    if count == 1:
        return _FIXED
    return _UNKNOWN


def without_underscore(label: bytes) -> bytes:
    """Remove the underscore of a port or protocol label; it is optional, as in CoreDNS."""
    return label[1:] if label.startswith(b"_") else label
