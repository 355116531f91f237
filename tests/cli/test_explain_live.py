"""`clusterdns explain --kubeconfig` with a real API server: the objects behind a name, and what rights it takes."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deploy.test_rights import Right, user_with
from plugins.serving import running
from program import Program

from clusterdns.server.explaining.engine import Explainer, ExplainRequest
from testing.controlplane import ControlPlane
from testing.waiting import wait_for

pytestmark = [pytest.mark.peer("kube-apiserver")]

READ = {
    Right("", "services", "list"), Right("", "services", "watch"), Right("", "namespaces", "list"),
    Right("", "namespaces", "watch"), Right("discovery.k8s.io", "endpointslices", "list"),
    Right("discovery.k8s.io", "endpointslices", "watch"),
}  # fmt: skip


@pytest.fixture(scope="module")
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace with a headless Service, one of whose two pods is not ready."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    control_plane.apply(service(name, "db", {"app": "db"}))
    control_plane.apply(service(name, "half", {"tier": "data"}))
    for pod_name, labels in (("db-0", {"app": "db", "tier": "data"}), ("ok-0", {"tier": "data"})):
        control_plane.apply(pod(name, pod_name, labels))
    control_plane.set_pod_status(name, "db-0", "10.244.7.1", ready=False)
    control_plane.set_pod_status(name, "ok-0", "10.244.7.2")
    wait_for(lambda: sum(len(one.get("endpoints") or ()) for one in slices(control_plane, name)) == 3, "the slices")
    yield name
    control_plane.delete("Namespace", name)


def slices(control_plane: ControlPlane, namespace: str) -> list[dict[str, Any]]:
    return control_plane.list("EndpointSlice", namespace)


def service(namespace: str, name: str, selector: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "clusterIP": "None",
            "selector": selector,
            "ports": [{"name": "sql", "port": 5432, "targetPort": 5433}],
        },
    }


def pod(namespace: str, name: str, labels: dict[str, str]) -> dict[str, Any]:
    container = {"name": "c", "image": "none", "readinessProbe": {"tcpSocket": {"port": 5433}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [container]},
    }


def test_the_slices_and_pods_behind_a_name(program: Program, control_plane: ControlPlane, namespace: str) -> None:
    kubeconfig = str(control_plane.kubeconfig)
    code, out, err = program("explain", "--kubeconfig", kubeconfig, f"db.{namespace}.svc.cluster.local")
    assert (code, err) == (1, "")
    assert out.startswith(
        f"NXDOMAIN: Service {namespace}/db exists, 0 of 1 endpoints are ready (readiness probe of db-0 fails)"
    )
    assert "port 5432/TCP sql -> targetPort 5433" in out
    assert "10.244.7.1: ready no, serving no, terminating no, pod db-0, node node-1; left out: readiness probe" in out
    code, out, err = program("explain", "--kubeconfig", kubeconfig, f"half.{namespace}.svc.cluster.local", "--json")
    assert (code, err) == (0, "")
    (half,) = json.loads(out)["services"]
    assert (half["listed_count"], half["endpoint_count"], half["slice_count"]) == (1, 2, 1)
    assert [(one["pod"], one["is_listed"]) for one in half["endpoints"]] == [("db-0", False), ("ok-0", True)]
    code, out, err = program("explain", "--kubeconfig", kubeconfig, "half", "--from", f"{namespace}/ok-0")
    assert (code, err) == (0, "")
    assert "client 10.244.7.2" in out


def test_a_user_who_may_not_see_pods(program: Program, control_plane: ControlPlane, namespace: str) -> None:
    with user_with(control_plane, f"reader-{namespace}", READ) as kubeconfig:
        code, out, err = program("explain", "--kubeconfig", str(kubeconfig), f"db.{namespace}.svc.cluster.local")
    assert (code, err) == (1, "")
    assert out.startswith(f"NXDOMAIN: Service {namespace}/db exists, 0 of 1 endpoints are ready (db-0 is not ready)")
    assert f"not seen: Pods of {namespace}: 403 pods is forbidden" in out


def test_a_user_without_rights_is_not_known(program: Program, control_plane: ControlPlane, namespace: str) -> None:
    kubeconfig = control_plane.make_user(f"nothing-{namespace}")
    code, out, err = program("explain", "--kubeconfig", str(kubeconfig), f"db.{namespace}.svc.cluster.local")
    assert (code, out) == (2, "")
    assert err.startswith("clusterdns explain: the Corefile's data could not be read: kubernetes: ")
    assert "403" in err
    assert 'apiGroups [""], resources ["' in err


async def test_a_server_without_a_right_names_the_rule(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    granted = {one for one in READ if one.resource != "endpointslices"}
    with user_with(control_plane, f"blind-{namespace}", granted) as kubeconfig:
        lines = f"kubernetes cluster.local {{\n kubeconfig {kubeconfig}\n startup_timeout 0s\n}}"
        async with running(lines, tmp_path) as server:
            explainer = Explainer(server.instance.configuration)
            unready = server.instance.unready
            await asyncio.to_thread(wait_for, lambda: "403" in "".join(unready().values()), "the refusal")
            found = await explainer.explain(ExplainRequest(f"nope.{namespace}.svc.cluster.local"))
    assert (found.verdict.outcome, found.verdict.cause) == ("unknown", "not-current")
    assert 'resources ["endpointslices"]' in found.verdict.text
    assert found.verdict.next_step.startswith("grant the rights that the message names")


def test_a_typo_is_found_among_the_names_of_the_cluster(
    program: Program, control_plane: ControlPlane, namespace: str
) -> None:
    kubeconfig = str(control_plane.kubeconfig)
    code, out, _ = program("explain", "--kubeconfig", kubeconfig, f"hafl.{namespace}.svc.cluster.local")
    assert code == 1
    assert out.startswith(f'NXDOMAIN: Service "hafl" does not exist in namespace "{namespace}"; did you mean "half"?')


OWN_COREFILE = """.:53 {
    errors
    ready
    hosts /etc/coredns/NodeHosts {
        fallthrough
    }
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 17
    }
    template IN A blocked.example {
        rcode NXDOMAIN
    }
    import custom/*.override
}
import custom/*.server
"""


def config_map(name: str, data: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "kube-system"}, "data": data,
    }  # fmt: skip


def test_the_cluster_s_own_corefile_explains(program: Program, control_plane: ControlPlane, namespace: str) -> None:
    cluster = ("--kubeconfig", str(control_plane.kubeconfig))
    name = f"half.{namespace}.svc.cluster.local"
    _, out, _ = program("explain", name, *cluster)
    assert (
        "\ncorefile    built-in, 'kubernetes' alone without upstreams, because no ConfigMap of kube-system has" in out
    )
    control_plane.apply(config_map("coredns", {"Corefile": OWN_COREFILE, "NodeHosts": "192.0.2.7 node-7\n"}))
    control_plane.apply(config_map("coredns-custom", {"x.server": "x.example {\n  whoami\n}\n"}))
    try:
        code, out, err = program("explain", name, *cluster)
        assert (code, err) == (0, "")
        assert "\ncorefile    ConfigMap kube-system/coredns\n" in out
        assert f"{name}. 17 IN A 10.244.7.2" in out
        assert "kubernetes (/etc/coredns/Corefile:7)" in out
        assert "hosts (/etc/coredns/Corefile:4)" in program("explain", "node-7", *cluster).out
        assert "/etc/coredns/custom/x.server:1" in program("explain", "x.example", *cluster).out
        found = json.loads(program("explain", "blocked.example", *cluster, "--json").out)
        assert (found["verdict"]["cause"], found["corefile"]) == ("template", "ConfigMap kube-system/coredns")
        assert "built-in, 'kubernetes' alone" in program("explain", name, *cluster, "--zone", "cluster.local").out
        with user_with(control_plane, f"reader-{namespace}", READ) as kubeconfig:
            code, out, err = program("explain", "--kubeconfig", str(kubeconfig), name)
        assert (code, err) == (0, "")
        assert "because ConfigMap kube-system/coredns cannot be read: 403 configmaps" in out
        control_plane.apply(config_map("coredns", {"Corefile": ".:53 {\n  route53 x\n  tls /run/a /run/b\n}\n"}))
        code, out, err = program("explain", name, *cluster)
        assert (code, err) == (0, "")
        assert "because ConfigMap kube-system/coredns cannot be used here: /etc/coredns/Corefile:2: " in out
        assert f"{name}. 30 IN A 10.244.7.2" in out
    finally:
        for one in ("coredns", "coredns-custom"):
            control_plane.delete("ConfigMap", one, "kube-system")
