"""deploy/: the API server accepts the manifests, and they have the names that kubeadm's tools and dashboards use."""

from pathlib import Path
from typing import Any

import dns.message
import dns.query
import pytest
import yaml
from house.demo import running

from clusterdns.corefile.load import parse
from clusterdns.server.assembly import assemble
from clusterdns.telemetry.metrics import Registry
from testing.api import ApiClient, ApiError
from testing.controlplane import ControlPlane
from testing.ports import free_ports

FOLDER = Path(__file__).resolve().parents[2] / "deploy"
FILES = sorted(path for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")

Object = dict[str, Any]


def objects(path: Path) -> list[Object]:
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]


ALL = [(path.name, one) for path in FILES for one in objects(path)]
IDS = [f"{name}-{one['kind']}" for name, one in ALL]


def the(kind: str) -> Object:
    """Return the only object of a kind."""
    (found,) = (one for _, one in ALL if one["kind"] == kind)
    return found


WORKLOADS = ["Deployment", "DaemonSet"]


def pod_of(kind: str) -> Object:
    spec: Object = the(kind)["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize(("file", "manifest"), ALL, ids=IDS)
def test_the_api_server_accepts_each_manifest(file: str, manifest: Object, control_plane: ControlPlane) -> None:
    """The dry run validates strictly: it refuses unknown fields."""
    applied = control_plane.apply(manifest, dry_run=True)
    assert applied["metadata"]["name"] == manifest["metadata"]["name"], file


@pytest.fixture(scope="module")
def role_user(control_plane: ControlPlane, worker_id: str) -> str:
    """Make a user with the rights of the ClusterRole only, whose kubeconfig is in the control plane's folder."""
    role, binding, user = the("ClusterRole"), the("ClusterRoleBinding"), f"deploy-role-{worker_id}"
    control_plane.apply({**role, "metadata": {"name": user}})
    reference = {**binding["roleRef"], "name": user}
    subjects = [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]
    control_plane.apply({**binding, "metadata": {"name": user}, "roleRef": reference, "subjects": subjects})
    control_plane.make_user(user)
    return user


def test_the_role_may_list_and_nothing_else(control_plane: ControlPlane, role_user: str) -> None:
    with ApiClient(control_plane.folder / f"{role_user}.kubeconfig") as client:
        for kind in ("Service", "EndpointSlice", "Namespace", "Pod"):
            client.list(kind)
        for kind, name, namespace in (("Service", "kubernetes", "default"), ("ConfigMap", "coredns", "kube-system")):
            with pytest.raises(ApiError) as refused:
                client.get(kind, name, namespace)
            assert refused.value.status == 403


def test_the_server_becomes_ready_with_the_role_and_the_corefile(
    control_plane: ControlPlane, role_user: str, tmp_path: Path
) -> None:
    """The server runs the ConfigMap's Corefile on free loopback ports, with the role's credentials and every watch."""
    dns_port, health_port, ready_port, metrics_port = free_ports(4)
    text = the("ConfigMap")["data"]["Corefile"]
    kubeconfig = control_plane.folder / f"{role_user}.kubeconfig"
    for old, new in (
        (".:53 {", f".:{dns_port} {{\n    bind 127.0.0.1"),
        ("health {", f"health 127.0.0.1:{health_port} {{"),
        ("lameduck 5s", "lameduck 1ms"),
        ("ready\n", f"ready 127.0.0.1:{ready_port}\n"),
        ("pods insecure", f"pods verified\n        kubeconfig {kubeconfig}"),
        ("prometheus :9153", f"prometheus 127.0.0.1:{metrics_port}"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    corefile = tmp_path / "Corefile"
    corefile.write_text(text, encoding="utf-8")
    with running(corefile, ready_port):
        query = dns.message.make_query("kubernetes.default.svc.cluster.local", "A")
        reply = dns.query.udp(query, "127.0.0.1", port=dns_port, timeout=5)
    service = control_plane.get("Service", "kubernetes", "default")
    assert [record.to_text() for rrset in reply.answer for record in rrset] == [service["spec"]["clusterIP"]]


def test_the_role_names_the_watched_resources_and_nothing_else() -> None:
    rules = the("ClusterRole")["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"list", "watch"}
    assert {resource for rule in rules for resource in rule["resources"]} == {
        "endpoints", "services", "pods", "namespaces", "endpointslices",
    }  # fmt: skip
    binding = the("ClusterRoleBinding")
    assert binding["roleRef"]["name"] == the("ClusterRole")["metadata"]["name"] == "system:coredns"
    (subject,) = binding["subjects"]
    account = the("ServiceAccount")["metadata"]
    assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])


def test_the_corefile_assembles() -> None:
    text = the("ConfigMap")["data"]["Corefile"]
    configuration = assemble(parse(text, "Corefile", {}), Registry(), dns_port=53)
    assert [(point.port, point.zones_text) for point in configuration.listen_points] == [(53, (".",))]


def test_the_service_has_the_name_and_address_that_kubelets_use() -> None:
    service = the("Service")
    assert service["metadata"]["name"] == "kube-dns"
    assert service["spec"]["clusterIP"] == "10.96.0.10"
    assert [(port["name"], port["port"], port["protocol"]) for port in service["spec"]["ports"]] == [
        ("dns", 53, "UDP"),
        ("dns-tcp", 53, "TCP"),
        ("metrics", 9153, "TCP"),
    ]
    assert service["spec"]["selector"] == the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"]


@pytest.mark.parametrize("kind", WORKLOADS)
def test_labels_ports_and_probes_are_those_of_kubeadm(kind: str) -> None:
    workload = the(kind)
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert workload["spec"]["selector"]["matchLabels"] == labels == the("Service")["spec"]["selector"]
    (container,) = pod_of(kind)["containers"]
    assert container["name"] == "coredns"
    assert container["args"] == ["-conf", "/etc/coredns/Corefile"]
    ports = {port["name"]: (port["containerPort"], port["protocol"]) for port in container["ports"]}
    assert ports == {
        "dns": (53, "UDP"),
        "dns-tcp": (53, "TCP"),
        "metrics": (9153, "TCP"),
        "liveness-probe": (8080, "TCP"),
        "readiness-probe": (8181, "TCP"),
    }
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"
    assert container["readinessProbe"]["httpGet"]["path"] == "/ready"
    for probe in ("livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] in ports


@pytest.mark.parametrize("kind", WORKLOADS)
def test_the_pods_may_bind_port_53_and_nothing_else(kind: str) -> None:
    (container,) = pod_of(kind)["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert pod_of(kind)["dnsPolicy"] == "Default", "the server must not be its own upstream"


def test_both_workloads_run_the_same_container() -> None:
    assert pod_of("Deployment")["containers"] == pod_of("DaemonSet")["containers"]
    assert pod_of("Deployment")["volumes"] == pod_of("DaemonSet")["volumes"]


def test_the_kustomization_lists_all_manifests_but_the_daemonset() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    assert set(listed) == {path.name for path in FILES} - {"daemonset.yaml"}
