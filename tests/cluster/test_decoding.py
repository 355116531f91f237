"""API objects reduced: which fields are read, which parts are ignored with a warning, which objects cannot be used."""

import json
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.cluster import objects
from clusterdns.cluster.decoding import complete, from_data, read_event, read_json, reduce_in_steps
from clusterdns.cluster.objects import (
    IMPORT_LABEL,
    SERVICE_LABEL,
    Endpoint,
    EndpointSlice,
    ImportedSlice,
    Kind,
    Namespace,
    ObjectError,
    Pod,
    Port,
    Service,
    ServiceImport,
    shown_key,
)
from clusterdns.cluster.reduction import (
    ADDRESSES_PER_STEP,
    LAST_CHANGE_ANNOTATION,
    SOURCE_CLUSTER_LABEL,
    Decoded,
    Steps,
)

KINDS: tuple[Kind, ...] = (Service, EndpointSlice, Namespace, Pod, ServiceImport, ImportedSlice)
META = {"name": "web", "namespace": "prod"}
SLICE_META = {"name": "web-1", "namespace": "prod", "labels": {"kubernetes.io/service-name": "web"}}


def from_json(kind: Kind, raw: bytes | msgspec.Raw) -> Decoded:
    return complete(reduce_in_steps(kind, read_json(kind, raw)))


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": META, "spec": spec}


def slice_of(*endpoints: Any, ports: Any = None) -> dict[str, Any]:
    return {"metadata": SLICE_META, "ports": ports, "endpoints": list(endpoints)}


