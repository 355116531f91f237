"""A small client of the Kubernetes API for loading, changing and watching the benchmark's objects.

It speaks plain JSON over one kept connection per thread, so that what is measured is the servers and not a client
library; the product's own client is clusterdns.cluster.api. Credentials come from a kubeconfig: certificates or a
token.
"""

import base64
import http.client
import json
import ssl
import tempfile
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

Manifest = dict[str, Any]

_PLURALS = {
    "Namespace": ("api/v1", "namespaces"),
    "Service": ("api/v1", "services"),
    "Pod": ("api/v1", "pods"),
    "ServiceAccount": ("api/v1", "serviceaccounts"),
    "EndpointSlice": ("apis/discovery.k8s.io/v1", "endpointslices"),
}
_LOADERS = 8


class ApiError(RuntimeError):
    """The API server refused; the text is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """An API server, as the current context of a kubeconfig says."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
        self._host = urlsplit(cluster["server"]).netloc
        self._tls = _tls(cluster, user, kubeconfig.parent) if cluster["server"].startswith("https") else None
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if "token" in user:
            self._headers["Authorization"] = f"Bearer {user['token']}"
        self._local = threading.local()

    def connect(self, timeout_seconds: float = 30) -> http.client.HTTPConnection:
        """A new connection."""
        if self._tls is None:
            return http.client.HTTPConnection(self._host, timeout=timeout_seconds)
        return http.client.HTTPSConnection(self._host, timeout=timeout_seconds, context=self._tls)

    def request(self, method: str, path: str, body: Any = None, content_type: str = "") -> Manifest:
        """One request over this thread's connection, repeated once if the server had closed it. Raises ApiError."""
        headers = self._headers | ({"Content-Type": content_type} if content_type else {})
        payload = None if body is None else json.dumps(body)
        for attempt in range(2):
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = self.connect()
            try:
                connection.request(method, path, payload, headers)
                response = connection.getresponse()
                content = response.read()
                break
            except (http.client.HTTPException, OSError):  # the server had closed it, with TLS in various ways
                connection.close()
                self._local.connection = None
                if attempt:
                    raise
        answer: Manifest = json.loads(content)
        if response.status >= 400:
            raise ApiError(response.status, str(answer.get("message", content[:200])))
        return answer

    def create(self, manifest: Manifest) -> Manifest:
        """Create an object; its status, where the manifest has one, is set after it, as a kubelet or load balancer
        does."""
        made = self.request("POST", path_of(manifest, with_name=False), manifest)
        if "status" in manifest:
            made = self.request(
                "PATCH", path_of(manifest) + "/status", {"status": manifest["status"]}, "application/merge-patch+json"
            )
        return made

    def ensure(self, manifest: Manifest) -> None:
        """Create an object, or leave the one of that name as it is."""
        try:
            self.create(manifest)
        except ApiError as error:
            if error.status != http.HTTPStatus.CONFLICT:
                raise

    def replace(self, manifest: Manifest) -> Manifest:
        """Put a new state in the place of an object."""
        return self.request("PUT", path_of(manifest), manifest)

    def delete(self, manifest: Manifest) -> Manifest:
        """Delete an object."""
        return self.request("DELETE", path_of(manifest) + "?gracePeriodSeconds=0")

    def list(self, kind: str) -> list[Manifest]:
        """Every object of a kind."""
        group, plural = _PLURALS[kind]
        items: list[Manifest] = self.request("GET", f"/{group}/{plural}")["items"]
        return items

    def load(self, manifests: Iterable[Manifest]) -> None:
        """Create many objects, several at a time; those that exist stay as they are."""
        with ThreadPoolExecutor(_LOADERS) as pool:
            for _ in pool.map(self.ensure, manifests):
                pass

    def watch(self, kind: str, namespace: str) -> Iterator[tuple[str, Manifest]]:
        """Events (type, object) of a kind in a namespace from now on, as they arrive; ends with the connection."""
        group, plural = _PLURALS[kind]
        path = f"/{group}/namespaces/{namespace}/{plural}"
        version = self.request("GET", path)["metadata"]["resourceVersion"]
        connection = self.connect(timeout_seconds=300)
        connection.request("GET", f"{path}?watch=1&resourceVersion={version}", headers=self._headers)
        response = connection.getresponse()
        try:
            while line := response.readline():
                event = json.loads(line)
                yield event["type"], event["object"]
        finally:
            connection.close()


def path_of(manifest: Manifest, *, with_name: bool = True) -> str:
    """Where an object, or its collection, is."""
    group, plural = _PLURALS[manifest["kind"]]
    metadata = manifest["metadata"]
    place = f"namespaces/{metadata['namespace']}/" if "namespace" in metadata else ""
    return f"/{group}/{place}{plural}" + (f"/{metadata['name']}" if with_name else "")


def _named(entries: list[Manifest], name: str) -> Manifest:
    return next(entry for entry in entries if entry["name"] == name)


def _tls(cluster: Manifest, user: Manifest, folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=_content(cluster, "certificate-authority", folder).decode())
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # the authority of a test cluster lacks what Python 3.13 asks for
    if "client-certificate" in user or "client-certificate-data" in user:
        with tempfile.NamedTemporaryFile() as pair:  # the ssl module reads client certificates from files only
            pair.write(_content(user, "client-certificate", folder) + b"\n" + _content(user, "client-key", folder))
            pair.flush()
            context.load_cert_chain(pair.name)
    return context


def _content(entry: Manifest, key: str, folder: Path) -> bytes:
    inline = entry.get(f"{key}-data")
    return base64.b64decode(inline) if inline else (folder / entry[key]).read_bytes()
