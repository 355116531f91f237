"""The suite's objects in a cluster are deleted whatever happens; what is left is named with the command to delete."""

import signal
from pathlib import Path

import pytest
from program import run_script

from clusterdns.cli.conform.live import LABELS
from testing import conformance, kubeconfig
from testing.api import Manifest
from testing.conformance import OURS
from testing.controlplane import ControlPlane
from testing.peers import clusterdns
from testing.ports import free_ports
from testing.process import ServerProcess
from testing.upstream.zone import ZoneUpstream
from testing.waiting import wait_for

pytestmark = pytest.mark.peer("kube-apiserver")
KNOWS_NOTHING = "other.test. 30 A 192.0.2.1"


def own_namespaces(cluster: ControlPlane) -> set[str]:
    """The namespaces of the suite's runs."""
    found = (one["metadata"] for one in cluster.list("Namespace"))
    return {one["name"] for one in found if LABELS.items() <= one.get("labels", {}).items()}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_deletes_the_objects(control_plane: ControlPlane, tmp_path: Path, number: signal.Signals) -> None:
    with ZoneUpstream(KNOWS_NOTHING) as upstream:  # so that the suite waits until the objects are served
        command = [str(clusterdns()), "conform", upstream.address, "--kubeconfig", str(control_plane.kubeconfig)]
        with ServerProcess("conform", command, tmp_path / "out", error_log=tmp_path / "err") as run:
            made = wait_for(lambda: own_namespaces(control_plane), "the namespaces")
            run.wait_until(lambda: any("last." in name for name, _ in upstream.received), "the last question")
            run.send_signal(number)
            assert run.wait_ended() == 128 + number
            assert (run.out, run.err) == ("", "")
    assert made & own_namespaces(control_plane) == set()


RBAC = "rbac.authorization.k8s.io/v1"
OBJECTS = [
    {"apiGroups": [""], "resources": ["services"], "verbs": ["create"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["create"]},
]


def user_with(cluster: ControlPlane, name: str, *rules: Manifest) -> Path:
    """Make a user with these rights in all namespaces, and return the kubeconfig."""
    path = cluster.make_user(name)
    meta = {"name": f"conform-{name}"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": meta["name"]}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}
    cluster.apply({"apiVersion": RBAC, "kind": "ClusterRole", "metadata": meta, "rules": list(rules)})
    cluster.apply(
        {"apiVersion": RBAC, "kind": "ClusterRoleBinding", "metadata": meta, "roleRef": role, "subjects": [subject]}
    )
    return path


def on_namespaces(*verbs: str) -> Manifest:
    return {"apiGroups": [""], "resources": ["namespaces"], "verbs": list(verbs)}


def test_what_is_left_is_named_with_the_command_that_deletes_it(control_plane: ControlPlane, tmp_path: Path) -> None:
    user = user_with(control_plane, "creator", on_namespaces("create"), *OBJECTS)
    (port,) = free_ports(1)  # where no server listens
    code, out, err = run_script(
        ["conform", f"127.0.0.1:{port}", "--kubeconfig", str(user), "--context", "test"], tmp_path
    )
    left = own_namespaces(control_plane)
    try:
        assert (code, out, len(left)) == (2, "", 3)
        lines = err.splitlines()
        assert lines[0].startswith("clusterdns conform: not deleted: namespace dns-conform-")
        assert 'cannot delete resource "namespaces"' in lines[0]
        command = lines[0].rpartition("; run: ")[2].split()
        assert command[:7] == ["kubectl", "--kubeconfig", str(user), "--context", "test", "delete", "namespace"]
        assert set(command[7:]) == left
        assert f"127.0.0.1:{port} cannot be asked" in lines[1]
    finally:
        for name in left:
            control_plane.delete("Namespace", name)
        wait_for(lambda: not own_namespaces(control_plane), "the end of the namespaces")


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ((), "Namespace dns-conform-"),
        ((on_namespaces("create", "get", "delete"),), "Service web cannot be made: 403 "),
    ],
    ids=["namespaces", "services"],
)
def test_rights_that_are_missing_are_named(
    control_plane: ControlPlane, tmp_path: Path, rules: tuple[Manifest, ...], problem: str
) -> None:
    before = own_namespaces(control_plane)
    user = user_with(control_plane, f"user-{len(rules)}", *rules)
    code, out, err = run_script(["conform", "127.0.0.1:1", "--kubeconfig", str(user)], tmp_path)
    assert (code, out) == (2, "")
    assert problem in err.splitlines()[-1]
    assert "is forbidden" in err.splitlines()[-1]
    assert own_namespaces(control_plane) == before


def test_a_cluster_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    code, out, err = run_script(["conform", "127.0.0.1:1", "--kubeconfig", "absent"], tmp_path)
    assert (code, out) == (2, "")
    assert err == "clusterdns conform: the cluster cannot be reached: kubeconfig absent: not found\n"


def test_without_the_crd_the_cases_of_imports_are_skipped(control_plane: ControlPlane, tmp_path: Path) -> None:
    with conformance.live(OURS, control_plane, tmp_path) as address:
        report = conformance.run(
            address, ["--kubeconfig", str(control_plane.kubeconfig), "--part", "mcs", "--part", "spec"]
        )
    verdicts = {(one["part"], one["verdict"]) for one in report["cases"]}
    assert ("spec", "pass") in verdicts
    assert ("mcs", "skipped") in verdicts
    assert ("spec", "skipped") not in verdicts
    reasons = {one["reason"] for one in report["cases"] if one["verdict"] == "skipped"}
    assert [reason.split()[0] for reason in reasons] == ["404"]
    assert own_namespaces(control_plane) == set()


@pytest.mark.parametrize(
    ("network", "absent"), [("10.97.0.0/16", "IPv6"), ("fd00:10:97::/112", "IPv4")], ids=["IPv4", "IPv6"]
)
def test_a_cluster_with_one_family_skips_what_needs_the_other(
    control_plane: ControlPlane, tmp_path: Path, network: str, absent: str
) -> None:
    with (
        control_plane.second_apiserver(f"--service-cluster-ip-range={network}") as server,
        conformance.live(OURS, control_plane, tmp_path) as address,
    ):
        user = kubeconfig.write(control_plane.folder, "admin", server.url).rename(tmp_path / "kubeconfig")
        kubeconfig.write(control_plane.folder, "admin", control_plane.url)
        report = conformance.run(address, ["--kubeconfig", str(user), "--part", "spec", "--part", "rfc"])
    assert conformance.failures(report) == {}
    skipped = {one["id"]: one["reason"] for one in report["cases"] if one["verdict"] == "skipped"}
    assert any(f"the cluster gives no {absent} cluster IPs" in reason for reason in skipped.values())
    assert len(skipped) < len(report["cases"]) / 2
    assert {"spec-2.3.2-srv-web-http", "spec-2.4.1-a-db", "rfc-1035-4.1.1-aa-a"}.isdisjoint(skipped)
