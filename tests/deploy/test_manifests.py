"""deploy/: each variant is accepted by the API server, and has the names that kubeadm's tools and dashboards use."""

import json
import re
from pathlib import Path

import pytest
import yaml
from deploy.rendered import COMPONENTS, FOLDER, WORKLOADS, container_of, pod_of, render, the, workload_of

from clusterdns.corefile.load import parse
from clusterdns.server.assembly import assemble
from clusterdns.telemetry.metrics import Registry
from testing.controlplane import ControlPlane

VARIANTS = list(WORKLOADS)
MIB = {"Mi": 1, "Gi": 1024}
LOADED = ("idle_rss_mib", "loaded_rss_mib", "kubeadm_rss_mib")


@pytest.mark.peer("kustomize")
@pytest.mark.peer("kube-apiserver")
@pytest.mark.parametrize("components", [(), COMPONENTS])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_api_server_accepts_every_object(
    variant: str, components: tuple[str, ...], control_plane: ControlPlane
) -> None:
    """The server-side dry run validates strictly: it refuses unknown fields, and what its defaults contradict."""
    for manifest in render(variant, components):
        applied = control_plane.apply(manifest, dry_run=True)
        assert applied["metadata"]["name"] == manifest["metadata"]["name"]


@pytest.mark.peer("kustomize")
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_has_one_workload_and_all_that_it_needs(variant: str) -> None:
    kinds = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "Service", WORKLOADS[variant]]
    if WORKLOADS[variant] == "Deployment":
        kinds.append("PodDisruptionBudget")
    assert sorted(one["kind"] for one in render(variant)) == sorted(kinds)


def test_no_folder_has_two_workloads_that_could_be_applied_at_once() -> None:
    """`kubectl apply -f deploy`, with and without -R, cannot make a Deployment and a DaemonSet."""
    kinds = {path: _kinds(path) for path in FOLDER.rglob("*.yaml")}
    assert [kind for found in kinds.values() for kind in found if kind in ("Deployment", "DaemonSet")] == ["Deployment"]
    top = [kind for path, found in kinds.items() if path.parent == FOLDER for kind in found]
    assert top == ["Kustomization"], "the API server knows no such kind: `apply -f deploy` makes nothing"


def _kinds(path: Path) -> list[str]:
    return [one["kind"] for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]


@pytest.mark.peer("kustomize")
def test_both_workloads_run_the_same_container() -> None:
    assert container_of("deployment") == container_of("daemonset")
    assert pod_of("deployment")["volumes"] == pod_of("daemonset")["volumes"]
    assert "affinity" not in pod_of("daemonset")
    assert pod_of("daemonset")["tolerations"] == [{"operator": "Exists"}], "every node"


@pytest.mark.peer("kustomize")
def test_the_state_folder_is_writable_and_may_be_one_of_the_node() -> None:
    container, volumes = container_of("daemonset"), pod_of("daemonset")["volumes"]
    (mount,) = [one for one in container["volumeMounts"] if one["name"] == "state"]
    assert container["env"] == [{"name": "CLUSTERDNS_STATE", "value": mount["mountPath"]}]
    assert "readOnly" not in mount
    text = (FOLDER / "daemonset" / "kustomization.yaml").read_text(encoding="utf-8")
    (line,) = re.findall(r"# - ({op: replace, path: /spec/template/spec/volumes/.*})", text)
    patch = yaml.safe_load(line)
    replaced = volumes[int(patch["path"].rpartition("/")[2])]
    assert replaced == {"name": "state", "emptyDir": {}}
    assert patch["value"] == {"name": "state", "hostPath": {"path": mount["mountPath"]}}


@pytest.mark.peer("kustomize")
def test_the_role_names_the_watched_resources_and_nothing_else() -> None:
    objects = render("deployment")
    rules = the(objects, "ClusterRole")["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"list", "watch"}
    assert {name for rule in rules for name in rule["resources"]} == {"services", "namespaces", "endpointslices"}
    binding = the(objects, "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == the(objects, "ClusterRole")["metadata"]["name"] == "system:coredns"
    (subject,) = binding["subjects"]
    account = the(objects, "ServiceAccount")["metadata"]
    assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])


@pytest.mark.peer("kustomize")
def test_the_corefile_assembles() -> None:
    text = the(render("."), "ConfigMap")["data"]["Corefile"]
    configuration = assemble(parse(text, "Corefile", {}), Registry(), dns_port=53)
    assert [(point.port, point.zones_text) for point in configuration.listen_points] == [(53, (".",))]


@pytest.mark.peer("kustomize")
def test_the_service_has_the_name_and_address_that_kubelets_use() -> None:
    service = the(render("."), "Service")
    assert service["metadata"]["name"] == "kube-dns"
    assert service["spec"]["clusterIP"] == "10.96.0.10"
    assert [(port["name"], port["port"], port["protocol"]) for port in service["spec"]["ports"]] == [
        ("dns", 53, "UDP"),
        ("dns-tcp", 53, "TCP"),
        ("metrics", 9153, "TCP"),
    ]


@pytest.mark.peer("kustomize")
@pytest.mark.parametrize("variant", VARIANTS)
def test_labels_ports_and_probes_are_those_of_kubeadm(variant: str) -> None:
    spec = workload_of(variant)["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == labels == the(render(variant), "Service")["spec"]["selector"]
    container = container_of(variant)
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
    for probe, path in (("startupProbe", "/health"), ("livenessProbe", "/health"), ("readinessProbe", "/ready")):
        assert container[probe]["httpGet"]["path"] == path
        assert container[probe]["httpGet"]["port"] in ports
    assert pod_of(variant)["dnsPolicy"] == "Default", "the server must not be its own upstream"


@pytest.mark.peer("kustomize")
def test_the_start_may_take_as_long_as_with_kubeadm_s_liveness_probe() -> None:
    probe = container_of(".")["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == 60


@pytest.mark.peer("kustomize")
def test_memory_request_and_limit_cover_what_is_measured() -> None:
    """The request covers the process after each load of the benchmarks, and that of a large cluster in the docs."""
    resources = container_of(".")["resources"]
    request, limit = (_mib(resources[name]["memory"]) for name in ("requests", "limits"))
    figures = json.loads((FOLDER.parent / "bench" / "results" / "2026-11-21.json").read_text())["figures"]
    loaded = [value for name in LOADED for value in figures[name]["clusterdns"]]
    operations = (FOLDER.parent / "docs" / "operations.md").read_text(encoding="utf-8")
    (large,) = re.findall(r"whose names are all queried repeatedly, is (\d+) MiB\s+resident", operations)
    assert max(*loaded, int(large)) < request < limit == 170
    assert f"100m CPU and {request} MiB" in operations


def _mib(text: str) -> int:
    return int(text[:-2]) * MIB[text[-2:]]
