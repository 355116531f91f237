"""The API source against a real API server: lists, watches, selectors, and recovery from failures."""

import base64
import json
import os
import stat
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.seen import Seen

from clusterdns.cluster.api import credentials
from clusterdns.cluster.api.settings import ApiSettings
from clusterdns.cluster.api.source import ApiSource
from clusterdns.cluster.objects import EndpointSlice, Namespace, Pod, Service
from clusterdns.telemetry.metrics import Registry
from testing.api_faults import ApiFault, LosingEvents
from testing.api_proxy import proxying
from testing.controlplane import ControlPlane
from testing.controlplane.apiserver import WITHOUT_STREAMED_LISTS
from testing.waiting import wait_for

pytestmark = [pytest.mark.peer("kube-apiserver")]

Start = Callable[..., ApiSource]


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of this test's own."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"test": name}}})
    yield name
    control_plane.delete("Namespace", name)


def service(namespace: str, name: str, port: int = 80, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"ports": [{"port": port, "name": "p"}]},
    }


def endpoint_slice(namespace: str, name: str, owner: str, *ips: str) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": owner}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [ip]} for ip in ips],
        "ports": [{"name": "p", "port": 80}],
    }


def pod(namespace: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [{"name": "c", "image": "none"}]},
    }


def settings(control_plane: ControlPlane, **others: Any) -> ApiSettings:
    return ApiSettings(kubeconfig=str(control_plane.kubeconfig), **others)


async def test_follows_services_slices_and_namespaces(
    control_plane: ControlPlane, namespace: str, seen: Seen, start: Start, registry: Registry
) -> None:
    control_plane.apply(service(namespace, "first"))
    source = start(settings(control_plane))
    await seen.until(lambda: source.synced)
    assert seen.synced_count == 1
    assert source.reason == ""
    assert seen.names(Service, namespace) == {"first"}
    assert namespace in seen.names(Namespace)

    control_plane.apply(service(namespace, "second"))
    control_plane.apply(endpoint_slice(namespace, "second-a", "second", "10.1.1.1", "10.1.1.2"))
    await seen.until(lambda: "second" in seen.names(Service) and "second-a" in seen.names(EndpointSlice))
    one = seen.objects[EndpointSlice, (namespace, "second-a")]
    assert isinstance(one, EndpointSlice)
    assert [endpoint.addresses for endpoint in one.endpoints] == [("10.1.1.1",), ("10.1.1.2",)]

    control_plane.apply(service(namespace, "second", port=81))
    control_plane.delete("Service", "first", namespace)
    await seen.until(lambda: "first" not in seen.names(Service, namespace))
    two = seen.objects[Service, (namespace, "second")]
    assert isinstance(two, Service)
    assert two.ports[0].number == 81
    counted = registry.counter("coredns_kubernetes_rest_client_requests_total", "", "code", "method", "host")
    answered = counted.labels("200", "GET", control_plane.url.removeprefix("https://"))
    await seen.until(lambda: answered.value == 3)  # a watch of each kind, which began with its list


async def test_fields_that_no_answer_shows_are_not_a_change(
    control_plane: ControlPlane, namespace: str, seen: Seen, start: Start
) -> None:
    control_plane.apply(service(namespace, "web"))
    source = start(settings(control_plane, namespaces=(namespace,)))
    await seen.until(lambda: source.synced)
    count = len(seen.changes)
    for number in range(5):
        control_plane.apply(service(namespace, "web", release=str(number)))
    control_plane.apply(service(namespace, "marker"))
    await seen.until(lambda: "marker" in seen.names(Service))
    assert len(seen.changes) == count + 1


def without_streamed_lists(_: str, query: dict[str, str]) -> dict[str, str]:
    """Make the API server answer 422 to a watch with initial events, as older ones do."""
    if "sendInitialEvents" in query:
        del query["resourceVersionMatch"]
    return query


async def test_pages_make_one_list(control_plane: ControlPlane, namespace: str, seen: Seen, start: Start) -> None:
    names = {f"s{number}" for number in range(7)}
    for name in names:
        control_plane.apply(service(namespace, name))
    async with proxying(control_plane) as proxy:
        proxy.rewrite = without_streamed_lists
        source = start(ApiSettings(endpoint=proxy.url, namespaces=(namespace,), page_limit=3))
        await seen.until(lambda: source.synced)
        assert seen.names(Service) == names
        asked = [query for path, query in proxy.queries if path.endswith("/services") and "watch" not in query]
        assert all(query["limit"] == "3" for query in asked)
        assert sum("continue" in query for query in asked) >= 2


