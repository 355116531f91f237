"""Journeys 1, 2, 3 and 5: web servers behind each kind of Service, resolved with nslookup and dig."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address, ip_network

import pytest
from journeys.clients import Answer, busybox_nslookup, dig, dig_all, nslookup, until
from journeys.journey import Journey
from journeys.pod import Pod

Ask = Callable[[Pod, str], dict[str, set[str]]]

SVC = "svc.cluster.local"
SERVICE_NETWORK = ip_network("10.96.0.0/12")
HEADLESS = f"headless-nginx.default.{SVC}"
HTTPPORT = "my-nginx-headless-svc"

pytestmark = [pytest.mark.peer("dig"), pytest.mark.peer("busybox"), pytest.mark.peer("kube-apiserver")]


@pytest.mark.parametrize("ask", [nslookup, busybox_nslookup])
def test_a_short_name_gives_the_one_cluster_ip(
    journey: Journey, ask: Callable[[Pod, str], dict[str, set[str]]]
) -> None:
    """Journey 1: the search list finds `normal-nginx`, which has the Service's address, not the pods'."""
    found = ask(journey.pod, "normal-nginx")
    assert list(found) == [f"normal-nginx.default.{SVC}"]
    (address,) = found[f"normal-nginx.default.{SVC}"]
    assert ip_address(address) in SERVICE_NETWORK


def test_a_headless_name_gives_its_pods_in_turn(journey: Journey) -> None:
    """Journey 2: every reply has all three pods, and each is first equally often."""
    pods = journey.pods("headless-nginx", 3)
    assert nslookup(journey.pod, "headless-nginx") == {HEADLESS: pods}
    replies = dig_all(journey.pod, *[HEADLESS] * 30)
    assert all(set(reply.data) == pods for reply in replies)
    assert Counter(reply.data[0] for reply in replies) == dict.fromkeys(pods, 10)


def test_a_headless_name_follows_its_workload(journey: Journey) -> None:
    """Journey 2: the name has the current pods after scaling to 5, 0 and 3 and after a pod is replaced."""
    workload = ("Deployment", "headless-nginx", "default")
    journey.cluster.scale(*workload, 5)
    journey.pods("headless-nginx", 5)
    journey.cluster.scale(*workload, 0)
    until(lambda: dig(journey.pod, HEADLESS), lambda reply: (reply.status, reply.data) == ("NXDOMAIN", []))
    journey.cluster.scale(*workload, 3)
    before = journey.pods("headless-nginx", 3)
    journey.cluster.replace_pod(*workload)
    until(lambda: set(dig(journey.pod, HEADLESS).data), lambda found: len(found) == 3 and found != before)
    assert len(before & journey.pods("headless-nginx", 3)) == 2


@pytest.mark.parametrize("namespace", ["default", "nginx-nodeport", "nginx-loadbalancer"])
def test_every_type_of_service_has_its_cluster_ip_and_port(journey: Journey, namespace: str) -> None:
    """Journey 3: ClusterIP, NodePort and LoadBalancer have one address, and SRV the Service's port 3017, not 31122 or
    5003."""
    name = f"nginx-service.{namespace}.{SVC}"
    ((address,),) = nslookup(journey.pod, f"nginx-service.{namespace}").values()
    assert ip_address(address) in SERVICE_NETWORK
    reply = dig(journey.pod, f"_http._tcp.{name}", "SRV")
    assert reply.records == ((f"_http._tcp.{name}", "SRV", f"0 100 3017 {name}"),)


@pytest.mark.parametrize("rtype", ["A", "AAAA", "SRV", "CNAME", "TXT"])
def test_an_external_name_is_a_cname_for_every_type(journey: Journey, rtype: str) -> None:
    """Journey 3: the reply is the CNAME to www.example.com, whose address the server does not know."""
    reply = dig(journey.pod, "+search", "external-name", rtype)
    assert reply.records == ((f"external-name.default.{SVC}", "CNAME", "www.example.com"),)


def test_an_external_name_in_the_cluster_is_followed(journey: Journey) -> None:
    """Journey 3: the CNAME to a Service in another namespace comes with that Service's pods."""
    reply = dig(journey.pod, "+search", "mongodb")
    target = f"mongodb-headless-service.infrastructure.{SVC}"
    assert reply.records[0] == (f"mongodb.default.{SVC}", "CNAME", target)
    assert {record[0] for record in reply.records[1:]} == {target}
    assert set(reply.data[1:]) == journey.pods(
        "mongodb-headless-service.infrastructure", 3, "mongodb", "infrastructure"
    )


