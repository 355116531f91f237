"""Credentials for the API server, and the HTTP session that uses them; the only module that imports kubernetes_asyncio.

`load` makes a `Credentials` of the settings. It gives an open session and the headers for each request, whose
token may rotate (a service account's file, an exec plugin, OIDC). `client` makes the requests. The library is imported
without its thousand generated models, which would cost 29 MiB and 0.1 s and are not used here (`_client_library`).
"""

import asyncio
import functools
import importlib.util
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from clusterdns.cluster.api.errors import NO_CLUSTER, CredentialsError
from clusterdns.cluster.api.exec_plugin import ExecPlugin, PluginError, PluginStatus
from clusterdns.cluster.api.session import HttpSession
from clusterdns.cluster.api.settings import ApiSettings
from clusterdns.host.imports import importing
from clusterdns.host.tls import TlsError, UnreadableFileError

PACKAGE = "kubernetes_asyncio"
ISSUER_SECONDS = 30.0  # the timeout of an OIDC issuer
RELOAD_SECONDS = 60.0  # between two readings of a kubeconfig's token, as of a service account's

# What the library raises for an invalid kubeconfig besides its own ConfigException: errors of walking the tree, of
# reading files and of broken certificates.
_CAUSES = (OSError, ValueError, TypeError, KeyError, AttributeError, AssertionError)

Errors = tuple[type[Exception], ...]
HasExpired = Callable[[], bool]


class Credentials:
    """One set of credentials with its session, for several readers. Call `retire` to replace it."""

    def __init__(self, configuration: Any, session: HttpSession, errors: Errors, has_expired: HasExpired) -> None:
        self.session = session
        self.loaded_at = time.monotonic()
        self.has_expired = has_expired  # the session shows a certificate whose time is over
        self._configuration = configuration
        self._errors = errors  # of reading a token again
        self._readers = 0
        self._is_retired = False

    async def headers(self) -> dict[str, str]:
        """Make the authorization header, with the current token. Raises CredentialsError."""
        try:
            found = await self._configuration.auth_settings()
        except self._errors as error:
            raise CredentialsError(f"token: {error}") from error
        token = found.get("BearerToken", {}).get("value")
        return {"authorization": token.strip()} if token else {}

    @asynccontextmanager
    async def in_use(self) -> AsyncIterator[None]:
        """Keep the session open within this context."""
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1
            await self._close_if_done()

    async def retire(self) -> None:
        """Close the session after its last reader has finished."""
        self._is_retired = True
        await self._close_if_done()

    async def close(self) -> None:
        """Close the session at once, with the connections that are in use."""
        await self.session.close()

    async def _close_if_done(self) -> None:
        if self._is_retired and not self._readers:
            await self.close()


def _never() -> bool:
    return False


async def load(settings: ApiSettings) -> Credentials:
    """Load the credentials for the API server of the settings. Raises CredentialsError."""
    library = await asyncio.to_thread(_client_library, reads_kubeconfig=bool(settings.kubeconfig))
    configuration = library.make_configuration()
    has_expired: HasExpired = _never
    try:
        if settings.kubeconfig:
            has_expired = await _from_kubeconfig(library, settings, configuration)
        elif settings.endpoint:
            _from_endpoint(settings, configuration)
        else:
            library.load_incluster_config(client_configuration=configuration)
        return Credentials(configuration, HttpSession(configuration), library.errors, has_expired)
    except library.errors as error:
        raise CredentialsError(_explain(settings, error, library.config_error)) from error


async def _from_kubeconfig(library: "_Library", settings: ApiSettings, configuration: Any) -> "HasExpired":
    """Fill the configuration, and return a test of whether a plugin's certificate, part of the session, has expired."""
    path = _kubeconfig_path(settings)
    content = library.load_yaml(path.read_bytes())
    user, cluster = _entries(content, settings.context)
    plugin = None
    if isinstance(user.get("exec"), dict):
        plugin = ExecPlugin(user.pop("exec"), cluster, path.parent)
    loader = library.make_loader(content, active_context=settings.context or None, config_base_path=str(path.parent))
    status: PluginStatus | None = None
    loaded_at = 0.0

    async def read() -> None:
        """Read a token file, renew an OIDC token, or run an exec plugin whose credentials have expired."""
        nonlocal loaded_at, status
        if plugin is not None and (status is None or status.has_expired):
            status = await plugin.run()
            user.update(status.user_entries())
        _prefer_token_file(user, path.parent)
        async with asyncio.timeout(ISSUER_SECONDS):
            await loader.load_and_set(configuration)
        loaded_at = time.monotonic()

    def has_expired() -> bool:
        return status is not None and bool(status.client_key_data) and status.has_expired

    async def refresh(_: object) -> None:
        if time.monotonic() - loaded_at >= RELOAD_SECONDS:
            await read()

    await read()
    configuration.refresh_api_key_hook = refresh
    return has_expired


