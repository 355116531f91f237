"""A synchronous client of the Kubernetes API: apply, get, list, delete and watch objects.

JSON over `http.client`, no Kubernetes library: the objects that the product reads are written by code that it does not
share, and a benchmark measures servers and not a client library. The product's own client is `clusterdns.cluster.api`.
"""

import contextlib
import http.client
import json
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

from testing import kubeconfig as kubeconfig_files

Manifest = dict[str, Any]  # an object of the API, as JSON

FIELD_MANAGER = "clusterdns-tests"
TIMEOUT_SECONDS = 30.0
WATCH_SECONDS = 7200
QUIET_SECONDS = 300.0  # of a watch
LOADERS = 8  # threads that apply many manifests

_CORE, _APPS, _RBAC = "/api/v1", "/apis/apps/v1", "/apis/rbac.authorization.k8s.io/v1"
_KINDS = {  # kind → path of the group's version, plural, whether objects are in namespaces
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


class ApiError(RuntimeError):
    """A response with an HTTP status of 400 or above; the text ends with the API server's message."""

    def __init__(self, request: str, status: int, body: bytes) -> None:
        with contextlib.suppress(ValueError, AttributeError):
            body = json.loads(body).get("message", "").encode() or body
        super().__init__(f"{request}: {status} {body.decode(errors='replace')[:2000]}")
        self.status = status


class ApiClient:
    """One user of an API server, with one kept connection per thread."""

    def __init__(self, kubeconfig: Path, server: str = "") -> None:
        """Read the credentials from a kubeconfig; `server` overrides its URL."""
        context = kubeconfig_files.read(kubeconfig)
        self.url = server or context.server
        self._tls = context.tls
        self._headers = {"authorization": f"Bearer {context.token}"} if context.token else {}
        self._thread = threading.local()
        self._opened: list[http.client.HTTPConnection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._opened:
            self._opened.pop().close()

    def is_ready(self) -> bool:
        """Return whether the API server reports that all of it has started."""
        try:
            return self._request("GET", "/readyz") == b"ok"
        except (OSError, http.client.HTTPException, ApiError):
            return False

    def apply(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Create or change an object by server-side apply, then its status where the manifest has one.

        With `dry_run` the API server validates the manifest, unknown fields included, and changes nothing.
        """
        metadata = manifest["metadata"]
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        if dry_run:
            query |= {"dryRun": "All", "fieldValidation": "Strict"}
        path = path_of(manifest["kind"], metadata["name"], metadata.get("namespace", ""))
        applied = self._json("PATCH", f"{path}?{urlencode(query)}", manifest, "application/apply-patch+yaml")
        if "status" in manifest and not dry_run:
            status = {"status": manifest["status"]}
            applied = self._json("PATCH", f"{path}/status", status, "application/merge-patch+json")
        return applied

    def apply_all(self, manifests: Iterable[Manifest]) -> None:
        """Apply many manifests, several at a time and in no particular order."""
        with ThreadPoolExecutor(LOADERS) as pool:
            for _ in pool.map(self.apply, manifests):
                pass

    def read(self, path: str) -> Manifest:
        """GET a path that is not an object's: discovery."""
        return self._json("GET", path)

    def post(self, path: str, body: Manifest) -> Manifest:
        """POST to a path: subresources such as `binding` and `token` are not applied."""
        return self._json("POST", path, body, "application/json")

    def patch_status(self, kind: str, name: str, namespace: str, status: Manifest) -> Manifest:
        """Merge fields into the status of an object."""
        path = f"{path_of(kind, name, namespace)}/status"
        return self._json("PATCH", path, {"status": status}, "application/merge-patch+json")

    def get(self, kind: str, name: str, namespace: str = "") -> Manifest:
        """Get an object. Raises ApiError."""
        return self._json("GET", path_of(kind, name, namespace))

    def find(self, kind: str, name: str, namespace: str = "") -> Manifest | None:
        """Get an object, or None where there is none."""
        try:
            return self.get(kind, name, namespace)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def list(self, kind: str, namespace: str = "") -> list[Manifest]:
        """List the objects of a kind, of all namespaces or of one."""
        items: list[Manifest] = self._json("GET", path_of(kind, "", namespace))["items"] or []
        return items

    def watch(self, kind: str, namespace: str) -> Iterator[tuple[str, Manifest]]:
        """Yield (event type, object) from now on, for two hours; ends with the connection."""
        path = path_of(kind, "", namespace)
        version = self._json("GET", path)["metadata"]["resourceVersion"]
        with contextlib.closing(self._connection(QUIET_SECONDS)) as connection:
            query = {"watch": 1, "resourceVersion": version, "allowWatchBookmarks": 1, "timeoutSeconds": WATCH_SECONDS}
            connection.request("GET", f"{path}?{urlencode(query)}", headers=self._headers)
            with connection.getresponse() as response:
                while line := response.readline():
                    event = json.loads(line)
                    if event["type"] != "BOOKMARK":  # it comes once a minute, and keeps a quiet watch from its time-out
                        yield event["type"], event["object"]

    def delete(self, kind: str, name: str, namespace: str = "", grace_seconds: int | None = None) -> None:
        """Delete an object; does nothing where there is none."""
        options = {} if grace_seconds is None else {"gracePeriodSeconds": grace_seconds}
        try:
            self._json("DELETE", path_of(kind, name, namespace), options, "application/json")
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    def _json(self, method: str, path: str, body: Manifest | None = None, content_type: str = "") -> Manifest:
        found: Manifest = json.loads(self._request(method, path, body, content_type))
        return found

    def _request(self, method: str, path: str, body: Manifest | None = None, content_type: str = "") -> bytes:
        """Send a request, once more where a kept connection fails. Raises ApiError, HTTPException and OSError."""
        payload = None if body is None else json.dumps(body).encode()
        headers = self._headers | ({"content-type": content_type} if content_type else {})
        connection = self._thread_connection()
        while True:
            is_kept = connection.sock is not None
            try:
                connection.request(method, path, payload, headers)
                response = connection.getresponse()
                content = response.read()
                break
            except (OSError, http.client.HTTPException):  # the API server closed it; over TLS that takes many forms
                connection.close()  # the next request opens it again
                if not is_kept:
                    raise
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise ApiError(f"{method} {path}", response.status, content)
        return content

    def _thread_connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._thread, "connection"):
            self._thread.connection = self._connection(TIMEOUT_SECONDS)
            self._opened.append(self._thread.connection)
        connection: http.client.HTTPConnection = self._thread.connection
        return connection

    def _connection(self, timeout_seconds: float) -> http.client.HTTPConnection:
        host = urlsplit(self.url).netloc
        if self._tls is None:
            return http.client.HTTPConnection(host, timeout=timeout_seconds)
        return http.client.HTTPSConnection(host, timeout=timeout_seconds, context=self._tls)


def path_of(kind: str, name: str, namespace: str = "") -> str:
    """Return the path of an object, or of its collection where the name is empty."""
    version, plural, is_namespaced = _KINDS[kind]
    scope = f"/namespaces/{quote(namespace)}" if is_namespaced and namespace else ""
    return f"{version}{scope}/{plural}" + (f"/{quote(name)}" if name else "")