def test_srv_of_a_named_port_has_a_target_for_each_pod(journey: Journey) -> None:
    """Journey 5: `_httpport._tcp` of the headless Service has a target for each pod, which has the pod's address."""
    pods = journey.pods(HTTPPORT, 2, "my-nginx")
    reply = dig(journey.pod, f"_httpport._tcp.{HTTPPORT}.default.{SVC}", "SRV")
    targets = [data.split() for data in reply.data]
    assert {(weight, port) for _, weight, port, _ in targets} == {("50", "80")}
    hosts = [dig(journey.pod, host.rstrip(".")).data for *_, host in targets]
    assert {address for found in hosts for address in found} == pods


@pytest.mark.parametrize(
    ("namespace", "addresses"),
    [("legacy-endpoints", ("192.0.2.11", "192.0.2.12")), ("handmade-slices", ("192.0.2.21", "192.0.2.22"))],
)
def test_a_service_without_selector(journey: Journey, namespace: str, addresses: tuple[str, str]) -> None:
    """Journey 5: Endpoints, and EndpointSlices made by hand, give ready addresses, ports and hostnames."""
    name = f"{HTTPPORT}.{namespace}.{SVC}"
    until(lambda: set(dig(journey.pod, name).data), lambda found: found == set(addresses))
    assert dig(journey.pod, f"web-a.{name}").data == [addresses[0]]
    ports = {tuple(data.split()[2:]) for data in dig(journey.pod, f"_httpport._tcp.{name}", "SRV").data}
    assert {port for port, _ in ports} == {"8080"}
    assert ("8080", f"web-a.{name}") in {(port, host.rstrip(".")) for port, host in ports}


def _has(address: str, reply: Answer) -> bool:
    return reply.data == [address]


def test_changes_of_endpoints_written_by_hand_are_served(journey: Journey) -> None:
    """Journey 5: Endpoints are changed, then replaced by an EndpointSlice."""
    name = f"by-hand.legacy-endpoints.{SVC}"
    meta = {"name": "by-hand", "namespace": "legacy-endpoints"}
    ports = [{"name": "httpport", "port": 8080, "protocol": "TCP"}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": meta}
    journey.cluster.apply(service | {"spec": {"clusterIP": "None", "ports": [{"name": "httpport", "port": 80}]}})
    for address in ("192.0.2.31", "192.0.2.32"):
        subsets = [{"addresses": [{"ip": address}], "ports": ports}]
        journey.cluster.apply({"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, "subsets": subsets})
        until(partial(dig, journey.pod, name), partial(_has, address))
    journey.cluster.delete("Endpoints", "by-hand", "legacy-endpoints")
    labels = {"kubernetes.io/service-name": "by-hand"}
    journey.cluster.apply(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": meta | {"labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["192.0.2.33"]}],
            "ports": ports,
        }
    )
    until(partial(dig, journey.pod, name), partial(_has, "192.0.2.33"))


def test_a_service_is_created_changed_and_deleted(journey: Journey) -> None:
    """The name is NXDOMAIN, then the ClusterIP, then a CNAME, and NXDOMAIN again."""
    name = f"visitor.default.{SVC}"
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "visitor", "namespace": "default"}}
    assert dig(journey.pod, name).status == "NXDOMAIN"
    journey.cluster.apply(service | {"spec": {"type": "ClusterIP", "ports": [{"port": 80}]}})
    reply = until(lambda: dig(journey.pod, name), lambda reply: reply.status == "NOERROR")
    assert ip_address(reply.data[0]) in SERVICE_NETWORK
    journey.cluster.apply(service | {"spec": {"type": "ExternalName", "externalName": "elsewhere.example"}})
    until(lambda: dig(journey.pod, name).data, lambda data: data == ["elsewhere.example"])
    journey.cluster.delete("Service", "visitor", "default")
    until(lambda: dig(journey.pod, name).status, lambda status: status == "NXDOMAIN")
