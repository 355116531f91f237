"""The rights in deploy/: enough for each kind of Corefile, and none too many. The server runs with them alone."""

import contextlib
import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from deploy.rendered import Object, render, the
from prometheus_client.parser import text_string_to_metric_families

from testing.api import ApiClient, ApiError
from testing.controlplane import ControlPlane
from testing.controlplane.apiserver import WITHOUT_STREAMED_LISTS
from testing.peers import clusterdns
from testing.ports import LOOPBACK, free_ports
from testing.process import ServerProcess
from testing.waiting import wait_for

pytestmark = [pytest.mark.peer("kustomize"), pytest.mark.peer("kube-apiserver")]

REQUESTS = "coredns_kubernetes_rest_client_requests_total"


class Right(NamedTuple):
    """One verb on one resource."""

    group: str
    resource: str
    verb: str


class Kind(NamedTuple):
    """A kind of Corefile: the components whose rights it needs, its lines, and the collections that it reads."""

    components: tuple[str, ...]
    zones: str
    options: str
    directive: str
    collections: int


KINDS = {
    "pods insecure": Kind((), "", "pods insecure", "", 3),
    "pods disabled": Kind((), "", "pods disabled\nendpoint_pod_names", "", 3),
    "noendpoints": Kind((), "", "noendpoints", "", 2),
    "pods verified": Kind(("pods-verified",), "", "pods verified", "", 4),
    "autopath": Kind(("pods-verified",), "", "pods verified", "autopath @kubernetes", 4),
    "multicluster": Kind(("multicluster",), "set.local", "multicluster set.local", "", 3),
}
MISSING = [  # right that is taken away, kind of Corefile
    *((Right(group, resource, verb), "pods insecure")
      for group, resource in (("", "services"), ("", "namespaces"), ("discovery.k8s.io", "endpointslices"))
      for verb in ("list", "watch")),
    (Right("", "pods", "list"), "pods verified"),
    (Right("", "pods", "watch"), "pods verified"),
    (Right("multicluster.x-k8s.io", "serviceimports", "list"), "multicluster"),
]  # fmt: skip


@pytest.fixture(scope="module")
def paging_server(control_plane: ControlPlane) -> Iterator[str]:
    """The URL of an API server that does not stream lists, so that each collection is listed and then watched."""
    with control_plane.second_apiserver(WITHOUT_STREAMED_LISTS) as second:
        yield second.url


def rights(rules: list[Object]) -> set[Right]:
    return {
        Right(group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def role_of(kind: str) -> Object:
    return the(render("deployment", KINDS[kind].components), "ClusterRole")


@contextlib.contextmanager
def user_with(control_plane: ControlPlane, name: str, granted: set[Right]) -> Iterator[Path]:
    """Make a user with these rights, wait until they are in force, and yield the kubeconfig."""
    rules = [{"apiGroups": [one.group], "resources": [one.resource], "verbs": [one.verb]} for one in sorted(granted)]
    api = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
    control_plane.apply({**api, "kind": "ClusterRole", "rules": rules})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}]
    control_plane.apply({**api, "kind": "ClusterRoleBinding", "roleRef": reference, "subjects": subjects})
    kubeconfig = control_plane.make_user(name)
    try:
        with ApiClient(kubeconfig) as client:
            wait_for(lambda: all(is_allowed(client, one) for one in granted), "the rights to be in force")
        yield kubeconfig
    finally:
        control_plane.delete("ClusterRoleBinding", name)
        control_plane.delete("ClusterRole", name)


def is_allowed(client: ApiClient, right: Right) -> bool:
    """Ask the API server whether the user has a right: it reads a new role a moment after it was made."""
    attributes = {"group": right.group, "resource": right.resource, "verb": right.verb}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    reply = client.post(path, {**review, "spec": {"resourceAttributes": attributes}})
    return bool(reply["status"]["allowed"])