def _entries(content: Any, context: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the user and the cluster of a context; both are empty where the library will refuse the kubeconfig."""

    def entry(kind: str, name: Any) -> dict[str, Any]:
        found = [one for one in content[f"{kind}s"] if one["name"] == name]
        return found[0][kind] if len(found) == 1 and isinstance(found[0][kind], dict) else {}

    try:
        chosen = entry("context", context or content["current-context"])
        return entry("user", chosen.get("user")), entry("cluster", chosen.get("cluster"))
    except (TypeError, KeyError):
        return {}, {}


def _prefer_token_file(user: dict[str, Any], folder: Path) -> None:
    """Leave out a token beside a readable `tokenFile`, which the library would not read then (client-go does)."""
    if user.get("token") and user.get("tokenFile") and (folder / user["tokenFile"]).is_file():
        del user["token"]


def _kubeconfig_path(settings: ApiSettings) -> Path:
    path = os.path.expanduser(settings.kubeconfig)
    if not os.path.isfile(path):
        raise FileNotFoundError("not found")
    return Path(path).absolute()


def _from_endpoint(settings: ApiSettings, configuration: Any) -> None:
    configuration.host = settings.endpoint
    if settings.tls:
        configuration.cert_file = settings.tls.cert
        configuration.key_file = settings.tls.key
        configuration.ssl_ca_cert = settings.tls.ca


def _explain(settings: ApiSettings, error: Exception, config_error: type[Exception]) -> str:
    if isinstance(error, TimeoutError):
        text = f"no answer of its token issuer within {ISSUER_SECONDS:g} s"
    elif isinstance(error, UnreadableFileError):
        text = f"{error.path}: {error}"
    elif isinstance(error, TlsError):
        text = f"cannot use its certificates: {error}"
    elif isinstance(error, (config_error, PluginError, OSError)) and str(error):
        text = str(error)
    else:
        text = f"invalid ({type(error).__name__}: {error})"
    if settings.kubeconfig:
        context = f" (context {settings.context})" if settings.context else ""
        return f"kubeconfig {settings.kubeconfig}{context}: {text}"
    if settings.endpoint:
        files = f" with tls {settings.tls.cert} {settings.tls.key} {settings.tls.ca}" if settings.tls else ""
        return f"endpoint {settings.endpoint}{files}: {text}"
    return f"{NO_CLUSTER} ({text.rstrip('.')}); set kubeconfig or endpoint"


class _Library(NamedTuple):
    make_configuration: Any
    load_incluster_config: Any
    make_loader: Any  # None where no kubeconfig is read, like load_yaml
    load_yaml: Any
    config_error: type[Exception]  # the library's own
    errors: Errors  # what loading credentials may raise


def _client_library(*, reads_kubeconfig: bool) -> _Library:
    """Import the parts of kubernetes_asyncio that are used, in one thread at a time."""
    with importing:
        return _import_without_models(reads_kubeconfig=reads_kubeconfig)


@functools.cache
def _import_without_models(*, reads_kubeconfig: bool) -> _Library:
    """Import the library, without its models where the release allows that."""
    # The library logs each failure that it also raises; `status` logs it once per outage.
    logging.getLogger(PACKAGE).setLevel(logging.CRITICAL)
    _set_home()
    try:
        with _without_models():
            return _import_parts(reads_kubeconfig=reads_kubeconfig)
    except (ImportError, AttributeError):  # another layout of the package: import all of it
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]
        return _import_parts(reads_kubeconfig=reads_kubeconfig)


def _set_home() -> None:
    """Set $HOME to `/`, as container runtimes do, where the uid has no home folder: the library needs one at import."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/"


def _import_parts(*, reads_kubeconfig: bool) -> _Library:
    """Import the library; in a pod without its kubeconfig modules, which load YAML, plugins and OIDC."""
    from kubernetes_asyncio.client.configuration import Configuration
    from kubernetes_asyncio.config.config_exception import ConfigException
    from kubernetes_asyncio.config.incluster_config import load_incluster_config

    errors: Errors = (ConfigException, PluginError, TlsError, *_CAUSES)
    make_loader: Any = None
    load_yaml: Any = None
    if reads_kubeconfig:
        from kubernetes_asyncio.config import kube_config
        from yaml import YAMLError, safe_load

        make_loader, load_yaml = kube_config.KubeConfigLoader, safe_load
        errors += (YAMLError,)
    return _Library(Configuration, load_incluster_config, make_loader, load_yaml, ConfigException, errors)


@contextmanager
def _without_models() -> Iterator[None]:
    """Replace `kubernetes_asyncio`, its `client` and `config`, which import too much, by empty packages meanwhile.

    Submodules are found through `__path__` as usual. Of `client`, modules of `config` want Configuration and, in
    annotations and a function not used here, ApiClient. Configuration wants urllib3 for basic authentication, which
    Kubernetes has given up. The stand-ins are removed afterwards: a later import gets the whole packages.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations or PACKAGE in sys.modules:
        raise ImportError(f"{PACKAGE} is not a package that can be imported in parts")
    root, client, config = (ModuleType(name) for name in (PACKAGE, f"{PACKAGE}.client", f"{PACKAGE}.config"))
    root.__path__ = list(spec.submodule_search_locations)
    client.__path__ = [str(Path(folder) / "client") for folder in root.__path__]
    config.__path__ = [str(Path(folder) / "config") for folder in root.__path__]
    urllib3 = ModuleType("urllib3")
    urllib3.__getattr__ = lambda name: getattr(importlib.import_module("urllib3"), name)  # type: ignore[method-assign]
    stand_ins = {
        module.__name__: module for module in (root, client, config, urllib3) if module.__name__ not in sys.modules
    }
    sys.modules.update(stand_ins)
    try:
        from kubernetes_asyncio.client.configuration import Configuration

        vars(client).update(Configuration=Configuration, ApiClient=object)
        yield
    finally:
        for name in stand_ins:
            sys.modules.pop(name, None)
