"""Requests to the API server that make, read and delete objects; credentials are those of `cluster.api`.

`cluster.api.client` only reads lists and watches, for a server that runs on; these requests are few and not retried.
"""

from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any
from urllib.parse import quote

import msgspec

from clusterdns.cli.conform.served import Manifest
from clusterdns.cluster.api.credentials import Credentials, load
from clusterdns.cluster.api.errors import ApiError, CredentialsError
from clusterdns.cluster.api.settings import ApiSettings

REQUEST_SECONDS = 20.0
_PATHS = {  # kind → its group's path and plural
    "Namespace": ("/api/v1", "namespaces"),
    "Service": ("/api/v1", "services"),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices"),
    "ServiceImport": ("/apis/multicluster.x-k8s.io/v1alpha1", "serviceimports"),
}


class ObjectsApi:
    """The API server of a kubeconfig's context. Entering the context reads the credentials."""

    def __init__(self, kubeconfig: str, context: str) -> None:
        self._settings = ApiSettings(kubeconfig=kubeconfig, context=context)
        self._credentials: Credentials

    async def __aenter__(self) -> "ObjectsApi":
        """Read the credentials. Raises ApiError."""
        try:
            self._credentials = await load(self._settings)
        except CredentialsError as error:
            raise ApiError(str(error)) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._credentials.close()

    async def create(self, manifest: Manifest) -> Manifest:
        """Create an object, and return it as the API server has made it. Raises ApiError."""
        return await self._request("POST", _path(manifest), manifest)

    async def find_namespace(self, name: str) -> Manifest | None:
        """Read a namespace, or return None where it does not exist. Raises ApiError."""
        try:
            return await self._request("GET", f"/api/v1/namespaces/{quote(name)}")
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def delete_namespace(self, name: str) -> None:
        """Delete a namespace with all that is in it; does nothing where it does not exist. Raises ApiError."""
        try:
            await self._request("DELETE", f"/api/v1/namespaces/{quote(name)}", {})
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    async def _request(self, method: str, path: str, body: Manifest | None = None) -> Manifest:
        """Make a request, and return the object in its response. Raises ApiError."""
        credentials = self._credentials
        try:
            headers = {"content-type": "application/json", "user-agent": "clusterdns", **await credentials.headers()}
            content = None if body is None else msgspec.json.encode(body)
            response = await credentials.session.send(method, path, headers, content, REQUEST_SECONDS)
            found: Any = msgspec.json.decode(response)
        except CredentialsError as error:
            raise ApiError(str(error)) from error
        except msgspec.MsgspecError as error:
            raise ApiError(f"{method} {path}: the response is not JSON: {error}") from error
        if not isinstance(found, Mapping):
            raise ApiError(f"{method} {path}: the response is not an object")
        return dict(found)


def _path(manifest: Manifest) -> str:
    group, plural = _PATHS[manifest["kind"]]
    namespace = manifest["metadata"].get("namespace")
    return f"{group}/namespaces/{quote(namespace)}/{plural}" if namespace else f"{group}/{plural}"