class RunningServer:
    """The program with a kind of Corefile and a kubeconfig."""

    def __init__(self, folder: Path, kind: str, kubeconfig: Path, url: str = "") -> None:
        """`url` is that of another API server than the kubeconfig's."""
        if url:
            content = kubeconfig.read_text()
            kubeconfig = folder / "kubeconfig"
            kubeconfig.write_text(re.sub(r"https://[0-9.:]+", url, content))
        dns, self._ready, self._metrics = free_ports(3)
        _, zones, options, directive, _ = KINDS[kind]
        corefile = folder / "Corefile"
        corefile.write_text(
            f".:{dns} {{\nbind {LOOPBACK}\nerrors\nready {LOOPBACK}:{self._ready}\n"
            f"prometheus {LOOPBACK}:{self._metrics}\n{directive}\n"
            f"kubernetes cluster.local {zones} in-addr.arpa ip6.arpa {{\nkubeconfig {kubeconfig}\n"
            f"startup_timeout 100ms\n{options}\n}}\n}}\n"
        )
        self.process = ServerProcess("clusterdns", [clusterdns(), "-conf", corefile], folder / "log")

    def ready(self) -> str:
        """Return the body of /ready; empty while it is not ready."""
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{LOOPBACK}:{self._ready}/ready") as page:
            return str(page.read().decode())
        return ""

    def requests(self, code: str) -> float:
        """Return how many requests the API server has answered with a status."""
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self._metrics}/metrics") as page:
            families = list(text_string_to_metric_families(page.read().decode()))
        samples = [sample for family in families for sample in family.samples if sample.name == REQUESTS]
        return sum(sample.value for sample in samples if sample.labels["code"] == code)


@pytest.mark.parametrize(("requests", "is_paging"), [(1, False), (2, True)], ids=["streamed", "pages"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_rights_are_enough(
    kind: str,
    requests: int,
    is_paging: bool,
    control_plane: ControlPlane,
    paging_server: str,
    worker_id: str,
    tmp_path: Path,
) -> None:
    name = f"enough-{kind.replace(' ', '-')}-{worker_id}"
    with user_with(control_plane, name, rights(role_of(kind)["rules"])) as kubeconfig:
        server = RunningServer(tmp_path, kind, kubeconfig, paging_server if is_paging else "")
        with server.process:
            server.process.wait_until(server.ready, "readiness")
            every = requests * KINDS[kind].collections  # a watch of each that begins with the list, or a list first
            server.process.wait_until(lambda: server.requests("200") >= every, "every watch")
            assert server.requests("403") == 0
            assert "403" not in server.process.out
            assert "403" not in server.ready()


@pytest.mark.parametrize(("missing", "kind"), MISSING, ids=lambda value: "-".join(filter(None, value)))
def test_no_right_can_be_taken_away(
    missing: Right, kind: str, control_plane: ControlPlane, paging_server: str, worker_id: str, tmp_path: Path
) -> None:
    """Without it the API server refuses a request of the server, which names the right in its log."""
    name = f"without-{missing.verb}-{missing.resource}-{worker_id}"
    granted = rights(role_of(kind)["rules"]) - {missing}
    with user_with(control_plane, name, granted) as kubeconfig:
        server = RunningServer(tmp_path, kind, kubeconfig, paging_server)
        with server.process:
            refusal = f'User "{name}" cannot {missing.verb}'
            server.process.wait_until(lambda: refusal in server.process.out, "the refusal")
            (line, *_) = (line for line in server.process.out.splitlines() if refusal in line)
            assert f"403 {missing.resource}" in line
            assert f'apiGroups ["{missing.group}"], resources ["{missing.resource}"]' in line


def test_the_table_takes_away_every_right_of_every_role() -> None:
    """The watch of ServiceImports begins after their list, which needs the CRD; it is the only right not tried."""
    given = {right for kind in KINDS for right in rights(role_of(kind)["rules"])}
    assert given - {right for right, _ in MISSING} == {Right("multicluster.x-k8s.io", "serviceimports", "watch")}


def test_the_rights_read_nothing_else(control_plane: ControlPlane, worker_id: str) -> None:
    given = {right for kind in KINDS for right in rights(role_of(kind)["rules"])}
    with user_with(control_plane, f"nothing-else-{worker_id}", given) as kubeconfig, ApiClient(kubeconfig) as client:
        for kind in ("Service", "EndpointSlice", "Namespace", "Pod"):
            client.list(kind)
        for kind in ("Secret", "ConfigMap", "Endpoints", "Node"):
            with pytest.raises(ApiError) as refused:
                client.list(kind)
            assert refused.value.status == 403, json.dumps(sorted(given))
        with pytest.raises(ApiError) as refused:
            client.get("Service", "kubernetes", "default")
        assert refused.value.status == 403