def decode(kind: Kind, data: Any) -> Decoded:
    """Decode as JSON and as a tree, which must agree."""
    decoded = from_json(kind, json.dumps(data).encode())
    assert from_data(kind, data) == decoded
    return decoded


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        (Service, service(clusterIP="10.0.0.1"), Service("prod", "web", cluster_ips=("10.0.0.1",))),
        (Service, service(clusterIP="10.0.0.1", clusterIPs=["10.0.0.1", "FD00::0:1"]),
         Service("prod", "web", cluster_ips=("10.0.0.1", "fd00::1"))),
        (Service, service(clusterIP="None"), Service("prod", "web", headless=True)),
        (Service, service(clusterIPs=["None"], clusterIP="None"), Service("prod", "web", headless=True)),
        (Service, service(clusterIP="", clusterIPs=None, ports=None), Service("prod", "web")),
        (Service, service(type="ExternalName", externalName="example.com"),
         Service("prod", "web", type="ExternalName", external_name="example.com")),
        (Service, service(type="Later", clusterIP="10.0.0.1", trafficDistribution={"new": 1}),
         Service("prod", "web", type="Later", cluster_ips=("10.0.0.1",))),
        (Service, service(ports=[{"port": 80}, {"name": "dns", "port": 53, "protocol": "UDP", "nodePort": 30053}]),
         Service("prod", "web", ports=(Port("", 80, "TCP"), Port("dns", 53, "UDP")))),
        (Service, {"metadata": META}, Service("prod", "web")),
        (EndpointSlice, slice_of({"addresses": ["10.1.0.1"], "zone": "eu-1a"}, {"addresses": ["10.1.0.2"]}),
         EndpointSlice("prod", "web-1", "web", (), (Endpoint(("10.1.0.1",), zone="eu-1a"), Endpoint(("10.1.0.2",))))),
        (Service, service(externalIPs=["FD00::0:1"]) | {"status": {"loadBalancer": {"ingress": [
            {"hostname": "LB.net"}, {"ip": "192.0.2.1", "hostname": "both"}, {"ip": "192.0.2.1"}, {"ports": []}]}}},
         Service("prod", "web", external=("fd00::1", "192.0.2.1", "lb.net"))),
        (Service, service() | {"status": {"loadBalancer": {"ingress": None}}}, Service("prod", "web")),
        (Service, service(externalIPs=None) | {"status": {"loadBalancer": {}}}, Service("prod", "web")),
        (EndpointSlice, {"metadata": SLICE_META, "ports": None, "endpoints": None},
         EndpointSlice("prod", "web-1", "web")),
        (EndpointSlice, {"metadata": {**SLICE_META, "labels": None}}, EndpointSlice("prod", "web-1")),
        (EndpointSlice, slice_of({"addresses": ["10.1.0.1"]}, {"addresses": ["10.1.0.2"], "conditions": {}}),
         EndpointSlice("prod", "web-1", "web", (), (Endpoint(("10.1.0.1",)), Endpoint(("10.1.0.2",))))),
        (EndpointSlice, slice_of({"addresses": ["::ffff:10.1.0.1", "FD00::0:1", "::10.1.0.1"]}),
         EndpointSlice("prod", "web-1", "web", (), (Endpoint(("10.1.0.1", "fd00::1", "::10.1.0.1")),))),
        (EndpointSlice, slice_of({"addresses": ["10.1.0.1"], "conditions": {"ready": None, "serving": False}}),
         EndpointSlice("prod", "web-1", "web", (), (Endpoint(("10.1.0.1",)),))),
        (EndpointSlice, slice_of({"addresses": ["10.1.0.1"], "conditions": {"ready": False, "serving": True}}),
         EndpointSlice("prod", "web-1", "web", unready=("10.1.0.1",))),
        (EndpointSlice,
         slice_of({"addresses": ["10.1.0.1"], "hostname": "db-0", "targetRef": {"kind": "Pod", "name": "db-0-x"}}),
         EndpointSlice("prod", "web-1", "web", (), (Endpoint(("10.1.0.1",), "db-0", "db-0-x"),))),
        (EndpointSlice, slice_of(ports=[{"name": None, "port": None, "protocol": None}]),
         EndpointSlice("prod", "web-1", "web", (Port("", -1, "TCP"),))),
        (EndpointSlice,
         {"metadata": {**SLICE_META, "annotations": {LAST_CHANGE_ANNOTATION: "2026-01-01T00:00:00Z"}}},
         EndpointSlice("prod", "web-1", "web", triggered_at="2026-01-01T00:00:00Z")),
        (EndpointSlice, {"metadata": SLICE_META, "addressType": "IPv6"},
         EndpointSlice("prod", "web-1", "web", address_type="IPv6")),
        (EndpointSlice, {"metadata": SLICE_META, "addressType": None}, EndpointSlice("prod", "web-1", "web")),
        (Namespace, {"metadata": {"name": "prod"}}, Namespace("prod")),
        (Pod, {"metadata": META, "status": {"podIP": "10.1.0.1"}}, Pod("prod", "web", ("10.1.0.1",))),
        (Pod, {"metadata": META, "status": {"podIP": "10.1.0.1", "podIPs": [{"ip": "10.1.0.1"}, {"ip": "fd00::1"}]}},
         Pod("prod", "web", ("10.1.0.1", "fd00::1"))),
        (Pod, {"metadata": {**META, "deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": None},
         Pod("prod", "web", terminating=True)),
        (Pod, {"metadata": {**META, "labels": {"app": "web", "empty": None, "x.io/y": "1"}}},
         Pod("prod", "web", labels="app=web,empty=,x.io/y=1")),
        (Pod, {"metadata": {**META, "name": "a" * 200}}, Pod("prod", "a" * 200)),
    ],
)  # fmt: skip
def test_what_is_read(kind: Kind, data: Any, expected: Any) -> None:
    assert decode(kind, data) == Decoded(expected, ())


@pytest.mark.parametrize(
    ("kind", "data", "expected", "warning"),
    [
        (Service, service(clusterIPs=["10.0.0.1", "10.0.0.300"]), Service("prod", "web", cluster_ips=("10.0.0.1",)),
         "clusterIP '10.0.0.300' is not an IP address"),
        (Service, service(externalIPs=["192.0.2.256"]), Service("prod", "web"), "external address '192.0.2.256' is"),
        (Service, service(clusterIPs=["fe80::1%eth0"]), Service("prod", "web"), "'fe80::1%eth0' is not an IP address"),
        (Service, service(ports=[{"port": 0}, {"port": 70000}, {"port": 80}]),
         Service("prod", "web", ports=(Port("", 80, "TCP"),)), "port 0 is not between 1 and 65535"),
        (EndpointSlice, slice_of({"addresses": ["db.example.com"]}, {"addresses": ["10.1.0.1"]}),
         EndpointSlice("prod", "web-1", "web", (), (Endpoint(("10.1.0.1",)),)), "'db.example.com' is not an IP"),
        (EndpointSlice, slice_of({"addresses": ["10.1.0.1"], "hostname": "h" * 64}),
         EndpointSlice("prod", "web-1", "web", (), (Endpoint(("10.1.0.1",)),)), "hostname of 64 bytes"),
        (Pod, {"metadata": META, "status": {"podIP": "soon"}}, Pod("prod", "web"), "podIP 'soon' is not an IP"),
    ],
)  # fmt: skip
def test_parts_that_are_ignored_with_a_warning(kind: Kind, data: Any, expected: Any, warning: str) -> None:
    decoded = decode(kind, data)
    assert decoded.object == expected
    assert any(warning in one for one in decoded.warnings)


