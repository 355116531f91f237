"""Lookups in a reverse zone: the PTR records of an address.

The address of a Service has one PTR record. The address of an endpoint has one for each Service that it belongs to,
endpoints with a hostname first, always in the same order. Every target is a name that the zone `primary` has. A name
above that of an address exists too, without records (RFC 8020 §2).
"""

from collections.abc import Callable, Hashable

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.lookup import Dependencies, LookupResult, below
from clusterdns.cluster.index.schema import SERVICE_TREE
from clusterdns.cluster.index.service import ServiceEntry
from clusterdns.wire import codes, name, record
from clusterdns.wire.header import MAX_STREAM_BYTES

_PTR_BYTES = 12  # beside the target, of which at least its own label cannot be compressed


class Pointers:
    """Looks names up below a reverse zone; the PTR records point into the zone `primary`."""

    def __init__(
        self,
        index: Index,
        primary: bytes,
        ttl_seconds: int,
        find_entry: Callable[[bytes, bytes], ServiceEntry | None],
        endpoint_name: Callable[[bytes, bytes], bytes],
        *,
        needs_ports: bool,
    ) -> None:
        """`find_entry` and `endpoint_name` are those of the zone `primary`: what exists in it, and how it is named.

        With `needs_ports` a Service without ports has no addresses of its own.
        """
        self._index = index
        self._primary = primary
        self._ttl = ttl_seconds
        self._find_entry = find_entry
        self._endpoint_name = endpoint_name
        self._needs_ports = needs_ports

    def find(self, qname: bytes, qtype: int) -> LookupResult:
        """Look up a reverse name."""
        address = name.to_address(qname)
        if address is None:
            return LookupResult((), self._index.reverse.is_ancestor(qname), reusable=False)
        targets, dependencies = self._targets(address)
        records = tuple(record.ptr(qname, self._ttl, target) for target in targets) if qtype == codes.PTR else ()
        return LookupResult(dependencies, bool(targets), records)

    def _targets(self, address: bytes) -> tuple[tuple[bytes, ...], Dependencies]:
        """Return the names of an address, no more than fill a message, and what they depend on."""
        index = self._index
        dependencies: dict[Hashable, None] = {address: None}
        for namespace, service in index.reverse.services(address):
            dependencies[namespace,] = dependencies[namespace, service] = None
            target = below(self._primary, service, namespace, SERVICE_TREE)
            entry = self._entry(namespace, service) if target else None
            if entry is not None and entry.service is not None and (entry.service.ports or not self._needs_ports):
                return (target,), tuple(dependencies)
        targets: dict[bytes, None] = {}
        spare_bytes = MAX_STREAM_BYTES
        last: tuple[bytes, bytes, bytes] | None = None
        for endpoint in index.reverse.endpoints(address):
            namespace, service, label = key = endpoint.namespace, endpoint.service, endpoint.label
            if key == last:  # in another slice
                continue
            last = key
            dependencies[namespace,] = dependencies[namespace, service] = None
            service_name = below(self._primary, service, namespace, SERVICE_TREE)
            target = self._endpoint_name(service_name, label) if service_name else b""
            if target and target not in targets and self._entry(namespace, service) is not None:
                targets[target] = None
                spare_bytes -= _PTR_BYTES + len(label)
                if spare_bytes < 0:
                    break
        return tuple(targets), tuple(dependencies)

    def _entry(self, namespace: bytes, service: bytes) -> ServiceEntry | None:
        """Look up a Service with addresses of its own or of its endpoints; an ExternalName has neither."""
        entry = self._find_entry(namespace, service)
        is_absent = entry is None or entry.service is None or entry.service.type == "ExternalName"
        return None if is_absent else entry
