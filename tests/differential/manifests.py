"""The objects that both servers are asked about: every kind of Service, with the edge cases of each.

They are created through the API server, which assigns the clusterIPs; the questions are generated from its objects.
Addresses of endpoints and pods come from 10.77.0.0/16 and fd00:77::/32, which no other test uses.
"""

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]

PROD, STAGE, ODD, BARE = "diff-prod", "diff-stage", "diff-odd", "diff-bare"
NAMESPACES = (PROD, STAGE, ODD, BARE)
ZONE = "cluster.local"
LAST_NAME = f"web.{PROD}.svc"


def namespaces() -> Iterator[Object]:
    """Yield the namespaces; one stays empty."""
    for name in NAMESPACES:
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def objects() -> Iterator[Object]:
    """Yield Services and EndpointSlices."""
    yield from _cluster_ip()
    yield from _headless()
    yield from _external()
    yield from _odd()


def pods() -> Iterator[tuple[Object, tuple[str, ...]]]:
    """Yield pods, each with the addresses that its kubelet reports."""
    yield _pod(PROD, "single"), ("10.77.9.1",)
    yield _pod(PROD, "double"), ("10.77.9.2", "fd00:77:9::2")
    yield _pod(STAGE, "six-first"), ("fd00:77:9::3", "10.77.9.3")


def _cluster_ip() -> Iterator[Object]:
    yield _service(PROD, "web", [_port("http", 80)])
    yield _slice(PROD, "web", "web-1", [_at("10.77.0.20", target="web-a"), _at("10.77.0.21", hostname="first")])
    yield _slice(PROD, "web", "web-2", [_at("10.77.0.22", ready=False), _at("10.77.0.23", ready=None)])
    yield _service(PROD, "bare", [_port("", 8080)])
    yield _service(PROD, "nobody", [_port("http", 80), _port("admin", 8081)])
    yield _service(PROD, "dnsx", [_port("dns", 53, "UDP"), _port("dns-tcp", 53), _port("metrics", 9153)])
    yield _slice(PROD, "dnsx", "dnsx-1", [_at("10.77.0.53")], ports=[_port("dns", 53, "UDP"), _port("dns-tcp", 53)])
    yield _service(PROD, "many", [_port(f"p{number}", 7000 + number) for number in range(9)])
    yield _service(PROD, "sctp", [_port("sig", 3868, "SCTP"), _port("sigt", 3868)])
    dual = {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]}
    yield _service(PROD, "dual", [_port("grpc", 9000)], **dual)
    yield _slice(PROD, "dual", "dual-4", [_at("10.77.0.30", hostname="dual-0")], ports=[_port("grpc", 9000)])
    yield _slice(PROD, "dual", "dual-6", [_at("fd00:77::30", hostname="dual-0")], ports=[_port("grpc", 9000)], family=6)
    yield _service(PROD, "six", [_port("http", 80)], ipFamilyPolicy="SingleStack", ipFamilies=["IPv6"])
    yield _service(PROD, "node", [_port("http", 3017)], type="NodePort", sessionAffinity="ClientIP")
    balancer = _service(PROD, "balanced", [_port("http", 3017)], type="LoadBalancer")
    balancer["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.80", "ipMode": "VIP"}]}}
    yield balancer
    yield _service(STAGE, "web", [_port("http", 80)])
    yield _slice(STAGE, "web", "web-1", [_at("10.77.0.40")])
    yield _service(STAGE, "also-db", [_port("pg", 5432)])
    yield _slice(STAGE, "also-db", "also-db-1", [_at("10.77.1.5"), _at("10.77.1.6")], ports=[_port("pg", 5432)])