async def test_an_api_server_without_streamed_lists_is_read_in_pages(
    control_plane: ControlPlane, namespace: str, seen: Seen, start: Start, registry: Registry
) -> None:
    for name in ("a", "b", "c"):
        control_plane.apply(service(namespace, name))
    with control_plane.second_apiserver(WITHOUT_STREAMED_LISTS) as second:
        config = control_plane.kubeconfig.read_text().replace(control_plane.url, second.url)
        kubeconfig = control_plane.folder / f"{namespace}.kubeconfig"
        kubeconfig.write_text(config)
        source = start(ApiSettings(kubeconfig=str(kubeconfig), namespaces=(namespace,), page_limit=2))
        await seen.until_names(Service, "a", "b", "c")
        await seen.until(lambda: source.synced)
        control_plane.delete("Service", "b", namespace)
        await seen.until_names(Service, "a", "c")
        counted = registry.counter("coredns_kubernetes_rest_client_requests_total", "", "code", "method", "host")
        assert counted.labels("422", "GET", second.url.removeprefix("https://")).value == 3, "one per collection"
        assert source.reason == ""
        await source.stop()


async def test_only_the_configured_namespaces(
    control_plane: ControlPlane, namespace: str, seen: Seen, start: Start
) -> None:
    other = f"{namespace}-b"
    for one in (namespace, "default"):
        control_plane.apply(service(one, f"in-{one}"))
    source = start(settings(control_plane, namespaces=(namespace, other, namespace), endpoints=False))
    await seen.until(lambda: source.synced)
    assert seen.names(Namespace) == {namespace}
    assert seen.names(Service) == {f"in-{namespace}"}
    control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}})
    control_plane.apply(service(other, f"in-{other}"))
    await seen.until_names(Service, f"in-{namespace}", f"in-{other}")
    await seen.until_names(Namespace, namespace, other)
    assert seen.names(EndpointSlice) == set()
    for one in (other, "default"):
        control_plane.delete("Service", f"in-{one}", one)
    await seen.until_names(Service, f"in-{namespace}")
    control_plane.delete("Namespace", other)


async def test_labels_select_on_the_server(
    control_plane: ControlPlane, namespace: str, seen: Seen, start: Start
) -> None:
    mark = f"x{namespace}"
    control_plane.apply(service(namespace, "in", app=mark))
    control_plane.apply(service(namespace, "out", app="other"))
    source = start(settings(control_plane, labels=f"app in ({mark}, never)", namespace_labels=f"test={namespace}"))
    await seen.until(lambda: source.synced)
    assert seen.names(Service) == {"in"}
    assert seen.names(Namespace) == {namespace}
    control_plane.apply(service(namespace, "out", app=mark))
    control_plane.apply(service(namespace, "in", app="other"))  # no longer selected, so the watch reports it as deleted
    await seen.until_names(Service, "out")


async def test_pods_until_they_have_ended(
    control_plane: ControlPlane, namespace: str, seen: Seen, start: Start
) -> None:
    for name in ("done", "lives", "leaves"):
        control_plane.apply(pod(namespace, name))
    control_plane.set_pod_status(namespace, "lives", "10.244.1.1", "fd00:10:244::1")
    control_plane.set_pod_status(namespace, "leaves", "10.244.1.2")
    control_plane.set_pod_status(namespace, "done", "10.244.1.3", phase="Succeeded")
    source = start(settings(control_plane, namespaces=(namespace,), pods=True))
    await seen.until(lambda: source.synced)
    assert seen.names(Pod) == {"lives", "leaves"}
    assert seen.objects[Pod, (namespace, "lives")] == Pod(namespace, "lives", ("10.244.1.1", "fd00:10:244::1"))
    control_plane.delete(
        "Pod", "leaves", namespace
    )  # bound to a node: it stays, terminating, until its kubelet has stopped it
    control_plane.set_pod_status(namespace, "lives", "10.244.1.9", phase="Failed")
    await seen.until_names(Pod, "leaves")
    assert seen.objects[Pod, (namespace, "leaves")] == Pod(namespace, "leaves", ("10.244.1.2",), terminating=True)
    control_plane.run_pods(namespace)
    await seen.until_names(Pod)


