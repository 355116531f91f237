"""The objects of the benchmarks: a large cluster, as its DNS server sees it.

1,300 Services in 13 namespaces, every other one headless with two named endpoints, make 2,600 names. A headless
Service and one with a clusterIP have 10,000 endpoints each, in slices of 100 as the controllers make them; two more
have 10. The freshness benchmark changes objects of a namespace of its own.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from testing.api import Manifest

ZONE = "cluster.local"
NAMESPACES = [f"bench-{number:02}" for number in range(13)]
SERVICES = 1300
ENDPOINTS_PER_SERVICE = 2
LARGE = "bench-large"
SIZES = (10, 10_000)
FRESH = "bench-fresh"
PORT = 8080

_PER_SLICE = 100
_FIRST_ADDRESS = IPv4Address("10.128.0.1")
_FIRST_LARGE_ADDRESS = IPv4Address("10.160.0.1")


def namespaces() -> Iterator[Manifest]:
    """Yield the namespaces."""
    for name in (*NAMESPACES, LARGE, FRESH):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def objects() -> Iterator[Manifest]:
    """Yield the Services, each before its slices."""
    for number in range(SERVICES):
        namespace, name = service_key(number)
        yield service(namespace, name, headless=bool(number % 2))
        if number % 2:
            first = _FIRST_ADDRESS + number * ENDPOINTS_PER_SERVICE
            addresses = [str(first + step) for step in range(ENDPOINTS_PER_SERVICE)]
            yield endpoint_slice(
                namespace, name, f"{name}-0", addresses, [f"pod-{step}" for step in range(len(addresses))]
            )
    for size in SIZES:
        for headless in (True, False):
            name = large_name(size, headless=headless)
            yield service(LARGE, name, headless=headless)
            for start in range(0, size, _PER_SLICE):
                count = min(_PER_SLICE, size - start)
                addresses = [str(_FIRST_LARGE_ADDRESS + start + step) for step in range(count)]
                hostnames = [f"pod-{start + step}" for step in range(count)]
                yield endpoint_slice(LARGE, name, f"{name}-{start}", addresses, hostnames)


def service_key(number: int) -> tuple[str, str]:
    """Return (namespace, name) of a Service."""
    return NAMESPACES[number % len(NAMESPACES)], f"service-{number:04}"


def large_name(size: int, *, headless: bool) -> str:
    """Return the name of the Service with this number of endpoints."""
    return f"{'headless' if headless else 'cluster-ip'}-{size}"


def service(namespace: str, name: str, *, headless: bool) -> Manifest:
    """Make a Service with a named port and no selector, so that no controller makes slices for it."""
    spec: Manifest = {"ports": [{"name": "http", "port": 80, "targetPort": PORT}]}
    if headless:
        spec["clusterIP"] = "None"
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def endpoint_slice(
    namespace: str, service_name: str, name: str, addresses: list[str], hostnames: list[str]
) -> Manifest:
    """Make a slice of ready endpoints."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": service_name}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": PORT, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": [address], "hostname": hostname, "conditions": {"ready": True}}
            for address, hostname in zip(addresses, hostnames, strict=True)
        ],
    }


def names() -> Iterator[tuple[str, bool]]:
    """Yield the 2,600 names of the Services and their endpoints, each with whether it is a Service's."""
    for number in range(SERVICES):
        namespace, name = service_key(number)
        yield f"{name}.{namespace}.svc.{ZONE}.", True
        if number % 2:
            for step in range(ENDPOINTS_PER_SERVICE):
                yield f"pod-{step}.{name}.{namespace}.svc.{ZONE}.", False


def last_names() -> list[str]:
    """Return the name of the last object of each kind: a server that answers them knows everything."""
    large = f"{large_name(SIZES[-1], headless=True)}.{LARGE}.svc.{ZONE}."
    return [
        list(names())[-1][0],
        f"pod-{SIZES[-1] - 1}.{large}",
        f"{large_name(SIZES[-1], headless=False)}.{LARGE}.svc.{ZONE}.",
    ]


def questions() -> list[tuple[str, str]]:
    """Pair every name with the types A, AAAA and SRV."""
    return [(name, qtype) for name, _ in names() for qtype in ("A", "AAAA", "SRV")]


def zone_file(cluster_ips: Iterable[tuple[str, str, str]]) -> str:
    """Write the names as a static zone; `cluster_ips` is (namespace, Service, address) of the API server."""
    lines = [
        f"$ORIGIN {ZONE}.",
        "$TTL 30",
        f"@ SOA ns.dns hostmaster 1 7200 1800 86400 30\n@ NS ns.dns\nns.dns A {_FIRST_ADDRESS}",
    ]
    assigned = {(namespace, name): address for namespace, name, address in cluster_ips}
    for number in range(SERVICES):
        namespace, name = service_key(number)
        owner = f"{name}.{namespace}.svc"
        if not number % 2:
            lines += [f"{owner} A {assigned[namespace, name]}", f"{owner} SRV 0 100 80 {owner}"]
            continue
        for step in range(ENDPOINTS_PER_SERVICE):
            pod, address = f"pod-{step}.{owner}", _FIRST_ADDRESS + number * ENDPOINTS_PER_SERVICE + step
            lines += [f"{owner} A {address}", f"{owner} SRV 0 50 {PORT} {pod}"]
            lines += [f"{pod} A {address}", f"{pod} SRV 0 100 {PORT} {pod}"]
    return "\n".join(lines) + "\n"
