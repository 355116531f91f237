"""Good practice for manifests: the rules of kube-linter and Polaris that make sense for a cluster's DNS server.

Left out on purpose: a CPU limit (it adds latency to each burst, and one process uses one core at most), `Always` as
imagePullPolicy (a node must start its DNS without a registry), a NetworkPolicy (every pod asks), and a tag check beyond
`latest`.
"""

from collections.abc import Callable

import pytest
from deploy.rendered import COMPONENTS, WORKLOADS, Object, container_of, pod_of, render, the, workload_of

pytestmark = pytest.mark.peer("kustomize")

LABELLED = ("Service", "PodDisruptionBudget", "Deployment", "DaemonSet", "ClusterRole")
CONTAINER_RULES: dict[str, Callable[[Object], bool]] = {
    "latest-tag": lambda it: ":" in it["image"] and not it["image"].endswith(":latest"),
    "no-read-only-root-fs": lambda it: it["securityContext"]["readOnlyRootFilesystem"] is True,
    "privilege-escalation-container": lambda it: it["securityContext"]["allowPrivilegeEscalation"] is False,
    "privileged-container": lambda it: not it["securityContext"].get("privileged"),
    "drop-net-raw-capability": lambda it: it["securityContext"]["capabilities"]["drop"] == ["ALL"],
    "insecureCapabilities": lambda it: it["securityContext"]["capabilities"]["add"] == ["NET_BIND_SERVICE"],
    "unset-cpu-requirements": lambda it: bool(it["resources"]["requests"]["cpu"]),
    "unset-memory-requirements": lambda it: (
        {"requests", "limits"} <= it["resources"].keys()
        and all("memory" in it["resources"][name] for name in ("requests", "limits"))
    ),
    "no-liveness-probe": lambda it: "livenessProbe" in it,
    "no-readiness-probe": lambda it: "readinessProbe" in it,
    "no-startup-probe": lambda it: "startupProbe" in it,
    "startup-port, liveness-port, readiness-port": lambda it: (
        {it[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
        <= {port["name"] for port in it["ports"]}
    ),
    "env-var-secret, read-secret-from-env-var": lambda it: (
        all(one.keys() == {"name", "value"} for one in it["env"]) and not it.get("envFrom")
    ),
    "ssh-port": lambda it: all(port["containerPort"] != 22 for port in it["ports"]),
    "hostPortSet": lambda it: not any("hostPort" in port for port in it["ports"]),
    "writable-host-mount": lambda it: all(
        mount.get("readOnly") is True or mount["name"] == "state"  # an emptyDir, as no volume is of the host
        for mount in it["volumeMounts"]
    ),
    "pullPolicy": lambda it: it["imagePullPolicy"] == "IfNotPresent",
}
POD_RULES: dict[str, Callable[[Object], bool]] = {
    "run-as-non-root": lambda it: it["securityContext"]["runAsNonRoot"] is True,
    "runAsUser, a high uid": lambda it: it["securityContext"]["runAsUser"] > 10_000,
    "seccompProfile": lambda it: it["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"},
    "host-network, host-pid, host-ipc": lambda it: not {"hostNetwork", "hostPID", "hostIPC"} & it.keys(),
    "docker-sock, sensitive-host-mounts": lambda it: not any("hostPath" in one for one in it["volumes"]),
    "default-service-account": lambda it: it["serviceAccountName"] != "default",
    "deprecated-service-account-field": lambda it: "serviceAccount" not in it,
    "priority-class-name": lambda it: it["priorityClassName"].startswith("system-"),
    "sysctls, unsafe-sysctls": lambda it: "sysctls" not in it["securityContext"],
    "restart-policy": lambda it: it.get("restartPolicy", "Always") == "Always",
    "host aliases": lambda it: "hostAliases" not in it,
}
OBJECT_RULES: dict[str, Callable[[tuple[Object, ...]], bool]] = {
    "dangling-service": lambda it: the(it, "Service")["spec"]["selector"].items() <= labels_of(it).items(),
    "mismatching-selector": lambda it: workload_in(it)["spec"]["selector"]["matchLabels"] == labels_of(it),
    "non-existent-service-account": lambda it: (
        the(it, "ServiceAccount")["metadata"]["name"]
        == workload_in(it)["spec"]["template"]["spec"]["serviceAccountName"]
    ),
    "exposed-services": lambda it: the(it, "Service")["spec"].get("type", "ClusterIP") == "ClusterIP",
    "access-to-secrets, access-to-create-pods": lambda it: not {"secrets", "*"} & resources_of(it),
    "wildcard-in-rules": lambda it: "*" not in str(the(it, "ClusterRole")["rules"]),
    "cluster-admin-role-binding": lambda it: the(it, "ClusterRoleBinding")["roleRef"]["name"] != "cluster-admin",
    "read-only rights": lambda it: verbs_of(it) == {"list", "watch"},
    "use-namespace": lambda it: all(
        one["metadata"].get("namespace") == "kube-system" for one in it if not one["kind"].startswith("Cluster")
    ),
    "rolling updates": lambda it: rollout_of(it) == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
    "non-isolated labels": lambda it: all(one["metadata"].get("labels") for one in it if one["kind"] in LABELLED),
    "no-extensions-v1beta": lambda it: all("beta" not in one["apiVersion"] for one in it),
}
DEPLOYMENT_RULES: dict[str, Callable[[tuple[Object, ...]], bool]] = {
    "minimum-two-replicas": lambda it: workload_in(it)["spec"]["replicas"] >= 2,
    "no-anti-affinity": lambda it: "podAntiAffinity" in workload_in(it)["spec"]["template"]["spec"]["affinity"],
    "missingPodDisruptionBudget": lambda it: (
        the(it, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels_of(it)
    ),
    "pdb-max-unavailable, pdb-min-available": lambda it: the(it, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1,
}


def workload_in(objects: tuple[Object, ...]) -> Object:
    (found,) = (one for one in objects if one["kind"] in WORKLOADS.values())
    return found


def labels_of(objects: tuple[Object, ...]) -> dict[str, str]:
    found: dict[str, str] = workload_in(objects)["spec"]["template"]["metadata"]["labels"]
    return found


def resources_of(objects: tuple[Object, ...]) -> set[str]:
    return {name for rule in the(objects, "ClusterRole")["rules"] for name in rule["resources"]}


def verbs_of(objects: tuple[Object, ...]) -> set[str]:
    return {verb for rule in the(objects, "ClusterRole")["rules"] for verb in rule["verbs"]}


def rollout_of(objects: tuple[Object, ...]) -> Object:
    spec = workload_in(objects)["spec"]
    found: Object = spec.get("strategy") or spec["updateStrategy"]
    return found


@pytest.mark.parametrize("rule", CONTAINER_RULES)
@pytest.mark.parametrize("variant", WORKLOADS)
def test_rules_of_the_container(variant: str, rule: str) -> None:
    assert CONTAINER_RULES[rule](container_of(variant))


@pytest.mark.parametrize("rule", POD_RULES)
@pytest.mark.parametrize("variant", WORKLOADS)
def test_rules_of_the_pod(variant: str, rule: str) -> None:
    assert POD_RULES[rule](pod_of(variant))


@pytest.mark.parametrize("rule", OBJECT_RULES)
@pytest.mark.parametrize("components", [(), COMPONENTS])
@pytest.mark.parametrize("variant", WORKLOADS)
def test_rules_between_objects(variant: str, components: tuple[str, ...], rule: str) -> None:
    assert OBJECT_RULES[rule](render(variant, components))


@pytest.mark.parametrize("rule", DEPLOYMENT_RULES)
def test_rules_of_deployments(rule: str) -> None:
    assert DEPLOYMENT_RULES[rule](render("deployment"))


@pytest.mark.parametrize("variant", WORKLOADS)
def test_the_pods_meet_the_restricted_pod_security_standard(variant: str) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards, level `restricted`."""
    pod, context = pod_of(variant), container_of(variant)["securityContext"]
    assert set(context) == {"allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem"}
    assert {key for volume in pod["volumes"] for key in volume} == {"name", "configMap", "emptyDir"}
    assert workload_of(variant)["metadata"]["namespace"] == "kube-system"
