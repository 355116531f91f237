"""A small synchronous client of the API server for tests: apply, create, get, list, delete, and waiting.

One connection, JSON in and out, no Kubernetes library: what the product reads is written by something that shares no
code with it.
"""

import contextlib
import http.client
import json
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

Object = dict[str, Any]
T = TypeVar("T")

_CORE, _APPS, _RBAC = "/api/v1", "/apis/apps/v1", "/apis/rbac.authorization.k8s.io/v1"
KINDS = {  # kind → group, plural, whether it lives in a namespace
    "Namespace": (_CORE, "namespaces", False),
    "Node": (_CORE, "nodes", False),
    "Service": (_CORE, "services", True),
    "Endpoints": (_CORE, "endpoints", True),
    "Pod": (_CORE, "pods", True),
    "ConfigMap": (_CORE, "configmaps", True),
    "Secret": (_CORE, "secrets", True),
    "ServiceAccount": (_CORE, "serviceaccounts", True),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices", True),
    "Deployment": (_APPS, "deployments", True),
    "ReplicaSet": (_APPS, "replicasets", True),
    "StatefulSet": (_APPS, "statefulsets", True),
    "DaemonSet": (_APPS, "daemonsets", True),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets", True),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies", True),
    "HorizontalPodAutoscaler": ("/apis/autoscaling/v2", "horizontalpodautoscalers", True),
    "CustomResourceDefinition": ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions", False),
    "ServiceImport": ("/apis/multicluster.x-k8s.io/v1alpha1", "serviceimports", True),
    "ClusterRole": (_RBAC, "clusterroles", False),
    "ClusterRoleBinding": (_RBAC, "clusterrolebindings", False),
    "Role": (_RBAC, "roles", True),
    "RoleBinding": (_RBAC, "rolebindings", True),
}


class ApiRefusal(RuntimeError):
    """The API server answered with an error; `status` is the HTTP status."""

    def __init__(self, request: str, status: int, body: bytes) -> None:
        with contextlib.suppress(ValueError, AttributeError):
            body = json.loads(body).get("message", "").encode() or body
        super().__init__(f"{request}: {status} {body.decode(errors='replace')[:2000]}")
        self.status = status


class Client:
    """One user of one API server, over one connection. Not for several threads."""

    def __init__(self, url: str, ca: Path, cert: Path, key: Path) -> None:
        self.url = url
        context = ssl.create_default_context(cafile=str(ca))
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.load_cert_chain(str(cert), str(key))
        self._connection = http.client.HTTPSConnection(urlsplit(url).netloc, context=context, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def is_ready(self) -> bool:
        """Whether the server is there and says that all of it has started."""
        try:
            return self._request("GET", "/readyz") == b"ok"
        except (OSError, http.client.HTTPException, ApiRefusal):
            return False

    def apply(self, manifest: Object, *, dry_run: bool = False) -> Object:
        """Make the object as the manifest says (server-side apply); with `dry_run` only ask whether it would do."""
        meta = manifest["metadata"]
        query = {"fieldManager": "clusterdns-tests", "force": "true"}
        if dry_run:
            query |= {"dryRun": "All", "fieldValidation": "Strict"}
        path = path_of(manifest["kind"], meta["name"], meta.get("namespace", ""))
        return self._json("PATCH", f"{path}?{urlencode(query)}", manifest, "application/apply-patch+yaml")

    def create(self, path: str, body: Object) -> Object:
        """POST to a path, for what cannot be applied."""
        return self._json("POST", path, body, "application/json")

    def patch_status(self, kind: str, name: str, namespace: str, body: Object) -> Object:
        """Merge into the status of an object."""
        path = f"{path_of(kind, name, namespace)}/status"
        return self._json("PATCH", path, body, "application/merge-patch+json")

    def get(self, kind: str, name: str, namespace: str = "") -> Object:
        """One object. Raises ApiRefusal."""
        return self._json("GET", path_of(kind, name, namespace))

    def find(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """One object, or None."""
        try:
            return self.get(kind, name, namespace)
        except ApiRefusal as refusal:
            if refusal.status == http.client.NOT_FOUND:
                return None
            raise

    def list(self, kind: str, namespace: str = "", labels: str = "") -> list[Object]:
        """All objects of a kind, everywhere or in a namespace."""
        query = f"?{urlencode({'labelSelector': labels})}" if labels else ""
        items: list[Object] = self._json("GET", f"{path_of(kind, '', namespace)}{query}")["items"] or []
        return items

    def delete(self, kind: str, name: str, namespace: str = "", grace_seconds: int | None = None) -> None:
        """Delete an object; nothing happens where there is none."""
        body = {} if grace_seconds is None else {"gracePeriodSeconds": grace_seconds}
        try:
            self._json("DELETE", path_of(kind, name, namespace), body, "application/json")
        except ApiRefusal as refusal:
            if refusal.status != http.client.NOT_FOUND:
                raise

    def _json(self, method: str, path: str, body: Object | None = None, content_type: str = "") -> Object:
        found: Object = json.loads(self._request(method, path, body, content_type))
        return found

    def _request(self, method: str, path: str, body: Object | None = None, content_type: str = "") -> bytes:
        payload = None if body is None else json.dumps(body).encode()
        headers = {"content-type": content_type} if content_type else {}
        try:
            self._connection.request(method, path, payload, headers)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()  # so that the next request connects anew
            raise
        if response.status >= http.client.BAD_REQUEST:
            raise ApiRefusal(f"{method} {path}", response.status, content)
        return content


def path_of(kind: str, name: str, namespace: str = "") -> str:
    """The path of an object, or without a name of the collection."""
    group, plural, is_namespaced = KINDS[kind]
    place = f"/namespaces/{quote(namespace)}" if is_namespaced and namespace else ""
    return f"{group}{place}/{plural}" + (f"/{quote(name)}" if name else "")


def wait_for(check: Callable[[], T | None], what: str, seconds: float = 30.0) -> T:
    """The first true result of `check`, which is asked again and again. Raises TimeoutError."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        if found := check():
            return found
        time.sleep(0.02)
    raise TimeoutError(f"waited {seconds:g} s for {what}")