def test_ports_are_bounded() -> None:
    decoded = decode(Service, service(ports=[{"port": number + 1} for number in range(10_000)]))
    assert isinstance(decoded.object, Service)
    assert len(decoded.object.ports) == objects.MAX_PORTS
    assert "10000 ports" in decoded.warnings[0]


@pytest.mark.parametrize(
    ("kind", "raw", "key", "reason"),
    [
        (Service, b'{"metadata":{"name":"web","namespace":"prod"},"spec":7}', "prod/web", "spec"),
        (Service, b'{"metadata":{"name":"web","namespace":"prod"},"spec":{"ports":[{"port":"http"}]}}', "prod/web",
         "port"),
        (Service, b'{"metadata":{"name":"' + b"a" * 300 + b'","namespace":"prod"}}', "prod/" + "a" * 195, "300 bytes"),
        (Service, b'{"metadata":{"name":"web"}}', "web", "namespace of 0 bytes"),
        (EndpointSlice, b'{"metadata":{"namespace":"prod"}}', "prod/", "metadata.name is empty"),
        (Namespace, b'{"metadata":{"name":""}}', "(unnamed)", "name of 0 bytes"),
        (Pod, b'{"metadata":{"name":"web"}}', "web", "must be set"),
        (Service, b"{}", "(unnamed)", "metadata"),
        (Service, b"<html>", "(unnamed)", "malformed"),
        (Service, b"", "(unnamed)", "truncated"),
        (EndpointSlice, b'{"metadata":{"name":"a","namespace":"b"},"endpoints":[{"addresses":"10.0.0.1"}]}', "b/a",
         "addresses"),
    ],
)  # fmt: skip
def test_the_error_of_an_unusable_object_names_it(kind: Kind, raw: bytes, key: str, reason: str) -> None:
    with pytest.raises(ObjectError) as caught:
        from_json(kind, raw)
    assert shown_key(caught.value.key) == key
    assert reason in caught.value.reason
    assert str(caught.value).startswith(f"{kind.__name__} {key}: ")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["metadata", "name", "namespace", "labels", "spec", "clusterIPs", "ports", "port", "endpoints", "addresses"]
        ) | st.text(max_size=4),
        inner,
        max_size=5,
    ),
    max_leaves=30,
)  # fmt: skip


def outcome(make: Callable[[Kind, Any], Decoded], kind: Kind, data: Any) -> Decoded | ObjectError:
    try:
        return make(kind, data)
    except ObjectError as error:
        return error


@given(st.sampled_from(KINDS), JSON)
def test_any_tree_is_an_object_or_an_error_that_names_it(kind: Kind, data: Any) -> None:
    for made in (outcome(from_data, kind, data), outcome(from_json, kind, msgspec.json.encode(data))):
        if isinstance(made, ObjectError):
            assert made.reason
        else:
            assert isinstance(made.object, kind)


@given(st.sampled_from(KINDS), st.binary(max_size=200))
def test_any_bytes_are_an_error(kind: Kind, raw: bytes) -> None:
    with pytest.raises(ObjectError):
        from_json(kind, b"\xff" + raw)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"type": "ClusterSetIP", "ips": ["10.2.0.1", "FD00::1"], "ports": [{"name": "http", "port": 80}]},
         ServiceImport("prod", "web", cluster_ips=("10.2.0.1", "fd00::1"), ports=(Port("http", 80, "TCP"),))),
        ({"type": "Headless", "ips": ["10.2.0.1"]}, ServiceImport("prod", "web", headless=True)),
        ({"type": "Later", "ips": None, "ports": None}, ServiceImport("prod", "web")),
        (None, ServiceImport("prod", "web")),
    ],
)  # fmt: skip
def test_imports(spec: dict[str, Any] | None, expected: ServiceImport) -> None:
    found = from_data(ServiceImport, {"metadata": {"name": "web", "namespace": "prod"}, "spec": spec})
    assert found == (expected, ())