def _headless() -> Iterator[Object]:
    pg = [_port("pg", 5432)]
    yield _service(PROD, "db", pg, clusterIP="None")
    ready = [_at("10.77.1.5", hostname="db-0", target="pod-db-0"), _at("10.77.1.6", target="pod-db-1")]
    yield _slice(PROD, "db", "db-1", [*ready, _at("10.77.1.7", ready=False)], ports=pg)
    yield _service(PROD, "db-six", pg, clusterIP="None", ipFamilyPolicy="RequireDualStack")
    yield _slice(PROD, "db-six", "db-six-4", [_at("10.77.1.20", hostname="n0"), _at("10.77.1.21")], ports=pg)
    six = [_at("fd00:77:1::20", hostname="n0"), _at("fd00:77:2::"), _at("fd00:77:1::2:1")]
    yield _slice(PROD, "db-six", "db-six-6", six, ports=pg, family=6)
    yield _service(PROD, "idle", pg, clusterIP="None")
    yield _slice(PROD, "idle", "idle-1", [_at("10.77.1.30", ready=False)], ports=pg)
    yield _service(PROD, "void", pg, clusterIP="None")
    yield _service(PROD, "portless", [], clusterIP="None")
    yield _slice(PROD, "portless", "portless-1", [_at("10.77.1.40", hostname="p0")], ports=[])
    yield _service(PROD, "split", [_port("a", 1000), _port("b", 2000)], clusterIP="None")
    yield _slice(PROD, "split", "split-1", [_at("10.77.1.50"), _at("10.77.1.51")], ports=[_port("a", 1000)])
    yield _slice(PROD, "split", "split-2", [_at("10.77.1.51"), _at("10.77.1.52")], ports=[_port("b", 2000)])
    yield _service(PROD, "twins", pg, clusterIP="None")
    twins = [_at("10.77.1.60", hostname="same"), _at("10.77.1.61", hostname="same")]
    yield _slice(PROD, "twins", "twins-1", twins, ports=pg)
    for name, count, third in (("wide", 40, 3), ("huge", 150, 4)):
        yield _service(PROD, name, pg, clusterIP="None")
        for start in range(0, count, 100):
            numbers = range(start, min(start + 100, count))
            endpoints = [_at(f"10.77.{third}.{number + 1}", hostname=f"{name}-{number}") for number in numbers]
            yield _slice(PROD, name, f"{name}-{start}", endpoints, ports=pg)


def _external() -> Iterator[Object]:
    inside = f"{PROD}.svc.{ZONE}"
    targets = {
        "ext": "example.com",
        "ext-ip": "192.0.2.1",
        "ext-web": f"web.{inside}",
        "ext-db": f"db.{inside}",
        "ext-dual": f"dual.{inside}",
        "ext-chain": f"ext-db.{inside}",
        "ext-chain-out": f"ext.{inside}",
        "ext-gone": f"nosuch.{inside}",
        "ext-chain-gone": f"ext-gone.{inside}",
        "ext-namespace": inside,
        "ext-idle": f"idle.{inside}",
        "ext-self": f"ext-self.{inside}",
        "ext-below": f"x.ext-below.{inside}",
        "ext-ping": f"ext-pong.{inside}",
        "ext-pong": f"ext-ping.{inside}",
        "ext-version": f"dns-version.{ZONE}",
        "ext-endpoint": f"db-0.db.{inside}",
    }
    for name, target in targets.items():
        yield _service(PROD, name, [], type="ExternalName", externalName=target)


def _odd() -> Iterator[Object]:
    for name in ("svc", "pod", "dns", "any", "in-addr"):
        yield _service(ODD, name, [_port("http", 80)], clusterIP="None")
        yield _slice(ODD, name, f"{name}-1", [_at(f"10.77.6.{len(name)}{len(name)}", hostname=name)])
    unlabelled = _slice(ODD, "", "unlabelled", [_at("10.77.5.1", hostname="lost")])
    del unlabelled["metadata"]["labels"]
    yield unlabelled
    yield _slice(ODD, "ghost", "orphan", [_at("10.77.5.2", hostname="orphan")])
    yield _service(ODD, "named", [_port("http", 80)], clusterIP="None")
    yield {
        **_slice(ODD, "named", "named-1", []),
        "addressType": "FQDN",
        "endpoints": [{"addresses": ["node.example.com"], "conditions": {"ready": True}}],
    }


def _service(namespace: str, name: str, ports: list[Object], **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"ports": ports, **spec} if ports else spec,
    }


def _port(name: str, number: int, protocol: str = "TCP") -> Object:
    return {"name": name, "port": number, "protocol": protocol}


def _slice(
    namespace: str, service: str, name: str, endpoints: list[Object], ports: list[Object] | None = None, family: int = 4
) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": service}},
        "addressType": f"IPv{family}",
        "ports": [_port("http", 80)] if ports is None else ports,
        "endpoints": endpoints,
    }


def _at(address: str, hostname: str = "", target: str = "", ready: bool | None = True) -> Object:
    endpoint: Object = {"addresses": [address]}
    if ready is not None:
        endpoint["conditions"] = {"ready": ready}
    if hostname:
        endpoint["hostname"] = hostname
    if target:
        endpoint["targetRef"] = {"kind": "Pod", "name": target}
    return endpoint


def _pod(namespace: str, name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [{"name": "main", "image": "example.com/none"}]},
    }