async def test_a_missing_right_stops_only_its_own_kind(
    control_plane: ControlPlane, namespace: str, seen: Seen, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    user = f"user-{namespace}"
    rights = [{"apiGroups": [""], "resources": ["services", "namespaces"], "verbs": ["list", "watch"]}]
    allow(control_plane, user, rights)
    control_plane.apply(service(namespace, "web"))
    source = start(ApiSettings(kubeconfig=str(control_plane.make_user(user))))
    await seen.until(lambda: "web" in seen.names(Service) and "discovery.k8s.io is forbidden" in source.reason)
    assert not source.synced
    assert f'403 endpointslices.discovery.k8s.io is forbidden: User "{user}" cannot watch' in source.reason
    rule = (
        'add to the ClusterRole: apiGroups ["discovery.k8s.io"], resources ["endpointslices"], verbs ["list", "watch"]'
    )
    assert source.reason.endswith(rule)
    control_plane.apply(service(namespace, "later"))
    await seen.until(lambda: "later" in seen.names(Service))
    assert caplog.text.count("discovery.k8s.io is forbidden") == 1
    allow(control_plane, user, [*rights, {**rights[0], "apiGroups": ["discovery.k8s.io"], "resources": ["*"]}])
    await seen.until(lambda: source.synced)
    await seen.until(lambda: source.reason == "")  # once its watch is open, too


def allow(control_plane: ControlPlane, user: str, rules: list[dict[str, Any]]) -> None:
    group, kind = "rbac.authorization.k8s.io", "ClusterRole"
    control_plane.apply({"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": user}, "rules": rules})
    control_plane.apply({
        "apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": user},
        "roleRef": {"apiGroup": group, "kind": kind, "name": user},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    })  # fmt: skip


async def test_a_broken_watch_resumes_from_its_last_version(
    control_plane: ControlPlane, namespace: str, seen: Seen, start: Start, registry: Registry
) -> None:
    async with proxying(control_plane) as proxy:
        source = start(ApiSettings(endpoint=proxy.url, namespaces=(namespace,)))
        await seen.until(lambda: source.synced)
        lists = sum("watch" not in query for _, query in proxy.queries)
        for number in range(3):
            proxy.is_open = False
            proxy.cut()
            control_plane.apply(service(namespace, f"s{number}"))
            control_plane.delete("Service", f"s{number - 1}", namespace)
            proxy.is_open = True
            await seen.until_names(Service, f"s{number}")
        assert sum("watch" not in query for _, query in proxy.queries) == lists


async def test_after_410_only_the_differences_are_reported(
    control_plane: ControlPlane, namespace: str, seen: Seen, start: Start, registry: Registry
) -> None:
    """Cut off, then led to an API server that answers 410 to our version: it is from before that one's time. The list
    that follows is answered 410 too, between its pages, because etcd has dropped what the second page would show."""
    for name in ("stays", "goes"):
        control_plane.apply(service(namespace, name))
    has_compacted = False

    def compact_before_second_page(path: str, query: dict[str, str]) -> dict[str, str]:
        nonlocal has_compacted
        query = without_streamed_lists(path, query)
        if "continue" not in query or has_compacted:
            return query
        has_compacted = True
        control_plane.compact()
        token = json.loads(base64.urlsafe_b64decode(query["continue"] + "=="))
        token["rv"] = 2  # the page's own version is in this server's cache, this one is not
        return query | {"continue": base64.urlsafe_b64encode(json.dumps(token).encode()).decode().rstrip("=")}

    async with proxying(control_plane) as proxy:
        proxy.rewrite = without_streamed_lists
        source = start(ApiSettings(endpoint=proxy.url, namespaces=(namespace,), page_limit=1))
        await seen.until(lambda: source.synced)
        told = len(seen.changes)
        proxy.is_open = False
        proxy.cut()
        control_plane.delete("Service", "goes", namespace)
        control_plane.apply(service(namespace, "comes"))
        control_plane.compact()  # until its cache is filled, the other server asks etcd, which may know our version
        proxy.rewrite = compact_before_second_page
        with control_plane.second_apiserver() as second:
            proxy.target = second.url
            proxy.is_open = True
            await seen.until_names(Service, "stays", "comes")
        assert has_compacted
        relists = registry.counter("clusterdns_relists_total", "", "kind", "cause")
        assert relists.labels("Service", "expired").value >= 1
        assert len(seen.changes) == told + 2