@pytest.mark.parametrize(("cluster", "told"), [("c1", "c1"), (None, ""), ("c" * 64, None)])
def test_slices_of_imports(cluster: str | None, told: str | None) -> None:
    labels = {IMPORT_LABEL: "web", SERVICE_LABEL: "derived", SOURCE_CLUSTER_LABEL: cluster}
    data = {"metadata": {**SLICE_META, "labels": labels}, "endpoints": [{"addresses": ["10.1.0.1"]}]}
    if told is None:
        with pytest.raises(ObjectError, match="source-cluster of 64 bytes is not a DNS label"):
            from_data(ImportedSlice, data)
        return
    endpoints = (Endpoint(("10.1.0.1",)),)
    assert from_data(ImportedSlice, data).object == ImportedSlice("prod", "web-1", "web", (), endpoints, cluster=told)


@pytest.mark.parametrize("kind", [Service, EndpointSlice, Pod, Namespace])
def test_an_event_is_decoded_with_its_object_in_one_pass(kind: Kind) -> None:
    data = {"metadata": {**META, "resourceVersion": "7"}}
    event = read_event(kind, json.dumps({"type": "ADDED", "object": data}).encode())
    assert (event.type, event.key, event.version) == ("ADDED", ("prod", "web"), "7")
    assert not isinstance(event.object, msgspec.Raw)
    assert complete(reduce_in_steps(kind, event.object)) == from_data(kind, data)


@pytest.mark.parametrize("kind", [EndpointSlice, ImportedSlice])
@pytest.mark.parametrize("addresses", [1, 100])
def test_a_large_slice_is_reduced_in_steps(kind: Kind, addresses: int) -> None:
    """A slice of the API has up to 1,000 endpoints of up to 100 addresses each."""
    texts = [str(IPv4Address("10.0.0.0") + number) for number in range(10_000)]
    endpoints = [
        {"addresses": texts[at : at + addresses], "conditions": {"ready": bool(at % 3)}}
        for at in range(0, len(texts), addresses)
    ]
    data = {"metadata": SLICE_META, "endpoints": endpoints}
    steps = reduce_in_steps(kind, read_json(kind, json.dumps(data).encode()))
    taken = 0
    while (decoded := next_of(steps)) is None:
        taken += 1
    assert decoded == from_data(kind, data)
    assert 10_000 / ADDRESSES_PER_STEP <= taken + 1 <= 2 * 10_000 / ADDRESSES_PER_STEP


def next_of(steps: Steps) -> Decoded | None:
    try:
        next(steps)
    except StopIteration as stop:
        decoded: Decoded = stop.value
        return decoded
    return None


@pytest.mark.parametrize(
    ("kind", "data", "version"),
    [
        (Service, {"metadata": {**META, "resourceVersion": "7"}, "spec": {"ports": "many"}}, "7"),
        (Pod, {"metadata": {**META, "resourceVersion": "7"}, "status": 7}, "7"),
        (Pod, {"metadata": {**META, "resourceVersion": "7", "labels": 7}}, "7"),
        (Service, 7, ""),
        (Service, None, ""),
        (Service, {}, ""),
    ],
)
def test_an_object_that_does_not_fit_is_left_as_json(kind: Kind, data: Any, version: str) -> None:
    event = read_event(kind, json.dumps({"type": "MODIFIED", "object": data}).encode())
    assert (event.type, event.version) == ("MODIFIED", version)
    assert isinstance(event.object, msgspec.Raw)
    with pytest.raises(ObjectError):
        from_json(kind, event.object)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_event_is_left_as_json(kind: Kind) -> None:
    status = {"kind": "Status", "metadata": {}, "status": "Failure", "code": 410}
    event = read_event(kind, json.dumps({"type": "ERROR", "object": status}).encode())
    assert isinstance(event.object, msgspec.Raw)
    assert json.loads(bytes(event.object)) == status


@pytest.mark.parametrize("line", [b"", b"<html>", b"[]", b"{}", b'{"type":7,"object":{}}', b'{"type":"ADDED"}'])
def test_a_line_that_is_not_an_event_is_an_error(line: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        read_event(Service, line)
