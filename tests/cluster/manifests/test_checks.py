"""Problems between manifests: kinds that are not read, selectors without pods, endpoints without a Service."""

import pytest

from clusterdns.cluster.manifests import kinds
from clusterdns.cluster.manifests.controllers import Selection, desired_objects
from clusterdns.cluster.manifests.documents import read_documents
from clusterdns.cluster.manifests.problems import Category, Problem
from testing.controlplane import ControlPlane

WEB = "kind: Service\nmetadata: {name: web, namespace: prod}\nspec: {selector: {app: web}, ports: [PORT]}\n---\n"
NUMBERED = WEB.replace("PORT", "{port: 80}")
NAMED = WEB.replace("PORT", "{port: 80, targetPort: http}")
DEPLOYMENT = """\
kind: Deployment
metadata: {name: web, namespace: prod}
spec:
  replicas: 1
  template: {metadata: {labels: {app: web}}, spec: {containers: [{ports: [{name: http, containerPort: 8080}]}]}}
---
"""
POD = "kind: Pod\nmetadata: {name: p, namespace: prod, labels: {app: web}}\nstatus: {}\n---\n"
SLICE = "kind: EndpointSlice\nmetadata: {name: s, namespace: prod, labels: {LABEL}}\nendpoints: []\n---\n"
SLICE_OF_WEB = SLICE.replace("LABEL", "kubernetes.io/service-name: web")
MANAGED = SLICE.replace(
    "LABEL",
    "kubernetes.io/service-name: web, endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io",
)
ENDPOINTS = "kind: Endpoints\nmetadata: {name: web, namespace: prod}\nsubsets: [{addresses: [{ip: 10.0.0.1}]}]\n---\n"

UNMATCHED = "its selector app=web matches no pod of namespace prod; it has no endpoints"


def problems(text: str, selection: Selection | None = None) -> list[Problem]:
    return list(desired_objects(read_documents(text.encode(), "f.yaml"), selection).problems)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (NUMBERED, [UNMATCHED]),
        (NUMBERED + DEPLOYMENT, []),
        (NUMBERED + DEPLOYMENT.replace("replicas: 1", "replicas: 0"), []),  # scaled down: its pods may come back
        (NUMBERED + DEPLOYMENT.replace("app: web", "app: wbe"), [UNMATCHED]),
        (NUMBERED + DEPLOYMENT.replace("app: web", "app: web, tier: a"), []),
        (NUMBERED.replace("app: web", "app: web, tier: a") + DEPLOYMENT, [UNMATCHED.replace("web m", "web,tier=a m")]),
        (NUMBERED + DEPLOYMENT.replace("prod", "test"), [UNMATCHED]),
        (NUMBERED + POD, []),
        (NUMBERED + POD.replace("{}", "{phase: Succeeded}"), []),  # there was one
        (NUMBERED.replace("app: web", ""), []),
        (NUMBERED.replace("{selector", "{type: ExternalName, externalName: a.example, selector"), []),
        (NUMBERED + MANAGED, []),  # a dump whose pods are left out
        (NAMED + DEPLOYMENT, []),
        (NAMED + POD, ["none of its pods names the targetPort http; the port is ignored"]),
        (NAMED + POD + DEPLOYMENT, []),
        (NAMED.replace("http", "http, protocol: UDP") + DEPLOYMENT,
         ["none of its pods names the targetPort http; the port is ignored"]),
    ],
)  # fmt: skip
def test_a_service_whose_selector_matches_nothing(text: str, found: list[str]) -> None:
    assert [(one.category, one.line) for one in problems(text)] == [
        (Category.ENDPOINTS, f"f.yaml:1: Service prod/web: {reason}") for reason in found
    ]


@pytest.mark.parametrize("selection", [Selection(noendpoints=True), Selection(namespaces=frozenset({"other"}))])
def test_what_the_corefile_leaves_out_is_no_problem(selection: Selection) -> None:
    assert problems(NUMBERED, selection) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (SLICE_OF_WEB, ["EndpointSlice prod/s: there is no Service prod/web; its endpoints have no names"]),
        (SLICE_OF_WEB + NUMBERED.replace("selector: {app: web}, ", ""), []),
        (SLICE.replace("LABEL", ""),
         ["EndpointSlice prod/s: its label kubernetes.io/service-name is missing; its endpoints have no names"]),
        (SLICE.replace("LABEL", "multicluster.kubernetes.io/service-name: web"), []),
        (ENDPOINTS, ["Endpoints prod/web: there is no Service prod/web; its endpoints have no names"]),
        (ENDPOINTS + NUMBERED.replace("selector: {app: web}, ", ""), []),
        (ENDPOINTS.replace("[{addresses: [{ip: 10.0.0.1}]}]", "[]"), []),  # a lock of a leader election
    ],
)  # fmt: skip
def test_endpoints_without_a_service(text: str, found: list[str]) -> None:
    assert [one.line for one in problems(text)] == [f"f.yaml:1: {text}" for text in found]


@pytest.mark.parametrize(
    ("version", "kind", "found"),
    [
        ("v1", "ConfigMap", ""),
        ("v1", "ConfigMapList", ""),
        ("networking.k8s.io/v1", "Ingress", ""),
        ("v1", "Sevice", "Sevice prod/x: Kubernetes has no such kind; ignored; did you mean Service?"),
        ("", "service", "service prod/x: Kubernetes has no such kind; ignored; did you mean Service?"),
        ("apps/v1", "Deploymnet", "Deploymnet prod/x: Kubernetes has no such kind; ignored; did you mean Deployment?"),
        ("v1", "Frobnicator", "Frobnicator prod/x: Kubernetes has no such kind; ignored"),
        ("example.com/v1", "Widget",
         "Widget.example.com prod/x: objects of this kind are not read; they have no names here"),
        ("gateway.networking.k8s.io/v1", "HTTPRoute",
         "HTTPRoute.gateway.networking.k8s.io prod/x: objects of this kind are not read; they have no names here"),
    ],
)  # fmt: skip
def test_kinds_that_are_not_read(version: str, kind: str, found: str) -> None:
    text = f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x, namespace: prod}}\n"
    assert [one.line for one in problems(text)] == ([f"f.yaml:1: {found}"] if found else [])
    assert all(one.category is Category.KIND for one in problems(text))


def test_every_kind_of_the_api_server_is_read_or_known_to_have_no_names(control_plane: ControlPlane) -> None:
    groups = control_plane.read("/apis")["groups"]
    versions = {"": "/api/v1", **{one["name"]: f"/apis/{one['preferredVersion']['groupVersion']}" for one in groups}}
    own = {group: path for group, path in versions.items() if "." not in group or group.endswith(".k8s.io")}
    assert own.keys() <= kinds.GROUPS
    for group, path in own.items():
        served = {one["kind"] for one in control_plane.read(path)["resources"] if "/" not in one["name"]}
        assert served <= {*kinds.MANIFEST_TYPES, *kinds.KINDS_WITHOUT_NAMES}, group