@pytest.mark.parametrize(
    ("lose", "expected"),
    [
        (lambda plane, namespace: plane.apply(service(namespace, "lost")), {"web": 80, "lost": 80}),
        (lambda plane, namespace: plane.apply(service(namespace, "web", port=81)), {"web": 81}),
        (lambda plane, namespace: plane.delete("Service", "web", namespace), {}),
    ],
)
async def test_an_audit_makes_up_for_events_that_a_proxy_loses(
    control_plane: ControlPlane,
    namespace: str,
    seen: Seen,
    start: Start,
    registry: Registry,
    lose: Callable[[ControlPlane, str], object],
    expected: dict[str, int],
) -> None:
    control_plane.apply(service(namespace, "web"))
    found = registry.counter("clusterdns_audit_differences_total", "", "kind").labels("Service")
    completed = registry.counter("clusterdns_audits_total", "", "kind", "result").labels("Service", "complete")
    async with proxying(control_plane) as proxy:
        source = start(ApiSettings(endpoint=proxy.url, namespaces=(namespace,), audit_seconds=1.0))
        await seen.until(lambda: source.synced)
        proxy.fault = fault = LosingEvents("services", 1)
        lose(control_plane, namespace)
        await seen.until(lambda: fault.lost)
        proxy.fault = ApiFault()
        await seen.until(lambda: found.value == 1)
        known = [one for one in seen.objects.values() if isinstance(one, Service)]
        assert {one.name: one.ports[0].number for one in known} == expected
        before = completed.value
        await seen.until(lambda: completed.value >= before + 2)
        assert found.value == 1
        limited = [query for path, query in proxy.queries if path.endswith("/services") and "limit" in query]
        assert {query["resourceVersionMatch"] for query in limited} == {"NotOlderThan"}


def service_account_token(control_plane: ControlPlane, namespace: str) -> str:
    """A token of the namespace's default ServiceAccount, which may read everything a DNS server needs."""
    subject = f"system:serviceaccount:{namespace}:default"
    allow(
        control_plane,
        subject,
        [{"apiGroups": ["", "discovery.k8s.io"], "resources": ["*"], "verbs": ["list", "watch"]}],
    )
    wait_for(lambda: control_plane.find("ServiceAccount", "default", namespace), "the ServiceAccount")
    return control_plane.make_token("default", namespace)


async def test_in_a_pod_the_service_account_is_used(
    control_plane: ControlPlane,
    namespace: str,
    seen: Seen,
    start: Start,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    credentials._client_library(reads_kubeconfig=False)  # whose modules are those that are patched here
    from kubernetes_asyncio.config import incluster_config

    token = tmp_path / "token"
    token.write_text("expired")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(control_plane.ca))
    host, port = control_plane.url.removeprefix("https://").split(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    source = start(ApiSettings(namespaces=(namespace,)))
    await seen.until(lambda: "401 Unauthorized" in source.reason)
    token.write_text(service_account_token(control_plane, namespace) + "\n")  # the kubelet has put in a new one
    await seen.until(lambda: source.synced)
    await seen.until(lambda: source.reason == "")


async def test_an_exec_plugin_gives_the_token(
    control_plane: ControlPlane, namespace: str, seen: Seen, start: Start, tmp_path: Path
) -> None:
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": service_account_token(control_plane, namespace)},
    }
    plugin = tmp_path / "plugin"
    plugin.write_text(f"#!{sys.executable}\nprint({json.dumps(credential)!r})\n")
    os.chmod(plugin, stat.S_IRWXU)
    config = json.loads(control_plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"exec": {"apiVersion": credential["apiVersion"], "command": str(plugin)}}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(config))
    source = start(ApiSettings(kubeconfig=str(kubeconfig), context="test", namespaces=(namespace,)))
    await seen.until(lambda: source.synced)


async def test_a_server_with_an_unknown_authority_is_rejected(
    control_plane: ControlPlane, seen: Seen, start: Start, tmp_path: Path
) -> None:
    config = json.loads(control_plane.kubeconfig.read_text())
    config["clusters"][0]["cluster"].pop("certificate-authority")
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(config))
    source = start(ApiSettings(kubeconfig=str(kubeconfig)))
    await seen.until(lambda: "certificate verify failed" in source.reason)
    assert not source.synced
    assert seen.changes == []
